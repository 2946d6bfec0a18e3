"""M2DINO: one encoder with task-conditioned experts, an image path beside it, maps that all share, a head per task.

With a network that has fine maps of its own, such as a ResNet, it is that network with a feature pyramid and the heads.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from aggregation_lab.config import ModelConfig
from aggregation_lab.errors import ModelError
from aggregation_lab.model.backbones.base import Backbone, Levels
from aggregation_lab.model.backbones.build import build_backbone
from aggregation_lab.model.depth import DepthContext, draw, draw_outside
from aggregation_lab.model.heads.by_task import TaskHeads
from aggregation_lab.model.image_path import WIDTHS, ImagePath
from aggregation_lab.model.moe import MoE, TaskContext, build_moe
from aggregation_lab.model.shared_maps import Fusion, SharedMaps, View, joined
from aggregation_lab.tasks import Task

Parts = Sequence[tuple[str, slice]]
"""Which rows of a batch belong to which task: a batch holds its tasks in blocks."""


class M2DINO(nn.Module):
    """The model of one unit.

    `outputs = model(images, task_index, parts)`: `images` B x 3 x S x S, normalised; `task_index` B positions in
    `tasks`, `parts` the blocks of the batch by task. The result maps each task to its head's output for its rows.
    Where blocks are frozen, `tokens` may bring what `trunk` makes of the images.
    """

    def __init__(
        self,
        *,
        backbone: Backbone,
        tasks: Sequence[Task],
        heads: TaskHeads,
        moe: dict[int, MoE],
        context: TaskContext,
        fusion: Fusion,
        image_path: ImagePath | None,
        frozen_blocks: int = 0,
    ):
        super().__init__()
        self.backbone = cast(Any, backbone)  # where blocks are frozen it is a `PlainViT`
        self.encoder = backbone.network
        self.tasks = tuple(tasks)
        self.heads = heads
        self.views = {task.name: task.type.network.view for task in tasks}
        self.image_path = image_path
        self.fusion = fusion
        self.task_embedding = nn.Embedding(len(tasks), backbone.token_width)
        nn.init.normal_(self.task_embedding.weight, std=0.02)
        self.moe = moe  # the encoder's own layers, by block: a view for recording, registered there already
        self._context = context
        self.frozen_blocks = frozen_blocks
        self._depth = DepthContext()
        self._drop_paths = draw_outside(backbone, self._depth, frozen_blocks)
        if frozen_blocks:
            self.backbone.freeze_trunk(frozen_blocks)
        self.train(self.training)

    def forward(
        self,
        images: Tensor,
        task_index: Tensor,
        parts: Parts,
        *,
        tokens: Tensor | None = None,
        depth: Tensor | None = None,
    ) -> dict[str, Any]:
        """`depth`: rows of `draw_depth`, where the images are a piece of the batch it was drawn for."""
        if self.training and self._drop_paths:
            self._depth.draws = self.draw_depth(len(images)) if depth is None else depth
        self.condition(task_index)
        return self.read_out(self.fusion(*self.levels(images, tokens)), parts, images.shape[-1])

    def condition(self, task_index: Tensor) -> None:
        """Tell the experts the task of each image of the batch under way."""
        self._context.embedding = self.task_embedding(task_index).unsqueeze(1)

    def read_out(self, maps: SharedMaps, parts: Parts, size: int) -> dict[str, Any]:
        """What the heads make of the shared maps of a batch, by task; `size` is the side of its images.

        Tasks that read the same view read it together: a block may be one image, and each reading has its price. A task
        alone is never cut, so that an exported model takes any number of images.
        """
        if len(parts) == 1:
            ((task, _),) = parts
            return {task: self.heads[task](self.fusion.read(maps, self.views[task]), size)}
        sizes = [rows.stop - rows.start for _, rows in parts]
        blocks = maps.split(sizes)
        readers: dict[View, list[int]] = {}
        for place, (task, _) in enumerate(parts):
            readers.setdefault(self.views[task], []).append(place)
        seen: dict[int, Tensor] = {}
        for view, places in readers.items():
            read = self.fusion.read(joined([blocks[place] for place in places]), view)
            seen |= zip(places, read.split([sizes[place] for place in places]), strict=True)
        return {task: self.heads[task](seen[place], size) for place, (task, _) in enumerate(parts)}

    def levels(self, images: Tensor, tokens: Tensor | None = None) -> Levels:
        """What the fusion reads: the encoder's maps, and those of the image path where the encoder has no fine ones."""
        if self.image_path is None:
            return self.backbone.levels(images)
        if not self.frozen_blocks:
            deep = self.backbone.deep_map(images)
        else:
            tokens = self.trunk(images) if tokens is None else tokens
            deep = self.backbone.map_above_trunk(tokens, self.frozen_blocks)
        return deep, self.image_path(images)

    def draw_depth(self, count: int) -> Tensor:
        """The random draws of stochastic depth for a batch of `count` images: count x paths, 0 paths without it."""
        device = self.task_embedding.weight.device
        return draw(self._drop_paths, count, device) if self._drop_paths else torch.empty(count, 0, device=device)

    @torch.no_grad()
    def trunk(self, images: Tensor) -> Tensor:
        """What the frozen blocks make of B x 3 x S x S normalised images: all their tokens, B x N x D."""
        return self.backbone.trunk_tokens(images, self.frozen_blocks)

    def train(self, mode: bool = True) -> "M2DINO":
        """Frozen blocks stay in evaluation mode: what they make of an image never changes."""
        super().train(mode)
        if self.frozen_blocks:
            self.encoder.blocks[: self.frozen_blocks].eval()
        return self

    def compile_encoder(self) -> None:
        """Let torch.compile work on the encoder, or on what is trained of it."""
        self.backbone.compile()

    @torch.no_grad()
    def predict(self, images: Tensor, task: Task, tokens: Tensor | None = None) -> Tensor:
        """Normalised predictions of one task (see `task.type`) for a batch of images."""
        index = torch.full((len(images),), self.tasks.index(task), device=images.device)
        output = self(images, index, [(task.name, slice(None))], tokens=tokens)[task.name]
        head: Any = self.heads[task.name]
        return head.predict(output)

    def forget(self) -> None:
        """Let go of what the last pass left behind, such as one that memory was too short for."""
        for layer in self.moe.values():
            layer.balance = None

    def balance(self) -> Tensor | float:
        """Mean load-balance term over the MoE layers; 0 without top-k routing."""
        terms = [layer.balance for layer in self.moe.values() if layer.balance is not None]
        return torch.stack(terms).mean() if terms else 0.0


