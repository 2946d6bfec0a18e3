"""Where a run computes and how precisely. The only place that knows device names."""

import resource

import torch

from aggregation_lab.errors import ModelError


def pick_device(name: str | None = None) -> torch.device:
    """The device asked for, else the accelerator of this machine, else the CPU.

    Raises `ModelError` where the device does not exist here.
    """
    if name is None:
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"--device: {name} cannot be used here ({reason}); leave it out to let agglab choose"
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


def peak_memory(device: torch.device) -> float:
    """Peak bytes: allocated on a CUDA device since its last reset, else of this process."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
