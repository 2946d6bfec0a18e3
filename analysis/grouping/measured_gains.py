"""Gains on validation cases: what each unit of each trained aggregation says of the set of tasks that it holds.

A set of tasks is chosen by these gains and by nothing of the test cases, so that a partition found here has no head
start by its test images when scores on them compare it with TS, CG and AU. The validation score of a run is the last of
its curve: that of the very weights which are tested afterwards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from aggregation_lab.aggregation import FEWEST_GROUPED, FLOOR, stages
from aggregation_lab.errors import ResultsError
from analysis.statistics.moderated_variance import log_variance_posterior
from analysis.study import StudyTables

BASE = "TS"
"""What gains are over."""


@dataclass(frozen=True, eq=False)
class MeasuredGains:
    """`tasks` has the index task and the columns type, group, n_train (at full data); `sets` one row per task and
    set of two tasks or more: aggregation, unit, task, members (numbers of the tasks, ascending), gain, variance and
    seeds."""

    tasks: pd.DataFrame
    sets: pd.DataFrame
    partitions: Mapping[str, frozenset[tuple[int, ...]]]
    """By aggregation that holds every task its sets of two tasks or more, also those that stand under another one."""

    @cached_property
    def number(self) -> dict[str, int]:
        """Number of each task."""
        return {task: k for k, task in enumerate(self.tasks.index)}

    @property
    def aggregations(self) -> list[str]:
        """The aggregations that sets come from."""
        return list(dict.fromkeys(self.sets["aggregation"]))


def measured_gains(study: StudyTables) -> MeasuredGains:
    """The gains of one arm at full data.

    A set that two aggregations train is one run and stands here once, under the first of them. Second stages, as in
    AU>CG, are left out: they got more training than TS. The variance is that of
    the mean over seeds, its scatter over seeds shared by tasks of one type (`moderated_variance`), 0 where no seed
    repeats another. Raises `ResultsError` where validation scores, TS, or sets of several tasks are missing.
    """
    name = study.manifest.study
    last = _last_scores(study)
    found = [each for each in study.aggregations if each in set(last["aggregation"]) and stages(each) is None]
    if BASE not in found:
        raise ResultsError(
            f"{name}: has no finished run of {BASE}, which gains are over; train it (aggregations: [TS, AU])"
        )
    tasks = _tasks(study, last)
    if len(tasks) < FEWEST_GROUPED:
        raise ResultsError(
            f"{name}: {BASE} is finished in {len(tasks)} tasks; to group them takes {FEWEST_GROUPED} or more"
        )
    sets, partitions = _sets(last, tasks, found)
    lacking = sorted(set(last["task"]) - set(tasks.index))
    if sets.empty and lacking:
        raise ResultsError(
            f"{name}: {BASE} is not finished in {', '.join(lacking)}, and every trained unit of several tasks holds "
            "one of these; finish them first"
        )
    if sets.empty:
        raise ResultsError(
            f"{name}: has finished runs of {', '.join(found)} only, so no set of several tasks is known; train AU"
        )
    return MeasuredGains(tasks, sets.assign(variance=seed_variances(sets, tasks)).drop(columns="scatter"), partitions)


def _last_scores(study: StudyTables) -> pd.DataFrame:
    """Columns aggregation, unit, task, seed, score: the last validation score of every run, where it is defined."""
    if study.curves is None or study.curves.empty:
        raise ResultsError(
            f"{study.manifest.study}: has no validation curves, and groups are found on validation scores alone; "
            "give the output folder of a study"
        )
    rows = study.curves[study.curves["fraction"] == study.curves["fraction"].max()]
    last = rows.sort_values("step").drop_duplicates(["aggregation", "unit", "task", "seed"], keep="last")
    return last[np.isfinite(last["score"].astype(float)) & (last["aggregation"] != FLOOR)]


def _tasks(study: StudyTables, last: pd.DataFrame) -> pd.DataFrame:
    """The tasks that TS has trained, by name."""
    trained = last.loc[last["aggregation"] == BASE, "task"]
    rows = study.scores[(study.scores["fraction"] == study.full) & study.scores["task"].isin(trained)]
    rows = rows[rows["aggregation"] == BASE]
    about = rows.groupby("task").agg(type=("type", "first"), group=("group", "first"), n_train=("n_train", "mean"))
    return about.sort_index()


def _sets(
    last: pd.DataFrame, tasks: pd.DataFrame, aggregations: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, frozenset[tuple[int, ...]]]]:
    """`MeasuredGains.sets` with the scatter over seeds, and `partitions`; units that hold a task which TS lacks are
    left out."""
    base = last[last["aggregation"] == BASE].set_index(["task", "seed"])["score"]
    number = {task: k for k, task in enumerate(tasks.index)}
    rows, known, partitions = [], set(), {}
    for aggregation in aggregations:
        of_aggregation, own_sets = last[last["aggregation"] == aggregation], set()
        for unit, runs in of_aggregation.groupby("unit", sort=True):
            names = set(runs["task"])
            members = tuple(sorted(number[task] for task in names & number.keys()))
            if aggregation == BASE or len(members) < max(2, len(names)):
                continue
            own_sets.add(members)
            if members in known:
                continue
            known.add(members)
            for task, own in runs.groupby("task", sort=True):
                paired = own.set_index("seed")["score"].sub(base[task]).dropna().to_numpy(float)
                if len(paired):
                    scatter = float(paired.var(ddof=1)) if len(paired) > 1 else np.nan
                    about = {"aggregation": aggregation, "unit": unit, "task": task, "members": members}
                    rows.append(about | {"gain": paired.mean(), "scatter": scatter, "seeds": len(paired)})
        if own_sets and number.keys() <= set(of_aggregation["task"]):
            partitions[aggregation] = frozenset(own_sets)
    return pd.DataFrame(rows), partitions


def seed_variances(sets: pd.DataFrame, tasks: pd.DataFrame) -> np.ndarray:
    """Variance of each mean gain (N) by its seeds, from the columns scatter, seeds and task of `sets`."""
    scatter = sets["scatter"].to_numpy(float)
    known = np.isfinite(scatter) & (scatter > 1e-12)
    if not known.any():
        return np.zeros(len(sets))
    seeds = sets["seeds"].to_numpy(float)
    types = tasks["type"].loc[sets["task"]].to_numpy(object)
    types = np.where(np.isin(types, types[known]), types, types[known][0])  # a type of which no seed is repeated
    theta, posterior = log_variance_posterior(np.where(known, scatter, 1.0), np.where(known, seeds - 1, 0.0), types)
    return np.exp(posterior @ theta) / seeds
