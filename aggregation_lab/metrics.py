"""The metrics of every task type by name, and the scores of a task from its cases.

Every metric is computed from per-case quantities, so that anybody can recompute it under resampling:

    prediction -> quantities of one case -> (table `cases`) -> metrics of a task

No torch here. Definitions follow the FMC_UIA 2026 evaluation and stand with their task type in
`aggregation_lab.tasks`; classification metrics are scikit-learn's.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from aggregation_lab.errors import ResultsError
from aggregation_lab.tasks import Quantity, Score, TaskType
from aggregation_lab.tasks.classification import auc, classification_scores
from aggregation_lab.tasks.detection import box_iou
from aggregation_lab.tasks.regression import regression_quantities, regression_scores
from aggregation_lab.tasks.segmentation import dice, hausdorff, segmentation_quantities

__all__ = [
    "QUANTITIES",
    "Quantity",
    "Score",
    "auc",
    "box_iou",
    "classification_scores",
    "dice",
    "hausdorff",
    "regression_quantities",
    "regression_scores",
    "segmentation_quantities",
    "task_scores",
]

QUANTITIES = {name: meaning for task_type in TaskType for name, meaning in task_type.quantities.items()}
"""Every quantity that the table `cases` can hold."""


def task_scores(task_type: TaskType, cases: pd.DataFrame) -> list[Score]:
    """Every metric of one task from its rows (`case`, `quantity`, `index`, `value`) of the table `cases`.

    The first is `score`, the unit-free one. A case that is drawn several times by resampling counts several times if
    it carries distinct ids. Raises `ResultsError` where a case lacks a quantity.
    """
    wide = cases.pivot(index="case", columns=["quantity", "index"], values="value").sort_index(axis=1)
    if wide.isna().to_numpy().any():
        case = wide.index[wide.isna().any(axis=1)][0]
        raise ResultsError(f"cases table: case {case} lacks a quantity its task needs; run it again")

    def values(quantity: str) -> np.ndarray:
        if quantity not in wide.columns.get_level_values(0):
            raise ResultsError(f"cases table: no quantity {quantity}, which a {task_type} task needs")
        return wide[quantity].to_numpy()

    scores = task_type.scores(values)
    return scores if scores[0].metric == "score" else [replace(scores[0], metric="score"), *scores]
