"""Notebooks are committed without outputs, run from top to bottom without a warning, and show figures."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook

from tests import ROOT
from tests.waiting import PATIENCE

FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
STRICT = """\
import warnings
warnings.simplefilter("error")
warnings.filterwarnings("default", module="ipykernel")  # the kernel warns about itself when it is shut down
"""


def by_name(path: Path) -> str:
    return path.stem


def execute(notebook: nbformat.NotebookNode, folder: Path) -> list[dict]:
    """Outputs of all cells; raises `CellExecutionError` where one fails, warns, or hangs."""
    notebook.cells.insert(0, new_code_cell(STRICT))
    limits = {"timeout": int(PATIENCE), "startup_timeout": int(PATIENCE)}
    client = NotebookClient(notebook, **limits, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute()
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


@pytest.fixture
def alone(tmp_path, monkeypatch) -> Path:
    """An empty folder; kernels and settings of the person who runs the tests stay out."""
    for name in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_clean(path):
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata == METADATA
    for cell in notebook.cells:
        assert cell.metadata == {}, cell.id
        assert re.fullmatch(r"[a-z][a-z0-9-]*", cell.id), "an id says what the cell is about"
        if cell.cell_type == "code":
            assert (cell.execution_count, cell.outputs) == (None, []), cell.id


SHORT = {
    "gains_forest": "02_transfer_plots forest",
    "gains_heat_map": "02_transfer_plots heat",
    "labels=": "02_transfer_plots custom",
    "scale_within": "03_data_scale_and_guidelines within-figure",
    "scale_across": "03_data_scale_and_guidelines across-figure",
}
"""Cells that show how short a figure is, by what they must have in them."""


@pytest.mark.parametrize("wanted", SHORT)
def test_a_figure_is_at_most_five_lines(wanted):
    notebook, cell = SHORT[wanted].split()
    source = next(
        found.source for found in nbformat.read(FOLDER / f"{notebook}.ipynb", as_version=4).cells if found.id == cell
    )
    assert wanted in source and ".figure(" in source
    assert len([line for line in source.splitlines() if line.strip()]) <= 5


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_notebooks_use_the_front_door(path):
    code = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
    assert "import aggregation_lab as agg" in code
    assert not re.findall(r"analysis\.(?:figures|tables|pipeline|study|report)\b", code) and ".frames[" not in code


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_runs_and_shows_figures(path, alone):
    outputs = execute(nbformat.read(path, as_version=4), alone)
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    assert not list(alone.iterdir()), "it leaves files in the folder it runs in"


@pytest.mark.slow
def test_a_warning_fails(alone):
    with pytest.raises(CellExecutionError, match="UserWarning"):
        execute(new_notebook(cells=[new_code_cell("warnings.warn('old')")]), alone)


def test_links_lead_somewhere():
    texts = {path: nbformat.read(path, as_version=4).cells for path in NOTEBOOKS}
    markdown = {
        path: "\n".join(cell.source for cell in cells if cell.cell_type == "markdown") for path, cells in texts.items()
    }
    markdown[FOLDER / "README.md"] = (FOLDER / "README.md").read_text()
    for path, text in markdown.items():
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert target.startswith("https://") or (FOLDER / target).exists(), f"{path.name}: {target}"
    listed = re.findall(r"\]\(([^)]+\.ipynb)\)", markdown[FOLDER / "README.md"])
    assert sorted(listed) == [path.name for path in NOTEBOOKS]
