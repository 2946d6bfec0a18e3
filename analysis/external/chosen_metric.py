"""The metric that a task of a score table is analysed by where it has several: gains, raw values and floor are of one.

It does not depend on the order of the rows.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aggregation_lab.aggregation import FLOOR
from aggregation_lab.tasks import METRICS, TaskType, find_type
from analysis.external.sheet import shown

_SAME = 1e-6
"""Difference of two scores that is rounding."""


@dataclass(frozen=True)
class ChosenMetric:
    """`gain` is what gains are of; `primary`, which stands beside them, is the same one, or what it was made from."""

    gain: str
    primary: str
    passed_over: bool
    """Whether the task has other metrics, of which nothing says that they are not the wanted one."""


def chosen_metrics(scores: pd.DataFrame) -> dict[str, ChosenMetric]:
    """The metric of every task, the same in all arms, from the rows of a table with a column `unit_free`."""
    trained = scores[scores["aggregation"] != FLOOR]
    found = {}
    for name, rows in trained.groupby("task", sort=True):
        task_type, free = find_type(str(rows["type"].iloc[0])), rows[rows["unit_free"]]
        gain = _fullest(rows if free.empty else free, task_type)
        primary = _primary(scores[scores["task"] == name], gain, task_type)
        others = set(rows["metric"]) - {gain, primary}
        found[str(name)] = ChosenMetric(gain, primary, passed_over=bool(others) and gain != "score")
    return found


def said(chosen: dict[str, ChosenMetric]) -> list[str]:
    """A note of the tasks in which metrics were passed over."""
    tasks: dict[str, list[str]] = {}
    for task, each in chosen.items():
        if each.passed_over:
            tasks.setdefault(each.gain, []).append(task)
    if not tasks:
        return []
    named = "; ".join(f"{metric} of {shown(names, 5)}" for metric, names in tasks.items())
    return [
        f"Gains, raw values and floors are of one metric per task, where there are several: {named}. To analyse "
        "another one, take out the rows of this one."
    ]


def _fullest(rows: pd.DataFrame, task_type: TaskType | None) -> str:
    """Of the metrics with the most scores of models that of the task's type, else the first known, or by name."""
    counts = rows["metric"].value_counts()
    return min(counts.index[counts == counts.max()], key=lambda name: _rank(str(name), task_type))


def _rank(name: str, task_type: TaskType | None) -> tuple[int, str]:
    """`score` is first, as users call so what is meant to be compared."""
    of_type = [metric.name for metric in task_type.metrics] if task_type else []
    known = ["score", *of_type, *METRICS]
    return known.index(name) if name in known else len(known), name


def _primary(rows: pd.DataFrame, gain: str, task_type: TaskType | None) -> str:
    """The primary metric of the type where the metric of the gain is made from it: pixel errors behind relative ones,
    or what is given as `score`, too. It needs a value for every model and floor of which the gain's metric has one."""
    if task_type is None or gain not in ("score", *(metric.name for metric in task_type.metrics)):
        return gain
    primary, keys = task_type.primary, ["arm", "aggregation", "fraction", "seed"]
    if primary.unit == "1" and gain != "score":
        return gain
    of_gain, of_primary = (rows[rows["metric"] == name].set_index(keys)["value"] for name in (gain, primary.name))
    beside = of_primary.reindex(of_gain.index)
    same = beside.notna() if primary.unit != "1" else np.isclose(beside, of_gain, rtol=_SAME, atol=_SAME)
    return primary.name if bool(np.all(same)) else gain
