"""Runs that learned nothing of a task while others of the same model did: a training that failed, no noise of the data.

One such run of five widens the interval of its task as nothing else does, and looks like chance. It is told from a run
that a small test set makes look bad by what is hardly chance: the same answer for every case, no case right at all, or
a distance from the other runs that neither resampled test subjects nor the scatter of those runs explain: one value
against a few, (mean of n - value) / (sd of n * sqrt(1 + 1 / n)), normal scatter supposed (Crawford and Howell 1998).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from aggregation_lab.aggregation import FLOOR
from aggregation_lab.tasks import METRICS, find_type
from analysis.frames import frame
from analysis.gains import TaskScores
from analysis.statistics.rare_classes import FEWEST_OF_CLASS
from analysis.study import Resampled, StudyTables

LITTLE = 0.25
"""Share of what the better runs have learned over the floor, up to which a run has learned next to nothing."""
APART = 4.0
"""Standard errors below the other runs beyond which chance is no explanation. In simulated tasks that all of 3 or 5
runs learn (true AUC 0.65 to 0.85, 40 or 84 test cases) at most 2 of 1,000 cells then have a run that is named; with 3
errors, up to 25."""
_SURE = 0.999
"""Where only the scatter of the other runs tells: quantile of their t."""
_FEWEST_APART = 2
"""Other runs without which a distance from them says nothing: the one might be the run that is off."""
_FEWEST_METRICS = 2
"""Metrics beside that of the gain that have to be the floor's."""
_OF_A_CLASS = 0.5
"""Share of its cases that a score of classes is known by, where nothing says how many of the rarest class there are."""

SAME_ANSWER = "the same answer for every test case"
NONE_RIGHT = "no test case right"
FAR_BELOW = "further below the other runs than chance explains"


@dataclass(frozen=True, eq=False)
class Cell:
    """Runs of one aggregation at one fraction on one task (S): how far they are `over` the floor of their own seed, the
    error of that by test cases (NaN where unknown), and what is certain of a run otherwise, "" where nothing is."""

    over: np.ndarray
    errors: np.ndarray
    certain: np.ndarray

    def collapsed(self) -> dict[int, str]:
        """Index of each run that learned next to nothing where others learned, and how that is known."""
        above = self.over[self.over > 0]
        if not len(above):
            return {}  # nobody has learned: the mean says so
        little = LITTLE * float(np.quantile(above, 0.75))  # no median: most of the runs may have collapsed
        weak = [int(run) for run in np.flatnonzero(self.over <= little)]
        reasons = {run: self._reason(run, self.over > little) for run in weak}
        return {run: reason for run, reason in reasons.items() if reason}

    def _reason(self, run: int, others: np.ndarray) -> str:
        return str(self.certain[run]) or (FAR_BELOW if self._is_far_below(run, others) else "")

    def _is_far_below(self, run: int, others: np.ndarray) -> bool:
        count = int(others.sum())
        if count < _FEWEST_APART:
            return False
        gap = self.over[others].mean() - self.over[run]
        scatter = self.over[others].std(ddof=1) * np.sqrt(1 + 1 / count)
        by_cases = np.hypot(self.errors[run], np.sqrt((self.errors[others] ** 2).mean() / count))
        if np.isnan(by_cases):
            return count > _FEWEST_APART and bool(gap > stats.t.ppf(_SURE, count - 1) * scatter)
        return bool(gap > APART * max(scatter, by_cases))


def collapsed_runs(study: StudyTables, resampled: Resampled | None, scores: Sequence[TaskScores]) -> pd.DataFrame:
    """The frame `collapsed`: runs whose score is next to nothing over the floor, where that is hardly chance.

    `scores` are those of `task_scores`, by which runs are judged; what is shown is the primary metric. Tasks without a
    floor are left out. A heuristic that rather stays silent: it needs another run of the cell that has learned, two
    where only the distance from them speaks.
    """
    rows = []
    for task in scores:
        of_task = study.scores[study.scores["task"] == task.task]
        judged = _Metric(of_task, "score" if "score" in set(of_task["metric"]) else study.primary[task.task])
        shown = _Metric(of_task, study.primary[task.task])
        over = task.values - judged.sign * np.array([judged.floor(*arm[1:]) for arm in _arms(task)])
        beside = [_Metric(of_task, name) for name in set(of_task["metric"]) - {judged.name, shown.name}]
        errors, certain = _errors(task, judged, beside), np.full(len(over), "", object)
        if not judged.by_class(task.type):
            certain[(task.values == 0) & (over < 0)] = NONE_RIGHT
        certain[_same_answer(task, resampled)] = SAME_ANSWER
        for (name, fraction), of_seed in task.arm_index.items():
            index = np.array(list(of_seed.values()))
            cell = Cell(over[index], errors[index], certain[index])
            found = cell.collapsed()
            others = [shown.value(name, fraction, seed) for run, seed in enumerate(of_seed) if run not in found]
            for run, reason in found.items():
                seed = list(of_seed)[run]
                rows.append(
                    {
                        "aggregation": name,
                        "fraction": fraction,
                        "task": task.task,
                        "type": task.type,
                        "group": task.group,
                        "seed": seed,
                        "run": task.arms["run"].iloc[index[run]],
                        "runs": len(of_seed),
                        "metric": shown.name,
                        "unit": study.unit_of(shown.name),
                        "value": shown.value(name, fraction, seed),
                        "floor": shown.floor(fraction, seed),
                        "others_low": float(np.nanmin(others)),
                        "others_high": float(np.nanmax(others)),
                        "reason": reason,
                    }
                )
    return frame("collapsed", rows)


