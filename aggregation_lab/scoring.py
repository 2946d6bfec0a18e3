"""From the normalised predictions of one task to its rows of `cases` and `scores`.

Models and the floor pass through the same two functions, so they are scored alike.
"""

import hashlib
from pathlib import Path

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
    if len(predictions) != len(cases):
        raise ResultsError(f"{task.name}: {len(predictions)} predictions for {len(cases)} cases; every case needs one")
    if not np.isfinite(predictions).all():
        bad = int(np.argmin(np.isfinite(predictions.reshape(len(predictions), -1)).all(1)))
        raise ResultsError(f"{task.name}: the prediction for {cases['case'].iloc[bad]} is not a number")
    rows = []
    for case, prediction in zip(cases.itertuples(index=False), predictions, strict=True):
        for quantity, index, value in task.type.case_quantities(prediction, _reference(case, root), task.classes):
            rows.append((case.case, case.subject, quantity, index, value))
    return pd.DataFrame(rows, columns=["case", "subject", "quantity", "index", "value"])


def _reference(case, root: Path) -> Reference:
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
