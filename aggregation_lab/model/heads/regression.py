"""Regression of points: one heat map per point, read out by soft-argmax."""

from torch import Tensor, nn

from aggregation_lab.model.heads.heat_maps import mean_position
from aggregation_lab.model.shared_maps import View


class RegressionHead(nn.Module):
    """B x points x h x w logits of each point's heat map; a point is the mean position under its map."""

    view = View.FINE

    def __init__(self, *, dim: int, classes: int, width: int):
        super().__init__()
        self.heat_maps = nn.Conv2d(dim, classes, 1)

    def forward(self, features: Tensor, size: int) -> Tensor:
        """B x D x h x w -> B x points x h x w. `size` is not needed here."""
        return self.heat_maps(features).float()

    def predict(self, output: Tensor) -> Tensor:
        """B x points x 2 as (x, y) in [0, 1]."""
        return mean_position(output)
