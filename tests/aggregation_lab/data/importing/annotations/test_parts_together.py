"""Parts of a data set, train and test, are taken together, and every format says so."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import imported
from tests.aggregation_lab.data.importing.sources import CASES, Drawn, change, write
from tests.aggregation_lab.data.importing.test_left_out import COCO

SAID = "the parts are taken together; one split is drawn anew"


def halves(case: Drawn) -> str:
    return "train" if CASES.index(case) < 6 else "val"


def column(root: Path) -> list[str]:
    sources.table(root, lambda case: {"label": case.label, "split": halves(case)})
    return []


def folders(root: Path) -> list[str]:
    """A table whose images lie in folders of the parts."""
    sources.csv_labels(root)
    for case in CASES:
        (root / halves(case)).mkdir(exist_ok=True)
        shutil.move(root / "images" / f"{case.name}.png", root / halves(case))
        change(root / "table.csv", f"images/{case.name}.", f"{halves(case)}/{case.name}.")
    return []


def coco(root: Path) -> list[str]:
    options = sources.coco(root)
    value = json.loads((root / COCO).read_text())
    for part in ("train", "val"):
        keep = [number for number, case in enumerate(CASES) if halves(case) == part]
        some = {name: [value[name][number] for number in keep] for name in ("images", "annotations")}
        write(root / f"annotations/instances_{part}.json", json.dumps({**value, **some}))
    (root / COCO).unlink()
    return options


def yolo(root: Path) -> list[str]:
    options = sources.yolo(root)
    for kind, ending in (("images", "png"), ("labels", "txt")):
        (root / kind / "val").mkdir()
        for case in CASES:
            if halves(case) == "val":
                shutil.move(root / kind / "train" / f"{case.name}.{ending}", root / kind / "val")
    return options


def voc(root: Path) -> list[str]:
    options = sources.voc(root)
    for part in ("train", "val", "trainval"):
        write(root / f"ImageSets/Main/{part}.txt", CASES[0].name)
    return options


def cvat(root: Path) -> list[str]:
    options = sources.cvat(root)
    for case in CASES:
        change(root / "annotations.xml", f'name="{case.name}.png"', f'subset="{halves(case)}" name="{case.name}.png"')
    return options


BUILDS: dict[str, tuple[str, Callable[[Path], list[str]], str]] = {
    "csv column": ("csv", column, "column split"),
    "csv folders": ("csv", folders, "train, val"),
    "coco": ("coco", coco, "instances_train.json, instances_val.json"),
    "yolo": ("yolo", yolo, "train, val"),
    "voc": ("voc", voc, "ImageSets/train.txt, ImageSets/val.txt"),
    "cvat": ("cvat", cvat, "train, val"),
    "medmnist": ("medmnist", sources.medmnist, "train, val, test"),
}


@pytest.mark.parametrize("name", BUILDS)
def test_the_parts_of_a_source_are_said_to_be_taken_together(capsys, tmp_path, name):
    """Only folder and medmnist said it: the split of a publisher was gone without a word."""
    form, build, shown = BUILDS[name]
    options = build(tmp_path / "s")
    source = {"csv": tmp_path / "s/table.csv", "medmnist": tmp_path / "s/breast.npz"}.get(form, tmp_path / "s")
    text = imported(capsys, form, source, tmp_path / "out", "--task", "t", *options)
    assert f"{shown}: {SAID}" in text and text.count(SAID) == 1


def test_one_part_alone_is_no_split(capsys, tmp_path):
    options = sources.yolo(tmp_path / "s")
    assert SAID not in imported(capsys, "yolo", tmp_path / "s", tmp_path / "out", "--task", "t", *options)
