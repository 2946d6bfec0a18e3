"""What a reader must know of replicates whose number was not fixed: one sentence each."""

from collections.abc import Iterable, Sequence

from aggregation_lab.aggregation import FLOOR
from aggregation_lab.text import enumerated
from analysis.deciding.stopping import NO_PROSPECT
from analysis.study import StudyTables


def replicates_by_looks(study: StudyTables) -> list[str]:
    """That looks decided how many seeds there are, or that verdicts had been read with fewer or other seeds; nothing
    where their number was fixed, as far as is known."""
    looks, plan = study.looks, study.manifest.looks
    if looks is None or plan is None:
        return _chosen_after_reading(study)
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


def _chosen_after_reading(study: StudyTables) -> list[str]:
    """A sentence on readings with fewer seeds, and one on readings with seeds that are not here."""
    rows = study.scores[study.scores["aggregation"] != FLOOR]
    now = {int(seed) for seed in rows["seed"].unique()}
    fewer, others = set[int](), set[str]()
    for seen in study.manifest.verdicts_seen:
        count = seen if isinstance(seen, int) else len(seen)
        if count > len(now) if isinstance(seen, int) else not now.issuperset(seen):
            others.add(f"{count} seeds" if isinstance(seen, int) else f"seeds {_runs_of(seen)}")
        elif count < len(now):
            fewer.add(count)
    found = []
    if fewer:
        found.append(
            f"Verdicts were read at {_counts(sorted(fewer))} seeds, too, of the {len(now)} here: where seeds were "
            "added because of them, false verdicts are more frequent than stated; run-grid --until-decided plans its "
            "looks."
        )
    if others:
        found.append(
            f"Verdicts were also read with {enumerated(sorted(others))}, not all of which are among the seeds here, "
            f"{_runs_of(sorted(now))}: where seeds were left out or exchanged because of them, false verdicts are more "
            "frequent than stated."
        )
    return found


def _runs_of(seeds: Sequence[int]) -> str:
    """Seeds as `0-2, 7`: an ascending list with its unbroken stretches written as two ends."""
    starts = [seed for seed in seeds if seed - 1 not in seeds]
    ends = [seed for seed in seeds if seed + 1 not in seeds]
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in zip(starts, ends, strict=True))


def _counts(numbers: Iterable[int]) -> str:
    return enumerated([str(number) for number in numbers])
