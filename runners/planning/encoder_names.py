"""Whether timm has the encoder of a study, and whether the model can be built around it.

Names are read from timm's sources, and the default family, DINOv3 ViTs, is checked without loading torch, so that a
plan stays quick. Any other encoder is built without its numbers, which takes a few seconds more.
"""

import difflib
import re
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from aggregation_lab.config import ModelConfig, TrainingConfig
from aggregation_lab.errors import ModelError
from aggregation_lab.text import printable
from runners.planning.cost import is_dinov3, shape
from runners.planning.dry_model import dry_model

_NAME = re.compile(r"^@register_model\s*\ndef (\w+)\(", re.MULTILINE)
"""Two lines of timm's source such as `@register_model` and `def resnet18(`: an encoder."""
_WEIGHTS = re.compile(r"^\s+'(\w*dinov3\w*)(?:\.(\w+))?': _", re.MULTILINE)
"""A line of timm's source such as `'vit_small_patch16_dinov3.lvd1689m': _dinov3_cfg(`: an encoder and its weights."""


def _sources(pattern: str) -> list[str]:
    timm = find_spec("timm")
    folder = Path(timm.origin).parent / "models" if timm and timm.origin else None
    return [file.read_text(encoding="utf-8") for file in sorted(folder.glob(pattern))] if folder else []


@cache
def known_encoders() -> tuple[str, ...]:
    """Names of timm's networks."""
    names = {name for source in _sources("*.py") for name in _NAME.findall(source)}
    if not names:  # another release of timm may keep them elsewhere
        import timm as library

        names = set(library.list_models())
    return tuple(sorted(names))


@cache
def dinov3_weights() -> dict[str, tuple[str, ...]]:
    """Names of timm's DINOv3 ViTs, each with the names of its weights."""
    weights: dict[str, tuple[str, ...]] = {}
    for name, tag in [found for source in _sources("eva.py") for found in _WEIGHTS.findall(source)]:
        weights[name] = (*weights.get(name, ()), *([tag] if tag else []))
    return weights


def encoder_fault(model: ModelConfig, training: TrainingConfig) -> str | None:
    """What keeps the model from being built, as `field: what it takes`; None where nothing does."""
    name, _, tag = model.encoder.partition(".")
    if name not in known_encoders():
        close = difflib.get_close_matches(name, known_encoders(), n=3, cutoff=0.3)
        named = f"; timm has {', '.join(close)}" if close else "; it takes the name of a network of timm"
        return f"model.encoder: unknown encoder {printable(model.encoder)!r}{named}"
    if not is_dinov3(name):

        def check() -> None:
            dry_model(model, training.image_size).backbone.check_batch(training.batch_size, training.aggregator)

        return _refusal(check) or _refusal(lambda: checkpoint_note(model, training))
    tags = dinov3_weights().get(name, ())
    if tag and tags and tag not in tags:
        return f"model.encoder: {name} has no weights {printable(tag)!r}; timm has {', '.join(tags)}"
    return _size_fault(model, name) or _refusal(lambda: checkpoint_note(model, training))


def checkpoint_note(model: ModelConfig, training: TrainingConfig) -> str:
    """What of a local checkpoint will not be used, and what of the encoder starts at random; empty where all fits, and
    where there is no such file. Raises `ModelError` where it does not fit."""
    if model.weights in ("random", "hub") or not Path(model.weights).is_file():
        return ""
    from aggregation_lab.model.backbones.build import weights_note

    return weights_note(model.encoder, model.weights, training.image_size)


def _refusal(check: Callable[[], object]) -> str | None:
    try:
        check()
    except ModelError as error:
        return str(error)
    return None


def _size_fault(model: ModelConfig, name: str) -> str | None:
    (width, depth), moe = shape(name), model.moe
    widened = moe.blocks if moe.experts else 0
    if widened and re.search("plus|7b", name):
        return f"model.moe: {name} has gated FFNs, which cannot carry experts; set experts: 0 or take another encoder"
    if widened and moe.kind == "split" and 4 * width % moe.experts:
        return f"model.moe.experts: {moe.experts} does not divide the encoder's {4 * width} hidden units"
    if widened > depth:
        return f"model.moe.blocks: {widened}, but {name} has {depth} blocks"
    if model.frozen_blocks > depth - widened:
        held = f", the last {widened} of them with experts, which learn" if widened else ""
        message = f"{model.frozen_blocks}, but {name} has {depth} blocks{held}; freeze at most {depth - widened}"
        return f"model.frozen_blocks: {message}"
    return None
