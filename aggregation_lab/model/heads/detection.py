"""Detection of one box per image: a heat map of the box's centre, and at every cell the distances to its sides."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from aggregation_lab.model.heads.heat_maps import cell_centres, heat_map_entropy, heat_map_loss
from aggregation_lab.model.heads.network import Movement, Network
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


def detection_loss(output: Detections, boxes: Tensor) -> Tensor:
    """The centre's heat map, and L1 + GIoU for the image's box. B x 4 boxes in [0, 1] -> B."""
    middle = boxes.unflatten(1, (2, 2)).mean(1, keepdim=True)
    distance = (output.box - boxes).abs().mean(1)
    return heat_map_loss(output.centre, middle) + 2 * distance + giou_loss(output.box, boxes)


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


def centre_entropy(output: Detections) -> Tensor:
    """Entropy of where the box's centre lies; its sides are no distribution. -> B."""
    return heat_map_entropy(output.centre)


NETWORK = Network(DetectionHead, detection_loss, move_boxes, centre_entropy)
