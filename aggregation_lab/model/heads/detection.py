"""Detection of one box per image: every cell of the map says how likely it lies in the object, and where its box is."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aggregation_lab.model.heads.blocks import ResidualConv
from aggregation_lab.model.heads.network import Movement, Network
from aggregation_lab.model.heads.regression import cell_centres


class Detections(NamedTuple):
    """`objectness` B x cells logits; `box` B x 4 as (x_min, y_min, x_max, y_max) in [0, 1]; `centres` cells x 2 as
    (x, y)."""

    objectness: Tensor
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
        return Detections(objectness, box, centres)

    def predict(self, output: Detections) -> Tensor:
        """B x 4 box in [0, 1]."""
        return output.box.clamp(0, 1)


def detection_loss(output: Detections, boxes: Tensor) -> Tensor:
    """Objectness with negatives over all cells, L1 + GIoU for the image's box. B x 4 boxes in [0, 1] -> B.

    A cell is positive when its centre lies in the box; a box between the centres has the nearest cell as positive.
    """
    x, y = output.centres.unbind(1)
    x_min, y_min, x_max, y_max = (side.unsqueeze(1) for side in boxes.unbind(1))
    inside = (x >= x_min) & (x <= x_max) & (y >= y_min) & (y <= y_max)
    middle = torch.stack([(x_min + x_max) / 2, (y_min + y_max) / 2], -1)  # B x 1 x 2
    nearest = (output.centres - middle).square().sum(-1).argmin(1, keepdim=True)
    positive = (inside | (torch.arange(len(output.centres), device=boxes.device) == nearest)).to(
        output.objectness.dtype
    )
    objectness = F.binary_cross_entropy_with_logits(output.objectness, positive, reduction="none").mean(1)
    distance = (output.box - boxes).abs().mean(1)
    return objectness + 2 * distance + giou_loss(output.box, boxes)


def giou_loss(one: Tensor, other: Tensor) -> Tensor:
    """1 - GIoU (Rezatofighi et al. 2019) of boxes (x_min, y_min, x_max, y_max), B x 4 twice -> B.

    torchvision's picks out the pairs that overlap, and an accelerator makes the host wait for every such choice.
    """
    width, height = _sides(torch.maximum(one[:, :2], other[:, :2]), torch.minimum(one[:, 2:], other[:, 2:]))
    overlap = width.clamp(min=0) * height.clamp(min=0)
    areas = [width * height for width, height in (_sides(box[:, :2], box[:, 2:]) for box in (one, other))]
    union = areas[0] + areas[1] - overlap
    width, height = _sides(torch.minimum(one[:, :2], other[:, :2]), torch.maximum(one[:, 2:], other[:, 2:]))
    hull = width * height
    tiny = 1e-7  # two boxes without area still have a loss
    return 1 - (overlap / (union + tiny) - (hull - union) / (hull + tiny))


def _sides(low: Tensor, high: Tensor) -> tuple[Tensor, ...]:
    return (high - low).unbind(1)


def move_boxes(boxes: Tensor, movement: Movement) -> Tensor:
    """The upright boxes around the moved ones, cut at the image's border. B x 4 -> B x 4."""
    corners = movement.points(boxes.unflatten(1, (2, 2))).clamp(0, 1)
    return torch.cat([corners.amin(1), corners.amax(1)], 1)


NETWORK = Network(DetectionHead, detection_loss, move_boxes)
