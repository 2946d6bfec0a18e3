"""The last part of a model that all its tasks share, run by itself: what gradients of tasks are compared on.

The last block of a plain ViT with the norm after it, and the fusion; of other networks the fusion alone. What lies
below is computed once for a batch, and the last part as often as its weights, or the heads that read it, are to be
tried.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from aggregation_lab.model.m2dino import M2DINO
from aggregation_lab.model.shared_maps import SharedMaps

LAST_BLOCKS = 1
"""Blocks of a plain ViT that belong to the last part."""


@dataclass(frozen=True)
class Below:
    """What images give as far as their task plays no role: `tokens` below the first block with experts, or, where they
    are known, the `deep` map; and the maps of the `path`, as `Fusion` takes both."""

    images: Tensor
    path: tuple[Tensor, ...]
    tokens: Tensor | None = None
    deep: Tensor | None = None

    def of(self, rows: Tensor | slice) -> "Below":
        """Those of some of the images."""
        return Below(
            self.images[rows], tuple(level[rows] for level in self.path), _of(self.tokens, rows), _of(self.deep, rows)
        )

    @staticmethod
    def joined(pieces: Sequence["Below"]) -> "Below":
        """Those of all pieces of a batch."""
        tokens, deep = (_joined([getattr(piece, name) for piece in pieces]) for name in ("tokens", "deep"))
        return Below(torch.cat([piece.images for piece in pieces]), _joined_path(pieces), tokens, deep)


@dataclass(frozen=True)
class Entry:
    """What the last part reads: `deep`, all tokens before the last block or the deepest map, and the maps of `path`."""

    deep: Tensor | None
    path: tuple[Tensor, ...]

    def of(self, rows: slice) -> "Entry":
        """Those of some of the images."""
        return Entry(_of(self.deep, rows), tuple(level[rows] for level in self.path))

    @staticmethod
    def joined(pieces: Sequence["Entry"]) -> "Entry":
        """Those of all pieces of a batch."""
        return Entry(_joined([piece.deep for piece in pieces]), _joined_path(pieces))


class LastPart:
    """The last part of `model`, which is to be in evaluation mode; `parameters` are those of it that learn."""

    def __init__(self, model: M2DINO):
        self.model = model
        backbone = model.backbone
        depth = len(backbone.blocks)
        self._in_blocks = backbone.freezable and depth > LAST_BLOCKS
        parts: list[nn.Module] = [model.fusion]
        if self._in_blocks:
            self._first = max(depth - LAST_BLOCKS, model.frozen_blocks)
            self._stem = min([*model.moe, self._first])
            parts = [*backbone.blocks[self._first :], backbone.network.norm, *parts]
        self.parameters = [each for part in parts for each in part.parameters() if each.requires_grad]

    @torch.no_grad()
    def below(self, images: Tensor, tokens: Tensor | None = None) -> Below:
        """For B x 3 x S x S normalised images; `tokens` are those of frozen blocks, as in `M2DINO`."""
        model = self.model
        if self._in_blocks:
            if tokens is not None:
                tokens = model.backbone.tokens_between(tokens, model.frozen_blocks, self._stem)
            elif self._stem:
                tokens = model.backbone.trunk_tokens(images, self._stem)
            return Below(images, self._path(images), tokens)
        if model.moe:  # of a network whose blocks cannot be run one by one
            return Below(images, self._path(images))
        deep, path = model.levels(images)
        return Below(images, _in_float32(path), deep=deep)

    def _path(self, images: Tensor) -> tuple[Tensor, ...]:
        """The maps of the image path, which every plain ViT has beside it."""
        return () if self.model.image_path is None else _in_float32(self.model.image_path(images))

    @torch.no_grad()
    def enter(self, below: Below, task_index: Tensor) -> Entry:
        """What the last part reads of the images where each is of the task at its position of `task_index`, in float32
        whatever the precision below."""
        self.model.condition(task_index)
        deep = below.deep
        if self._in_blocks and below.tokens is None:
            deep = self.model.backbone.trunk_tokens(below.images, self._first)
        elif self._in_blocks:
            deep = self.model.backbone.tokens_between(below.tokens, self._stem, self._first)
        elif self.model.moe:
            deep = self.model.backbone.deep_map(below.images)
        return Entry(None if deep is None else deep.float(), below.path)

    def maps(self, entry: Entry, task_index: Tensor) -> SharedMaps:
        """The maps that heads read, differentiable in `parameters`."""
        with torch.no_grad():
            self.model.condition(task_index)
        deep = self.model.backbone.map_of_last(entry.deep, self._first) if self._in_blocks else entry.deep
        return self.model.fusion(deep, entry.path)

    def head(self, task: str, entry: Entry, task_index: Tensor, size: int) -> tuple[Tensor, Any]:
        """What the head of one task reads of all the images, and what it makes of it; `size` is an image's side."""
        view = self.model.fusion.read(self.maps(entry, task_index), self.model.views[task])
        return view, self.model.heads[task](view, size)

    def gates_below(self, count: int) -> Tensor:
        """Mean gates of all experts below the last part for the `count` images of the last `enter`: count x gates."""
        return self._gates(count, within=False)

    def gates_within(self, count: int) -> Tensor:
        """The same of the experts in the last part, for the images of the last `maps`."""
        return self._gates(count, within=True)

    def _gates(self, count: int, within: bool) -> Tensor:
        layers = [
            layer.usage
            for block, layer in self.model.moe.items()
            if within == (self._in_blocks and block >= self._first)
        ]
        device = self.model.task_embedding.weight.device
        return torch.cat([torch.empty(count, 0, device=device), *layers], 1)


def _of(values: Tensor | None, rows: Tensor | slice) -> Tensor | None:
    return None if values is None else values[rows]


def _joined(pieces: Sequence[Tensor | None]) -> Tensor | None:
    known = [piece for piece in pieces if piece is not None]
    return torch.cat(known) if known else None


def _joined_path(pieces: Sequence[Below] | Sequence[Entry]) -> tuple[Tensor, ...]:
    return tuple(torch.cat(levels) for levels in zip(*(piece.path for piece in pieces), strict=True))


def _in_float32(maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(level.float() for level in maps)
