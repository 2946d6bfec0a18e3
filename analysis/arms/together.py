"""Models of several arms on the test cases that all of them have; a task of which there are none is not compared."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from aggregation_lab.text import listed
from analysis.study import Resampled, StudyTables, resampled_of, task_cases

APART = "no test case has a score in every arm, so arms are not compared"
"""Why a task is in no comparison of arms."""

_NAMED = 5


@dataclass(frozen=True, eq=False)
class Together:
    """`tables` without the tasks of which the models have no test case in common, resampled; by task how many test
    cases only some models have (`left_out`), and how many there are of the tasks without a common one (`apart`)."""

    tables: StudyTables
    resampled: Resampled | None
    left_out: Mapping[str, int]
    apart: Mapping[str, int]

    @property
    def excluded(self) -> list[dict[str, object]]:
        """What comparisons of arms leave out, as rows of the frame `excluded`."""
        some = "test cases that some run of some arm has not scored, in no comparison of arms"
        return [
            {"table": "cases", "rows": sum(of.values()), "reason": f"{reason}: {listed(sorted(of), _NAMED)}"}
            for reason, of in ((some, self.left_out), (APART, self.apart))
            if of
        ]


def together(tables: StudyTables, draws: int, seed: int) -> Together:
    """The tables of `side_by_side`, resampled as `analysis.study.resample` does those of one arm."""
    if tables.cases is None or tables.cases.empty:
        return Together(tables, None, {}, {})
    tasks, faults = task_cases(tables)
    counts = tables.cases[tables.cases["task"].isin(list(faults))].groupby("task")["case"].nunique()
    apart = {str(task): int(count) for task, count in counts.items()}
    scores, cases = (rows[~rows["task"].isin(list(faults))] for rows in (tables.scores, tables.cases))
    left_out = {task: arrays.left_out for task, arrays in tasks.items() if arrays.left_out}
    return Together(replace(tables, scores=scores, cases=cases), resampled_of(tasks, draws, seed), left_out, apart)
