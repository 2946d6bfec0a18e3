"""Classification: one class per image."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from aggregation_lab.tasks.marks import Mark, Shares
from aggregation_lab.tasks.same_answer import same_answer
from aggregation_lab.tasks.targets import Reference, TargetCells
from aggregation_lab.tasks.task_type import ArmValues, CaseValues, Metric, Quantity, Score, TaskType

if TYPE_CHECKING:
    import pandas as pd


class Classification(TaskType):
    """The target is a class index; predictions are class probabilities."""

    name = "classification"
    short_names = ("cls", "clf", "classif")
    target = "label"
    fewest_classes = 2
    first_class = 0
    needs_two_classes = True  # AUC and MCC are undefined with one
    rules = ("label_values",)
    prediction = "probability of every class"
    answers = "classification_predictions.json"
    quantities = {"probability": "predicted probability of class `index`", "label": "reference class"}
    metrics = (
        Metric("AUC", True, by_class=True),
        Metric("F1_macro", True, by_class=True),
        Metric("F1_weighted", True),
        Metric("MCC", True, by_class=True),
        Metric("accuracy", True),
    )
    alternatives = ("F1_macro", "MCC", "accuracy")
    case_score = "probability of the true class"
    case_note = "AUC ranks cases and has no value for a single one; it can fall where this probability rises"
    network_path = "aggregation_lab.model.heads.classification:NETWORK"
    taught = (
        "class logits by a perceptron of one hidden layer from the means and maxima of the maps at all strides "
        "(cross-entropy)"
    )

    def read_target(self, cells: TargetCells) -> int | None:
        return cells.label("mask")

    def classes_shown(self, label: int, mask_values: str) -> tuple[int, ...]:
        return (label,)

    def targets(self, cases: "pd.DataFrame") -> np.ndarray:
        """N class indices."""
        return cases["label"].to_numpy(np.int64)

    def floor(self, targets: np.ndarray, classes: int) -> np.ndarray:
        """The training frequencies as probabilities, so that the most frequent class is predicted."""
        return np.bincount(targets, minlength=classes) / len(targets)

    def cells(self, prediction: np.ndarray) -> dict[str, float | int]:
        """The likeliest class, and every class's probability."""
        probabilities = {f"probability_{index}": float(value) for index, value in enumerate(prediction)}
        return {"class": int(prediction.argmax()), **probabilities}

    def answer(self, prediction: np.ndarray, height: int, width: int) -> dict[str, Any]:
        return {"predicted_class": int(prediction.argmax()), "predicted_probs": prediction.astype(float).tolist()}

    def truth(self, reference: Reference, classes: int) -> np.ndarray:
        return np.eye(classes)[reference.label]

    def marks(self, in_pixels: np.ndarray) -> list[Mark]:
        return [Shares(tuple(in_pixels.tolist()))]

    def case_quantities(self, in_pixels: np.ndarray, reference: Reference, classes: int) -> list[Quantity]:
        probabilities = [("probability", index, float(value)) for index, value in enumerate(in_pixels)]
        return [*probabilities, ("label", 0, reference.label)]

    def case_scores(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """AUC ranks cases and has no value for a single one."""
        return np.take_along_axis(values["probability"], values["label"].astype(int), -1)[..., 0]

    def case_classes(self, values: Mapping[str, np.ndarray]) -> list[tuple[int, ...]]:
        return [(int(label),) for label in values["label"][:, 0]]

    def same_answer(self, values: Mapping[str, np.ndarray]) -> bool | None:
        return same_answer(values["probability"], values["label"][:, 0].astype(int))

    def case_text(self, score: float, diagonal: float) -> str:
        return f"P(true class) {score:.2f}"

    def scores(self, values: CaseValues) -> list[Score]:
        return classification_scores(values("probability"), values("label")[:, 0].astype(int))

    def weighted_scores(self, values: ArmValues, weights: np.ndarray, count_empty: bool) -> dict[str, np.ndarray]:
        labels = values["label"][0, :, 0].astype(int)
        scores = {"AUC": _weighted_auc(values["probability"], labels, weights)}
        arms, _, classes = values["probability"].shape
        for arm, probabilities in enumerate(values["probability"]):
            cell = labels * classes + probabilities.argmax(1)
            confusion = weights @ np.eye(classes**2, dtype=np.float32)[cell]
            for name, column in _from_confusion(confusion.reshape(-1, classes, classes).astype(float)).items():
                scores.setdefault(name, np.empty((len(weights), arms)))[:, arm] = column
        return scores

    def validation_score(self, predictions: np.ndarray, targets: np.ndarray, classes: int, sides: np.ndarray) -> float:
        return auc(predictions, targets)[0]


def auc(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, int]:
    """AUC of the second class for two classes, macro one-vs-rest else: value, number of classes without an AUC.

    A class that is absent from `labels`, or alone in them, has no AUC and is left out of the mean instead of
    counting as 0. N x C probabilities, N labels.
    """
    from sklearn.metrics import roc_auc_score

    classes = range(1, 2) if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    values = [roc_auc_score(labels == c, probabilities[:, c]) for c in classes if 0 < (labels == c).sum() < len(labels)]
    return (float(np.mean(values)) if values else float("nan")), len(classes) - len(values)


def classification_scores(probabilities: np.ndarray, labels: np.ndarray) -> list[Score]:
    """From N x C probabilities and N labels. F1 runs over the classes that occur in labels or predictions; MCC is
    undefined where the labels hold one class only."""
    from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

    predicted = probabilities.argmax(1)
    occurring = np.union1d(labels, predicted)
    absent = probabilities.shape[1] - len(occurring)
    one_class = len(np.unique(labels)) < 2
    value, undefined = auc(probabilities, labels)
    f1 = {
        average: float(f1_score(labels, predicted, average=average, labels=occurring, zero_division=0))
        for average in ("macro", "weighted")
    }
    return [
        Score("AUC", value, undefined),
        Score("F1_macro", f1["macro"], absent),
        Score("F1_weighted", f1["weighted"], absent),
        Score("MCC", float("nan") if one_class else float(matthews_corrcoef(labels, predicted)), int(one_class)),
        Score("accuracy", float(accuracy_score(labels, predicted))),
    ]


def _from_confusion(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """F1, MCC and accuracy of B x C x C counts (reference, prediction), as scikit-learn defines them.

    Macro F1 runs over the classes that occur in labels or predictions. Source: Gorodkin 2004 for the MCC of C classes.
    """
    total = confusion.sum((1, 2))
    hits, labelled, predicted = np.einsum("bcc->bc", confusion), confusion.sum(2), confusion.sum(1)
    occurring = labelled + predicted > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = np.where(occurring, 2 * hits / (labelled + predicted), 0.0)
        correct = hits.sum(1)
        covariance = correct * total - (labelled * predicted).sum(1)
        spread = np.sqrt(total**2 - (predicted**2).sum(1)) * np.sqrt(total**2 - (labelled**2).sum(1))
        one_class = (labelled > 0).sum(1) < 2
        mcc = np.where(spread > 0, covariance / spread, 0.0)
        return {
            "F1_macro": f1.sum(1) / occurring.sum(1),
            "F1_weighted": (f1 * labelled).sum(1) / total,
            "MCC": np.where(one_class, np.nan, mcc),
            "accuracy": correct / total,
        }


def _weighted_auc(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """B x A: AUC of the second of two classes, macro one-vs-rest else, classes without an AUC left out.

    Mann-Whitney form: the weight of pairs (positive, negative) that are ordered right, ties counting one half.
    """
    classes = range(1, 2) if probabilities.shape[2] == 2 else range(probabilities.shape[2])
    total = np.zeros((len(weights), len(probabilities)))
    defined = np.zeros(len(weights))
    for index in classes:
        positive = labels == index
        n_positive, n_negative = weights[:, positive].sum(1), weights[:, ~positive].sum(1)
        valid = (n_positive > 0) & (n_negative > 0)
        defined += valid
        pairs = np.where(valid, n_positive.astype(float) * n_negative, 1.0)
        for arm, values in enumerate(probabilities[..., index]):
            below = _negatives_below(values, positive, weights)
            ordered = np.einsum("bn,bn->b", weights[:, positive], below, dtype=np.float64)
            total[:, arm] += np.where(valid, ordered / pairs, 0.0)
    with np.errstate(invalid="ignore"):
        return total / np.where(defined > 0, defined, np.nan)[:, None]


def _negatives_below(values: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """For each positive case the weight of negatives that score lower, plus half of those that tie: B x positives."""
    negative = np.flatnonzero(~positive)
    order = negative[np.argsort(values[negative], kind="stable")]
    running = np.zeros((len(weights), len(order) + 1), weights.dtype)
    np.cumsum(weights[:, order], axis=1, out=running[:, 1:])
    ranked = values[order]
    first = np.searchsorted(ranked, values[positive], side="left")
    last = np.searchsorted(ranked, values[positive], side="right")
    if np.array_equal(first, last):
        return running[:, first]
    return (running[:, first] + running[:, last]) / 2
