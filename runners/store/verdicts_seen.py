"""verdicts_seen.json: at how many seeds the plain verdicts of a folder were read.

Seeds that are added because verdicts are undecided make false ones more frequent; a report can say so only where it is
known that somebody has looked before.
"""

from typing import TYPE_CHECKING

from aggregation_lab.aggregation import FLOOR
from aggregation_lab.storage.sealed_json import read_sealed, write_sealed
from runners.store.study_folder import StudyFolder

if TYPE_CHECKING:
    from analysis.study import StudyTables


def read_seen(folder: StudyFolder) -> tuple[int, ...]:
    """Numbers of seeds, ascending; none where nobody has looked, or the file is not what was written."""
    try:
        return tuple(sorted(int(count) for count in read_sealed(folder.seen_file)["seeds"]))
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def note_reading(study: "StudyTables") -> None:
    """Remember that the verdicts of a study folder are read now; those of looks are planned, and not counted."""
    if study.folder is None or study.looks is not None:
        return
    folder = StudyFolder(study.folder)
    if not folder.plan_file.is_file():
        return
    seen, now = read_seen(folder), int(study.scores.loc[study.scores["aggregation"] != FLOOR, "seed"].nunique())
    if now not in seen and now > 1:  # one seed decides nothing
        write_sealed(folder.seen_file, {"seeds": sorted({*seen, now})})
