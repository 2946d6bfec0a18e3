"""From the normalised predictions of one task to its rows of `cases` and `scores`.

Models and the floor pass through the same two functions, so they are scored alike.
"""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from aggregation_lab import metrics
from aggregation_lab.data.images.masks import decode_mask, parse_values
from aggregation_lab.errors import DataError, ResultsError
from aggregation_lab.files import read_bytes
from aggregation_lab.tasks import METRICS, Task, TaskType


def case_rows(task: Task, cases: pd.DataFrame, predictions: np.ndarray, root: Path) -> pd.DataFrame:
    """Quantities of every case: columns case, subject, quantity, index, value.

    `cases` are rows of the case table; `predictions` has one normalised prediction per row, in that order: class
    maps (N x S x S), probabilities (N x C), boxes (N x 4) or points (N x P x 2) in [0, 1]. Class maps go back to
    the original size by nearest neighbour; reference masks are read from disk at full size.

    Raises `ResultsError` where a prediction is missing or not a number.
    """
    if len(predictions) != len(cases):
        raise ResultsError(f"{task.name}: {len(predictions)} predictions for {len(cases)} cases; every case needs one")
    if not np.isfinite(predictions).all():
        bad = int(np.argmin(np.isfinite(predictions.reshape(len(predictions), -1)).all(1)))
        raise ResultsError(f"{task.name}: the prediction for {cases['case'].iloc[bad]} is not a number")
    rows = []
    for case, prediction in zip(cases.itertuples(index=False), predictions, strict=True):
        for quantity, index, value in _quantities(task, case, prediction, root):
            rows.append((case.case, case.subject, quantity, index, value))
    return pd.DataFrame(rows, columns=["case", "subject", "quantity", "index", "value"])


def _quantities(task: Task, case, prediction: np.ndarray, root: Path) -> list[metrics.Quantity]:
    height, width = case.height, case.width
    scale = np.array([width, height], float)
    if task.type is TaskType.SEGMENTATION:
        data = read_bytes(root / case.mask)
        digest, _, reading = case.mask_content.partition("@")
        if hashlib.sha256(data).hexdigest() != digest:
            raise DataError(f"{root / case.mask}: has changed since the data were read; restore it")
        reference = np.asarray(decode_mask(data, parse_values(reading)))
        predicted = np.asarray(Image.fromarray(prediction).resize((width, height), Image.Resampling.NEAREST))
        return metrics.segmentation_quantities(predicted, reference, task.classes)
    if task.type is TaskType.CLASSIFICATION:
        return metrics.classification_quantities(prediction, case.label)
    if task.type is TaskType.DETECTION:
        return [("iou", 0, metrics.box_iou(prediction * np.tile(scale, 2), case.box))]
    return metrics.regression_quantities(prediction * scale, np.array(case.points, float), height, width)


def score_rows(task: Task, rows: pd.DataFrame) -> pd.DataFrame:
    """Every metric of the task from its `case_rows`: metric, direction, value, n_cases, n_undefined."""
    scores = metrics.task_scores(task.type, rows)
    n_cases = rows["case"].nunique()
    return pd.DataFrame(
        [(score.metric, METRICS[score.metric].direction, score.value, n_cases, score.n_undefined) for score in scores],
        columns=["metric", "direction", "value", "n_cases", "n_undefined"],
    )
