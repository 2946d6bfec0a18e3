"""Plain networks that the recipe is measured against (docs/recipe.md): a small U-Net and a ResNet18, random start.

They read what agglab's model reads, images B x 3 x S x S with S a multiple of 16.
"""

from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _conv_unit(width_in: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width_in, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
    )


class UNet(nn.Module):
    """Ronneberger et al. 2015 with 16, 32, 64 and 128 channels, 0.5 M parameters: B x `outputs` x S x S logits."""

    def __init__(self, outputs: int, widths: tuple[int, ...] = (16, 32, 64, 128)):
        super().__init__()
        above, below = widths[:-1], widths[1:]
        pairs = zip((3, *above), widths, strict=True)
        self.down = nn.ModuleList(nn.Sequential(_conv_unit(a, b), _conv_unit(b, b)) for a, b in pairs)
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in zip(above, below, strict=True))
        self.join = nn.ModuleList(nn.Sequential(_conv_unit(2 * a, a), _conv_unit(a, a)) for a in above)
        self.out = nn.Conv2d(widths[0], outputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        x, seen = self.down[0](images), []
        for stage in self.down[1:]:
            seen.append(x)
            x = stage(F.max_pool2d(x, 2))
        for up, join in zip(reversed(self.up), reversed(self.join), strict=True):
            x = join(torch.cat([up(x), seen.pop()], 1))
        return self.out(x).float()


class ResNetDecoder(nn.Module):
    """ResNet18 with a feature pyramid of 64 channels, for segmentation: B x `classes` x S x S logits."""

    def __init__(self, classes: int, width: int = 64):
        super().__init__()
        encoder: Any = timm.create_model("resnet18", pretrained=False, features_only=True)
        channels = encoder.feature_info.channels()
        self.encoder = encoder
        self.lateral = nn.ModuleList(nn.Conv2d(count, width, 1) for count in channels)
        self.smooth = nn.ModuleList(_conv_unit(width, width) for _ in channels)
        self.out = nn.Conv2d(width, classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        levels = [lateral(level) for lateral, level in zip(self.lateral, self.encoder(images), strict=True)]
        x = self.smooth[-1](levels[-1])
        for smooth, level in zip(reversed(self.smooth[:-1]), reversed(levels[:-1]), strict=True):
            x = smooth(F.interpolate(x, size=level.shape[-2:], mode="bilinear") + level)
        return F.interpolate(self.out(x).float(), scale_factor=2, mode="bilinear")


class PooledResNet(nn.Module):
    """ResNet18 as it comes, one linear layer on its pooled map: B x `outputs`."""

    def __init__(self, outputs: int):
        super().__init__()
        self.network = timm.create_model("resnet18", pretrained=False, num_classes=outputs)

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images).float()
