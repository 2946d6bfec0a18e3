"""M2DINO: one encoder with task-conditioned experts, one spatial feature map, one head per task."""

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from timm.models.eva import Eva
from torch import Tensor, nn

from aggregation_lab.config import ModelConfig
from aggregation_lab.errors import ModelError
from aggregation_lab.model.encoder import build_encoder, spatial_map
from aggregation_lab.model.heads import HEADS
from aggregation_lab.model.moe import MoE, TaskContext, build_moe
from aggregation_lab.tasks import Task

Parts = Sequence[tuple[str, slice]]
"""Which rows of a batch belong to which task: a batch holds its tasks in blocks."""


class M2DINO(nn.Module):
    """The model of one unit.

    `outputs = model(images, task_index, parts)`: `images` B x 3 x S x S normalised, `task_index` B positions in
    `tasks`, `parts` the blocks of the batch by task. The result maps each task to its head's output for its rows.
    """

    def __init__(
        self,
        *,
        encoder: Eva,
        tasks: Sequence[Task],
        heads: nn.ModuleDict,
        moe: dict[int, MoE],
        context: TaskContext,
    ):
        super().__init__()
        self.encoder: Any = encoder  # timm's classes carry no types
        self.tasks = tuple(tasks)
        self.heads = heads
        self.task_embedding = nn.Embedding(len(tasks), self.encoder.embed_dim)
        nn.init.normal_(self.task_embedding.weight, std=0.02)
        self.moe = moe  # the encoder's own layers, by block: a view for recording, registered there already
        self._context = context

    def forward(self, images: Tensor, task_index: Tensor, parts: Parts) -> dict[str, Any]:
        self._context.embedding = self.task_embedding(task_index).unsqueeze(1)
        features = spatial_map(self.encoder, images)
        return {task: self.heads[task](features[rows], images.shape[-1]) for task, rows in parts}

    @torch.no_grad()
    def predict(self, images: Tensor, task: Task) -> Tensor:
        """Normalised predictions of one task for B x 3 x S x S images (see `model.heads`)."""
        index = torch.full((len(images),), self.tasks.index(task), device=images.device)
        output = self(images, index, [(task.name, slice(None))])[task.name]
        head: Any = self.heads[task.name]
        return head.predict(output)

    def balance(self) -> Tensor | float:
        """Mean load-balance term over the MoE layers; 0 without top-k routing."""
        terms = [layer.balance for layer in self.moe.values() if layer.balance is not None]
        return torch.stack(terms).mean() if terms else 0.0


def build_m2dino(config: ModelConfig, tasks: Sequence[Task], seed: int = 0) -> M2DINO:
    """A fresh model whose start depends on the seed only: a task's head starts alike in every unit it is trained in.

    Raises `ModelError` for an encoder, checkpoint or number of experts that cannot be used.
    """
    torch.manual_seed(seed)
    encoder = build_encoder(config.encoder, weights=config.weights, drop_path=config.drop_path)
    context = TaskContext()
    moe: dict[int, MoE] = {}
    if config.moe.experts:
        blocks: Any = encoder.blocks
        depth = len(blocks)
        if config.moe.blocks > depth:
            raise ModelError(f"model.moe.blocks: {config.moe.blocks}, but {config.encoder} has {depth} blocks")
        for index in range(depth - config.moe.blocks, depth):
            block = blocks[index]
            block.mlp = moe[index] = build_moe(
                block.mlp, kind=config.moe.kind, experts=config.moe.experts, context=context, top_k=config.moe.top_k
            )
    heads = nn.ModuleDict()
    for task in tasks:
        torch.manual_seed(_name_seed(seed, task.name))
        heads[task.name] = HEADS[task.type](dim=encoder.embed_dim, classes=task.classes, width=config.head_width)
    torch.manual_seed(_name_seed(seed, "task embedding"))
    return M2DINO(encoder=encoder, tasks=tasks, heads=heads, moe=moe, context=context)


def _name_seed(seed: int, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:7], "big")
