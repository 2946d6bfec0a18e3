"""The model of a study without its numbers: what keeps it from being built, what it computes and what it holds.

It is made on torch's meta device, where tensors have a shape and no content, so even a large network takes no memory
and is counted exactly. Loading torch takes a few seconds, so what is known without it is not asked here.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from aggregation_lab.config import ModelConfig

if TYPE_CHECKING:
    from aggregation_lab.model.m2dino import M2DINO

IMAGES = 2
"""Images of a counted step; batch norm asks for more than one."""


@dataclass(frozen=True)
class DryCount:
    """Of a model with one task of the first type, segmentation: operations of one forward and backward pass and bytes
    kept in between, both for one image, and parameters that learn and that are frozen."""

    flops: float
    activation_bytes: float
    trained: int
    frozen: int


@cache
def dry_model(model: ModelConfig, image_size: int) -> "M2DINO":
    """Raises `ModelError` where it cannot be built; weights are left out."""
    import torch

    from aggregation_lab.model.m2dino import build_m2dino
    from aggregation_lab.tasks import Task, TaskType

    task = Task("any", next(iter(TaskType)), 2, "any")
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return build_m2dino(model.model_copy(update={"weights": "random"}), [task], image_size=image_size)


@cache
def dry_count(model: ModelConfig, image_size: int) -> DryCount:
    """What a training step takes. Raises `ModelError` as `dry_model` does."""
    import torch

    from aggregation_lab.training.flops import count_flops

    dry = dry_model(model, image_size)
    parameters = list(dry.parameters())
    held = {parameter.untyped_storage()._cdata for parameter in parameters}
    kept: dict[int, Any] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in held:
            kept[storage._cdata] = storage  # held on to, so that no other takes its place
        return tensor

    def loss() -> torch.Tensor:
        tokens = torch.zeros(IMAGES, *dry.backbone.token_shape(image_size)) if dry.frozen_blocks else None
        index = torch.zeros(IMAGES, dtype=torch.long)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            return dry(torch.zeros(IMAGES, 3, image_size, image_size), index, [("any", slice(None))], tokens=tokens)[
                "any"
            ].sum()

    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        flops = count_flops(loss)
    learning = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    everything = sum(parameter.numel() for parameter in parameters)
    saved = sum(storage.nbytes() for storage in kept.values())
    return DryCount(flops / IMAGES, saved / IMAGES, learning, everything - learning)
