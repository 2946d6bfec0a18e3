"""Regression of points: one heat map per point, read out by soft-argmax."""

import torch
from torch import Tensor, nn

from aggregation_lab.model.heads.blocks import Upsampler
from aggregation_lab.model.heads.network import Network


def cell_centres(height: int, width: int, device: torch.device) -> Tensor:
    """Centres of the map's cells as (x, y) in [0, 1]: (height * width) x 2."""
    y = (torch.arange(height, device=device) + 0.5) / height
    x = (torch.arange(width, device=device) + 0.5) / width
    return torch.stack([x.repeat(height), y.repeat_interleave(width)], 1)


class RegressionHead(nn.Module):
    """Points in [0, 1] as the mean position under each heat map (integral regression, Sun et al. 2018)."""

    def __init__(self, *, dim: int, classes: int, width: int):
        super().__init__()
        self.decoder = Upsampler(dim=dim, width=width)
        self.heatmaps = nn.Conv2d(width, classes, 1)

    def forward(self, features: Tensor, size: int) -> Tensor:
        """B x D x h x w -> B x points x 2 as (x, y). `size` is not needed here."""
        maps = self.heatmaps(self.decoder(features)).float()
        weights = maps.flatten(2).softmax(-1)
        centres = cell_centres(maps.shape[-2], maps.shape[-1], maps.device)
        # a sum and not a matrix product: mixed precision would round the product to 1/256 of the image
        return (weights.unsqueeze(-1) * centres).sum(2)

    def predict(self, output: Tensor) -> Tensor:
        return output


def regression_loss(points: Tensor, reference: Tensor) -> Tensor:
    """L1 on points in [0, 1], times ten to stand beside the other losses. B x P x 2 twice -> B."""
    return 10 * (points - reference).abs().mean((1, 2))


NETWORK = Network(RegressionHead, regression_loss, move=lambda points, movement: movement.points(points))
