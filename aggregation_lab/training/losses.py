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
from aggregation_lab.model.heads.heat_maps import heat_map_loss, mean_position
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


def regression_loss(logits: Tensor, points: Tensor) -> Tensor:
    """The heat maps themselves, and L1 on the points read out of them, times ten to stand beside it.

    L1 alone moves the mean of a map that is still flat: a short training learns next to nothing (docs/recipe.md).
    B x P x h x w logits, B x P x 2 points in [0, 1] -> B.
    """
    return heat_map_loss(logits, points) + 10 * (mean_position(logits) - points).abs().mean((1, 2))


LOSSES: dict[TaskType, Callable[[Any, Tensor], Tensor]] = {
    TaskType.SEGMENTATION: segmentation_loss,
    TaskType.CLASSIFICATION: classification_loss,
    TaskType.DETECTION: detection_loss,
    TaskType.REGRESSION: regression_loss,
}


def image_losses(task_type: TaskType, output: Any, target: Tensor) -> Tensor:
    """The loss of each image of one task: a head's output and its target -> B."""
    return LOSSES[task_type](output, target)
