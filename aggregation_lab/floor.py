"""The trivial floor of each task: a model whose mean is not better has learned nothing.

Majority class with the training frequencies as probabilities, mean box, mean points, and the mean mask at the threshold
with the best Dice on the training masks.
"""

from typing import Any

import numpy as np
import pandas as pd

from aggregation_lab import results
from aggregation_lab.aggregation import FLOOR
from aggregation_lab.data.cache import ImageCache
from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.splits.split import Split
from aggregation_lab.scoring import case_rows, score_rows


def floor_tables(
    dataset: Dataset, split: Split, fraction: float, cache: ImageCache
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of `scores` and `cases` of every task on the test cases, under the aggregation `floor`."""
    by_case = dataset.cases.set_index("case", drop=False)
    scores, cases = [], []
    for task in dataset.tasks.values():
        train = by_case.loc[split.cases("train", task.name, fraction)]
        test = by_case.loc[split.cases("test", task.name)]
        targets = cache.masks[cache.mask_rows(train)] if task.type.masked else task.type.targets(train)
        prediction = task.type.floor(targets, task.classes)
        rows = case_rows(task, test, np.repeat(prediction[None], len(test), axis=0), dataset.root)
        labels: dict[str, Any] = {
            "run": FLOOR,
            "arm": results.ONLY_ARM,
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
