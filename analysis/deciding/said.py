"""What a reader must know of replicates whose number was not fixed: one sentence each."""

from collections.abc import Iterable

from aggregation_lab.aggregation import FLOOR
from aggregation_lab.text import enumerated
from analysis.deciding.stopping import NO_PROSPECT
from analysis.study import StudyTables


def replicates_by_looks(study: StudyTables) -> list[str]:
    """That looks decided how many seeds there are, or that seeds were added after verdicts had been read; nothing where
    their number was fixed, as far as is known."""
    looks, plan = study.looks, study.manifest.looks
    if looks is None or plan is None:
        return _added_after_reading(study)
    total = len(looks.seeds)
    if not looks.made:
        return [
            f"No look is made yet, the first is due after {looks.planned[0]} of {total} seeds: no verdict is given."
        ]
    found = [
        f"Seeds came in stages, and verdicts were looked at after {_counts(looks.made)} of at most {total}, as planned "
        "before: p values, verdicts and intervals of gains and means hold for all looks together, those of lines over "
        "sizes, of types and of stability for a fixed number. Gains of tasks that stopped early tend to lie too far "
        "from 0."
    ]
    closed = [row for look in plan["closed"] for row in look]
    hopeless = [row for row in closed if row[-1] == NO_PROSPECT]
    if hopeless:
        found.append(
            f"{len(hopeless)} of {len(closed)} comparisons that stopped did so undecided, as even all seeds would "
            "hardly have decided them."
        )
    if len(looks.made) < len(looks.planned) and not plan.get("finished", False):
        coming = _counts(looks.planned[len(looks.made) :])
        found.append(f"Looks after {coming} seeds are still to come; what is trained since the last takes no part yet.")
    return found


def _added_after_reading(study: StudyTables) -> list[str]:
    rows = study.scores[study.scores["aggregation"] != FLOOR]
    now = int(rows["seed"].nunique())
    earlier = [count for count in study.manifest.verdicts_seen if count < now]
    if not earlier:
        return []
    return [
        f"Verdicts had been read at {_counts(earlier)} seeds before there were {now}: where seeds were added because "
        "of them, false verdicts are more frequent than stated; run-grid --until-decided plans its looks."
    ]


def _counts(numbers: Iterable[int]) -> str:
    return enumerated([str(number) for number in numbers])
