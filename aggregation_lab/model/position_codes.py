"""The encoder's rotary position codes, kept from one pass to the next."""

from typing import Any

import torch
from timm.layers import RotaryEmbeddingDinoV3
from timm.models.eva import Eva
from torch import Tensor, nn


class KeptPositionCodes(nn.Module):
    """What timm's `rope` gives for a grid of patches, made once for each grid, device and type.

    timm makes the codes anew in every pass, on the host: an accelerator would be waited for until its queue is empty,
    then wait for them. They depend on nothing but the grid.
    """

    def __init__(self, rope: nn.Module):
        super().__init__()
        self.rope: Any = rope
        self._made: tuple[tuple[object, ...], Tensor] | None = None

    def get_embed(self, shape: tuple[int, int], dtype: torch.dtype | None = None) -> Tensor:
        """Sines and cosines of the grid's cells: cells x twice the size of a head."""
        periods = self.rope.periods
        wanted = tuple(shape), dtype, periods.device, periods.dtype
        if self._made is None or self._made[0] != wanted:
            with torch.inference_mode(False):  # in which they could not be trained with
                self._made = wanted, self.rope.get_embed(shape, dtype)
        return self._made[1]


def keep_position_codes(encoder: Eva) -> None:
    """Let a DINOv3 ViT keep its codes, unless they are drawn at random in training."""
    rope = encoder.rope
    if isinstance(rope, RotaryEmbeddingDinoV3) and not rope.aug_active:
        encoder.rope = KeptPositionCodes(rope)
