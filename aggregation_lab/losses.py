"""The loss of each task type, per image. The loss of a step is the mean over its images of lambda_t times these,

so that under proportional sampling every image weighs the same and E[L] = sum_t (n_t / n) lambda_t L_t; with
`sampling: uniform` it is the paper's L = sum_t lambda_t L_t up to the constant 1/T.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import generalized_box_iou_loss

from aggregation_lab.model.heads.detection import Detections
from aggregation_lab.tasks import TaskType


def segmentation_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Soft Dice over the foreground classes plus cross-entropy. B x C x S x S logits, B x S x S indices -> B."""
    cross_entropy = F.cross_entropy(logits, masks, reduction="none").mean((1, 2))
    probabilities = logits.softmax(1)[:, 1:]
    reference = F.one_hot(masks, logits.shape[1]).movedim(-1, 1)[:, 1:].to(probabilities.dtype)
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
    nearest = F.one_hot((output.centres - middle).square().sum(-1).argmin(1), len(output.centres)).bool()
    positive = (inside | nearest).to(output.objectness.dtype)
    objectness = F.binary_cross_entropy_with_logits(output.objectness, positive, reduction="none").mean(1)
    distance = (output.box - boxes).abs().mean(1)
    return objectness + 2 * distance + generalized_box_iou_loss(output.box, boxes)


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
