"""The frozen blocks of a model, run once per image of the data set: runs then read their output beside the image."""

import hashlib
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from aggregation_lab.data.cache import ImageCache
from aggregation_lab.model.m2dino import M2DINO
from aggregation_lab.training.out_of_memory import with_less_memory
from aggregation_lab.training.token_cache import BATCH, TokenCache, open_tokens

_VERSION = 2  # raise when the same weights and pixels would give other tokens


def open_trunk(
    model: M2DINO,
    encoder: str,
    cache: ImageCache,
    to_input: Callable[[Tensor], Tensor],
    precision: torch.dtype,
    alive: Callable[[int], None],
) -> TokenCache:
    """The trunk's output for every image of the cache, kept beside it; what is missing is computed.

    Its name is made of all that decides it: pixels, encoder, frozen weights, precision and kind of device. It is kept
    in float32, in which blocks hand their output on at either precision, so a run that reads it computes what it would
    with the trunk in place. `alive` as in `open_tokens`.
    """
    device = next(model.parameters()).device
    parts = (_VERSION, cache.image_file.name, encoder, model.backbone.trunk_digest(), precision, device.type)
    key = hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()[:16]
    count, size = cache.images.shape[:2]
    shape = model.backbone.token_shape(size)
    at_once = BATCH

    def compute(rows: slice) -> np.ndarray:
        nonlocal at_once
        pixels = torch.from_numpy(np.array(cache.images[rows]))

        def in_pieces(size: int) -> np.ndarray:
            with torch.autocast(device.type, precision, enabled=precision != torch.float32):
                inputs = (to_input(piece.to(device).movedim(-1, 1)) for piece in pixels.split(size))
                return torch.cat([model.trunk(piece).float().cpu() for piece in inputs]).numpy()

        tokens, at_once = with_less_memory(in_pieces, at_once, device, "frozen trunk")
        return tokens

    return open_tokens(cache.image_file.parent / f"trunk-{size}-{key}", count, shape, compute, alive)
