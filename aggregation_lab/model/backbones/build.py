"""From the name of a network of timm to a backbone, from a random start, the hub or a local checkpoint."""

import difflib
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import timm
import torch
from timm.layers import DropPath
from torch import nn

from aggregation_lab.errors import ModelError
from aggregation_lab.model.backbones.base import Backbone
from aggregation_lab.model.backbones.plain_vit import PlainViT, fitted_size
from aggregation_lab.model.backbones.pyramid import STRIDES, Pyramid
from aggregation_lab.model.backbones.weights import check_checkpoint, from_hub, load_checkpoint, unloaded


@dataclass(frozen=True)
class Description:
    """What is known of a network before it is built: what its constructor takes, timm's `feature_info`, and the side
    of its tokens in pixels where all its maps are of one stride. `sizeless`: its positions are in rotary embeddings
    alone, which fit any image."""

    takes: frozenset[str]
    stages: Sequence[Mapping[str, Any]]
    patch: int | None
    sizeless: bool

    def options(self, image_size: int, drop_path: float) -> dict[str, Any]:
        """Arguments that build it for square images of `image_size` pixels."""
        options: dict[str, Any] = {"num_classes": 0}
        if self.sizeless:
            options["dynamic_img_size"] = True
        elif "strict_img_size" in self.takes and self.patch is None:
            options["strict_img_size"] = False
        elif "img_size" in self.takes:
            options["img_size"] = fitted_size(image_size, self.patch or 1)
        return options | ({"drop_path_rate": drop_path} if "drop_path_rate" in self.takes else {})


def build_backbone(
    name: str, *, weights: str = "random", digest: str = "", drop_path: float = 0.0, image_size: int = 224
) -> Backbone:
    """A network of timm without its classifier, for square images of `image_size` pixels.

    `weights` is `random`, `hub`, or the path of a local checkpoint, whose SHA-256 begins with `digest`. Raises
    `ModelError` for an unknown name, a network whose maps do not fit, a failed download, or a checkpoint that does not
    fit or is not of that digest.
    """
    known = _described(name)
    options = known.options(image_size, drop_path)
    network = from_hub(name, options) if weights == "hub" else unloaded(name, options)
    if drop_path and not any(isinstance(module, DropPath) for module in network.modules()):
        raise ModelError(f"model.drop_path: {drop_path:g}, but {name} has no stochastic depth; set drop_path: 0")
    if weights == "random":
        _unit_layer_scale(network)
    elif weights != "hub":
        load_checkpoint(name, network, Path(weights), digest)
    backbone = (
        Pyramid(name, network, known.stages) if known.patch is None else PlainViT(name, network, patch=known.patch)
    )
    if not known.sizeless:
        _try(backbone, image_size)
    return backbone


@cache
def weights_note(name: str, weights: str, image_size: int) -> str:
    """What a run will say of its local checkpoint, found without building the network; empty where all of it fits, and
    for a random start or the hub. Raises `ModelError` where the checkpoint cannot be used."""
    if weights in ("random", "hub"):
        return ""
    options = _described(name).options(image_size, 0.0)
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        network = unloaded(name, options)
    return check_checkpoint(name, network, Path(weights))


@cache
def _described(name: str) -> Description:
    """Raises `ModelError` where timm has no such network, or the model cannot read its maps."""
    if not timm.is_model(name.split(".")[0]):
        close = difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.3)
        raise ModelError(f"model.encoder: unknown encoder {name!r}; timm has {', '.join(close) or 'no such name'}")
    with torch.random.fork_rng(devices=[]), torch.device("meta"):  # shapes without numbers; no draw is taken
        network: Any = unloaded(name, {"num_classes": 0})
    info = getattr(network, "feature_info", [])
    stages = [dict(stage) for stage in (info if isinstance(info, list) else info.get_dicts())]
    strides = {stage["reduction"] for stage in stages}
    usable = hasattr(network, "forward_intermediates") and hasattr(network, "prune_intermediate_layers")
    is_vit = len(strides) == 1 and hasattr(network, "blocks") and hasattr(network, "embed_dim")
    if not usable or not (is_vit or strides >= set(STRIDES)):
        found = f"maps at stride {', '.join(map(str, sorted(strides)))}" if strides else "no maps"
        raise ModelError(
            f"model.encoder: {name} cannot be used, it has {found}; take a plain ViT, or a network with maps at "
            "strides 4, 8 and 16, such as a ResNet, ConvNeXt, Swin or EfficientNet"
        )
    kinds = [kind for kind in type(network).__mro__ if kind.__module__.startswith("timm.") and "__init__" in vars(kind)]
    takes = frozenset(name for kind in kinds for name in inspect.signature(vars(kind)["__init__"]).parameters)
    sizeless = is_vit and "dynamic_img_size" in takes and getattr(network, "pos_embed", 0) is None
    return Description(takes, stages, strides.pop() if is_vit else None, sizeless)


def _try(backbone: Backbone, size: int) -> None:
    """One image through a network whose kind is new to the model: are its maps what timm says they are?"""
    device = next(backbone.network.parameters()).device
    backbone.network.eval()
    try:
        with torch.no_grad():
            deep, path = backbone.levels(torch.zeros(1, 3, size, size, device=device))
    except Exception as error:  # each network refuses a size in its own way
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"model.encoder: {backbone.name} cannot read images of {size} pixels ({type(error).__name__}: {reason}); "
            "take another training.image_size or encoder"
        ) from error
    finally:
        backbone.network.train()
    if deep is not None:
        backbone.dim = deep.shape[1]
        side = fitted_size(size, backbone.patch) // backbone.patch if isinstance(backbone, PlainViT) else 0
        fits = deep.shape[-2:] == (side, side)
    else:
        fits = tuple(level.shape[1] for level in path) == backbone.path_widths
        sides = [size // stride for stride in STRIDES]
        fits = fits and [tuple(level.shape[-2:]) for level in path[: len(STRIDES)]] == [(s, s) for s in sides]
    if not fits:
        shapes = ", ".join("x".join(map(str, level.shape[1:])) for level in (deep, *path) if level is not None)
        raise ModelError(
            f"model.encoder: {backbone.name} makes maps of {shapes} from {size} pixels, which do not fit; take another"
        )


_LAYER_SCALE = re.compile(r"(^|\.)(gamma\w*|(layer_?scale\w*|ls\d?)(\.\w+)?)$")


def _unit_layer_scale(network: nn.Module) -> None:
    # A LayerScale of 1e-5 or 1e-6 suits a long pretraining; in a short training from a random start it would keep
    # every block close to the identity.
    for name, parameter in network.named_parameters():
        small = parameter.numel() and (parameter.is_meta or float(parameter.detach().abs().max()) < 0.01)
        if small and _LAYER_SCALE.search(name):
            nn.init.ones_(parameter)
