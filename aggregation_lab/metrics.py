"""The challenge's official metrics, in pixels of the original image, and what its script hides.

Every metric is computed from per-case quantities, so that anybody can recompute it under resampling:

    prediction -> quantities of one case -> (table `cases`) -> metrics of a task

No torch here. Definitions follow the FMC_UIA 2026 evaluation; classification metrics are scikit-learn's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.ndimage import distance_transform_edt
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, roc_auc_score

from aggregation_lab.errors import ResultsError
from aggregation_lab.tasks import TaskType

QUANTITIES = {
    "dice": "Dice of class `index`",
    "hd": "maximum symmetric Hausdorff distance of class `index`, pixels of the original image",
    "present": "1 where the reference holds class `index`",
    "missed": "1 where the reference holds class `index` and the prediction does not",
    "probability": "predicted probability of class `index`",
    "label": "reference class",
    "iou": "intersection over union of the predicted and the reference box",
    "point_error": "Euclidean distance of point `index` from its reference, pixels of the original image",
    "diagonal": "diagonal of the original image, pixels",
}

Quantity = tuple[str, int, float]
"""One row of the table `cases`: quantity, index, value."""


@dataclass(frozen=True)
class Score:
    """A metric's value (NaN where undefined) and how many of its terms were undefined and left out."""

    metric: str
    value: float
    n_undefined: int = 0


# ---- quantities of one case ------------------------------------------------------------------------------------


def dice(predicted: np.ndarray, reference: np.ndarray) -> float:
    """2|A n B| / (|A| + |B|) of two boolean masks; 1 when both are empty."""
    total = int(predicted.sum()) + int(reference.sum())
    return 2.0 * int((predicted & reference).sum()) / total if total else 1.0


def hausdorff(predicted: np.ndarray, reference: np.ndarray) -> float:
    """Maximum symmetric Hausdorff distance of two H x W boolean masks, in pixels.

    0 when both are empty, the image diagonal when exactly one is.
    """
    if not predicted.any() and not reference.any():
        return 0.0
    if not predicted.any() or not reference.any():
        return float(np.hypot(*reference.shape))
    rows, columns = (np.flatnonzero((predicted | reference).any(axis)) for axis in (1, 0))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    one, other = predicted[window], reference[window]
    return float(max(distance_transform_edt(~other)[one].max(), distance_transform_edt(~one)[other].max()))


def segmentation_quantities(predicted: np.ndarray, reference: np.ndarray, classes: int) -> list[Quantity]:
    """Of two H x W class maps of the original size, for classes 1 .. classes - 1."""
    rows: list[Quantity] = []
    for index in range(1, classes):
        one, other = predicted == index, reference == index
        present = bool(other.any())
        rows += [
            ("dice", index, dice(one, other)),
            ("hd", index, hausdorff(one, other)),
            ("present", index, float(present)),
            ("missed", index, float(present and not one.any())),
        ]
    return rows


def classification_quantities(probabilities: np.ndarray, label: int) -> list[Quantity]:
    """Of C class probabilities and the reference class."""
    return [*(("probability", index, float(value)) for index, value in enumerate(probabilities)), ("label", 0, label)]


def box_iou(predicted: Sequence[float], reference: Sequence[float]) -> float:
    """IoU of two boxes (x_min, y_min, x_max, y_max); 0 if the union is 0."""
    width = min(predicted[2], reference[2]) - max(predicted[0], reference[0])
    height = min(predicted[3], reference[3]) - max(predicted[1], reference[1])
    overlap = max(width, 0.0) * max(height, 0.0)
    areas = [max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0) for box in (predicted, reference)]
    union = sum(areas) - overlap
    return float(overlap / union) if union > 0 else 0.0


def regression_quantities(predicted: np.ndarray, reference: np.ndarray, height: int, width: int) -> list[Quantity]:
    """Of two P x 2 arrays of points (x, y) in pixels of the original image."""
    errors = np.linalg.norm(np.asarray(predicted, float) - np.asarray(reference, float), axis=1)
    rows: list[Quantity] = [("point_error", index, float(error)) for index, error in enumerate(errors)]
    return [*rows, ("diagonal", 0, float(np.hypot(height, width)))]


