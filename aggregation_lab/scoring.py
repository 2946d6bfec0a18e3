"""From the normalised predictions of one task to its rows of `cases` and `scores`.

Models and the floor pass through the same two functions, so they are scored alike.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aggregation_lab import metrics
from aggregation_lab.data.images.masks import decode_mask, parse_values
from aggregation_lab.errors import DataError, ResultsError
from aggregation_lab.files import read_bytes
from aggregation_lab.tasks import METRICS, Task
from aggregation_lab.tasks.targets import Reference


def case_rows(task: Task, cases: pd.DataFrame, predictions: np.ndarray, root: Path) -> pd.DataFrame:
    """Quantities of every case: columns case, subject, quantity, index, value.

    `cases` are rows of the case table; `predictions` has one normalised prediction per row, in that order, as the
    task's type has them. Reference masks are read from disk at full size.

    Raises `ResultsError` where a prediction is missing or not a number.
    """
    return rows_in_pixels(task, cases, in_pixels(task, cases, predictions), root)


def in_pixels(task: Task, cases: pd.DataFrame, predictions: np.ndarray) -> Iterator[np.ndarray]:
    """The predictions, one per case, in pixels of the original images, one after the other: a class map is as large as
    its image. Raises as `case_rows` does."""
    if len(predictions) != len(cases):
        raise ResultsError(f"{task.name}: {len(predictions)} predictions for {len(cases)} cases; every case needs one")
    if not np.isfinite(predictions).all():
        bad = int(np.argmin(np.isfinite(predictions.reshape(len(predictions), -1)).all(1)))
        raise ResultsError(f"{task.name}: the prediction for {cases['case'].iloc[bad]} is not a number")
    sizes = cases[["height", "width"]].itertuples(index=False, name=None)
    return (task.type.in_pixels(each, height, width) for each, (height, width) in zip(predictions, sizes, strict=True))


def rows_in_pixels(task: Task, cases: pd.DataFrame, predictions: Iterable[np.ndarray], root: Path) -> pd.DataFrame:
    """`case_rows` of predictions in pixels of the original images, one per case, in that order."""
    rows = []
    for case, prediction in zip(cases.itertuples(index=False), predictions, strict=True):
        for quantity, index, value in task.type.case_quantities(prediction, reference_of(case, root), task.classes):
            rows.append((case.case, case.subject, quantity, index, value))
    return pd.DataFrame(rows, columns=["case", "subject", "quantity", "index", "value"])


def reference_of(case: Any, root: Path) -> Reference:
    """The target of a row of the case table; its mask is read from the data folder when it is asked for, which raises
    `DataError` where that has changed since."""

    def class_map() -> np.ndarray:
        data = read_bytes(root / case.mask)
        digest, _, reading = case.mask_content.partition("@")
        if hashlib.sha256(data).hexdigest() != digest:
            raise DataError(f"{root / case.mask}: has changed since the data were read; restore it")
        return np.asarray(decode_mask(data, parse_values(reading)))

    return Reference(case.height, case.width, case.label, case.box, case.points, class_map)


def score_rows(task: Task, rows: pd.DataFrame) -> pd.DataFrame:
    """Every metric of the task from its `case_rows`: metric, direction, value, n_cases, n_undefined."""
    scores = metrics.task_scores(task.type, rows)
    n_cases = rows["case"].nunique()
    return pd.DataFrame(
        [(score.metric, METRICS[score.metric].direction, score.value, n_cases, score.n_undefined) for score in scores],
        columns=["metric", "direction", "value", "n_cases", "n_undefined"],
    )
