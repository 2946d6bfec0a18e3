"""Public names, one-way arrows between the rooms, import costs, and what must not stand in the project."""

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import aggregation_lab
from tests import ROOT

ROOMS = ("aggregation_lab", "runners", "analysis")


def run_python(code: str, *arguments: str) -> str:
    """What it prints; an error of the process is that of the test."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_public_names():
    assert set(aggregation_lab.__all__) == {
        "CHALLENGE_TASKS",
        "EXAMPLES",
        "AgglabError",
        "Aggregation",
        "Settings",
        "Task",
        "TaskType",
        "Unit",
        "all_task_unified",
        "analyse",
        "cases",
        "clinically_grouped",
        "load_model",
        "load_study",
        "read_scores",
        "recommend",
        "task_specific",
        "write_report",
    }
    assert all(hasattr(aggregation_lab, name) for name in aggregation_lab.__all__)


ANALYSIS = sorted(path for path in (ROOT / "analysis").rglob("*.py") if "validation" not in path.parts)
WITHOUT_METHOD = {
    "caveats": "sentences on what the frames say",
    "same_test": "which pairs compare the same runs",
    "common_cells": "which tasks two contrasts share, and their mean",
    "families": "which verdicts are judged together; the methods are in analysis/statistics/",
    "finding_parts": "the paper's claims, each a comparison of frames",
    "findings": "the paper's claims, put together of their parts",
    "guideline_table": "what the rule of guidelines advises, by type and size",
    "left_out": "counts",
    "rare_classes": "counts of subjects",
    "study_quality": "counts, means and shares",
    "task_gains": "a frame of what analysis/statistics/ has computed",
}
"""Files of `analysis/questions/` that name no source, since they use no method of their own."""

STATISTICS = [path for room in ("statistics", "questions") for path in sorted((ROOT / "analysis" / room).rglob("*.py"))]


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_the_tables_and_the_whole_analysis_are_there_without_torch():
    """Also through what they import: every module, the report and its commands, one after the other in one process."""
    names = ["aggregation_lab", "aggregation_lab.results", "aggregation_lab.tasks", *map(module, ANALYSIS)]
    code = "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\n"
    code += "    if 'torch' in sys.modules:\n        sys.exit(f'{name} loads torch')"
    run_python(code, *names, "runners.commands.report_commands")


@pytest.mark.parametrize("path", ANALYSIS, ids=module)
def test_public_names_of_the_analysis_say_what_they_are(path):
    """Formula, assumptions and source stand in the module's text or the function's own."""
    tree = ast.parse(path.read_text())
    named = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    inner = {
        id(each) for node in named if isinstance(node, ast.FunctionDef) for each in ast.walk(node) if each is not node
    }
    silent = [
        node.name
        for node in named
        if not node.name.startswith("_") and id(node) not in inner and not ast.get_docstring(node)
    ]
    assert (ast.get_docstring(tree) or not tree.body) and silent == []
    if path in STATISTICS and path.stem != "__init__":
        texts = [ast.get_docstring(node) or "" for node in [tree, *named]]
        has_source = re.search(r"\b(18|19|20)\d\d\b", " ".join(texts)) is not None
        without = bool({path.stem, path.parent.name} & set(WITHOUT_METHOD))
        assert has_source != without, "name the source of the method, or here why it has none"


HEAVY = {
    "torch",
    "pandas",
    "pydantic",
    "timm",
    "numpy",
    "scipy",
    "sklearn",
    "pyarrow",
    "PIL",
    "statsmodels",
    "matplotlib",
}


def test_help_loads_nothing_heavy_and_so_is_quick():
    """Told by what is loaded, not by seconds, which depend on the machine."""
    code = (
        "import sys; sys.argv = ['agglab', '--help']\n"
        "from runners.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(len(sys.modules), *sys.modules)"
    )
    count, *modules = run_python(code).splitlines()[-1].split()
    assert not HEAVY & set(modules) and int(count) < 600


FRONT_DOOR = ROOT / "aggregation_lab" / "__init__.py"
"""The one file of its package that knows of `analysis`; it imports it when a name is first used."""


def imported(room: str, *but: Path) -> set[str]:
    """Top-level names of every module that the files of a room import, also inside functions; not of those in `but`."""
    files = [path for path in (ROOT / room).rglob("*.py") if path not in but]
    assert files, room
    return set().union(*map(imported_by, files))


@cache
def imported_by(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found |= {name.split(".")[0] for name in names}
    return found


def test_arrows_point_one_way():
    assert not imported("aggregation_lab", FRONT_DOOR) & {"runners", "analysis"}
    assert "runners" not in imported("aggregation_lab")
    assert not imported("analysis") & {"runners", "torch", "timm"}


def test_every_dependency_and_every_bound_has_its_reason():
    text = (ROOT / "pyproject.toml").read_text()
    project = tomllib.loads(text)["project"]
    extras = project["optional-dependencies"]
    for requirement in project["dependencies"] + sum(extras.values(), []):
        reason = re.search(rf'"{re.escape(requirement)}",?\s+# (\S.*)', text)
        assert reason, requirement
        bound = re.search(r"[<>=~!]+(.+)", requirement)
        assert bound is None or bound[1] in reason[1], f"{requirement}: say what {bound[1]} is needed for"


PEERS = {"LibMTL"}
"""What a benchmark compares with where it is installed."""


def test_every_import_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = sum(project["optional-dependencies"].values(), [])
    declared = {canonical(re.match(r"[\w.-]+", requirement)[0]) for requirement in project["dependencies"] + extras}
    homes = packages_distributions()
    for module in set().union(*map(imported, ROOMS)) - set(ROOMS) - set(sys.stdlib_module_names) - PEERS:
        assert declared & set(map(canonical, homes[module])), f"{module} is imported but not in pyproject.toml"


def canonical(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def project_files() -> list[str]:
    """What git knows of; without git, or in a copy without its history, what lies in the project's own folders."""
    try:
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return listed.splitlines()
    except (OSError, subprocess.CalledProcessError):
        inside = [path for folder in (*ROOMS, "tests", "docs", "notebooks") for path in (ROOT / folder).rglob("*")]
        files = [path for path in [*ROOT.glob("*.*"), *inside] if path.is_file() and path.suffix != ".pyc"]
        return [str(path.relative_to(ROOT)) for path in files]


def test_nothing_names_a_machine_or_a_registry():
    files = project_files()
    # written apart, so that this file does not name them either
    parts = ["py" + r"pi\.org", "python" + "hosted", "/wo" + "rk/", "/ro" + "ot/", "/tm" + "p/"]
    forbidden = re.compile("|".join(parts))
    named = []
    for file in files:
        try:
            text = (ROOT / file).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        named += [f"{file}: {match.group()}" for match in forbidden.finditer(text)]
    assert named == []
