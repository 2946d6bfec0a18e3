"""The tensors of a checkpoint, whoever wrote it: read as weights only, so that no file can run code."""

import argparse
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from aggregation_lab.errors import ModelError
from aggregation_lab.text import printable


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a .safetensors or torch file under its dotted name, such as `model.encoder.blocks.0.norm1.weight`
    where dictionaries lie in dictionaries; the state of optimisers is left out.

    Raises `ModelError` where the file is missing, unreadable, or holds other things than plain values and tensors.
    """
    if not path.is_file():
        raise ModelError(f"model.weights: {path} does not exist; give `random`, `hub` or the path of a checkpoint")
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            with torch.serialization.safe_globals([argparse.Namespace]):  # settings beside the weights, plain values
                content = torch.load(path, "cpu", weights_only=True)
        tensors = dict(_tensors(content))
    except Exception as error:  # each file format fails in its own way; every one of them is the user's file
        raise ModelError(f"model.weights: {path} is not a checkpoint of weights {_why(error)}") from error
    if not tensors:
        raise ModelError(f"model.weights: {path} is not a checkpoint of weights (it holds no tensors)")
    return tensors


def _tensors(content: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    items = content.items() if isinstance(content, Mapping) else ()
    for key, value in items:
        if isinstance(key, str) and isinstance(value, Tensor):
            yield prefix + key, value.detach()
        elif isinstance(key, str) and not key.startswith("optim"):
            yield from _tensors(value, f"{prefix}{key}.")


def _why(error: Exception) -> str:
    text = " ".join(str(error).split())
    foreign = re.search(r"Unsupported (?:global|class|operand).*?GLOBAL ([\w.]+)", text)
    if foreign:
        advice = "save its weights alone, as in torch.save(checkpoint['state_dict'], file), and give that file"
        return f"alone: it holds a {printable(foreign[1])}, and opening that could run code; {advice}"
    return f"({printable(text)})"
