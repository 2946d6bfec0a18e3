"""Whether torch could find an accelerator on this machine, asked without torch, which takes seconds to load.

A `no` is certain: torch finds NVIDIA devices through the driver's library alone, by the same name and the same query. A
`yes` only means that torch must be asked, as always for devices of other makers.
"""

import ctypes
import runpy
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

DRIVER = "libcuda.so.1"
"""NVIDIA's driver library; without it, CUDA has no device."""

GPU = "cuda"
"""The type that torch gives the devices a cluster calls GPUs, those of AMD among them."""


def accelerator_possible() -> bool:
    """False where torch is sure to find the CPU alone: built without accelerators, or for CUDA and without a device."""
    torch = find_spec("torch")
    if sys.platform != "linux" or torch is None or torch.origin is None:
        return True
    build = runpy.run_path(str(Path(torch.origin).with_name("version.py")))
    if build.get("hip") or build.get("xpu") or entry_points(group="torch.backends"):
        return True
    return build.get("cuda") is not None and cuda_device_exists()


def cuda_device_exists() -> bool:
    """Whether NVIDIA's driver is here and shows this process a device (https://docs.nvidia.com/cuda/cuda-driver-api)."""
    count = ctypes.c_int(0)
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError:
        return False
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
