"""A file of the user's that bears the name of a package is named in one line, wherever it lies on Python's path."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from aggregation_lab.errors import AgglabError
from aggregation_lab.shadowing import PACKAGES, ShadowedError, check_packages, hidden_library
from tests import ROOT
from tests.waiting import PATIENCE

COMMAND = "from aggregation_lab.__main__ import main; main()"
"""What the console script does."""

EDITABLE = f"""
import sys
from importlib.util import spec_from_file_location
from pathlib import Path

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in {PACKAGES}:
            return spec_from_file_location(name, Path({str(ROOT)!r}, name, "__init__.py"))
        parent, _, child = name.rpartition(".")
        file = Path({str(ROOT)!r}, parent.replace(".", "/"), child)
        if parent in {PACKAGES}:
            is_package = file.is_dir()
            return spec_from_file_location(name, file / "__init__.py" if is_package else file.with_suffix(".py"))

sys.meta_path.append(Finder)
"""
"""The finder of an editable install, which Python asks last."""


def python(folder: Path, *words: str, path: str = f".:{ROOT}") -> subprocess.CompletedProcess[str]:
    """Python started in `folder`, with the project found as an installed package is, behind the folder's files."""
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE
    )


def write(folder: Path, name: str, text: str = "x = 1\n") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a command that refused to start."""
    assert done.returncode == 2 and done.stdout == "", done.stdout + done.stderr
    assert done.stderr.startswith("agglab: ") and len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


FOREIGN = ["analysis.py", "analysis/__init__.py", "runners.py", "runners/__init__.py"]


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("words", [("-c", COMMAND, "status", "."), ("-m", "aggregation_lab", "status", ".")])
def test_the_command_names_the_file_that_hides_a_package(tmp_path, name, words):
    write(tmp_path, name)
    line = refusal(python(tmp_path, *words))
    assert f"{tmp_path / name.removesuffix('/__init__.py')}: hides the package {name[:7]}" in line
    assert "rename it" in line


def test_the_module_that_holds_the_command_line_looks_too(tmp_path):
    write(tmp_path, "analysis.py")
    assert "analysis.py: hides the package analysis" in refusal(python(tmp_path, "-m", "runners.cli", "status", "."))


def test_the_console_script_starts_where_it_can_still_look():
    script = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["agglab"]
    assert script == "aggregation_lab.__main__:main"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_folder_without_init_hides_an_editable_install(tmp_path, package):
    write(tmp_path, f"{package}/notes.txt")
    done = python(tmp_path, "-c", EDITABLE + COMMAND, "status", ".", path=".")
    assert f"{tmp_path / package}: hides the package {package}" in refusal(done)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_folder_without_init_does_not_hide_an_installed_package(tmp_path, package):
    write(tmp_path, f"{package}/notes.txt")
    done = python(tmp_path, "-c", COMMAND, "--help")
    assert done.returncode == 0 and "Usage: agglab" in done.stdout


def test_a_notebook_gets_one_line_of_an_import_error(tmp_path):
    file = write(tmp_path, "analysis.py")
    done = python(tmp_path, "-c", "from aggregation_lab.shadowing import check_packages; check_packages()")
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"aggregation_lab.shadowing.ShadowedError: {file}: hides the package analysis of agglab; ")


WORKER = """
import multiprocessing, sys, types

def command_line():
    process = multiprocessing.get_context("spawn").Process(target=print, args=("works",))
    process.start()
    process.join()
    sys.exit(process.exitcode)

if __name__ == "__main__":
    sys.modules["runners.cli"] = types.SimpleNamespace(main=command_line)
    from aggregation_lab.__main__ import main
    main()
"""


def test_worker_processes_import_nothing_from_the_folder_they_are_started_in(tmp_path):
    """A new process of Python looks there first, even where a console script itself did not."""
    script = write(tmp_path, "bin/script.py", WORKER)
    write(tmp_path, "here/socket.py")
    done = python(tmp_path / "here", str(script), path=str(ROOT))
    assert done.returncode == 0 and done.stdout == "works\n", done.stderr


def test_here_nothing_is_hidden():
    check_packages()
    assert issubclass(ShadowedError, AgglabError) and issubclass(ShadowedError, ImportError)


@pytest.mark.parametrize("library", ["typer", "yaml", "random"])
def test_a_hidden_library_is_named_when_an_import_fails(tmp_path, library):
    file = write(tmp_path, f"{library}.py")
    done = python(tmp_path, "-c", COMMAND, "plan", "demo")
    assert f"{file}: hides the library {library} (" in refusal(done)


def test_other_faults_are_not_laid_on_a_file():
    assert hidden_library(ImportError("no", name="numpy")) is None
    assert hidden_library(ImportError("no")) is None
    assert hidden_library(AttributeError("no", obj=3)) is None
    assert hidden_library(ValueError("no")) is None
