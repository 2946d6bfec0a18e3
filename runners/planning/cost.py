"""What a run will cost, by estimate: operations, seconds, memory. Finished runs give the seconds."""

import heapq
import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from aggregation_lab.config import ModelConfig, TrainingConfig
from runners.planning.dry_model import dry_count

PATCH = 16
"""Side of a DINOv3 patch in pixels."""
EXTRA_TOKENS = 5
"""Class token and four register tokens."""
UNTRAINED_EFFICIENCY = 0.35
"""Share of the machine's plain matrix rate that training reaches; used until a run has finished."""
PROCESS_BYTES = 0.7e9
"""Memory of a worker with its libraries, before any model."""
ACTIVATION_BYTES = 80
"""Kept for the backward pass per token, channel and block: about 20 float32 values."""

_SHAPES = {
    "tiny": (192, 12),
    "small": (384, 12),
    "base": (768, 12),
    "large": (1024, 24),
    "huge": (1280, 32),
    "7b": (4096, 40),
}
"""Channels and blocks of the DINOv3 ViTs."""


def is_dinov3(encoder: str) -> bool:
    """Whether the encoder is a DINOv3 ViT, whose cost is known by its name."""
    return encoder.startswith("vit_") and "dinov3" in encoder


def shape(encoder: str) -> tuple[int, int]:
    """Channels and blocks of a DINOv3 ViT by its name."""
    size = re.search("|".join(_SHAPES), encoder)
    return _SHAPES[size.group()] if size else _SHAPES["small"]


def _trained_parts(model: ModelConfig, training: TrainingConfig) -> tuple[int, int, int, int]:
    """What is trained of an encoder: channels, blocks, FFNs (experts that copy one count each), tokens of an image."""
    width, blocks = shape(model.encoder)
    blocks = max(0, blocks - model.frozen_blocks)
    widened = min(model.moe.blocks, blocks) if model.moe.kind == "copy" and model.moe.experts else 0
    return width, blocks, blocks + widened * (model.moe.experts - 1), (training.image_size // PATCH) ** 2 + EXTRA_TOKENS


def flops_per_image(model: ModelConfig, training: TrainingConfig) -> float:
    """Operations of one forward and backward pass over one image: of a DINOv3 ViT without image path and heads, of
    other encoders with them, counted.

    Frozen blocks cost nothing here: they run once per image and grid.
    """
    if not is_dinov3(model.encoder):
        return dry_count(model, training.image_size).flops
    width, blocks, ffns, tokens = _trained_parts(model, training)
    attention, ffn = 4 * tokens * width**2 + 2 * tokens**2 * width, 8 * tokens * width**2
    return 3 * 2.0 * (blocks * attention + ffns * ffn)


def worker_bytes(model: ModelConfig, training: TrainingConfig) -> float:
    """Memory one worker needs: process, weights with gradients and AdamW's two moments, activations.

    Frozen blocks are weights alone; their kept output is mapped from disk.
    """
    if not is_dinov3(model.encoder):
        counted = dry_count(model, training.image_size)
        held = 4 * counted.frozen + 16 * counted.trained
        return PROCESS_BYTES + held + training.batch_size * counted.activation_bytes
    width, blocks, ffns, tokens = _trained_parts(model, training)
    weights = blocks * 4 * width**2 + ffns * 8 * width**2
    frozen = model.frozen_blocks * 12 * width**2
    return PROCESS_BYTES + 4 * frozen + 16 * weights + ACTIVATION_BYTES * training.batch_size * tokens * width * ffns


def available_bytes() -> float:
    """Memory that processes can still take without swapping, and within the Slurm job where this is one."""
    allowed = _from_slurm("SLURM_MEM_PER_NODE") * 2**20
    try:
        text = Path("/proc/meminfo").read_text(encoding="utf-8")
    except OSError:
        return min(allowed, float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")))
    available = re.search(r"MemAvailable:\s+(\d+) kB", text)
    return min(allowed, float(available.group(1)) * 1024 if available else float("inf"))


def cores() -> int:
    """Cores this process may use. Not every cluster binds a job to those it has been given."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(min(here, _from_slurm("SLURM_CPUS_PER_TASK")))


def _from_slurm(name: str) -> float:
    """A number in a variable that Slurm sets for its jobs; infinity where there is none."""
    text = os.environ.get(name, "")
    return float(text) if re.fullmatch(r"[1-9][0-9]{0,15}", text) else float("inf")


def makespan(seconds: Iterable[float], jobs: int) -> float:
    """Time until the last of `jobs` workers is done when the largest runs are handed out first."""
    busy = [0.0] * max(1, jobs)
    for duration in sorted(seconds, reverse=True):
        heapq.heapreplace(busy, busy[0] + duration)
    return max(busy)


def line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Intercept >= 0 and slope > 0 of the least squares line through (x, y) with x > 0, errors relative to y.

    Points that cannot tell the two apart give a line through the origin.
    """
    from scipy.optimize import nnls

    x, y = np.array(points).T
    scale = x.mean()
    (intercept, slope), _ = nnls(np.stack([1 / y, x / scale / y], axis=1), np.ones(len(x)))
    if slope <= 0 or np.ptp(x) == 0:
        return 0.0, float(np.sum(y) / np.sum(x))
    return float(intercept), float(slope / scale)


def matrix_rate(device: str, threads: int, seconds: float = 0.1) -> float:
    """Operations per second of a plain matrix product on `device` with `threads`, measured for about `seconds`."""
    if device != "cpu":
        return _rate(4096, _product_of_torch(device, 4096), seconds)
    matrix = np.ones((768, 768), np.float32)
    with threadpool_limits(threads, user_api="blas"):
        return _rate(768, lambda: matrix @ matrix, seconds)


def _product_of_torch(device: str, side: int) -> Callable[[], object]:
    import torch

    matrix = torch.ones(side, side, device=device, dtype=torch.bfloat16)
    return lambda: float((matrix @ matrix)[0, 0])  # reading a value waits for the product


def _rate(side: int, product: Callable[[], object], seconds: float) -> float:
    product()
    start, products = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        product()
        products += 1
    return products * 2.0 * side**3 / (time.perf_counter() - start)
