"""The wheel holds what a user needs: all modules and data files but those of the developers' benchmarks."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests import ROOT

PACKAGES = ("aggregation_lab", "analysis", "runners")
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
"""What pip does without build isolation, so that no network is needed."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> set[str]:
    """Files in the wheel of a copy of the project, which has no outputs of an earlier build."""
    copy, out = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run([sys.executable, "-c", BUILD, str(out)], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    (file,) = out.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        return {name for name in archive.namelist() if name.split("/")[0] in PACKAGES}


def files(pattern: str) -> set[str]:
    found = {path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern) if path.is_file()}
    assert found, pattern
    return found


def is_bench(name: str) -> bool:
    return Path(name).is_relative_to("runners/bench")


@pytest.mark.slow
def test_the_wheel_holds_every_module_but_the_benchmarks(wheel):
    modules = set().union(*(files(f"{package}/**/*.py") for package in PACKAGES))
    assert any(map(is_bench, modules)) and not any(map(is_bench, wheel))
    assert {name for name in wheel if name.endswith(".py")} == {name for name in modules if not is_bench(name)}


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["runners/studies/*.yaml", "analysis/examples/**/*", "analysis/report/templates/*"])
def test_the_wheel_holds_the_data_files(wheel, pattern):
    assert files(pattern) <= wheel
