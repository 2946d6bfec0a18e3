"""Where a run computes and how precisely. The only place that knows accelerators by their names."""

import re
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from aggregation_lab.errors import ModelError
from aggregation_lab.text import printable

RESIDENT_SHARE = 0.05
"""Largest part of an accelerator's free memory that holds what a run reads: a quarter of what the number of runs that
share it leaves to them (`runners.execution.device_slots`)."""


def pick_device(name: str | None = None) -> torch.device:
    """The device asked for, else the accelerator of this machine, else the CPU.

    Raises `ModelError` where the device does not exist here.
    """
    if name is None:
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.ones(1, device=device).item()  # a device without values, such as meta, fails here
        if device.index is not None and device.type != "cpu":
            torch.accelerator.set_device_index(device.index)
    except (RuntimeError, AssertionError, ValueError, OverflowError, ImportError) as error:
        reason = printable(" ".join(str(error).split()))
        raise ModelError(
            f"--device: {printable(name)} cannot be used here ({reason}); leave it out to let agglab choose"
        ) from error
    return device


def pick_precision(choice: str, device: torch.device) -> torch.dtype:
    """float32, or bfloat16 for mixed precision. `auto` takes bfloat16 where the hardware multiplies it natively."""
    if choice == "auto":
        native = torch.cuda.is_bf16_supported(including_emulation=False) if device.type == "cuda" else False
        if device.type == "cpu":
            native = torch.cpu.get_capabilities().get("avx512_bf16", False)
        return torch.bfloat16 if native else torch.float32
    return torch.bfloat16 if choice == "bf16" else torch.float32


def precision_name(precision: torch.dtype) -> str:
    """The choice that gives this precision on every device."""
    return "fp32" if precision == torch.float32 else "bf16"


def compute_as_named(precision: torch.dtype) -> None:
    """Let float32 be float32: torch rounds the inputs of CUDA's convolutions to ten bits (TF32) where not told so.

    Matrix products are exact already. In mixed precision neither is computed in float32.
    """
    torch.backends.cudnn.allow_tf32 = precision != torch.float32


@contextmanager
def exact_float32() -> Iterator[None]:
    """Let float32 be float32 for a while, in a run of mixed precision, too."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def has_fused_optimizer(device: torch.device) -> bool:
    """Whether torch updates all parameters by one operation there."""
    return device.type in ("cpu", "cuda")


def random_state(device: torch.device) -> torch.Tensor | None:
    """State of an accelerator's random draws; None on the CPU, whose state is torch's own."""
    return None if device.type == "cpu" else torch.get_device_module(device).get_rng_state(*_of(device))


def set_random_state(device: torch.device, state: torch.Tensor) -> None:
    """Continue an accelerator's random draws from `random_state`."""
    torch.get_device_module(device).set_rng_state(state, *_of(device))


def _of(device: torch.device) -> list[torch.device]:
    return [] if device.type == "mps" else [device]  # of which there is one, and its functions take none


def resident_bytes(device: torch.device) -> float:
    """How much a run may keep on the device of what it reads, 0 where reading from the host's memory is as good."""
    return RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0.0


def free_memory(device_type: str, name: str | None = None) -> dict[str | None, float]:
    """Free bytes by device: of the one named, else of every accelerator of this machine. Where the system cannot tell
    them apart, 0 of the one named or of one without a name."""
    if device_type != "cuda":
        return {name: 0.0}
    names = [name] if name else [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return {each: float(torch.cuda.mem_get_info(torch.device(each))[0]) for each in names}


def release_memory(device: torch.device) -> None:
    """Give back what torch holds of an accelerator's memory without using it."""
    if device.type != "cpu":
        torch.get_device_module(device).empty_cache()


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor of the host on the device. To a CUDA device it goes by pinned memory, from which the copy is queued
    instead of making the host wait until the queue is empty."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


class HostCopy:
    """A copy of a small tensor on the host. From a CUDA device it is made in the background, once what is queued there
    is done; `values` waits for it."""

    def __init__(self, tensor: torch.Tensor):
        self._host, self._done = tensor, None
        if tensor.device.type == "cuda":
            self._host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._host.copy_(tensor, non_blocking=True)
            self._done = torch.cuda.Event()
            self._done.record(torch.cuda.current_stream(tensor.device))

    def arrived(self) -> bool:
        return self._done is None or self._done.query()

    def values(self) -> list[float]:
        if self._done is not None:
            self._done.synchronize()
        return self._host.tolist()


def reset_peak_memory(device: torch.device) -> None:
    """Reset the peak: a worker process trains many runs, and each has its own peak."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif sys.platform == "linux":
        with suppress(OSError):  # not every container may
            Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def peak_memory(device: torch.device) -> float:
    """Peak bytes since the last reset: allocated on a CUDA device, else resident in this process.

    Where the system cannot reset a process's peak (anywhere but on Linux), it is that of the process so far.
    """
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    if sys.platform == "linux":
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
        if peak:
            return float(peak.group(1)) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
