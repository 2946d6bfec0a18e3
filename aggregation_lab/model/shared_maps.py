"""The interface between encoder and heads: the ViT's map and the image path fused into maps that all tasks share.

Every head reads one map, B x width x S/stride x S/stride, at the stride it asks for: 8 for what an image holds and
roughly where, 4 for outlines and points.
"""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from aggregation_lab.model.image_path import STRIDES, WIDTHS, conv_unit


class SharedMaps(NamedTuple):
    """`middle` B x width x S/8 x S/8, and `detail`, the image path's map at stride 4, that the fine map adds to it."""

    middle: Tensor
    detail: Tensor | None

    def of(self, rows: slice) -> "SharedMaps":
        """Those of some images of the batch."""
        return SharedMaps(self.middle[rows], None if self.detail is None else self.detail[rows])


class Fusion(nn.Module):
    """From coarse to fine: the ViT's map, made larger twice, each time with what the image path saw at that size
    (feature pyramid, Lin et al. 2017). The fine half is computed only for tasks that read it.

    Without an image path (`path` False) the ViT's map is made larger by itself.
    """

    def __init__(self, *, dim: int, width: int, path: bool = True):
        super().__init__()
        self.deep = nn.Conv2d(dim, width, 1)
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1, bias=False) for channels in WIDTHS if path)
        self.smooth = nn.ModuleList(conv_unit(width, width) for _ in STRIDES)

    def forward(self, deep: Tensor, path: list[Tensor] | None) -> SharedMaps:
        """`deep` B x dim x S/16 x S/16, the ViT's map; `path` the maps of the image path."""
        detail, middle, coarse = path or (None, None, None)
        x = self._joined(2, self.deep(deep), coarse)
        return SharedMaps(self._joined(1, _twice(x), middle), detail)

    def read(self, maps: SharedMaps, stride: int) -> Tensor:
        """B x width x S/stride x S/stride at stride 8 or 4."""
        return maps.middle if stride == 8 else self._joined(0, _twice(maps.middle), maps.detail)

    def _joined(self, level: int, x: Tensor, seen: Tensor | None) -> Tensor:
        return self.smooth[level](x if seen is None else x + self.lateral[level](seen))


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear")
