"""How large the parts are: as for a card, or as small as a test of the same code on the CPU needs."""

from dataclasses import dataclass, field
from typing import Any

import torch

from aggregation_lab.training.device import pick_device
from runners.bench.measuring import Cell
from runners.bench.setting import BATCH, ENCODER, Setting

Row = tuple[str, Cell, str]
"""What was measured, the figure, and how to read it."""


@dataclass(frozen=True)
class Scale:
    """`device` by name. `encoders` are timed for `seconds` each, with `BATCH` images and with as many as fit, up to
    `most_images`. `workers`: so many runs at a time. `steps`: length of the runs that are compared. `patience`:
    seconds that processes have to get ready. `study`: changes to the shipped demo."""

    setting: Setting
    device: str
    encoders: tuple[str, ...] = (ENCODER, "vit_small_patch16_dinov3", "vit_base_patch16_dinov3")
    seconds: float = 4.0
    most_images: int = 32 * BATCH
    workers: tuple[int, ...] = (1, 2, 4, 8)
    steps: int = 40
    patience: float = 120.0
    study: dict[str, Any] = field(default_factory=lambda: {"seeds": 1})

    @property
    def place(self) -> torch.device:
        """The device, chosen for this process."""
        return pick_device(self.device)