def _arms(task: TaskScores) -> list[tuple[str, float, int]]:
    """Aggregation, fraction and seed of each arm."""
    columns = (task.arms[name].to_list() for name in ("aggregation", "fraction", "seed"))
    return [(name, fraction, int(seed)) for name, fraction, seed in zip(*columns, strict=True)]


class _Metric:
    """The rows of one metric of one task: its values, cases and floor by aggregation, fraction and seed."""

    def __init__(self, of_task: pd.DataFrame, name: str):
        rows = of_task[of_task["metric"] == name]
        self.name, self.sign = name, 1.0 if rows["direction"].iloc[0] == "higher" else -1.0
        keys = ["aggregation", "fraction", "seed"]
        arms = [(str(name), float(share), int(seed)) for name, share, seed in rows[keys].itertuples(index=False)]
        self._values = dict(zip(arms, rows["value"].to_list(), strict=True))
        self._cases = dict(zip(arms, rows["n_cases"].to_list(), strict=True))
        floors = rows[rows["aggregation"] == FLOOR].groupby("fraction")["value"].mean()
        self._floors = dict(zip(floors.index.to_list(), floors.to_list(), strict=True))

    def by_class(self, type_name: str) -> bool:
        """Whether it compares classes or is a mean over them."""
        task_type = find_type(type_name)
        known = METRICS.get(task_type.unit_free if task_type and self.name == "score" else self.name)
        return known is not None and known.by_class

    def value(self, name: str, fraction: float, seed: int) -> float:
        """That of a run; NaN where it has none."""
        return self._values.get((name, fraction, seed), np.nan)

    def cases(self, name: str, fraction: float, seed: int) -> float:
        """How many test cases a run has."""
        return self._cases[name, fraction, seed]

    def floor(self, fraction: float, seed: int) -> float:
        """The floor beside a run: of its own test fold where it has one; NaN without any."""
        of_fold = self._values.get((FLOOR, fraction, seed))
        return float(self._floors.get(fraction, np.nan) if of_fold is None else of_fold)


def _errors(task: TaskScores, metric: _Metric, beside: Sequence[_Metric]) -> np.ndarray:
    """Standard error by test cases of each arm (A): over resamples, else the largest that a mean of so many values in
    [0, 1] may have; NaN where neither is known, infinite where resamples have too few subjects to tell.

    A metric that compares classes is known by the rarest one, unless those `beside` it are the floor's, too: the most
    frequent class was then said of every case, and so low a score is no surprise.
    """
    if task.draws is not None:
        few = task.subjects if task.rarest_class is None else len(task.rarest_class)
        return np.full(len(task.values), np.inf) if few < FEWEST_OF_CLASS else np.nanstd(task.draws, axis=0)
    whole = _as_floor(task, beside) | (not metric.by_class(task.type))
    count = np.where(whole, 1.0, _OF_A_CLASS) * np.array([metric.cases(*arm) for arm in _arms(task)], float)
    possible = (task.unit == "1") & (task.values >= 0) & (task.values <= 1) & (count > 0)
    return np.sqrt(np.where(possible, task.values * (1 - task.values) / np.where(count > 0, count, 1), np.nan))


def _as_floor(task: TaskScores, metrics: Sequence[_Metric]) -> np.ndarray:
    """Which arms have in all of several metrics what their floor has (A); one alone may agree by chance."""
    if len(metrics) < _FEWEST_METRICS:
        return np.zeros(len(task.values), bool)
    return np.array(
        [all(np.isclose(each.value(*arm), each.floor(*arm[1:])) for each in metrics) for arm in _arms(task)]
    )


def _same_answer(task: TaskScores, resampled: Resampled | None) -> np.ndarray:
    """Which arms are known to give every test case the same answer (A)."""
    cases = resampled.tasks.get(task.task) if resampled else None
    if cases is None:
        return np.zeros(len(task.values), bool)
    of_arm = dict(zip(cases.arms.itertuples(index=False, name=None), cases.same_answer, strict=True))
    return np.array([of_arm[arm] for arm in _arms(task)], bool)
