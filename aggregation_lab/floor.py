"""The trivial floor of each task: a model that does not beat it has learned nothing.

Majority class with the training frequencies as probabilities, mean box, mean points, and the mean mask cut where
it fits the training masks best.
"""

from typing import Any

import numpy as np
import pandas as pd

from aggregation_lab import results
from aggregation_lab.aggregation import FLOOR
from aggregation_lab.data.cache import ImageCache
from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.geometry import boxes_in_sides, points_in_sides
from aggregation_lab.data.splits.split import Split
from aggregation_lab.scoring import case_rows, score_rows
from aggregation_lab.tasks import Task, TaskType

CUTS = np.linspace(0.05, 0.95, 19)
"""Foreground probabilities at which the mean mask is tried."""


def floor_prediction(task: Task, train: pd.DataFrame, cache: ImageCache) -> np.ndarray:
    """The one normalised prediction made for every case, from the training cases alone."""
    if task.type is TaskType.SEGMENTATION:
        masks = cache.masks[[cache.mask_row[content] for content in train["mask_content"]]]
        return _mean_mask(masks, task.classes)
    if task.type is TaskType.CLASSIFICATION:
        return np.bincount(train["label"], minlength=task.classes) / len(train)
    if task.type is TaskType.DETECTION:
        return boxes_in_sides(train).mean(0)
    return points_in_sides(train).mean(0)


def _mean_mask(masks: np.ndarray, classes: int) -> np.ndarray:
    """Most frequent structure wherever any structure is likelier than the cut with the best training Dice."""
    frequency = np.stack([(masks == index).mean(0) for index in range(1, classes)])
    structure = (frequency.argmax(0) + 1).astype(np.uint8)
    likely = frequency.sum(0)
    candidates = [np.where(likely >= cut, structure, np.uint8(0)) for cut in CUTS]
    return max(candidates, key=lambda candidate: _mean_dice(candidate, masks, classes))


def _mean_dice(candidate: np.ndarray, masks: np.ndarray, classes: int) -> float:
    dices = []
    for index in range(1, classes):
        one, other = candidate == index, masks == index
        total = one.sum() + other.sum((1, 2))
        overlap = (other & one).sum((1, 2))
        dices.append(np.where(total > 0, 2 * overlap / np.maximum(total, 1), 1.0).mean())
    return float(np.mean(dices))


def floor_tables(
    dataset: Dataset, split: Split, fraction: float, cache: ImageCache
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of `scores` and `cases` of every task on the test cases, under the aggregation `floor`."""
    by_case = dataset.cases.set_index("case", drop=False)
    scores, cases = [], []
    for task in dataset.tasks.values():
        train = by_case.loc[split.cases("train", task.name, fraction)]
        test = by_case.loc[split.cases("test", task.name)]
        prediction = floor_prediction(task, train, cache)
        rows = case_rows(task, test, np.repeat(prediction[None], len(test), axis=0), dataset.root)
        labels: dict[str, Any] = {
            "run": FLOOR,
            "aggregation": FLOOR,
            "unit": task.name,
            "task": task.name,
            "type": str(task.type),
            "group": task.group,
            "fraction": fraction,
            "seed": results.SEEDLESS,
            "split": "test",
        }
        cases.append(rows.assign(**labels))
        scores.append(score_rows(task, rows).assign(**labels, n_train=len(train)))
    return results.append(scores, results.SCORES), results.append(cases, results.CASES)