# ---- metrics of a task -----------------------------------------------------------------------------------------


def segmentation_scores(dices: np.ndarray, distances: np.ndarray, missed: np.ndarray) -> list[Score]:
    """From N x (C - 1) arrays: mean over images per class, then over classes; `missed` is a count."""
    return [
        Score("DSC", float(dices.mean(0).mean())),
        Score("HD", float(distances.mean(0).mean())),
        Score("missed", float(missed.sum())),
    ]


def auc(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, int]:
    """AUC of the second class for two classes, macro one-vs-rest else: value, number of classes without an AUC.

    A class that is absent from `labels`, or alone in them, has no AUC and is left out of the mean instead of
    counting as 0. N x C probabilities, N labels.
    """
    classes = range(1, 2) if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    values = [roc_auc_score(labels == c, probabilities[:, c]) for c in classes if 0 < (labels == c).sum() < len(labels)]
    return (float(np.mean(values)) if values else float("nan")), len(classes) - len(values)


def classification_scores(probabilities: np.ndarray, labels: np.ndarray) -> list[Score]:
    """From N x C probabilities and N labels. F1 runs over the classes that occur in labels or predictions; MCC is
    undefined where the labels hold one class only."""
    predicted = probabilities.argmax(1)
    occurring = np.union1d(labels, predicted)
    absent = probabilities.shape[1] - len(occurring)
    one_class = len(np.unique(labels)) < 2
    value, undefined = auc(probabilities, labels)
    return [
        Score("AUC", value, undefined),
        Score(
            "F1_macro", float(f1_score(labels, predicted, average="macro", labels=occurring, zero_division=0)), absent
        ),
        Score(
            "F1_weighted",
            float(f1_score(labels, predicted, average="weighted", labels=occurring, zero_division=0)),
            absent,
        ),
        Score("MCC", float("nan") if one_class else float(matthews_corrcoef(labels, predicted)), int(one_class)),
        Score("accuracy", float(accuracy_score(labels, predicted))),
    ]


def regression_scores(errors: np.ndarray, diagonals: np.ndarray) -> list[Score]:
    """From N x P point errors and N diagonals, in pixels: mean over points, then over images."""
    per_image = errors.mean(1)
    return [Score("MRE", float(per_image.mean())), Score("MRE_relative", float((per_image / diagonals).mean()))]


def with_unit_free(task_type: TaskType, scores: list[Score]) -> list[Score]:
    """The scores and, first, `score`: DSC, AUC, IoU or 1 - MRE / diagonal, oriented and in [0, 1]."""
    by_name = {score.metric: score for score in scores}
    if task_type is TaskType.REGRESSION:
        free = Score("score", max(0.0, 1.0 - by_name["MRE_relative"].value))
    else:
        source = scores[0]
        free = Score("score", source.value, source.n_undefined)
    return [free, *scores]


def task_scores(task_type: TaskType, cases: pd.DataFrame) -> list[Score]:
    """Every metric of one task from its rows (`case`, `quantity`, `index`, `value`) of the table `cases`.

    A case that is drawn several times by resampling counts several times if it carries distinct ids.
    Raises `ResultsError` where a case lacks a quantity.
    """
    wide = cases.pivot(index="case", columns=["quantity", "index"], values="value").sort_index(axis=1)
    if wide.isna().to_numpy().any():
        case = wide.index[wide.isna().any(axis=1)][0]
        raise ResultsError(f"cases table: case {case} lacks a quantity its task needs; run it again")

    def values(quantity: str) -> np.ndarray:
        if quantity not in wide.columns.get_level_values(0):
            raise ResultsError(f"cases table: no quantity {quantity}, which a {task_type} task needs")
        return wide[quantity].to_numpy()

    if task_type is TaskType.SEGMENTATION:
        scores = segmentation_scores(values("dice"), values("hd"), values("missed"))
    elif task_type is TaskType.CLASSIFICATION:
        scores = classification_scores(values("probability"), values("label")[:, 0].astype(int))
    elif task_type is TaskType.DETECTION:
        scores = [Score("IoU", float(values("iou").mean()))]
    else:
        scores = regression_scores(values("point_error"), values("diagonal")[:, 0])
    return with_unit_free(task_type, scores)
