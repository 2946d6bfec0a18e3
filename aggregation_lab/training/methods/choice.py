"""The objective that a run's settings ask for."""

from collections.abc import Callable

import torch
from torch import Tensor

from aggregation_lab.model.m2dino import M2DINO
from aggregation_lab.run import RunSpec
from aggregation_lab.training.methods.aggregated import AggregatedObjective
from aggregation_lab.training.methods.gradient_combination import GradientCombination
from aggregation_lab.training.methods.weighted import WeightedObjective
from aggregation_lab.training.methods.weightings import open_weighting
from aggregation_lab.training.objective import Objective


def open_objective(
    spec: RunSpec, model: M2DINO, to_input: Callable[[Tensor], Tensor], precision: torch.dtype, images: int
) -> Objective:
    """The loss of a step and its gradients, for a run of so many training images.

    Raises `ModelError` where a package that the method needs is not installed.
    """
    names = [task.name for task in spec.tasks]
    if spec.training.aggregator != "none":
        combination = GradientCombination(spec.training.aggregator, names)
        return AggregatedObjective(spec, model, to_input, precision, combination)
    if spec.training.weighting != "fixed":
        weighting = open_weighting(spec.training.weighting, names, images, next(model.parameters()).device)
        return WeightedObjective(spec, model, to_input, precision, weighting)
    return Objective(spec, model, to_input, precision)