def build_m2dino(
    config: ModelConfig, tasks: Sequence[Task], seed: int = 0, image_size: int = 224, weights_digest: str = ""
) -> M2DINO:
    """A fresh model for square images of `image_size` pixels. Its start depends on the seed only: a task's head, and
    all that is shared but the task embedding, start alike in every unit. The embedding is drawn as one table of all
    `tasks`, so a task's row (standard deviation 0.02) depends on the others; before the first step the output does not.

    `weights_digest` is how the SHA-256 of a local checkpoint has to begin. Raises `ModelError` for an encoder,
    checkpoint, number of experts or of frozen blocks that cannot be used.
    """
    torch.manual_seed(seed)
    backbone = build_backbone(
        config.encoder,
        weights=config.weights,
        digest=weights_digest,
        drop_path=config.drop_path,
        image_size=image_size,
    )
    context = TaskContext()
    moe: dict[int, MoE] = {}
    blocks: Any = backbone.blocks
    depth = len(blocks)
    widened = config.moe.blocks if config.moe.experts else 0
    if widened and not depth:
        raise ModelError(
            f"model.moe.experts: {config.moe.experts}, but {config.encoder} is no plain ViT, whose blocks could carry "
            "them; set moe: {experts: 0}"
        )
    if config.frozen_blocks and not backbone.freezable:
        raise ModelError(
            f"model.frozen_blocks: {config.frozen_blocks}, but the blocks of {config.encoder} cannot be frozen; set 0"
        )
    if widened > depth:
        raise ModelError(f"model.moe.blocks: {widened}, but {config.encoder} has {depth} blocks")
    if config.frozen_blocks > depth - widened:
        held = f", the last {widened} of them with experts, which learn" if widened else ""
        raise ModelError(
            f"model.frozen_blocks: {config.frozen_blocks}, but {config.encoder} has {depth} blocks{held}; "
            f"freeze at most {depth - widened}"
        )
    if config.moe.experts:
        for index in range(depth - config.moe.blocks, depth):
            block = blocks[index]
            ffn = getattr(block, "mlp", None)
            block.mlp = moe[index] = build_moe(
                ffn, kind=config.moe.kind, experts=config.moe.experts, context=context, top_k=config.moe.top_k
            )
    torch.manual_seed(_name_seed(seed, "image path"))
    image_path = None if backbone.path_widths else ImagePath()
    fusion = Fusion(
        dim=backbone.dim,
        width=config.head_width,
        path_widths=backbone.path_widths or WIDTHS,
        normalise=bool(backbone.path_widths) and not backbone.has_batch_norm,
    )
    heads = []
    for task in tasks:
        torch.manual_seed(_name_seed(seed, task.name))
        network = task.type.network
        head = network.head(dim=fusion.size(network.view), classes=task.classes, width=config.head_width)
        heads.append((task.name, head))
    torch.manual_seed(_name_seed(seed, "task embedding"))
    return M2DINO(
        backbone=backbone,
        tasks=tasks,
        heads=TaskHeads(heads),
        moe=moe,
        context=context,
        fusion=fusion,
        image_path=image_path,
        frozen_blocks=config.frozen_blocks,
    )


def _name_seed(seed: int, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:7], "big")
