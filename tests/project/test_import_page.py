"""What docs/import.md shows works: every command, in its order, on sources of its names, up to a finished report."""

import csv
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from aggregation_lab.data.importing.formats import FORMATS
from aggregation_lab.data.importing.receipt import Receipt, read_receipts
from runners.planning import cost
from tests import ROOT
from tests.aggregation_lab.data.importing import sources, test_nifti
from tests.aggregation_lab.data.importing.kit import agglab
from tests.project import test_readme
from tests.tiny import write_study

PAGE = (ROOT / "docs" / "import.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, flags=re.S) for line in block.splitlines()]
METRICS = {"classification": "AUC", "segmentation": "DSC", "detection": "IoU", "regression": "MRE"}


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


CASES, SUBJECTS = {"volumes": 20, "video_kind": 36}, {"video_kind": 12, "breastmnist": 10}
"""Those of the sources that do not hold ten images of five patients."""
TYPES = {
    "classification": {"breast_kind", "breast_labels", "breastmnist", "dicom_kind", "video_kind"},
    "detection": {"thyroid_box", "voc_box", "yolo_box"},
    "regression": {"thyroid_ends"},
    "segmentation": {"breast_masks", "Nodule", "Cyst", "volumes", "nifti_lesion", "labelme_lesion", "cvat_lesion"},
}


@pytest.mark.slow
@pytest.mark.usefixtures("one_figure", "one_choice")
def test_the_commands_of_the_page_go_from_every_format_to_a_finished_report(capsys, tmp_path, monkeypatch):
    build(tmp_path)
    kinds = TYPES["classification"]
    two = {"kinds": sorted(kinds), "others": sorted(set.union(*TYPES.values()) - kinds)}
    write_study(tmp_path / "my_study.yaml", data={}, aggregations=["AU", {"two": two}])  # three runs, not seventeen
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cost, "cores", lambda: 1)  # threads that share a core wait for each other
    assert {shlex.split(line)[2] for line in COMMANDS if "import" in line} == set(FORMATS)
    for line in COMMANDS:
        in_place = ["--engine", "debug", "--device", "cpu"] if "run-grid" in line else []
        code, shown = agglab(capsys, *shlex.split(line)[1:], *in_place)
        assert code == 0, f"{line}\n{shown}"
    receipts = read_receipts(tmp_path / "DATA")
    assert set(receipts) == set.union(*TYPES.values())
    for task, receipt in receipts.items():
        check_receipt(task, receipt)
    report = tmp_path / "out" / "my_study" / "report"
    check_report(report, receipts)
    page = (report / "index.html").read_text(encoding="utf-8")
    assert all(f'"task-{task}"' in page for task in receipts) and "<img" in page


def check_receipt(task: str, receipt: Receipt) -> None:
    assert task in TYPES[receipt.type] and not receipt.skipped
    assert receipt.counts["read"] == receipt.counts["cases"] == CASES.get(task, 10)
    assert receipt.counts["subjects"] == SUBJECTS.get(task, 5)
    said = {"breastmnist", "breast_kind", "volumes", "video_kind"}  # three parts; other names of subjects; no patients
    assert not receipt.remarks or task in said


def check_report(report: Path, receipts: dict[str, Receipt]) -> None:
    """The report has every task once, with its type and metric and as many cases as the one split gives it."""
    with open(report / "tables" / "data.csv", encoding="utf-8", newline="") as stream:
        rows = {row["task"]: row for row in csv.DictReader(stream)}
    with open(report.parent / "split.csv", encoding="utf-8", newline="") as stream:
        split = [(row["case"].partition("/")[0], row["split"]) for row in csv.DictReader(stream)]
    assert set(rows) == set(receipts)
    for task, row in rows.items():
        parts = [part for name, part in split if name == task]
        assert len(parts) == receipts[task].counts["cases"]
        assert (row["type"], row["metric"]) == (receipts[task].type, METRICS[receipts[task].type])
        assert (float(row["n_train"]), float(row["n_test"])) == (parts.count("train"), parts.count("test"))


def test_readme_shows_commands_of_the_page():
    shown = test_readme.commands("agglab import")
    assert len(shown) > 3 and set(shown) <= set(COMMANDS)
    text = test_readme.README
    assert [name for name in FORMATS if f"`{name}`" not in text and f"import {name} " not in text] == []


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target


def test_every_option_of_the_page_is_one_of_the_command():
    helps = [
        subprocess.run(
            [sys.executable, "-m", "runners.cli", command, "--help"],
            cwd=ROOT,
            env={**os.environ, "COLUMNS": "200"},
            capture_output=True,
            text=True,
        ).stdout
        for command in ("import", "run-grid")
    ]
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE))
    assert options and {option for option in options if not any(option in text for text in helps)} == set()
    assert [name for name in FORMATS if f"`{name}`" not in PAGE] == []
