"""What the model asks of an encoder, whichever of timm's networks it is."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from aggregation_lab.errors import ModelError

Levels = tuple[Tensor | None, tuple[Tensor, ...]]
"""The deepest map where it stands by itself, and maps from stride 4 on; see `Backbone.levels`."""


class Backbone(ABC):
    """One of timm's networks, and how the model reads it.

    `network` keeps timm's own names of parameters; the model registers it, a backbone is no module itself. `dim` is
    the number of channels of the deepest map. Kinds: `PlainViT`, `Pyramid`.
    """

    path_widths: tuple[int, ...] = ()
    """Channels of the maps at strides 4, 8, 16 and deeper that the network itself has; empty: the model adds the image
    path."""
    freezable = False
    """Whether the output of the first blocks can be kept, and only what is above them be run."""

    def __init__(self, name: str, network: nn.Module):
        self.name = name
        self.network: Any = network  # timm's classes carry no types
        self.dim = 0

    @abstractmethod
    def levels(self, images: Tensor) -> Levels:
        """B x 3 x S x S normalised images -> the network's maps.

        A plain ViT: its one map B x dim x s x s, and no others. A pyramid: None, and maps B x path_widths[i] at strides
        4, 8, 16 and, where the network goes on, 32, the last of which is the deepest.
        """

    @abstractmethod
    def compile(self) -> None:
        """Let torch.compile work on what is trained of the network."""

    @abstractmethod
    def choose_attention(self, size: int, device: torch.device, precision: torch.dtype) -> None:
        """Take the fastest kind of attention for images of `size` pixels."""

    @property
    def blocks(self) -> Any:
        """Transformer blocks that may carry experts or be frozen; empty where a network has none of one size."""
        return ()

    @property
    def token_width(self) -> int:
        """Channels of what passes between blocks, to which the task embedding is added."""
        return self.dim

    @property
    def has_batch_norm(self) -> bool:
        """Whether, in training, what the network makes of an image depends on those that go through it with it.

        A batch that memory lets through only in pieces then gives other numbers than in one piece. Predictions do not
        depend on the batch: they are made with the running statistics, which are part of a checkpoint.
        """
        return any(True for _ in self._batch_norms())

    def check_batch(self, batch_size: int, aggregator: str = "none") -> None:
        """Raises `ModelError` where batch norm cannot be trained so: batches of one image have no statistics, and an
        aggregator sends each task's images through by themselves, sometimes one of them."""
        if not self.has_batch_norm:
            return
        if batch_size == 1:
            raise ModelError(f"training.batch_size: 1, but {self.name} normalises over the batch; take 2 or more")
        if aggregator != "none":
            raise ModelError(
                f"training.aggregator: {aggregator}, but {self.name} normalises over the batch, and an aggregator "
                "takes each task's images by themselves; take aggregator: none, or an encoder such as convnext_tiny"
            )

    @contextmanager
    def still_statistics(self) -> Iterator[None]:
        """Passes in here leave the running statistics of batch norm as they are; in training they normalise by their
        own images, as ever. For passes of a step beside the one that trains."""
        moving = [module for module in self._batch_norms() if module.track_running_stats]
        for module in moving:
            module.track_running_stats = False
        try:
            yield
        finally:
            for module in moving:
                module.track_running_stats = True

    def _batch_norms(self) -> Iterator[nn.modules.batchnorm._BatchNorm]:
        return (each for each in self.network.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm))
