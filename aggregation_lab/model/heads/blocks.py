"""Convolution blocks that heads share."""

import torch.nn.functional as F
from torch import Tensor, nn


class ResidualConv(nn.Module):
    """Pre-activation residual unit, as in DPT's fusion stages (Ranftl et al. 2021). B x C x h x w -> the same."""

    def __init__(self, *, width: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(8, width),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.GroupNorm(8, width),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Upsampler(nn.Module):
    """Feature map to four times its side in two steps: B x D x h x w -> B x C x 4h x 4w."""

    def __init__(self, *, dim: int, width: int):
        super().__init__()
        self.project = nn.Conv2d(dim, width, 1)
        self.coarse = ResidualConv(width=width)
        self.middle = ResidualConv(width=width)
        self.fine = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        x = self.coarse(self.project(features))
        x = self.middle(F.interpolate(x, scale_factor=2, mode="bilinear"))
        return F.gelu(self.fine(F.interpolate(x, scale_factor=2, mode="bilinear")))
