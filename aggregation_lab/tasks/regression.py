"""Regression: as many points per image as num_classes says."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from aggregation_lab.tasks.geometry import points_in_sides
from aggregation_lab.tasks.marks import Mark, Spot
from aggregation_lab.tasks.targets import Points, Reference, TargetCells
from aggregation_lab.tasks.task_type import ArmValues, CaseValues, Metric, Quantity, Score, TaskType
from aggregation_lab.tasks.weighted_mean import weighted_mean

if TYPE_CHECKING:
    import pandas as pd


class Regression(TaskType):
    """Targets and predictions are P x 2 points (x, y) in [0, 1] of the image's sides."""

    name = "regression"
    short_names = ("reg",)
    target = "points"
    numbered = ("points", 1)
    rules = ("coordinates",)
    prediction = "points x, y in pixels, in the order of the training data"
    answers = "regression_predictions.json"
    mirrors = False  # the order of the points would change
    quantities = {
        "point_error": "Euclidean distance of point `index` from its reference, pixels of the original image",
        "diagonal": "diagonal of the original image, pixels",
    }
    metrics = (Metric("MRE", False, "px"), Metric("MRE_relative", False))
    alternatives = ("MRE",)
    note = "MRE_relative being the error over the image diagonal"
    case_score = "1 - error / image diagonal"
    pixel_shape = (-1, 2)
    network_path = "aggregation_lab.model.heads.regression:NETWORK"
    taught = (
        "a heat map of each point at stride 4, the point being its mean position (divergence of the heat map from a "
        "Gaussian of 0.04 of the image's side, plus ten times the mean absolute error; Sun et al. 2018)"
    )

    @property
    def written(self) -> str:
        return "Regression"

    @property
    def unit_free(self) -> str:
        return "1 - MRE_relative"

    def size(self, classes: int) -> str:
        return f"{classes} points"

    def read_target(self, cells: TargetCells) -> Points | None:
        return cells.points()

    def targets(self, cases: "pd.DataFrame") -> np.ndarray:
        """N x P x 2."""
        return points_in_sides(cases)

    def floor(self, targets: np.ndarray, classes: int) -> np.ndarray:
        """The mean points."""
        return targets.mean(0)

    def in_pixels(self, prediction: np.ndarray, height: int, width: int) -> np.ndarray:
        return prediction * np.array([width, height], float)

    def cells(self, prediction: np.ndarray) -> dict[str, float | int]:
        """The points count from 1, as in the challenge's columns."""
        points = enumerate(prediction.tolist(), 1)
        return {f"point_{number}_{axis}": value for number, (x, y) in points for axis, value in (("x", x), ("y", y))}

    def answer(self, prediction: np.ndarray, height: int, width: int) -> dict[str, Any]:
        """x and y of each point in turn."""
        shares = prediction / np.array([width, height], float)
        return {
            "predicted_points_normalized": shares.ravel().tolist(),
            "predicted_points_pixels": prediction.ravel().tolist(),
        }

    def truth(self, reference: Reference, classes: int) -> np.ndarray:
        return np.array(reference.points, float)

    def marks(self, in_pixels: np.ndarray) -> list[Mark]:
        return [Spot(index, x, y) for index, (x, y) in enumerate(in_pixels.tolist())]

    def case_quantities(self, in_pixels: np.ndarray, reference: Reference, classes: int) -> list[Quantity]:
        truth = self.truth(reference, classes)
        return regression_quantities(in_pixels, truth, reference.height, reference.width)

    def case_scores(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Below 0 where the error is longer than the diagonal."""
        return 1 - values["point_error"].mean(-1) / values["diagonal"][..., 0]

    def case_text(self, score: float, diagonal: float) -> str:
        return f"error {(1 - score) * diagonal:.1f} px"

    def scores(self, values: CaseValues) -> list[Score]:
        return regression_scores(values("point_error"), values("diagonal")[:, 0])

    def weighted_scores(self, values: ArmValues, weights: np.ndarray, count_empty: bool) -> dict[str, np.ndarray]:
        error = values["point_error"].mean(2)
        relative = weighted_mean(error / values["diagonal"][..., 0], weights)
        mean = weighted_mean(error, weights)
        return {"score": np.maximum(0.0, 1.0 - relative), "MRE": mean, "MRE_relative": relative}

    def validation_score(self, predictions: np.ndarray, targets: np.ndarray, classes: int, sides: np.ndarray) -> float:
        errors = np.linalg.norm((predictions - targets) * sides[:, None], axis=2)
        return regression_scores(errors, np.hypot(*sides.T))[0].value


def regression_quantities(predicted: np.ndarray, reference: np.ndarray, height: int, width: int) -> list[Quantity]:
    """Of two P x 2 arrays of points (x, y) in pixels of the original image."""
    errors = np.linalg.norm(np.asarray(predicted, float) - np.asarray(reference, float), axis=1)
    rows: list[Quantity] = [("point_error", index, float(error)) for index, error in enumerate(errors)]
    return [*rows, ("diagonal", 0, float(np.hypot(height, width)))]


def regression_scores(errors: np.ndarray, diagonals: np.ndarray) -> list[Score]:
    """From N x P point errors and N diagonals, in pixels: mean over points, then over images."""
    per_image = errors.mean(1)
    relative = float((per_image / diagonals).mean())
    return [
        Score("score", max(0.0, 1.0 - relative)),
        Score("MRE", float(per_image.mean())),
        Score("MRE_relative", relative),
    ]
