"""Detection: one box per image."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from aggregation_lab.tasks.geometry import boxes_in_sides
from aggregation_lab.tasks.marks import Mark, Rectangle
from aggregation_lab.tasks.targets import Box, Reference, TargetCells
from aggregation_lab.tasks.task_type import ArmValues, CaseValues, Metric, Quantity, Score, TaskType
from aggregation_lab.tasks.weighted_mean import weighted_mean

if TYPE_CHECKING:
    import pandas as pd


class Detection(TaskType):
    """Targets and predictions are boxes (x_min, y_min, x_max, y_max) in [0, 1] of the image's sides."""

    name = "detection"
    short_names = ("det",)
    target = "box"
    classes_given = False  # the challenge does not keep num_classes of detection rows
    rules = ("box_format", "coordinates")
    prediction = "box x_min, y_min, x_max, y_max in pixels"
    answers = "detection_predictions.json"
    quantities = {"iou": "intersection over union of the predicted and the reference box"}
    metrics = (Metric("IoU", True),)
    case_score = "IoU"
    pixel_shape = (4,)
    network_path = "aggregation_lab.model.heads.detection:NETWORK"
    taught = (
        "at every cell of the map at stride 8 the distances to the sides of the box, averaged by a heat map of its "
        "centre (divergence of the heat map from a Gaussian of 0.04 of the image's side, plus twice the mean absolute "
        "error of the corners, plus 1 - GIoU; Rezatofighi et al. 2019)"
    )

    def size(self, classes: int) -> str:
        return "box"

    def read_target(self, cells: TargetCells) -> Box | None:
        return cells.box()

    def targets(self, cases: "pd.DataFrame") -> np.ndarray:
        """N x 4."""
        return boxes_in_sides(cases)

    def floor(self, targets: np.ndarray, classes: int) -> np.ndarray:
        """The mean box."""
        return targets.mean(0)

    def in_pixels(self, prediction: np.ndarray, height: int, width: int) -> np.ndarray:
        return prediction * np.tile(np.array([width, height], float), 2)

    def cells(self, prediction: np.ndarray) -> dict[str, float | int]:
        return dict(zip(("x_min", "y_min", "x_max", "y_max"), prediction.tolist(), strict=True))

    def answer(self, prediction: np.ndarray, height: int, width: int) -> dict[str, Any]:
        shares = prediction / np.tile(np.array([width, height], float), 2)
        return {"bbox_normalized": shares.tolist(), "bbox_pixels": prediction.tolist()}

    def truth(self, reference: Reference, classes: int) -> np.ndarray:
        return np.array(reference.box, float)

    def marks(self, in_pixels: np.ndarray) -> list[Mark]:
        return [Rectangle(*in_pixels.tolist())]

    def case_quantities(self, in_pixels: np.ndarray, reference: Reference, classes: int) -> list[Quantity]:
        return [("iou", 0, box_iou(in_pixels, reference.box or ()))]

    def case_scores(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        return values["iou"][..., 0]

    def scores(self, values: CaseValues) -> list[Score]:
        return [Score("IoU", float(values("iou").mean()))]

    def weighted_scores(self, values: ArmValues, weights: np.ndarray, count_empty: bool) -> dict[str, np.ndarray]:
        return {"IoU": weighted_mean(values["iou"][..., 0], weights)}

    def validation_score(self, predictions: np.ndarray, targets: np.ndarray, classes: int, sides: np.ndarray) -> float:
        return float(np.mean([box_iou(*pair) for pair in zip(predictions, targets, strict=True)]))


def box_iou(predicted: Sequence[float] | np.ndarray, reference: Sequence[float] | np.ndarray) -> float:
    """IoU of two boxes (x_min, y_min, x_max, y_max); 0 if the union is 0."""
    width = min(predicted[2], reference[2]) - max(predicted[0], reference[0])
    height = min(predicted[3], reference[3]) - max(predicted[1], reference[1])
    overlap = max(width, 0.0) * max(height, 0.0)
    areas = [max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0) for box in (predicted, reference)]
    union = sum(areas) - overlap
    return float(overlap / union) if union > 0 else 0.0
