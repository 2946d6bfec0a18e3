"""Whether Python imports this project's packages, or a user's files of the same names.

A script or folder named `analysis` or `runners` hides the package of that name where its folder comes first on Python's
path: in a notebook, under `python -m`, with `PYTHONPATH=.`. A folder without `__init__.py` hides it, too, where this
project is installed as editable; modules of both are then mixed.
"""

import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

from aggregation_lab.errors import AgglabError
from aggregation_lab.text import printable

PACKAGES = ("aggregation_lab", "analysis", "runners")
_HOME = Path(__file__).resolve().parents[1]
_ADVICE = "rename it, or start in another folder and leave its folder out of PYTHONPATH"


class ShadowedError(AgglabError, ImportError):
    """A package of this project is hidden by a file or folder of the same name."""


def check_packages() -> None:
    """Raises `ShadowedError`, one line with the path, where Python would import something else as one of `PACKAGES`."""
    for name in PACKAGES:
        path = _path(_spec(name))
        if path is not None and path.resolve() != _HOME / name:
            raise ShadowedError(f"{_shown(path)}: hides the package {name} of agglab; {_ADVICE}")


def hidden_library(error: BaseException) -> str | None:
    """One line on the file that was imported in place of the library that `error` is about; None where none was."""
    if isinstance(error, ImportError):
        module = sys.modules.get((error.name or "").partition(".")[0])
    else:
        module = getattr(error, "obj", None)
    path = _path(getattr(module, "__spec__", None))
    if module is None or path is None or not isinstance(error, ImportError | AttributeError):
        return None
    elsewhere = [entry for entry in sys.path if Path(entry).resolve() != path.parent.resolve()]
    library = _path(PathFinder.find_spec(module.__name__, elsewhere))
    return f"{_shown(path)}: hides the library {module.__name__} ({_shown(library)}); {_ADVICE}" if library else None


def _shown(path: Path) -> str:
    return printable(str(path), 1000)


def _spec(name: str) -> ModuleSpec | None:
    """Of the module that is imported under `name` already, else of the one that would be."""
    try:
        return find_spec(name)
    except ValueError:  # a module made by hand has no spec
        return None


def _path(spec: ModuleSpec | None) -> Path | None:
    """The file of a module, the folder of a package."""
    if spec is None or not (spec.submodule_search_locations or spec.has_location):
        return None
    return Path(next(iter(spec.submodule_search_locations or ()), spec.origin or ""))
