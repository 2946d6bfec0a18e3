"""The loss of each task type, per image. The loss of a step is the mean over its images of lambda_t times these,

so that under proportional sampling every image weighs the same and E[L] = sum_t (n_t / n) lambda_t L_t; with
`sampling: uniform` it is the paper's L = sum_t lambda_t L_t up to the constant 1/T.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from aggregation_lab.model.heads.detection import Detections
from aggregation_lab.tasks import TaskType


def segmentation_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Soft Dice over the foreground classes plus cross-entropy. B x C x S x S logits, B x S x S indices -> B."""
    cross_entropy = F.cross_entropy(logits, masks, reduction="none").mean((1, 2))
    probabilities = logits.softmax(1)[:, 1:]
    classes = torch.arange(1, logits.shape[1], device=masks.device).view(-1, 1, 1)
    reference = (masks.unsqueeze(1) == classes).to(probabilities.dtype)
    overlap = (probabilities * reference).sum((2, 3))
    total = probabilities.sum((2, 3)) + reference.sum((2, 3))
    # one pixel of smoothing: an absent structure that is predicted absent costs nothing
    dice = (2 * overlap + 1) / (total + 1)
    return cross_entropy + (1 - dice).mean(1)


def classification_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy. B x C logits, B labels -> B."""
    return F.cross_entropy(logits, labels, reduction="none")


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


def regression_loss(points: Tensor, reference: Tensor) -> Tensor:
    """L1 on points in [0, 1], times ten to stand beside the other losses. B x P x 2 twice -> B."""
    return 10 * (points - reference).abs().mean((1, 2))


LOSSES: dict[TaskType, Callable[[Any, Tensor], Tensor]] = {
    TaskType.SEGMENTATION: segmentation_loss,
    TaskType.CLASSIFICATION: classification_loss,
    TaskType.DETECTION: detection_loss,
    TaskType.REGRESSION: regression_loss,
}


def image_losses(task_type: TaskType, output: Any, target: Tensor) -> Tensor:
    """The loss of each image of one task: a head's output and its target -> B."""
    return LOSSES[task_type](output, target)
