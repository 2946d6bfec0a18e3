"""A network of stages, such as a ResNet, a ConvNeXt or a Swin: its own maps at strides 4, 8, 16 and 32."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from aggregation_lab.model.backbones.base import Backbone, Levels

STRIDES = (4, 8, 16)
"""Pixels between the cells of the maps that every pyramid must have."""
DEEPEST = 32
"""Stride of the deepest map that is read, where the network has it."""


class Pyramid(Backbone):
    """Any of timm's networks with maps at strides 4, 8 and 16; what comes after stride 32 is cut off.

    `stages` is timm's `feature_info`, a mapping with `reduction` and `num_chs` for each map.
    """

    def __init__(self, name: str, network: nn.Module, stages: Sequence[Mapping[str, Any]]):
        super().__init__(name, network)
        last_of = {stage["reduction"]: index for index, stage in enumerate(stages)}
        taken = [last_of[stride] for stride in (*STRIDES, DEEPEST) if stride in last_of]
        self.indices = self.network.prune_intermediate_layers(taken, prune_norm=True, prune_head=True)
        self.path_widths = tuple(stages[index]["num_chs"] for index in taken)
        self.dim = self.path_widths[-1]
        self._intermediates = self.network.forward_intermediates

    def levels(self, images: Tensor) -> Levels:
        maps = self._intermediates(images, indices=self.indices, output_fmt="NCHW", intermediates_only=True)
        return None, tuple(maps)

    def choose_attention(self, size: int, device: torch.device, precision: torch.dtype) -> None:
        """timm's own choice: windows are short."""

    def compile(self) -> None:
        self._intermediates = torch.compile(self._intermediates)
