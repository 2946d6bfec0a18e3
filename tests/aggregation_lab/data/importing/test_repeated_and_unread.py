"""Images that several annotation files draw, and shapes that no reader makes an area of."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aggregation_lab.data.importing.mask_values import FileMap, parse_mask_values
from aggregation_lab.data.importing.receipt import read_receipts
from aggregation_lab.data.importing.records import Picture, Record, repeated
from aggregation_lab.data.importing.targets import ClassMap
from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import imported, mask_of, pixels_of, read, refused
from tests.aggregation_lab.data.importing.sources import CASES, Drawn, change, write

SUBJECT = ("--subject", r"(p\d+)_")
FIRST = CASES[0].name


# ---- an image that several files draw --------------------------------------------------------------------------------


def coco_polygons(root: Path) -> Path:
    sources.coco(root)
    return root / "annotations/instances.json"


def coco_run_lengths(root: Path) -> Path:
    file = coco_polygons(root)
    value = json.loads(file.read_text())
    for entry, case in zip(value["annotations"], CASES, strict=True):
        flat = case.mask.T.ravel()
        edges = np.flatnonzero(np.diff(flat)) + 1
        counts = np.diff([0, *edges.tolist(), len(flat)]).tolist()
        entry["segmentation"] = {"size": list(case.mask.shape), "counts": counts}
    write(file, json.dumps(value))
    return file


def cvat(inside: Callable[[Drawn], str]) -> Callable[[Path], Path]:
    def build(root: Path) -> Path:
        sources.cvat(root, inside)
        return root / "annotations.xml"

    return build


DRAWN: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "polygons of COCO": ("coco", coco_polygons),
    "run lengths of COCO": ("coco", coco_run_lengths),
    "polygons of CVAT": ("cvat", cvat(sources.cvat_polygon)),
    "masks of CVAT": ("cvat", cvat(sources.cvat_mask)),
}


@pytest.mark.parametrize("name", DRAWN)
def test_an_image_drawn_alike_in_two_files_is_taken_once(capsys, tmp_path, name):
    form, build = DRAWN[name]
    file = build(tmp_path / "s")
    shutil.copy(file, file.with_stem("a_copy"))
    text = imported(capsys, form, tmp_path / "s", tmp_path / "out", "--task", "t", "--type", "segmentation", *SUBJECT)
    assert "10 cases" in text
    (reason,) = read_receipts(tmp_path / "out")["t"].skipped
    assert reason == "stands twice in the source with one target; the first is taken"
    dataset, cases = read(tmp_path / "out")
    for case in cases.itertuples():
        (one,) = [each for each in CASES if np.array_equal(each.pixels, pixels_of(dataset, case))]
        np.testing.assert_array_equal(mask_of(dataset, case), one.mask)


def test_and_left_out_where_one_polygon_differs(capsys, tmp_path):
    file = coco_polygons(tmp_path / "s")
    value = json.loads(file.read_text())
    value["annotations"][0]["segmentation"][0][0] += 1
    write(file.with_stem("a_copy"), json.dumps(value))
    imported(capsys, "coco", tmp_path / "s", tmp_path / "out", "--task", "t", "--type", "segmentation", *SUBJECT)
    skipped = read_receipts(tmp_path / "out")["t"].skipped
    reasons = {reason.split(";")[0]: len(names) for reason, names in skipped.items()}
    assert reasons == {
        "stands twice in the source with one target": 9,
        "stands 2 times in the source with unlike targets": 2,
    }


@pytest.mark.parametrize(
    ("file", "values", "left_out"), [("a.png", "0=0,9=1", [1]), ("b.png", "0=0,9=1", [0, 1]), ("a.png", "0=0", [0, 1])]
)
def test_mask_files_are_one_target_where_file_and_values_are_the_same(file, values, left_out):
    picture = Picture("1.png", "1", Path("1.png"))
    maps = FileMap(Path("a.png"), parse_mask_values("0=0,9=1")), FileMap(Path(file), parse_mask_values(values))
    assert list(repeated([Record(picture, ClassMap(each)) for each in maps])) == left_out


def test_a_volume_of_one_slice_that_is_named_twice_is_one_case(capsys, tmp_path):
    options = sources.nifti(tmp_path / "s")
    first, *lines = (tmp_path / "s.csv").read_text().splitlines()
    lines = [f"{line}," for line in lines] + [f"{lines[0]},0"]
    write(tmp_path / "s.csv", "\n".join([f"{first},frame", *lines]) + "\n")
    assert "10 cases" in imported(capsys, "nifti", tmp_path / "s", tmp_path / "out", "--task", "t", *options)


# ---- areas that are not read -----------------------------------------------------------------------------------------

ELLIPSE = '<ellipse label="{}" cx="9" cy="9" rx="3" ry="3"/>'
TURNED = '<box label="{}" xtl="1" ytl="1" xbr="5" ybr="5" rotation="30"/>'


def with_first(more: str, inside: Callable[[Drawn], str]) -> Callable[[Drawn], str]:
    """What is drawn on each image, and `more` on the first."""
    return lambda case: (more if case.name == FIRST else "") + inside(case)


@pytest.mark.parametrize("area", [ELLIPSE, TURNED])
@pytest.mark.parametrize(
    ("inside", "options", "cases"),
    [
        (sources.cvat_polygon, (), 9),
        (sources.cvat_box, (), 9),
        (sources.cvat_box, ("--classes", "lesion"), 10),
        (sources.cvat_tag, ("--type", "classification"), 10),
        (sources.cvat_points, ("--type", "regression"), 10),
    ],
)
def test_an_area_that_is_not_read_leaves_its_image_out_where_the_task_takes_areas(
    capsys, tmp_path, area, inside, options, cases
):
    sources.cvat(tmp_path / "s", with_first(area.format("cyst"), inside))
    text = imported(capsys, "cvat", tmp_path / "s", tmp_path / "out", "--task", "t", *options, *SUBJECT)
    assert f"{cases} cases" in text
    skipped = read_receipts(tmp_path / "out")["t"].skipped
    assert any("which is not read; draw" in reason for reason in skipped) == (cases == 9)


@pytest.mark.parametrize(("kind", "cases"), [("polygon", 9), ("rectangle", 9), ("point", 10)])
def test_a_mask_of_labelme_does_so_too(capsys, tmp_path, kind, cases):
    sources.labelme(tmp_path / "s", kind)
    mask = '{"label": "cyst", "shape_type": "mask", "points": [[1, 1], [5, 5]], "mask": "x"}'
    change(tmp_path / f"s/{FIRST}.json", '"shapes": [', f'"shapes": [{mask}, ')
    text = imported(capsys, "labelme", tmp_path / "s", tmp_path / "out", "--task", "t", *SUBJECT)
    assert f"{cases} cases" in text and ("marks an area as a mask of LabelMe" in text) == (cases == 9)


def test_a_source_of_nothing_else_is_refused_for_that_reason(capsys, tmp_path):
    sources.cvat(tmp_path / "s", lambda case: ELLIPSE.format("lesion"))
    line = refused(capsys, "import", "cvat", tmp_path / "s", tmp_path / "out", "--task", "t")
    assert f"{FIRST}.png marks an area as an ellipse, which is not read; draw it as a polygon" in line
