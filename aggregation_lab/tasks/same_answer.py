"""Whether a model gives every case the same answer: it has learned nothing that depends on the image."""

from collections.abc import Mapping

import numpy as np

ROUNDING = 0.02
"""Share of the mean difference between targets up to which predictions count as the same. Those of a dead head differ
by what mixed precision rounds, 0.001 of a probability or so; those of one that has learned by a tenth or more."""


def same_answer(predictions: np.ndarray, targets: np.ndarray) -> bool | None:
    """Whether predictions of N cases (N x ...) are all the same to within `ROUNDING`, where their targets (N x ...) are
    not; None where the targets, or a single case, cannot tell.

    Class maps and labels, whole numbers, differ by the share of their places with another class, probabilities, boxes
    and points by the largest difference of any of their numbers, always from the first case.
    """
    if len(targets) < 2:
        return None
    typical = float(_from_the_first(targets).mean())
    return bool(_from_the_first(predictions).max() <= ROUNDING * typical) if typical > 0 else None


def _from_the_first(values: np.ndarray) -> np.ndarray:
    """How far each of N values (N x ...) is from the first one: N."""
    flat = values.reshape(len(values), -1)
    if np.issubdtype(flat.dtype, np.integer):
        return (flat != flat[0]).mean(1)
    return np.abs(flat - flat[0]).max(1)


def said(since: Mapping[str, int]) -> list[str]:
    """A line for each task of which a run gives all validation cases the same answer since a step."""
    return [
        f"{task}: since step {step} every validation case gets the same answer, so nothing was learned of it; try a "
        "lower training.learning_rate, a longer warmup, a smaller clip_norm, or more weight for it in loss_weights"
        for task, step in since.items()
    ]
