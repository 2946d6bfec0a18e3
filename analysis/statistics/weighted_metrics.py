"""The metrics of aggregation_lab.metrics under many case weightings at once.

A resample is a vector of whole case weights: how often each case was drawn. A metric of B resamples of A arms then
is a matrix product instead of B x A recomputations. With weights of one, every value equals that of
`aggregation_lab.metrics.task_scores` (tested).

B resamples, A arms (one aggregation, fraction and seed each), N cases, C classes.
"""

from collections.abc import Mapping

import numpy as np

from aggregation_lab.tasks import TaskType

Quantities = Mapping[str, np.ndarray]
"""Quantity -> values, A x N x K: K runs over the classes or points the quantity has."""


VALUE = "value"
"""The one quantity of cases from another trainer: a score per case, the task's score being its mean."""


def weighted_scores(
    task_type: str, quantities: Quantities, weights: np.ndarray, *, count_empty: bool = True
) -> dict[str, np.ndarray]:
    """Every metric of a task, B x A each, `score` first; NaN where a resample leaves a metric undefined.

    `weights` is B x N. With `count_empty` an image that lacks a structure counts as the challenge has it (Dice 1 if
    the prediction is empty too, else 0); without, such images are left out of Dice and HD.
    """
    weights = weights.astype(np.float32, copy=False)
    if VALUE in quantities:
        scores = {VALUE: _mean(quantities[VALUE][..., 0], weights)}
    elif task_type == TaskType.SEGMENTATION:
        scores = _segmentation(quantities, weights, count_empty)
    elif task_type == TaskType.CLASSIFICATION:
        scores = _classification(quantities["probability"], quantities["label"][0, :, 0].astype(int), weights)
    elif task_type == TaskType.DETECTION:
        scores = {"IoU": _mean(quantities["iou"][..., 0], weights)}
    else:
        error = quantities["point_error"].mean(2)
        relative = error / quantities["diagonal"][..., 0]
        scores = {"MRE": _mean(error, weights), "MRE_relative": _mean(relative, weights)}
        return {"score": np.maximum(0.0, 1.0 - scores["MRE_relative"]), **scores}
    return {"score": next(iter(scores.values())), **scores}


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted means of A x N values: B x A. NaN for a resample without a case."""
    total = weights.sum(1, dtype=np.float64)[:, None]
    # One constant per arm is taken out first: float32 products then lose nothing that matters.
    centre = values.mean(1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return centre.T + (weights @ (values - centre).astype(np.float32).T) / np.where(total > 0, total, np.nan)


def _segmentation(quantities: Quantities, weights: np.ndarray, count_empty: bool) -> dict[str, np.ndarray]:
    missed = weights @ quantities["missed"].sum(2).astype(np.float32).T
    if count_empty:
        means = {name: _mean(quantities[name].mean(2), weights) for name in ("dice", "hd")}
    else:
        # Whether a structure is there depends on the reference alone, so the first arm tells for all.
        present = quantities["present"][0]
        means = {
            name: np.mean(
                [_mean(quantities[name][..., k], weights * present[:, k]) for k in range(present.shape[1])], axis=0
            )
            for name in ("dice", "hd")
        }
    return {"DSC": means["dice"], "HD": means["hd"], "missed": missed.astype(float)}


def _classification(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    scores = {"AUC": _auc(probabilities, labels, weights)}
    classes = probabilities.shape[2]
    for arm, values in enumerate(probabilities):
        cell = labels * classes + values.argmax(1)
        confusion = weights @ np.eye(classes**2, dtype=np.float32)[cell]
        for name, column in _from_confusion(confusion.reshape(-1, classes, classes).astype(float)).items():
            scores.setdefault(name, np.empty((len(weights), len(probabilities))))[:, arm] = column
    return scores


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


def _auc(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
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
    running = np.zeros((len(weights), len(order) + 1), np.float32)
    np.cumsum(weights[:, order], axis=1, out=running[:, 1:])
    ranked = values[order]
    first = np.searchsorted(ranked, values[positive], side="left")
    last = np.searchsorted(ranked, values[positive], side="right")
    if np.array_equal(first, last):
        return running[:, first]
    return (running[:, first] + running[:, last]) / 2
