"""Detection of one box per image: every cell of the map says how likely it lies in the object, and where its box is."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from aggregation_lab.model.heads.blocks import ResidualConv
from aggregation_lab.model.heads.regression import cell_centres


class Detections(NamedTuple):
    """`objectness` B x cells logits; `boxes` B x cells x 4 and `box` B x 4 as (x_min, y_min, x_max, y_max) in [0, 1];
    `centres` cells x 2 as (x, y)."""

    objectness: Tensor
    boxes: Tensor
    box: Tensor
    centres: Tensor


class DetectionHead(nn.Module):
    """Anchor-free: each cell predicts its distances to the four sides of the box (as FCOS, Tian et al. 2019).

    The image's one box is the mean over cells weighted by softmax of their objectness.
    """

    def __init__(self, *, dim: int, classes: int, width: int):
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(dim, width, 1), ResidualConv(width=width), nn.GELU())
        self.objectness = nn.Conv2d(width, 1, 1)
        self.sides = nn.Conv2d(width, 4, 3, padding=1)

    def forward(self, features: Tensor, size: int) -> Detections:
        """B x D x h x w -> `Detections`. `size` is not needed here."""
        trunk = self.trunk(features)
        objectness = self.objectness(trunk).float().flatten(1)
        sides = self.sides(trunk).float().sigmoid().flatten(2).transpose(1, 2)  # B x cells x (left, top, right, bottom)
        centres = cell_centres(features.shape[-2], features.shape[-1], features.device)
        boxes = torch.cat([centres - sides[..., :2], centres + sides[..., 2:]], -1)
        box = (objectness.softmax(1).unsqueeze(-1) * boxes).sum(1)
        return Detections(objectness, boxes, box, centres)

    def predict(self, output: Detections) -> Tensor:
        """B x 4 box in [0, 1]."""
        return output.box.clamp(0, 1)
