"""The network half of a task type: head, loss, and how a target moves with its image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from aggregation_lab.model.shared_maps import View


@dataclass(frozen=True)
class Movement:
    """Where the images of a batch go in augmentation: an input position is `factor` times the output's plus `shift`.

    `grid` B x S x S x 2 for `grid_sample`, `factor` and `shift` B x 2 (x, y); sides run from -1 to 1.
    """

    grid: Tensor
    factor: Tensor
    shift: Tensor

    def of(self, rows: slice) -> "Movement":
        """That of some images of the batch."""
        return Movement(self.grid[rows], self.factor[rows], self.shift[rows])

    def points(self, points: Tensor) -> Tensor:
        """B x P x 2 in [0, 1] to where the image's content has moved."""
        return (((2 * points - 1) - self.shift.unsqueeze(1)) / self.factor.unsqueeze(1) + 1) / 2

    def class_maps(self, maps: Tensor) -> Tensor:
        """B x S x S class indices, background coming in at the borders."""
        moved = F.grid_sample(maps.unsqueeze(1).float(), self.grid, mode="nearest", align_corners=False)
        return moved.squeeze(1).long()


def softmax_entropy(logits: Tensor, dim: int) -> Tensor:
    """Entropy in nats of the softmax over a dimension, which the result lacks."""
    return -(logits.softmax(dim) * logits.log_softmax(dim)).sum(dim)


@dataclass(frozen=True)
class Network:
    """What a task type adds to the encoder.

    `head(dim=, classes=, width=)` makes a module that reads one view of the shared maps and nothing else, that of its
    class attribute `view`: its `forward(features, size)` gives what the loss needs, its `predict(output)` normalised
    predictions that know nothing of the original image size. `loss(output, target)` is per image, B;
    `move(target, movement)` augments. `entropy(output)`, differentiable and per image, B, is that of the predicted
    distribution, over classes or places; None where a head predicts none.
    """

    head: Callable[..., nn.Module]
    loss: Callable[[Any, Tensor], Tensor]
    move: Callable[[Tensor, Movement], Tensor]
    entropy: Callable[[Any], Tensor] | None = None

    @property
    def view(self) -> View:
        """What the head reads: a map of middle size, where it does not say."""
        return getattr(self.head, "view", View.MIDDLE)
