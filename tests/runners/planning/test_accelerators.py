"""Where torch can find the CPU alone is known without torch; anywhere else torch is asked."""

import ctypes
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from runners.planning import accelerators, cost
from runners.planning.accelerators import accelerator_possible, cuda_device_exists
from tests import ROOT
from tests.tiny import write_study
from tests.waiting import PATIENCE

NO_DEVICE = 100
"""CUDA_ERROR_NO_DEVICE of the driver's interface."""


def driver(devices: int, start: int = 0) -> SimpleNamespace:
    """A library that answers as NVIDIA's driver does."""

    def count(pointer) -> int:
        pointer._obj.value = devices
        return 0

    return SimpleNamespace(cuInit=lambda flags: start, cuDeviceGetCount=count)


def build(monkeypatch, **changes: str | None) -> None:
    made = {"cuda": "13.2", "hip": None, "xpu": None, **changes}
    monkeypatch.setattr(accelerators.runpy, "run_path", lambda path: made)


@pytest.mark.parametrize(
    ("library", "there"),
    [(driver(2), True), (driver(0), False), (driver(1, start=NO_DEVICE), False), (None, False)],
)
def test_the_driver_says_whether_there_is_a_device(monkeypatch, library, there):
    def load(name: str) -> SimpleNamespace:
        assert name == "libcuda.so.1"
        if library is None:
            raise OSError("cannot open shared object file")
        return library

    monkeypatch.setattr(ctypes, "CDLL", load)
    build(monkeypatch)
    assert cuda_device_exists() is there
    if sys.platform == "linux":
        assert accelerator_possible() is there


@pytest.mark.parametrize(("changes", "possible"), [({}, False), ({"hip": "6.4"}, True), ({"xpu": "2025"}, True)])
def test_builds_for_other_makers_are_asked(monkeypatch, changes, possible):
    monkeypatch.setattr(sys, "platform", "linux")
    build(monkeypatch, cuda=None, **changes)
    monkeypatch.setattr(accelerators, "cuda_device_exists", lambda: True)
    assert accelerator_possible() is possible


def test_other_systems_and_plugins_are_asked(monkeypatch):
    build(monkeypatch, cuda=None)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert accelerator_possible()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(accelerators, "entry_points", lambda group: [f"an entry of {group}"])
    assert accelerator_possible()


def test_a_no_agrees_with_torch():
    assert accelerator_possible() or torch.accelerator.current_accelerator(check_available=True) is None


PLAN = """
import sys
from runners.planning import accelerators
accelerators.cuda_device_exists = lambda: False
accelerators.sys = type("Linux", (), {"platform": "linux"})
accelerators.runpy = type("Build", (), {"run_path": lambda path: {"cuda": "13.2"}})
from runners.cli import main
try: main(sys.argv[1:])
except SystemExit as end: print(end.code, *sys.modules)
"""


def test_a_plan_without_accelerator_loads_no_torch_and_so_is_quick(tmp_path, tiny_original):
    study = write_study(tmp_path / "study.yaml")
    words = ["plan", str(study), "--data", str(tiny_original), "--out", str(tmp_path / "out")]
    command = [sys.executable, "-c", PLAN, *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    code, *modules = done.stdout.splitlines()[-1].split()
    assert code == "0" and "rough guess" in done.stdout, done.stdout + done.stderr
    assert not {"torch", "timm", "matplotlib", "statsmodels", "sklearn"} & set(modules)


def test_the_rate_of_a_matrix_product_is_that_of_a_processor():
    assert 1e8 < cost.matrix_rate("cpu", threads=1, seconds=0.01) < 1e14
