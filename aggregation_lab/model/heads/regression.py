"""Regression of points: one heat map per point, read out by soft-argmax."""

from torch import Tensor, nn

from aggregation_lab.model.heads.heat_maps import heat_map_entropy, heat_map_loss, mean_position
from aggregation_lab.model.heads.network import Network
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


def regression_loss(logits: Tensor, points: Tensor) -> Tensor:
    """The heat maps themselves, and L1 on the points read out of them, times ten to stand beside it.

    L1 alone moves the mean of a map that is still flat: a short training learns next to nothing (docs/recipe.md).
    B x P x h x w logits, B x P x 2 points in [0, 1] -> B.
    """
    return heat_map_loss(logits, points) + 10 * (mean_position(logits) - points).abs().mean((1, 2))


NETWORK = Network(
    RegressionHead,
    regression_loss,
    move=lambda points, movement: movement.points(points),
    entropy=heat_map_entropy,
)
