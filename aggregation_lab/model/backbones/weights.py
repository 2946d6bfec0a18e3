"""The weights an encoder starts from: none, those of the hub, or a local checkpoint."""

from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file
from timm.models.eva import checkpoint_filter_fn

from aggregation_lab.errors import ModelError


def unloaded(name: str, options: dict[str, Any]) -> Any:
    """A network of timm at its random start. Raises `ModelError` where it cannot be built."""
    try:
        return timm.create_model(name, **options)
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:  # such as weights that timm does not have
        raise ModelError(f"model.encoder: {name!r} cannot be built ({' '.join(str(error).split())[:200]})") from error


def from_hub(name: str, options: dict[str, Any]) -> Any:
    """A network of timm with the weights that timm downloads. Raises `ModelError` where that fails."""
    try:
        return timm.create_model(name, pretrained=True, **options)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"model.weights: {name} could not be loaded from the hub ({reason}); "
            "give the path of a local checkpoint instead"
        ) from error


def load_checkpoint(encoder: Any, path: Path) -> None:
    """Load a local checkpoint (.safetensors, or a torch file read as weights only, so it cannot run code).

    Raises `ModelError` where the file is missing or unreadable, and lists missing, unexpected and misshapen keys.
    """
    if not path.is_file():
        raise ModelError(f"model.weights: {path} does not exist; give `random`, `hub` or the path of a checkpoint")
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
        for wrapper in ("state_dict", "model", "teacher"):
            state = state.get(wrapper, state)
        state = {key.removeprefix("module.").removeprefix("backbone."): value for key, value in state.items()}
        if "storage_tokens" in state:
            state = checkpoint_filter_fn(state, encoder)
    except Exception as error:  # each file format fails in its own way; every one of them is the user's file
        raise ModelError(
            f"model.weights: {path} is not a checkpoint of weights ({' '.join(str(error).split())[:200]})"
        ) from error
    expected = encoder.state_dict()
    faults = {
        "missing": sorted(expected.keys() - state.keys()),
        "unexpected": sorted(state.keys() - expected.keys()),
        "of another size": [
            f"{key} {tuple(state[key].shape)} instead of {tuple(expected[key].shape)}"
            for key in sorted(expected.keys() & state.keys())
            if state[key].shape != expected[key].shape
        ],
    }
    if any(faults.values()):
        listed = "; ".join(f"{kind}: {', '.join(keys)}" for kind, keys in faults.items() if keys)
        raise ModelError(f"model.weights: {path} does not fit the encoder; {listed}")
    encoder.load_state_dict(state)
