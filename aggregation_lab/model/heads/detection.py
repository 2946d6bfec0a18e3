"""Detection of one box per image: a heat map of the box's centre, and at every cell the distances to its sides."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from aggregation_lab.model.heads.heat_maps import cell_centres
from aggregation_lab.model.shared_maps import View


class Detections(NamedTuple):
    """`centre` B x 1 x h x w logits of the centre's heat map; `box` B x 4 as (x_min, y_min, x_max, y_max) in [0, 1]."""

    centre: Tensor
    box: Tensor


class DetectionHead(nn.Module):
    """Anchor-free: each cell predicts its distances to the four sides of the box (as FCOS, Tian et al. 2019).

    The image's one box is the mean over cells weighted by the heat map of its centre.
    """

    view = View.MIDDLE

    def __init__(self, *, dim: int, classes: int, width: int):
        super().__init__()
        self.centre = nn.Conv2d(dim, 1, 1)
        self.sides = nn.Conv2d(dim, 4, 1)

    def forward(self, features: Tensor, size: int) -> Detections:
        """B x D x h x w -> `Detections`. `size` is not needed here."""
        centre = self.centre(features).float()
        sides = self.sides(features).float().sigmoid().flatten(2).transpose(1, 2)  # B x cells x (left, top, ...)
        centres = cell_centres(features.shape[-2], features.shape[-1], features.device)
        boxes = torch.cat([centres - sides[..., :2], centres + sides[..., 2:]], -1)
        return Detections(centre, (centre.flatten(1).softmax(1).unsqueeze(-1) * boxes).sum(1))

    def predict(self, output: Detections) -> Tensor:
        """B x 4 box in [0, 1]."""
        return output.box.clamp(0, 1)
