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
from aggregation_lab.tasks import CHALLENGE_TASKS
from runners.planning.dry_model import dry_count

PATCH = 16
"""Side of a DINOv3 patch in pixels."""
EXTRA_TOKENS = 5
"""Class token and four register tokens."""
IMAGE_PATH_MACS = 3852
"""Multiply-adds of the image path per pixel of an image. A number, since asking the model takes torch, and seconds."""
IMAGE_PATH_MAPS = {4: 32, 8: 64, 16: 96}
"""Channels of its maps by their stride."""
CPU_EFFICIENCY = {"fp32": 0.57, "bf16": 0.85}
"""Operations of training in the time of one of a float32 matrix product, by the precision of training; used until a run
has finished. docs/benchmarks.md has the steps that it was measured by."""
ACCELERATOR_EFFICIENCY = 0.35
"""The same of a matrix product in the precision of training; not measured since there is an image path."""
START_SECONDS = 12.0
"""Until a worker trains: processor time to import torch and load the data (10 s), and what its first run takes more
than others. Measured on one thread of an AMD EPYC (torch 2.15.0, bytecode cached, a study of two tasks at 32 px)."""
RUN_SECONDS = 1.4
"""What a run takes besides its steps: to build the model, validate, score and write. Measured in the same study (1.1 to
1.8 s in five runs of a tiny ViT and few test cases); larger ones take more, which finished runs tell."""
PROCESS_BYTES = 0.7e9
"""Memory of a worker with its libraries, before any model."""
ACTIVATION_BYTES = 80
"""Kept for the backward pass per token, channel and block: about 20 float32 values."""

METHOD_FACTORS = {"famo": 4 / 3}
"""Cost of a step by a multi-task method in units of the plain step, where its operations say so: FAMO takes a forward
pass more, of three. Aggregators take the same passes task by task (docs/methods.md)."""
ON_WHOLE_JACOBIAN = ("nash_mtl", "graddrop", "config")
"""Aggregators that copy the tasks' gradients into one matrix; the others need inner products alone."""

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
    """Operations of one forward and backward pass over one image: of a DINOv3 ViT with image path, and fusion for the
    finest view, which outlines and points read, but without heads; of other encoders with all of it, counted.

    Frozen blocks cost nothing here: they run once per image and grid. What a multi-task method takes more counts as
    operations, too (`METHOD_FACTORS`).
    """
    method = METHOD_FACTORS.get(training.weighting, 1.0)
    if not is_dinov3(model.encoder):
        return method * dry_count(model, training.image_size).flops
    width, blocks, ffns, tokens = _trained_parts(model, training)
    attention, ffn = 4 * tokens * width**2 + 2 * tokens**2 * width, 8 * tokens * width**2
    return method * 3 * 2.0 * (blocks * attention + ffns * ffn + _macs_beside(model, training))


def _macs_beside(model: ModelConfig, training: TrainingConfig) -> float:
    """Multiply-adds of image path and fusion for one image, forward."""
    fused, dim = model.head_width, shape(model.encoder)[0]
    joined = sum(fused * (channels + 9 * fused) / stride**2 for stride, channels in IMAGE_PATH_MAPS.items())
    return training.image_size**2 * (IMAGE_PATH_MACS + joined + dim * fused / PATCH**2)


def worker_bytes(model: ModelConfig, training: TrainingConfig) -> float:
    """Memory one worker needs: process, weights with gradients and AdamW's two moments, activations.

    Frozen blocks are weights alone; their kept output is mapped from disk. An aggregator holds a gradient for each task
    of a batch; how many tasks there are is not known before the data are read, so the challenge's count, at most.
    """
    if not is_dinov3(model.encoder):
        counted = dry_count(model, training.image_size)
        held = 4 * counted.frozen + 16 * counted.trained
        return PROCESS_BYTES + held + training.batch_size * counted.activation_bytes
    width, blocks, ffns, tokens = _trained_parts(model, training)
    weights = blocks * 4 * width**2 + ffns * 8 * width**2
    frozen = model.frozen_blocks * 12 * width**2
    rows = 0 if training.aggregator == "none" else min(training.batch_size, len(CHALLENGE_TASKS))
    copies = 2 if training.aggregator in ON_WHOLE_JACOBIAN else 1
    learned = (16 + 4 * rows * copies) * weights
    return PROCESS_BYTES + 4 * frozen + learned + ACTIVATION_BYTES * training.batch_size * tokens * width * ffns


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


def makespan(seconds: Iterable[float], jobs: int, later: Iterable[tuple[float, int]] = ()) -> float:
    """Time until the last of `jobs` workers is done when the largest runs are handed out first.

    `later` are the seconds of runs that start from another one, and its position in `seconds`: -1 where that is
    finished already. They are handed out after the others, and begin once that one has ended.
    """
    durations, busy, ends = list(seconds), [0.0] * max(1, jobs), {-1: 0.0}
    for position in sorted(range(len(durations)), key=lambda position: -durations[position]):
        ends[position] = heapq.heappop(busy) + durations[position]
        heapq.heappush(busy, ends[position])
    for duration, start in sorted(later, key=lambda run: (ends[run[1]], -run[0])):
        heapq.heappush(busy, max(heapq.heappop(busy), ends[start]) + duration)
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


def training_rate(device: str, threads: int, precision: str) -> float:
    """Operations of training per second, guessed from a matrix product that is timed now; `precision` is the study's.

    On a CPU the product is in float32: NumPy has no bfloat16, and loading torch would take longer than the whole plan.
    """
    if device != "cpu":
        return matrix_rate(device, threads, precision) * ACCELERATOR_EFFICIENCY
    if precision == "auto":
        precision = "bf16" if _multiplies_bfloat16() else "fp32"
    return matrix_rate(device, threads) * CPU_EFFICIENCY[precision]


def _multiplies_bfloat16() -> bool:
    """Whether this processor does, as `aggregation_lab.training.device.pick_precision` asks torch."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return re.search(r"^flags\s*:.*\bavx512_bf16\b", flags, re.MULTILINE) is not None


def matrix_rate(device: str, threads: int, precision: str = "fp32", seconds: float = 0.1) -> float:
    """Operations per second of a plain matrix product on `device` with `threads`, measured for about `seconds`: in
    float32 on a CPU, whose cores are taken to have nothing else to do, and where that is the `precision`, else in
    bfloat16."""
    if device != "cpu":
        return _rate(4096, _product_of_torch(device, 4096, precision), seconds)
    matrix = np.ones((768, 768), np.float32)
    # one thread and its own time, else what others do in this instant would decide the guess
    with threadpool_limits(1, user_api="blas"):
        return threads * _rate(768, lambda: matrix @ matrix, seconds, time.process_time)


def _product_of_torch(device: str, side: int, precision: str) -> Callable[[], object]:
    import torch

    dtype = torch.float32 if precision == "fp32" else torch.bfloat16
    matrix = torch.ones(side, side, device=device, dtype=dtype)
    return lambda: float((matrix @ matrix)[0, 0])  # reading a value waits for the product


def _rate(
    side: int, product: Callable[[], object], seconds: float, clock: Callable[[], float] = time.perf_counter
) -> float:
    product()
    start, products = clock(), 0
    while clock() - start < seconds:
        product()
        products += 1
    return products * 2.0 * side**3 / (clock() - start)
