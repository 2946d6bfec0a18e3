"""The image path: a light convolutional network beside the ViT that sees what lies within the ViT's patches.

Normalisation is by groups of channels within one image, so an image's maps depend neither on the batch it is in nor on
the pieces a batch goes through memory in.
"""

from torch import Tensor, nn

STRIDES = (4, 8, 16)
WIDTHS = (32, 64, 96)
"""Pixels between the cells of each map of the path, and its channels."""
STEM = 16
"""Channels of the first convolution, at stride 2."""
GROUPS = 8


def conv_unit(width_in: int, width: int, *, stride: int = 1) -> nn.Sequential:
    """Convolution, norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(width_in, width, 3, stride, padding=1, bias=False), nn.GroupNorm(GROUPS, width), nn.ReLU()
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
    twice. At stride 2 there is one thin convolution: maps of that size cost as much as all others."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_unit(3, STEM, stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(conv_unit(width_in, width, stride=2), ResidualUnit(width))
            for width_in, width in zip((STEM, *WIDTHS[:-1]), WIDTHS, strict=True)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        x, maps = self.stem(images), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return tuple(maps)
