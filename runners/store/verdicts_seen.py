"""verdicts_seen.json: with which seeds the plain verdicts of a folder were read, and the margins at the first reading.

Seeds that are added or exchanged because of verdicts, and margins that are chosen after them, make false ones more
frequent; a report can say so only where it is known that somebody has looked before.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aggregation_lab.aggregation import FLOOR
from aggregation_lab.errors import NotWritableError
from aggregation_lab.storage.sealed_json import read_sealed, write_sealed
from runners.store.study_folder import StudyFolder

if TYPE_CHECKING:
    from analysis.study import StudyTables


@dataclass(frozen=True)
class Seen:
    """`seeds` of every reading that had others than those before, in that order: a list of them, or how many where an
    older agglab noted no more. `margins` by task at the first reading; None where they were not noted."""

    seeds: tuple[tuple[int, ...] | int, ...] = ()
    margins: Mapping[str, float] | None = None

    @property
    def counts(self) -> list[int]:
        """Numbers of seeds, ascending."""
        return sorted({each if isinstance(each, int) else len(each) for each in self.seeds})


def read_seen(folder: StudyFolder) -> Seen:
    """What was noted; nothing where nobody has looked, or the file is not what was written."""
    try:
        value = read_sealed(folder.seen_file)
        margins = value.get("margins")
        return Seen(
            tuple(_seeds(each) for each in value["seeds"]),
            None if margins is None else {str(task): float(margin) for task, margin in margins.items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Seen()


def note_reading(study: "StudyTables") -> None:
    """Remember that the verdicts of a study folder are read now; those of looks are planned, and not counted."""
    if study.folder is None or study.looks is not None:
        return
    folder = StudyFolder(study.folder)
    if not folder.plan_file.is_file():
        return
    seen, trained = read_seen(folder), study.scores[study.scores["aggregation"] != FLOOR]
    now = tuple(sorted(int(seed) for seed in trained["seed"].unique()))
    if len(now) < 2 or (now in seen.seeds and seen.margins is not None):  # one seed decides nothing
        return
    seeds = seen.seeds if now in seen.seeds else (*seen.seeds, now)
    margins = study.manifest.margins if seen.margins is None else seen.margins
    with suppress(NotWritableError):  # a folder that may only be read is analysed all the same
        write_sealed(folder.seen_file, {"seeds": seeds, "margins": dict(margins)})


def _seeds(value: Any) -> tuple[int, ...] | int:
    return tuple(int(seed) for seed in value) if isinstance(value, list) else int(value)
