"""The objective of an aggregator: a gradient of every task for the shared parameters, which become one."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from aggregation_lab.model.m2dino import M2DINO
from aggregation_lab.run import RunSpec
from aggregation_lab.training.batches import Batch
from aggregation_lab.training.methods.gradient_combination import GradientCombination
from aggregation_lab.training.objective import Objective, mean_losses, pieces_of


class AggregatedObjective(Objective):
    """The same loss, of which each task's part is differentiated by itself.

    The rows of a batch belong to one task each, so a task's gradient needs its own rows only: they go through the model
    task by task, and T tasks cost one pass over the batch in T pieces, where a Jacobian of the whole batch would cost T
    backward passes over all of it. Shared are all parameters but the heads': encoder with experts, image path, fusion,
    task embedding. Heads get their own task's gradient. The load balance of top-k routing is that of each task's
    images.
    """

    def __init__(
        self,
        spec: RunSpec,
        model: M2DINO,
        to_input: Callable[[Tensor], Tensor],
        precision: torch.dtype,
        combination: GradientCombination,
    ):
        super().__init__(spec, model, to_input, precision)
        heads = {id(parameter) for parameter in model.heads.parameters()}
        self.shared = [parameter for parameter in self.parameters if id(parameter) not in heads]
        self.combination = combination

    def gradients(self, batch: Batch, what: str) -> Tensor:
        """As `Objective.gradients`; `what` also names a step in which the aggregator has failed."""
        count = len(batch.images)
        depth = self.model.draw_depth(count)
        jacobian: list[Tensor] = []

        def accumulate(size: int) -> list[dict[str, Tensor]]:
            self.model.forget()
            for parameter in self.parameters:
                parameter.grad = None
            jacobian[:] = [parameter.new_zeros(len(batch.parts), *parameter.shape) for parameter in self.shared]
            pieces = []
            for row, (_, rows) in enumerate(batch.parts):
                for parameter, gradients in zip(self.shared, jacobian, strict=True):
                    parameter.grad = gradients[row]  # a view: autograd adds to the row in place
                for piece in pieces_of(rows, size):
                    loss, per_image = self.losses(batch.piece(piece), count, depth[piece])
                    loss.backward()
                    pieces.append(per_image)
            for parameter in self.shared:
                parameter.grad = None
            return pieces

        pieces = self.within_memory(accumulate, batch, what)
        self.combination.apply(self.shared, jacobian, batch.names, what)
        return mean_losses(pieces, batch)

    def state(self) -> dict[str, Any]:
        return self.combination.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        self.combination.restore(state)
