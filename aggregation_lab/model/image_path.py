"""The image path: a light convolutional network beside the ViT that sees what lies within the ViT's patches.

Normalisation is by groups of channels within one image, so an image's maps depend neither on the batch it is in nor on
the pieces a batch goes through memory in.
"""

from torch import Tensor, nn

STRIDES = (4, 8, 16)
WIDTHS = (32, 64, 96)
"""Pixels between the cells of each map of the path, and its channels."""
GROUPS = 8


def conv_unit(width_in: int, width: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(width_in, width, kernel, stride, kernel // 2, bias=False), nn.GroupNorm(GROUPS, width), nn.ReLU()
    )


class ResidualUnit(nn.Module):
    """Two convolutions round which the map is passed on (He et al. 2016). B x C x h x w -> the same."""

    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(
            *conv_unit(width, width), nn.Conv2d(width, width, 3, padding=1, bias=False), nn.GroupNorm(GROUPS, width)
        )
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x + self.body(x))


class ImagePath(nn.Module):
    """B x 3 x S x S normalised images, S a multiple of 16 -> maps at strides 4, 8 and 16, B x WIDTHS[i] x S/STRIDES[i]
    twice. The first convolution steps over four pixels at once: maps at stride 2 would cost as much as all others."""

    def __init__(self) -> None:
        super().__init__()
        first, *others = WIDTHS
        stages = [nn.Sequential(conv_unit(3, first, kernel=7, stride=4), ResidualUnit(first))]
        for width_in, width in zip(WIDTHS, others, strict=False):
            stages.append(nn.Sequential(conv_unit(width_in, width, stride=2), ResidualUnit(width)))
        self.stages = nn.ModuleList(stages)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        maps = []
        for stage in self.stages:
            images = stage(images)
            maps.append(images)
        return tuple(maps)
