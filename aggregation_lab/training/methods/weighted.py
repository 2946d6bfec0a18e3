"""The objective of a weighting: the losses of the tasks times factors that change while training."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from aggregation_lab.model.m2dino import M2DINO
from aggregation_lab.run import RunSpec
from aggregation_lab.training.batches import Batch
from aggregation_lab.training.methods.weightings import TaskWeighting
from aggregation_lab.training.objective import Objective, mean_losses, pieces_of, weighted_sum

SMALLEST_LOSS = 1e-8
"""A loss below this, which a batch of one image can have, counts as this much: methods divide by losses."""


class WeightedObjective(Objective):
    """The same loss with lambda_t times a factor of the method in place of lambda_t.

    A method sees, of each task in the batch, lambda_t times the mean loss of its images, however many they are. How
    often a task is seen stays with the sampling, so every image of a task counts alike, as it does without a method.
    """

    def __init__(
        self,
        spec: RunSpec,
        model: M2DINO,
        to_input: Callable[[Tensor], Tensor],
        precision: torch.dtype,
        weighting: TaskWeighting,
    ):
        super().__init__(spec, model, to_input, precision)
        self.weighting, self.learned = weighting, weighting.learned
        self._factors: dict[str, Tensor] | None = {}
        """By task; None: to be taken from the losses at hand; empty, all 1, outside of a step."""
        self._depth = torch.empty(0)
        self._batch: Batch | None = None

    def added(self, per_image: Mapping[str, Tensor], count: int) -> Tensor:
        factors = self._factors
        if factors is None:
            means = torch.stack([losses.detach().mean() for losses in per_image.values()])
            factors = self._factors_of(list(per_image), means)
        weights = {name: factors.get(name, 1.0) * self.weights.get(name, 1.0) for name in per_image}
        return weighted_sum(per_image, weights, count)

    def prepare(self, batch: Batch, depth: Tensor, size: int) -> None:
        """In pieces, a method that needs the losses of the step takes a pass over all of them first."""
        self._depth, self._factors = depth, None
        if not self.weighting.takes_losses:
            self._factors = self._factors_of(batch.names, None)
        elif size < len(batch.images):
            self._factors = self._factors_of(batch.names, self._forward(batch, size))

    def gradients(self, batch: Batch, what: str) -> Tensor:
        names = batch.names
        self.weighting.begin(len(names))
        means = super().gradients(batch, what)
        counts = torch.tensor([float(rows.stop - rows.start) for _, rows in batch.parts])
        self.weighting.learn(names, self._seen(names, means), counts)
        self._batch = batch if self.weighting.looks_back else None
        self._factors = {}
        return means

    def after_step(self, what: str) -> None:
        if self._batch is None:
            return
        batch, self._batch = self._batch, None

        def forward(size: int) -> Tensor:
            self.model.forget()
            return self._forward(batch, size)

        means = self.within_memory(forward, batch, what)
        self.weighting.look_back(batch.names, self._seen(batch.names, means))

    def state(self) -> dict[str, Any]:
        return self.weighting.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        self.weighting.restore(state)

    @torch.no_grad()
    def _forward(self, batch: Batch, size: int) -> Tensor:
        """The mean loss of each task in the batch, by a pass that leaves neither gradients nor running statistics."""
        count = len(batch.images)
        self._factors = {}
        pieces = pieces_of(slice(0, count), size)
        with self.model.backbone.still_statistics():
            steps = [self.losses(batch.piece(rows), count, self._depth[rows]) for rows in pieces]
        return mean_losses([per_image for _, per_image in steps], batch)

    def _factors_of(self, names: list[str], means: Tensor | None) -> dict[str, Tensor]:
        seen = None if means is None else self._seen(names, means)
        return dict(zip(names, self.weighting.factors(names, seen).unbind(), strict=True))

    def _seen(self, names: list[str], means: Tensor) -> Tensor:
        """What the method sees of the tasks: lambda_t times their mean loss."""
        weights = torch.tensor([self.weights.get(name, 1.0) for name in names], device=means.device)
        return (weights * means.float()).clamp(min=SMALLEST_LOSS)
