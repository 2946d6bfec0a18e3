"""Names of images that fit another image, too, or several: none is taken that may be the wrong one."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from aggregation_lab.data.importing.receipt import read_receipts
from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import imported, read
from tests.aggregation_lab.data.importing.sources import CASES, Drawn, change, save, write

SUBJECT = ("--subject", r"(p\d+)_")
FIRST = CASES[0].name


def boxes_by_name(out: Path) -> dict[str, tuple[float, ...]]:
    """The box of each case in OUT, by the last folder and the name of its image."""
    _, cases = read(out)
    return {"/".join(Path(case.image).parts[-2:]): case.box for case in cases.itertuples()}


def coco(file: Path, names: list[str], cases: Sequence[Drawn] = CASES) -> None:
    """Boxes of the cases, for images of these names."""
    images, annotations = [], []
    for number, (name, case) in enumerate(zip(names, cases, strict=True)):
        x_min, y_min, x_max, y_max = case.box
        images.append({"id": number, "file_name": name})
        bbox = [x_min, y_min, x_max - x_min, y_max - y_min]
        annotations.append({"id": number, "image_id": number, "category_id": 1, "bbox": bbox})
    write(file, json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "lesion"}]}))


def test_parts_that_use_the_same_names_keep_their_own_images(capsys, tmp_path):
    """Read first, test.json found its images in `train`, with which it shares every name."""
    names = [f"p{number}_.png" for number in range(5)]
    for part, cases in (("train", CASES[:5]), ("test", CASES[5:])):
        for name, case in zip(names, cases, strict=True):
            save(tmp_path / "s" / part / name, case.pixels)
        lost = ["lost_.png"] if part == "test" else []
        coco(tmp_path / f"s/annotations/{part}.json", names + lost, [*cases, *CASES[: len(lost)]])
    save(tmp_path / "s/train/lost_.png", CASES[0].pixels)
    imported(capsys, "coco", tmp_path / "s", tmp_path / "out", "--task", "t", *SUBJECT)
    expected = {
        f"{part}/p{n}_.png": CASES[n + first].box for part, first in (("train", 0), ("test", 5)) for n in range(5)
    }
    assert boxes_by_name(tmp_path / "out") == expected
    assert read_receipts(tmp_path / "out")["t"].skipped["its image file does not exist"] == ["lost_.png"]


def test_the_image_of_another_folder_is_none_of_the_one_that_is_named(capsys, tmp_path):
    for number, case in enumerate(CASES):
        save(tmp_path / "s/images" / f"p{number}" / "1.png", case.pixels)
    coco(tmp_path / "s/a.json", [f"old/p{number}/1.png" for number in range(10)])
    shutil.rmtree(tmp_path / "s/images/p0")
    save(tmp_path / "s/images/p0/2.png", CASES[0].pixels)
    imported(capsys, "coco", tmp_path / "s", tmp_path / "out", "--task", "t", "--subject", r"(p\d+)/")
    assert boxes_by_name(tmp_path / "out") == {f"p{number}/1.png": CASES[number].box for number in range(1, 10)}
    assert read_receipts(tmp_path / "out")["t"].skipped["its image file does not exist"] == ["old/p0/1.png"]


def test_images_beside_the_folder_of_a_json_file_keep_their_folders(capsys, tmp_path):
    for number, case in enumerate(CASES):
        save(tmp_path / "s/images" / f"p{number}" / "1.png", case.pixels)
    coco(tmp_path / "s/annotations/a.json", [f"p{number}/1.png" for number in range(10)])
    options = ("--task", "t", "--subject", r"(p\d+)/")
    text = imported(capsys, "coco", tmp_path / "s/annotations/a.json", tmp_path / "out", *options)
    assert "10 cases" in text and "10 subjects" in text


@pytest.mark.parametrize("form", ["voc", "labelme"])
def test_an_annotation_with_the_name_of_another_image_is_left_out(capsys, tmp_path, form):
    """Files were renamed, and the names inside of the annotations were not."""
    if form == "voc":
        sources.voc(tmp_path / "s")
        file = tmp_path / "s/Annotations/p1_0.xml"
    else:
        sources.labelme(tmp_path / "s", "rectangle")
        file = tmp_path / "s/p1_0.json"
    change(file, "p1_0.png", "p1_1.png")
    imported(capsys, form, tmp_path / "s", tmp_path / "out", "--task", "t", *SUBJECT)
    boxes = {Path(name).stem: box for name, box in boxes_by_name(tmp_path / "out").items()}
    assert boxes == {case.name: case.box for case in CASES if case.name != "p1_0"}
    reasons = read_receipts(tmp_path / "out")["t"].skipped
    assert "names the image p1_1.png, beside which lies one of its own name; correct the wrong name" in reasons


def test_voc_in_folders_of_patients(capsys, tmp_path):
    sources.voc(tmp_path / "s")
    for case in CASES:
        patient, number = case.name.split("_")
        for top, ending in (("Annotations", "xml"), ("JPEGImages", "png")):
            (tmp_path / "s" / top / patient).mkdir(exist_ok=True)
            os.rename(
                tmp_path / "s" / top / f"{case.name}.{ending}", tmp_path / "s" / top / patient / f"{number}.{ending}"
            )
        change(tmp_path / "s/Annotations" / patient / f"{number}.xml", f"{case.name}.png", f"{number}.png")
    imported(capsys, "voc", tmp_path / "s", tmp_path / "out", "--task", "t", "--subject", r"(p\d+)/")
    expected = {f"{case.name.replace('_', '/')}.png": case.box for case in CASES}
    assert boxes_by_name(tmp_path / "out") == expected


@pytest.mark.parametrize("same", [True, False])
def test_two_annotations_of_one_image_count_only_where_they_agree(capsys, tmp_path, same):
    for who in ("first", "second"):
        for number, case in enumerate(CASES):
            if who == "second" and number:
                continue
            points = case.points if same or who == "first" else ((1, 1), (5, 6))
            shapes = [{"label": "lesion", "shape_type": "rectangle", "points": points}]
            write(
                tmp_path / "s" / who / f"{case.name}.json",
                json.dumps({"imagePath": f"..\\images\\{case.name}.png", "shapes": shapes}),
            )
    for case in CASES:
        save(tmp_path / "s/images" / f"{case.name}.png", case.pixels)
    imported(capsys, "labelme", tmp_path / "s", tmp_path / "out", "--task", "t", *SUBJECT)
    (reason,), (names,) = zip(*read_receipts(tmp_path / "out")["t"].skipped.items(), strict=True)
    assert len(boxes_by_name(tmp_path / "out")) == (10 if same else 9)
    assert ("with one target; the first is taken" if same else "with unlike targets; correct it") in reason
    assert names == [f"images/{FIRST}.png"] * (1 if same else 2)
