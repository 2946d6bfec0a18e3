"""The interface between encoder and heads: the encoder's maps, and the image path's, fused into maps that all share.

A head reads one of three views of them and nothing else: the fine map for outlines and points, the middle one for
boxes, and a summary of all levels for what an image is as a whole.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import torch
import torch.nn.functional as F
from timm.layers import LayerNorm2d
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
    """`coarse` B x width x S/16 x S/16, all levels from there on down; `path` the maps that it grows by."""

    coarse: Tensor
    path: tuple[Tensor, ...]

    def split(self, sizes: Sequence[int]) -> list["SharedMaps"]:
        """Those of successive blocks of the batch. The gradients of all blocks are put together in one step, where each
        of as many slices would hand back one as large as the batch."""
        blocks = zip(*(level.split(list(sizes)) for level in (self.coarse, *self.path)), strict=True)
        return [SharedMaps(coarse, tuple(path)) for coarse, *path in blocks]


def joined(blocks: Sequence[SharedMaps]) -> SharedMaps:
    """The maps of several blocks as those of one batch."""
    if len(blocks) == 1:
        return blocks[0]
    coarse, *path = (torch.cat(levels) for levels in zip(*((each.coarse, *each.path) for each in blocks), strict=True))
    return SharedMaps(coarse, tuple(path))


class Fusion(nn.Module):
    """From coarse to fine: the deepest map, made larger twice, each time with what the path saw at that size (feature
    pyramid, Lin et al. 2017), as far as a view asks for it.

    `dim` channels of the deepest map; `path_widths` those of the path, at strides 4, 8, 16 and perhaps deeper: the
    image path's beside a ViT, else the network's own. `normalise`: each map of the path goes through a LayerNorm over
    its channels first, as the stages of Swin and ConvNeXt do before they are read by others (Liu et al. 2021, 2022).
    """

    def __init__(self, *, dim: int, width: int, path_widths: tuple[int, ...] = WIDTHS, normalise: bool = False):
        super().__init__()
        self.width = width
        self.deep = nn.Conv2d(dim, width, 1)
        laterals = path_widths[: len(STRIDES)]
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1, bias=False) for channels in laterals)
        self.smooth = nn.ModuleList(conv_unit(width, width) for _ in STRIDES)
        self.norms = nn.ModuleList(map(LayerNorm2d, path_widths)) if normalise else None
        self.summary_size = 2 * (width + sum(path_widths))

    def forward(self, deep: Tensor | None, path: tuple[Tensor, ...]) -> SharedMaps:
        """`deep` B x dim x s x s, on any grid; None where the last map of the path is the deepest. `path` the maps at
        strides 4, 8, 16 and perhaps deeper."""
        if self.norms is not None:
            path = tuple(norm(level) for norm, level in zip(self.norms, path, strict=True))
        top = self.deep(path[-1] if deep is None else deep)
        size = path[2].shape[-2:]
        top = top if top.shape[-2:] == size else F.interpolate(top, size=size, mode="bilinear")
        return SharedMaps(self._joined(2, top, path), path)

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
