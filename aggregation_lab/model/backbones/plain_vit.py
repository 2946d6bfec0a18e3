"""A plain ViT: one map at the stride of its patches. Its blocks may carry experts, and the first of them be frozen."""

import hashlib
import math
from typing import Any, cast

import torch
import torch.nn.functional as F
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from aggregation_lab.model.backbones.base import Backbone, Levels
from aggregation_lab.model.position_codes import keep_position_codes

LONGEST_PLAIN = 512
"""Tokens up to which attention may keep its whole map of tokens x tokens."""


class PlainViT(Backbone):
    """Any of timm's networks whose blocks all work on the same tokens; `patch` is the side of a token in pixels.

    Images are enlarged to the next multiple of the patch, from 128 to 140 pixels with patches of 14.
    """

    def __init__(self, name: str, network: nn.Module, patch: int):
        super().__init__(name, network)
        self.patch = patch
        self.prefix = getattr(self.network, "num_prefix_tokens", 0)
        self.dim = self.network.embed_dim
        hands_on_tokens = isinstance(network, Eva | VisionTransformer)
        self.freezable = hands_on_tokens and not getattr(network, "rope_mixed", False)
        _keep_the_last_norm(self.network)
        if isinstance(network, Eva):
            keep_position_codes(network)
        self._whole = _map_by_tokens if hands_on_tokens else _map_by_timm
        self._above_trunk = map_above_trunk

    @property
    def blocks(self) -> Any:
        return self.network.blocks

    @property
    def token_width(self) -> int:
        return self.network.embed_dim

    def levels(self, images: Tensor) -> Levels:
        return self.deep_map(images), ()

    def deep_map(self, images: Tensor) -> Tensor:
        """The one spatial feature map: normalised patch tokens, class and register tokens left out.

        B x 3 x S x S images -> B x D x S/patch x S/patch, rounded up.
        """
        return self._whole(self.network, self._fitted(images))

    def _fitted(self, images: Tensor) -> Tensor:
        size = fitted_size(images.shape[-1], self.patch)
        return images if size == images.shape[-1] else F.interpolate(images, size=(size, size), mode="bilinear")

    def compile(self) -> None:
        self._whole = torch.compile(self._whole)
        self._above_trunk = torch.compile(map_above_trunk)

    def choose_attention(self, size: int, device: torch.device, precision: torch.dtype) -> None:
        """Fused attention for square images of `size` pixels, but plain products in bfloat16 on a CPU.

        There torch's fused backward pass takes two to five times as long. Plain products keep a map of tokens x tokens
        per head and block, so long sequences stay fused.
        """
        plain = device.type == "cpu" and precision == torch.bfloat16 and self.token_shape(size)[0] <= LONGEST_PLAIN
        for module in self.network.modules():
            if hasattr(module, "fused_attn"):
                module.fused_attn = not plain

    # ---- in two parts: a frozen trunk, and the blocks above it -------------------------------------------------------

    def token_shape(self, size: int) -> tuple[int, int]:
        """Tokens of a square image of `size` pixels, class and register tokens included, and their channels."""
        return (fitted_size(size, self.patch) // self.patch) ** 2 + self.prefix, self.network.embed_dim

    def freeze_trunk(self, blocks: int) -> None:
        """Everything up to the end of the first `blocks` blocks stops learning."""
        self.network.requires_grad_(False)
        for part in (self.network.blocks[blocks:], self.network.norm):
            part.requires_grad_(True)

    def trunk_digest(self) -> str:
        """Digest of the frozen weights."""
        digest = hashlib.sha256()
        for name, parameter in self.network.named_parameters():
            if not parameter.requires_grad:
                digest.update(f"{name} {tuple(parameter.shape)}".encode())
                digest.update(parameter.detach().cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def trunk_tokens(self, images: Tensor, blocks: int) -> Tensor:
        """All tokens after the first `blocks` blocks, class and register tokens first: B x 3 x S x S -> B x N x D."""
        (taken,) = self.network.forward_intermediates(
            self._fitted(images),
            indices=[blocks - 1],
            return_prefix_tokens=True,
            stop_early=True,
            output_fmt="NLC",
            intermediates_only=True,
        )
        if not self.prefix:
            return taken
        patches, prefix = taken
        return torch.cat([prefix, patches], 1)

    def map_above_trunk(self, tokens: Tensor, blocks: int) -> Tensor:
        """The spatial feature map of square images from their `trunk_tokens`: B x N x D -> B x D x s x s."""
        return self._above_trunk(self.network, tokens, blocks)

    def tokens_between(self, tokens: Tensor, first: int, last: int) -> Tensor:
        """All tokens after block `last` - 1 from those after block `first` - 1: B x N x D -> the same. Not compiled."""
        return _through_blocks(self.network, tokens, first, last)

    def map_of_last(self, tokens: Tensor, blocks: int) -> Tensor:
        """As `map_above_trunk`, not compiled."""
        return map_above_trunk(self.network, tokens, blocks)


def fitted_size(size: int, patch: int) -> int:
    """The next multiple of the patch."""
    return -(-size // patch) * patch


def _map_by_tokens(network: Any, images: Tensor) -> Tensor:
    tokens = network.forward_features(images)
    return _map_of_patches(network, tokens, _side(network, tokens))


def _map_by_timm(network: Any, images: Tensor) -> Tensor:
    """Where class tokens come late, windows are moved about, or a neck follows: timm knows how tokens lie."""
    last = [len(network.blocks) - 1]
    (found,) = network.forward_intermediates(
        images, indices=last, norm=True, output_fmt="NCHW", intermediates_only=True
    )
    return found


def map_above_trunk(network: Any, tokens: Tensor, blocks: int) -> Tensor:
    """Blocks from `blocks` on and the last norm; `network` is an `Eva` or a `VisionTransformer`."""
    tokens = network.norm(_through_blocks(network, tokens, blocks, len(network.blocks)))
    return _map_of_patches(network, tokens, _side(network, tokens))


def _through_blocks(network: Any, tokens: Tensor, first: int, last: int) -> Tensor:
    """Blocks `first` to `last` - 1 of an `Eva` or a `VisionTransformer` on all tokens of square images."""
    given: dict[str, Any] = {}
    if isinstance(network, Eva) and network.rope is not None:
        side = _side(network, tokens)
        grid = {"shape": (side, side)} if network.dynamic_img_size else {}
        given["rope"] = cast(Any, network.rope).get_embed(**grid)
    for block in network.blocks[first:last]:
        tokens = block(tokens, **given)
    return tokens


def _side(network: Any, tokens: Tensor) -> int:
    """Patches along a side of a square image."""
    return math.isqrt(tokens.shape[1] - network.num_prefix_tokens)


def _map_of_patches(network: Any, tokens: Tensor, side: int) -> Tensor:
    return tokens[:, network.num_prefix_tokens :].transpose(1, 2).unflatten(2, (side, side))


def _keep_the_last_norm(network: Any) -> None:
    """Tokens are normalised by what the network normalises their mean with, where it has no norm before; the rest of
    the classifier goes."""
    if isinstance(getattr(network, "norm", None), nn.Identity) and hasattr(network, "fc_norm"):
        network.norm = network.fc_norm
    network.prune_intermediate_layers([len(network.blocks) - 1], prune_norm=False, prune_head=True)
