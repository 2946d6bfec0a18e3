"""The rooms: who may import whom. A room is a package without packages inside; other modules stand for themselves."""

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests import ROOT

PACKAGES = ("aggregation_lab", "analysis", "runners")
PROCESSES = ("subprocess", "multiprocessing", "signal", "concurrent.futures", "runners.execution", "runners.store")


@cache
def modules() -> dict[str, Path]:
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


@cache
def imports(module: str) -> frozenset[str]:
    """What a module imports, also inside its functions: modules of the project as deep as they go, others by name."""
    found = set()
    for node in ast.walk(ast.parse(modules()[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: write whole paths"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules() else node.module or "" for name in inner}
    return frozenset(found)


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def offenders(room: str, *forbidden: str, but: tuple[str, ...] = ()) -> list[str]:
    """Imports of a room's modules that lie in `forbidden` and not in `but`."""
    inside = [module for module in modules() if within(module, room)]
    assert len(inside) > 5, room
    return [
        f"{module} imports {name}"
        for module in inside
        for name in sorted(imports(module))
        if within(name, *forbidden) and not within(name, *but)
    ]


def test_data_imports_no_torch():
    upward = ("aggregation_lab.model", "aggregation_lab.training")
    assert offenders("aggregation_lab.data", "torch", "torchvision", "timm", *upward) == []


def test_only_the_front_door_knows_of_the_analysis():
    knowing = {line.split(" imports ")[0] for line in offenders("aggregation_lab", "analysis")}
    assert knowing == {FRONT_DOOR}


def test_statistics_know_no_study_and_no_frame():
    assert offenders("analysis.statistics", "analysis", but=("analysis.statistics", "analysis.settings")) == []


def test_planning_knows_no_process():
    assert offenders("runners.planning", *PROCESSES) == []


def room_of(module: str) -> str:
    """The package of a module, if that holds no package; else the module itself."""
    package = module if modules()[module].name == "__init__.py" else module.rpartition(".")[0]
    nested = any(within(other, package) and modules()[other].parent != modules()[package].parent for other in modules())
    return module if nested else package


FRONT_DOOR = "aggregation_lab"
"""`aggregation_lab/__init__.py` offers names of `analysis` and of inference, and imports one when it is first used."""

OFFERED = ("analysis", "aggregation_lab.inference")


def arrows() -> dict[str, set[str]]:
    """Modules of the project that each module imports, also inside functions and for types alone."""
    return {
        module: {
            name
            for name in imports(module)
            if name in modules() and not (module == FRONT_DOOR and within(name, *OFFERED))
        }
        for module in modules()
    }


def test_modules_form_no_circle():
    TopologicalSorter(arrows()).prepare()  # raises CycleError, which names the circle


def test_rooms_form_no_circle():
    between: dict[str, set[str]] = {}
    for module, targets in arrows().items():
        between.setdefault(room_of(module), set()).update({room_of(name) for name in targets} - {room_of(module)})
    TopologicalSorter(between).prepare()


FOR_TYPES = ("aggregation_lab.tasks.task_type", "aggregation_lab.model.heads.network")
"""A task type names the class of its network half for type checkers alone."""


@pytest.mark.parametrize("package", PACKAGES)
def test_folders_of_a_package_form_no_circle(package):
    """The folders that lie in a package, whole with all that is in them; its own modules stand for themselves."""

    def folder(module: str) -> str:
        return ".".join(module.split(".")[:2])

    between: dict[str, set[str]] = {}
    for module, targets in arrows().items():
        if within(module, package) and module != package:
            inside = {name for name in targets if within(name, package) and (module, name) != FOR_TYPES}
            between.setdefault(folder(module), set()).update({folder(name) for name in inside} - {folder(module)})
    assert len(between) > 5
    TopologicalSorter(between).prepare()


MOST_FILES = 20
"""So many files of one folder a reader still takes in at a look."""


def test_no_folder_is_a_long_list():
    folders = {file.parent for file in modules().values()}
    long = {str(folder.relative_to(ROOT)): len(list(folder.glob("*.py"))) for folder in folders}
    assert {name: count for name, count in long.items() if count > MOST_FILES} == {}
