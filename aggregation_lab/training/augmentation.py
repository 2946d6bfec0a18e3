"""Augmentation that respects the task: masks, boxes and points move with the image, and only tasks whose target
survives it are mirrored. Runs on the device, on the whole batch at once."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from aggregation_lab.model.heads.network import Movement
from aggregation_lab.tasks import Task
from aggregation_lab.training.batches import Batch
from aggregation_lab.training.device import to_device

SCALE = 0.15
SHIFT = 0.08
"""Largest change of size, and largest shift as a share of the image's side."""
CONTRAST = 0.25
BRIGHTNESS = 0.1


def to_model_input(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """B x (1 or 3) x S x S uint8 or float in 0..255 -> B x 3 x S x S normalised as the encoder expects."""
    return ((images.float() / 255).expand(-1, 3, -1, -1) - mean) / std


def augment(batch: Batch, tasks: dict[str, Task], random: torch.Generator) -> Batch:
    """Random scale, shift and mirroring, contrast and brightness.

    Draws come from `random`, a CPU generator, so they are the same on every device. Images come back as float.
    """
    size = len(batch.images)
    draws = torch.rand(size, 6, generator=random)
    scale = 1 + SCALE * (2 * draws[:, 0] - 1)
    shift = 2 * SHIFT * (2 * draws[:, 1:3] - 1)  # in units of grid_sample, whose sides run from -1 to 1
    flips = torch.cat([torch.full((rows.stop - rows.start,), tasks[name].flips) for name, rows in batch.parts])
    mirror = torch.where(flips & (draws[:, 3] < 0.5), -1.0, 1.0)
    # output position -> input position: in = factor * out + shift
    factor = torch.stack([mirror / scale, 1 / scale], 1)
    drawn = to_device(torch.cat([factor, shift, draws[:, 4:] * 2 - 1], 1), batch.images.device)
    factor, shift, (contrast, brightness) = drawn[:, :2], drawn[:, 2:4], drawn[:, 4:].T
    theta = torch.cat([torch.diag_embed(factor), shift.unsqueeze(-1)], -1)
    grid = F.affine_grid(theta, [size, 1, *batch.images.shape[-2:]], align_corners=False)
    movement = Movement(grid, factor, shift)
    images = F.grid_sample(batch.images.float(), movement.grid, align_corners=False)
    images = (
        images * (1 + CONTRAST * contrast)[:, None, None, None] + 255 * BRIGHTNESS * brightness[:, None, None, None]
    )
    targets = {
        name: tasks[name].type.network.move(batch.targets[name], movement.of(rows)) for name, rows in batch.parts
    }
    return replace(batch, images=images.clamp(0, 255), targets=targets)
