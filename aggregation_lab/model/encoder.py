"""The encoder: a DINOv3 ViT of timm, from a random start, the hub or a local checkpoint."""

import difflib
import hashlib
import math
from pathlib import Path
from typing import Any, cast

import timm
import torch
from safetensors.torch import load_file
from timm.models.eva import Eva, checkpoint_filter_fn
from torch import Tensor, nn

from aggregation_lab.errors import ModelError
from aggregation_lab.model.position_codes import keep_position_codes


def build_encoder(name: str, *, weights: str = "random", drop_path: float = 0.0) -> Eva:
    """A timm DINOv3 ViT without a classifier.

    `weights` is `random`, `hub`, or the path of a local checkpoint in timm's or the original release's key names.
    Raises `ModelError` for an unknown name, a failed download, or a checkpoint that does not fit.
    """
    known = [model for model in timm.list_models("*dinov3*")]
    if name.split(".")[0] not in known:
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.3) or known
        raise ModelError(f"model.encoder: unknown DINOv3 encoder {name!r}; timm has {', '.join(close)}")
    options: dict[str, Any] = {"num_classes": 0, "dynamic_img_size": True, "drop_path_rate": drop_path}
    encoder: Any = _from_hub(name, options) if weights == "hub" else _unloaded(name, options)
    if weights == "random":
        _unit_layer_scale(encoder)
    elif weights != "hub":
        load_checkpoint(encoder, Path(weights))
    keep_position_codes(encoder)
    return encoder


def _unloaded(name: str, options: dict[str, Any]) -> Any:
    try:
        return timm.create_model(name, **options)
    except RuntimeError as error:  # such as the name of weights that timm does not have
        raise ModelError(f"model.encoder: {name!r} cannot be built ({' '.join(str(error).split())[:200]})") from error


def _from_hub(name: str, options: dict[str, Any]) -> Any:
    try:
        return timm.create_model(name, pretrained=True, **options)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"model.weights: {name} could not be loaded from the hub ({reason}); "
            "give the path of a local checkpoint instead"
        ) from error


def _unit_layer_scale(encoder: Eva) -> None:
    # DINOv3's LayerScale of 1e-5 suits a long pretraining; in a short training from a random start it would keep
    # every block close to the identity.
    block: Any
    for block in encoder.blocks:
        for gamma in (block.gamma_1, block.gamma_2):
            if gamma is not None:
                nn.init.ones_(gamma)


LONGEST_PLAIN = 512
"""Tokens up to which attention may keep its whole map of tokens x tokens."""


def choose_attention(encoder: Eva, size: int, device: torch.device, precision: torch.dtype) -> None:
    """Fused attention for square images of `size` pixels, but plain products in bfloat16 on a CPU.

    There torch's fused backward pass takes two to five times as long. Plain products keep a map of tokens x tokens per
    head and block, so long sequences stay fused.
    """
    tokens = (size // encoder.patch_embed.patch_size[0]) ** 2 + encoder.num_prefix_tokens
    plain = device.type == "cpu" and precision == torch.bfloat16 and tokens <= LONGEST_PLAIN
    for block in encoder.blocks:
        cast(Any, block).attn.fused_attn = not plain


def load_checkpoint(encoder: Eva, path: Path) -> None:
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


def spatial_map(encoder: Eva, images: Tensor) -> Tensor:
    """The one spatial feature map: normalised patch tokens, class and register tokens left out.

    B x 3 x H x W images -> B x D x H/patch x W/patch.
    """
    patch_height, patch_width = encoder.patch_embed.patch_size
    grid = images.shape[-2] // patch_height, images.shape[-1] // patch_width
    return _map_of_patches(encoder, encoder.forward_features(images), grid)


def _map_of_patches(encoder: Eva, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    return tokens[:, encoder.num_prefix_tokens :].transpose(1, 2).unflatten(2, grid)


# ---- the encoder in two parts: a frozen trunk, and the blocks above it -------------------------------------------


def freeze_trunk(encoder: Eva, blocks: int) -> None:
    """Everything up to the end of the first `blocks` blocks stops learning."""
    encoder.requires_grad_(False)
    for part in (encoder.blocks[blocks:], encoder.norm):
        part.requires_grad_(True)


def trunk_digest(encoder: Eva) -> str:
    """Digest of the frozen weights."""
    digest = hashlib.sha256()
    for name, parameter in encoder.named_parameters():
        if not parameter.requires_grad:
            digest.update(f"{name} {tuple(parameter.shape)}".encode())
            digest.update(parameter.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def trunk_tokens(encoder: Eva, images: Tensor, blocks: int) -> Tensor:
    """All tokens after the first `blocks` blocks, class and register tokens first: B x 3 x H x W -> B x N x D."""
    ((patches, prefix),) = cast(Any, encoder).forward_intermediates(
        images,
        indices=[blocks - 1],
        return_prefix_tokens=True,
        stop_early=True,
        output_fmt="NLC",
        intermediates_only=True,
    )
    return torch.cat([prefix, patches], 1)


def map_above_trunk(encoder: Eva, tokens: Tensor, blocks: int) -> Tensor:
    """The spatial feature map of square images from their `trunk_tokens`: B x N x D -> B x D x S/patch x S/patch."""
    side = math.isqrt(tokens.shape[1] - encoder.num_prefix_tokens)
    rope = cast(Any, encoder).rope.get_embed(shape=(side, side))
    for block in encoder.blocks[blocks:]:
        tokens = block(tokens, rope=rope)
    return _map_of_patches(encoder, encoder.norm(tokens), (side, side))
