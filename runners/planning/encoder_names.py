"""Whether timm has the encoder of a study, asked without loading torch, so that a plan stays quick."""

import difflib
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from aggregation_lab.config import ModelConfig
from aggregation_lab.text import printable
from runners.planning.cost import shape

_WEIGHTS = re.compile(r"^\s+'(\w*dinov3\w*)(?:\.(\w+))?': _", re.MULTILINE)
"""A line of timm's source such as `'vit_small_patch16_dinov3.lvd1689m': _dinov3_cfg(`: an encoder and its weights."""


@cache
def known_encoders() -> dict[str, tuple[str, ...]]:
    """Names of timm's DINOv3 ViTs, each with the names of its weights."""
    timm = find_spec("timm")
    source = Path(timm.origin).parent / "models" / "eva.py" if timm and timm.origin else None
    listed = _WEIGHTS.findall(source.read_text(encoding="utf-8")) if source and source.is_file() else []
    if not listed:  # another release of timm may keep them elsewhere
        import timm as library

        listed = [(name, "") for name in library.list_models("*dinov3*")]
    weights: dict[str, tuple[str, ...]] = {}
    for name, tag in listed:
        weights[name] = (*weights.get(name, ()), *([tag] if tag else []))
    return weights


def encoder_fault(model: ModelConfig) -> str | None:
    """What keeps the model from being built, as `field: what it takes`; None where nothing does."""
    known = known_encoders()
    name, _, tag = model.encoder.partition(".")
    if name not in known:
        close = difflib.get_close_matches(model.encoder, known, n=3, cutoff=0.3) or known
        return f"model.encoder: unknown DINOv3 encoder {printable(model.encoder)!r}; timm has {', '.join(close)}"
    if tag and known[name] and tag not in known[name]:
        return f"model.encoder: {name} has no weights {printable(tag)!r}; timm has {', '.join(known[name])}"
    return _size_fault(model, name)


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
