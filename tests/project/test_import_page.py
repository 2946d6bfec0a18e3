"""What docs/import.md shows works: every command, in its order, on sources of the names it uses."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from aggregation_lab.data.importing.formats import FORMATS
from tests import ROOT
from tests.aggregation_lab.data.importing import sources, test_nifti
from tests.aggregation_lab.data.importing.kit import agglab

PAGE = (ROOT / "docs" / "import.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, flags=re.S) for line in block.splitlines()]


def build(root: Path) -> None:
    sources.folder(root / "kinds")
    sources.csv_labels(root)
    sources.masks(root / "lesions")
    sources.coco(root / "coco")
    for number, name in enumerate(("Nodule", "Cyst"), start=1):
        sources.nnunet(root / "nnUNet_raw" / f"Dataset{number:03d}_{name}")
    test_nifti.nnunet(root / "Dataset003_Volumes")
    sources.yolo(root / "yolo")
    sources.voc(root / "voc")
    sources.medmnist(root / "medmnist")
    os.rename(root / "medmnist" / "breast.npz", root / "breastmnist.npz")
    sources.dicom(root / "dicom")
    sources.nifti(root / "nifti")
    sources.labelme(root / "labelme")
    sources.cvat(root / "cvat")
    sources.video(root / "videos")


@pytest.mark.slow
def test_the_commands_of_the_page_run(capsys, tmp_path, monkeypatch):
    build(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert {shlex.split(line)[2] for line in COMMANDS if "import" in line} == set(FORMATS)
    for line in COMMANDS:
        code, shown = agglab(capsys, *shlex.split(line)[1:])
        assert code == 0, f"{line}\n{shown}"
    tasks = set(re.findall(r"--task (\w+)", PAGE)) | {"Nodule", "Cyst"}  # the latter are named by their data sets
    assert f"usable, {len(tasks)} tasks" in shown


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target


def test_every_option_of_the_page_is_one_of_the_command():
    help_text = subprocess.run(
        [sys.executable, "-m", "runners.cli", "import", "--help"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
    ).stdout
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE))
    assert options and {option for option in options if option not in help_text} == set()
    assert [name for name in FORMATS if f"`{name}`" not in PAGE] == []
