"""Segmentation: a class for every pixel, class 0 being the background."""

from collections.abc import Mapping

import numpy as np

from aggregation_lab.tasks.marks import Mark, Region
from aggregation_lab.tasks.targets import Reference, TargetCells
from aggregation_lab.tasks.task_type import ArmValues, CaseValues, Metric, Quantity, Score, TaskType
from aggregation_lab.tasks.weighted_mean import weighted_mean

CUTS = np.linspace(0.05, 0.95, 19)
"""Foreground probabilities at which the mean mask is tried."""


class Segmentation(TaskType):
    """The target is a mask file; predictions are S x S class indices, uint8."""

    name = "segmentation"
    short_names = ("seg", "segm")
    target = "mask"
    fewest_classes = 2
    first_class = 1
    rules = ("mask_values",)
    prediction = "mask of the image's height and width: class index of every pixel, 0 the background"
    quantities = {
        "dice": "Dice of class `index`",
        "hd": "maximum symmetric Hausdorff distance of class `index`, pixels of the original image",
        "present": "1 where the reference holds class `index`",
        "missed": "1 where the reference holds class `index` and the prediction does not",
    }
    metrics = (
        Metric("DSC", True),
        Metric("HD", False, "px"),
        Metric("missed", False, "structures"),  # that the reference holds and the prediction lacks wholly
    )
    alternatives = ("HD",)
    case_score = "DSC"
    network_path = "aggregation_lab.model.heads.segmentation:NETWORK"
    taught = (
        "class logits at every cell of the map at stride 4, enlarged to the image (cross-entropy plus soft Dice of the "
        "foreground classes)"
    )

    def read_target(self, cells: TargetCells) -> str | None:
        return cells.path("mask_path")

    def classes_shown(self, label: int, mask_values: str) -> tuple[int, ...]:
        """Structures, without the background."""
        return tuple(value for value in map(int, filter(None, mask_values.split(","))) if value != 0)

    def floor(self, targets: np.ndarray, classes: int) -> np.ndarray:
        """Most frequent structure wherever any structure is likelier than the cut with the best training Dice."""
        frequency = np.stack([(targets == index).mean(0) for index in range(1, classes)])
        structure = (frequency.argmax(0) + 1).astype(np.uint8)
        likely = frequency.sum(0)
        candidates = [np.where(likely >= cut, structure, np.uint8(0)) for cut in CUTS]
        return max(candidates, key=lambda candidate: _mean_dice(candidate, targets, classes))

    def in_pixels(self, prediction: np.ndarray, height: int, width: int) -> np.ndarray:
        """Class maps go back to the original size by nearest neighbour: H x W, uint8."""
        from PIL import Image

        return np.asarray(Image.fromarray(prediction).resize((width, height), Image.Resampling.NEAREST))

    def truth(self, reference: Reference, classes: int) -> np.ndarray:
        return reference.class_map()

    def marks(self, in_pixels: np.ndarray) -> list[Mark]:
        return [Region(index, in_pixels == index) for index in np.unique(in_pixels).tolist() if index]

    def case_quantities(self, in_pixels: np.ndarray, reference: Reference, classes: int) -> list[Quantity]:
        return segmentation_quantities(in_pixels, reference.class_map(), classes)

    def case_scores(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Mean over structures."""
        return values["dice"].mean(-1)

    def case_classes(self, values: Mapping[str, np.ndarray]) -> list[tuple[int, ...]]:
        """Structures, without the background."""
        return [tuple((np.flatnonzero(row) + 1).tolist()) for row in values["present"]]

    def scores(self, values: CaseValues) -> list[Score]:
        """Mean over images per class, then over classes; `missed` is a count."""
        return [
            Score("DSC", float(values("dice").mean(0).mean())),
            Score("HD", float(values("hd").mean(0).mean())),
            Score("missed", float(values("missed").sum())),
        ]

    def weighted_scores(self, values: ArmValues, weights: np.ndarray, count_empty: bool) -> dict[str, np.ndarray]:
        if count_empty:
            means = [weighted_mean(values[name].mean(2), weights) for name in ("dice", "hd")]
        else:
            # Whether a structure is there depends on the reference alone, so the first arm tells for all.
            present = values["present"][0]
            weights_of = [weights * present[:, k] for k in range(present.shape[1])]
            means = [_mean_over_drawn(values[name], weights_of) for name in ("dice", "hd")]
        missed = weights @ values["missed"].sum(2).astype(np.float32).T
        return {"DSC": means[0], "HD": means[1], "missed": missed.astype(float)}

    def validation_score(self, predictions: np.ndarray, targets: np.ndarray, classes: int, sides: np.ndarray) -> float:
        dices = [
            [dice(one == index, other == index) for index in range(1, classes)]
            for one, other in zip(predictions, targets, strict=True)
        ]
        return float(np.mean(dices))


def _mean_over_drawn(values: np.ndarray, weights_of: list[np.ndarray]) -> np.ndarray:
    """Mean over the structures that a resample holds of their weighted means, B x A, NaN where it holds none: one that
    is absent has no mean, as a class without a case has no AUC. A x N x K values, K times B x N weights."""
    drawn = np.stack([weights.any(1) for weights in weights_of])[..., None]
    means = np.stack([weighted_mean(values[..., k], weights) for k, weights in enumerate(weights_of)])
    count = drawn.sum(0)
    return np.where(drawn, means, 0.0).sum(0) / np.where(count > 0, count, np.nan)


def dice(predicted: np.ndarray, reference: np.ndarray) -> float:
    """2|A n B| / (|A| + |B|) of two boolean masks; 1 when both are empty."""
    total = int(predicted.sum()) + int(reference.sum())
    return 2.0 * int((predicted & reference).sum()) / total if total else 1.0


def hausdorff(predicted: np.ndarray, reference: np.ndarray) -> float:
    """Maximum symmetric Hausdorff distance of two H x W boolean masks, in pixels.

    0 when both are empty, the image diagonal when exactly one is.
    """
    from scipy.ndimage import distance_transform_edt

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


def _mean_dice(candidate: np.ndarray, masks: np.ndarray, classes: int) -> float:
    dices = []
    for index in range(1, classes):
        one, other = candidate == index, masks == index
        total = one.sum() + other.sum((1, 2))
        overlap = (other & one).sum((1, 2))
        dices.append(np.where(total > 0, 2 * overlap / np.maximum(total, 1), 1.0).mean())
    return float(np.mean(dices))
