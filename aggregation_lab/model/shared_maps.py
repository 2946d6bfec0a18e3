"""The interface between encoder and heads: the ViT's map and the image path fused into maps that all tasks share.

A head reads one of three views of them and nothing else: the fine map for outlines and points, the middle one for
boxes, and a summary of all levels for what an image is as a whole.
"""

from enum import StrEnum
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aggregation_lab.model.image_path import STRIDES, WIDTHS, conv_unit


class View(StrEnum):
    """What a head reads of the shared maps."""

    FINE = "fine"
    """B x width x S/4 x S/4."""
    MIDDLE = "middle"
    """B x width x S/8 x S/8."""
    SUMMARY = "summary"
    """B x `Fusion.summary_size`: means and maxima of every level."""


class SharedMaps(NamedTuple):
    """`coarse` B x width x S/16 x S/16, the ViT's map with the path's; `path` the image path's maps."""

    coarse: Tensor
    path: tuple[Tensor, ...]

    def of(self, rows: slice) -> "SharedMaps":
        """Those of some images of the batch."""
        return SharedMaps(self.coarse[rows], tuple(level[rows] for level in self.path))


class Fusion(nn.Module):
    """From coarse to fine: the ViT's map, made larger twice, each time with what the image path saw at that size
    (feature pyramid, Lin et al. 2017), as far as a view asks for it."""

    def __init__(self, *, dim: int, width: int):
        super().__init__()
        self.width = width
        self.deep = nn.Conv2d(dim, width, 1)
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1, bias=False) for channels in WIDTHS)
        self.smooth = nn.ModuleList(conv_unit(width, width) for _ in STRIDES)
        self.summary_size = 2 * (width + sum(WIDTHS))

    def forward(self, deep: Tensor, path: tuple[Tensor, ...]) -> SharedMaps:
        """`deep` B x dim x S/16 x S/16, the ViT's map; `path` the maps of the image path."""
        return SharedMaps(self._joined(2, self.deep(deep), path), path)

    def size(self, view: View) -> int:
        """Channels of a view."""
        return self.summary_size if view is View.SUMMARY else self.width

    def read(self, maps: SharedMaps, view: View) -> Tensor:
        """One view of the maps."""
        if view is View.SUMMARY:
            # the path's own maps, too: their way to the loss is short, and classifiers begin to learn at once
            levels = (*maps.path, maps.coarse)
            return torch.cat([pool(level) for level in levels for pool in (_mean, _maximum)], 1)
        middle = self._joined(1, _twice(maps.coarse), maps.path)
        return middle if view is View.MIDDLE else self._joined(0, _twice(middle), maps.path)

    def _joined(self, level: int, x: Tensor, path: tuple[Tensor, ...]) -> Tensor:
        return self.smooth[level](x + self.lateral[level](path[level]))


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear")


def _mean(x: Tensor) -> Tensor:
    return x.mean((2, 3))


def _maximum(x: Tensor) -> Tensor:
    return x.amax((2, 3))
