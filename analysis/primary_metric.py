"""The primary metric of each task, and whether a model's mean of it is better than the trivial predictor's."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from aggregation_lab.aggregation import FLOOR
from aggregation_lab.tasks import find_type

ModelKey = tuple[str, float, str]
"""Aggregation, fraction, task."""


def primary_of(type_name: str, metrics: Sequence[str]) -> str:
    """The primary metric of a task type among those that have scores."""
    task_type = find_type(type_name)
    known = [metric.name for metric in task_type.metrics] if task_type else []
    return next((name for name in [*known, *metrics] if name in metrics and name != "score"), "score")


def primary_metrics(scores: pd.DataFrame, chosen: Mapping[str, str]) -> dict[str, str]:
    """The primary metric of every task of which a model has scores: the `chosen` one, else that of its type."""
    trained = scores[scores["aggregation"] != FLOOR]
    return {
        str(task): chosen.get(str(task)) or primary_of(rows["type"].iloc[0], list(rows["metric"].unique()))
        for task, rows in trained.groupby("task")
    }


def primary_rows(scores: pd.DataFrame, primary: Mapping[str, str]) -> pd.DataFrame:
    """Score rows of each task's primary metric, the floor's included."""
    return scores[scores["metric"] == scores["task"].map(dict(primary))]


def means_above_floor(scores: pd.DataFrame, primary: Mapping[str, str]) -> dict[ModelKey, bool]:
    """Whether the mean over seeds of each model's primary metric is better than the floor's, where there is one.

    Two means are compared and no interval is asked for: what lies above may do so by chance.
    """
    keys = ["aggregation", "fraction", "task"]
    rows = primary_rows(scores, primary).groupby([*keys, "direction"], as_index=False)["value"].mean()
    floor = rows[rows["aggregation"] == FLOOR].set_index(["task", "fraction"])["value"].to_dict()
    at = [floor.get(key, np.nan) for key in zip(rows["task"], rows["fraction"], strict=True)]
    rows = rows.assign(above=(rows["value"] - at) * np.where(rows["direction"] == "higher", 1.0, -1.0))
    known = rows[rows["above"].notna()]
    columns = known[[*keys, "above"]].itertuples(index=False, name=None)
    return {(name, share, task): above > 0 for name, share, task, above in columns}
