"""Plain networks in the place of the model of a run of one task, with what they need of loss and prediction.

They learn from the losses of agglab's heads: points by heat maps where a network has maps, boxes by L1 and GIoU.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from aggregation_lab.model.heads.classification import classification_loss
from aggregation_lab.model.heads.detection import giou_loss
from aggregation_lab.model.heads.heat_maps import heat_map_loss, mean_position
from aggregation_lab.model.heads.regression import regression_loss
from aggregation_lab.model.heads.segmentation import segmentation_loss
from aggregation_lab.model.m2dino import Parts
from aggregation_lab.tasks import Task, TaskType
from runners.bench.recipe.networks import PooledResNet, ResNetDecoder, UNet

UNET, RESNET = "U-Net", "ResNet18"


class PlainModel(nn.Module):
    """`network`, and what `M2DINO` offers a `Trainer` besides. `loss` as in `heads.network.Network`, `read` makes
    normalised predictions of an output."""

    moe: Mapping[int, Any] = MappingProxyType({})

    def __init__(
        self, network: nn.Module, loss: Callable[[Tensor, Tensor], Tensor], read: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.network, self.loss, self.read = network, loss, read

    def forward(
        self, images: Tensor, task_index: Tensor, parts: Parts, *, tokens: Tensor | None, depth: Tensor | None
    ) -> dict[str, Tensor]:
        ((task, _),) = parts
        return {task: self.network(images)}

    @torch.no_grad()
    def predict(self, images: Tensor, task: Task, tokens: Tensor | None) -> Tensor:
        return self.read(self.network(images))

    def draw_depth(self, count: int) -> Tensor:
        return torch.empty(count, 0)

    def forget(self) -> None:
        """Nothing is left behind by a pass."""

    def balance(self) -> float:
        return 0.0


def plain_models(task: Task) -> dict[str, PlainModel]:
    """The networks that are usual for the task's type, by name."""
    classes = task.classes
    if task.type is TaskType.SEGMENTATION:
        networks = {UNET: UNet(classes), RESNET: ResNetDecoder(classes)}
        return {name: PlainModel(network, segmentation_loss, _class_map) for name, network in networks.items()}
    if task.type is TaskType.CLASSIFICATION:
        return {RESNET: PlainModel(PooledResNet(classes), classification_loss, _probabilities)}
    if task.type is TaskType.DETECTION:
        return {
            UNET: PlainModel(UNet(2), _corners_loss, _box_of_corners),
            RESNET: PlainModel(PooledResNet(4), _box_loss, _box),
        }
    return {
        UNET: PlainModel(UNet(classes), regression_loss, mean_position),
        RESNET: PlainModel(PooledResNet(2 * classes), _points_loss, _points),
    }


def _class_map(logits: Tensor) -> Tensor:
    return logits.argmax(1).byte()


def _probabilities(logits: Tensor) -> Tensor:
    return logits.softmax(1)


def _points(output: Tensor) -> Tensor:
    return output.sigmoid().unflatten(1, (-1, 2))


def _points_loss(output: Tensor, points: Tensor) -> Tensor:
    return 10 * (_points(output) - points).abs().mean((1, 2))


def _sides_loss(found: Tensor, boxes: Tensor) -> Tensor:
    return 2 * (found - boxes).abs().mean(1) + giou_loss(found, boxes)


def _unclipped_box(output: Tensor) -> Tensor:
    centre, sides = output.sigmoid().split(2, 1)
    return torch.cat([centre - sides / 2, centre + sides / 2], 1)


def _box(output: Tensor) -> Tensor:
    return _unclipped_box(output).clamp(0, 1)


def _box_loss(output: Tensor, boxes: Tensor) -> Tensor:
    return _sides_loss(_unclipped_box(output), boxes)


def _box_of_corners(logits: Tensor) -> Tensor:
    """The upright box between two points, each under a heat map of its own: B x 2 x h x w -> B x 4."""
    corners = mean_position(logits)
    return torch.cat([corners.amin(1), corners.amax(1)], 1)


def _corners_loss(logits: Tensor, boxes: Tensor) -> Tensor:
    return heat_map_loss(logits, boxes.unflatten(1, (2, 2))) + _sides_loss(mean_position(logits).flatten(1), boxes)
