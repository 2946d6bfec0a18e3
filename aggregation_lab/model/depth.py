"""Stochastic depth whose draws are made once per batch, before the batch goes through the model.

A batch that goes through in pieces, because memory is short, then drops the same paths as it would in one piece.
"""

import torch
from timm.layers import DropPath
from torch import Tensor, nn

from aggregation_lab.model.backbones.base import Backbone


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


def draw_outside(backbone: Backbone, context: DepthContext, first_block: int) -> list[DrawnDropPath]:
    """Replace the network's drop paths, of a plain ViT those from `first_block` on, and return them in the order in
    which they stand in it, which is that in which they act."""
    parts = backbone.blocks[first_block:] if first_block else [backbone.network]
    paths: list[DrawnDropPath] = []
    for parent in [module for part in parts for module in part.modules()]:
        for name, path in list(parent.named_children()):
            if isinstance(path, DropPath):
                paths.append(DrawnDropPath(rate=path.drop_prob, position=len(paths), context=context))
                setattr(parent, name, paths[-1])
    return paths


def draw(paths: list[DrawnDropPath], count: int, device: torch.device) -> Tensor:
    """The draws for `count` images: B x paths."""
    kept = [1 - path.rate for path in paths]
    return torch.stack([torch.empty(count, device=device).bernoulli_(share).div_(share) for share in kept], 1)
