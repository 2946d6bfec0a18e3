"""What others find in the project and in the package that is made of it."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from configparser import ConfigParser
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from tests import ROOT
from tests.project.test_public import ROOMS, project_files
from tests.waiting import PATIENCE

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder that holds what an installed wheel of this project does."""
    folder = tmp_path_factory.mktemp("wheel")
    for file in project_files():
        if not file.startswith("tests/"):
            (folder / "source" / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, folder / "source" / file)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    command = [sys.executable, "-c", build, str(folder)]
    subprocess.run(command, cwd=folder / "source", check=True, capture_output=True, timeout=PATIENCE)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def test_a_wheel_holds_all_that_the_packages_read(installed):
    for package in ROOMS:
        ours = {path for path in project_files() if path.startswith(f"{package}/") and not path.endswith(".py")}
        lost = {path for path in ours if not (installed / path).is_file()}
        assert ours and lost == set()
        assert f"{package}/py.typed" in ours


def test_a_wheel_holds_every_module_but_the_benchmarks(installed):
    wheel = {path.relative_to(installed).as_posix() for room in ROOMS for path in (installed / room).rglob("*.py")}
    modules = {path for path in project_files() if path.endswith(".py") and path.split("/")[0] in ROOMS}
    bench = {path for path in modules if path.startswith("runners/bench/")}
    assert bench and wheel == modules - bench


def test_a_wheel_names_a_foreign_file_in_one_line(installed, tmp_path):
    scripts = ConfigParser()
    scripts.read(next(installed.glob("*.dist-info")) / "entry_points.txt")
    module, _, function = scripts["console_scripts"]["agglab"].partition(":")
    (tmp_path / "analysis.py").write_text("x = 1\n")
    done = subprocess.run(
        [sys.executable, "-c", f"from {module} import {function}; {function}()"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f".:{installed}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert f"{tmp_path / 'analysis.py'}: hides the package analysis of agglab" in done.stderr


def test_every_python_that_is_promised_is_tested():
    workflow = yaml.safe_load((ROOT / ".github/workflows/checks.yml").read_text())
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert ".ci/run" in commands and any(command.startswith("make quick") for command in commands)
    tested = workflow["jobs"]["quick"]["strategy"]["matrix"]["python"]
    promised = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert tested == promised and PROJECT["requires-python"] == f">={promised[0]}"


def test_hooks_run_what_make_check_runs():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    entries = [hook["entry"] for hook in hooks]
    makefile = (ROOT / "Makefile").read_text()
    for tool in ("ruff check", "ruff format", "mypy"):
        assert any(entry.startswith(f".venv/bin/{tool}") for entry in entries) and f"$(BIN)/{tool}" in makefile


def test_authors_are_those_of_the_citation():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert [author["name"] for author in PROJECT["authors"]] == [author["name"] for author in citation["authors"]]


PATH = re.compile(r"`([\w./-]+(?:\.py|\.md|\.j2|\.txt|\.yml|\.toml|/))`")
MODULE = re.compile(rf"`((?:{'|'.join(ROOMS)})(?:\.[a-z_]+)+)`")


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_every_path_that_a_page_names_exists(page):
    """A path is written from the root, or as short as it is unmistakable in its sentence: from a package, or a name."""
    files = project_files()
    known = {f"/{file}" for file in files} | {f"/{parent}/" for file in files for parent in Path(file).parents}
    text = (ROOT / page).read_text()
    named = PATH.findall(text)
    assert len(named) > 20
    assert [path for path in named if not any(place.endswith(f"/{path}") for place in known)] == []
    assert [name for name in MODULE.findall(text) if find_spec(name) is None] == []
