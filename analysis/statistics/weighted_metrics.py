"""The metrics of a task type under many case weightings at once.

A resample is a vector of whole case weights: how often each case was drawn (Chamandy et al. 2012). A metric of B
resamples of A arms then is a matrix product instead of B x A recomputations; each task type has its own
(`aggregation_lab.tasks`). With weights of one, every value equals that of `aggregation_lab.metrics.task_scores`
(tested).

B resamples, A arms (one aggregation, fraction and seed each), N cases.
"""

import numpy as np

from aggregation_lab.tasks import TaskType
from aggregation_lab.tasks.task_type import ArmValues
from aggregation_lab.tasks.weighted_mean import weighted_mean

VALUE = "value"
"""The one quantity of cases from another trainer: a score per case, the task's score being its mean."""


def weighted_scores(
    task_type: str, quantities: ArmValues, weights: np.ndarray, *, count_empty: bool = True
) -> dict[str, np.ndarray]:
    """Every metric of a task, B x A each, `score` first; NaN where a resample leaves a metric undefined.

    `weights` is B x N: float64 for what is reported. Anything else is computed in float32, which is enough for
    resamples and of which the last digits depend on the processor. With `count_empty` an image that lacks a structure
    counts as the challenge has it (Dice 1 if the prediction is empty too, else 0); without, such images are left out of
    Dice and HD.
    """
    if weights.dtype != np.float64:
        weights = weights.astype(np.float32, copy=False)
    if VALUE in quantities:
        scores = {VALUE: weighted_mean(quantities[VALUE][..., 0], weights)}
    else:
        known = TaskType.of(task_type)
        scores = known.weighted_scores(_filled(known, quantities, np.nan), weights, count_empty)
    return {"score": next(iter(scores.values())), **scores}


def later_metrics(task_type: str, quantities: ArmValues) -> frozenset[str]:
    """Metrics that these cases do not give, because their type had neither metric nor quantity when they were scored.

    They are those that an absent quantity leaves undefined, and any number in its place does not.
    """
    if VALUE in quantities or not _absent(TaskType.of(task_type), quantities):
        return frozenset()
    once = np.ones((1, next(iter(quantities.values())).shape[1]))
    known = TaskType.of(task_type)
    without, with_any = (weighted_scores(task_type, _filled(known, quantities, value), once) for value in (np.nan, 0.0))
    return frozenset(name for name, found in without.items() if (np.isnan(found) & ~np.isnan(with_any[name])).any())


def _absent(task_type: TaskType, quantities: ArmValues) -> list[str]:
    return [name for name in task_type.quantities if name not in quantities]


def _filled(task_type: TaskType, quantities: ArmValues, value: float) -> ArmValues:
    """The quantities, and `value` for each of those that are absent."""
    absent = _absent(task_type, quantities)
    if not absent:
        return quantities
    widest = max((values.shape for values in quantities.values()), key=lambda shape: shape[2])
    return {**quantities, **dict.fromkeys(absent, np.full(widest, value))}
