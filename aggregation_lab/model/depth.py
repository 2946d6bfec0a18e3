"""Stochastic depth whose draws are made once per batch, before the batch goes through the model.

A batch that goes through in pieces, because memory is short, then drops the same paths as it would in one piece.
"""

from typing import Any

import torch
from timm.layers import DropPath
from timm.models.eva import Eva
from torch import Tensor, nn


class DepthContext:
    """The draws for the images under way, B x paths: 0 where the path is dropped, 1 / share kept where it is not."""

    draws: Tensor


class DrawnDropPath(nn.Module):
    """Multiplies a path by its draw for each image (Huang et al. 2016); does nothing in evaluation mode."""

    def __init__(self, *, rate: float, position: int, context: DepthContext):
        super().__init__()
        self.rate, self.position, self.context = rate, position, context

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x * self.context.draws[:, self.position].view(-1, *(1 for _ in x.shape[1:])).to(x.dtype)


def draw_outside(encoder: Eva, context: DepthContext, first_block: int) -> list[DrawnDropPath]:
    """Replace the drop paths from `first_block` on, and return them in the order in which they act."""
    paths: list[DrawnDropPath] = []
    block: Any
    for block in encoder.blocks[first_block:]:
        for name in ("drop_path1", "drop_path2"):
            path = getattr(block, name)
            if isinstance(path, DropPath):
                paths.append(DrawnDropPath(rate=path.drop_prob, position=len(paths), context=context))
                setattr(block, name, paths[-1])
    return paths


def draw(paths: list[DrawnDropPath], count: int, device: torch.device) -> Tensor:
    """The draws for `count` images: B x paths."""
    kept = [1 - path.rate for path in paths]
    return torch.stack([torch.empty(count, device=device).bernoulli_(share).div_(share) for share in kept], 1)
