"""Points of one label, counted in an image and not in a shape; and what is drawn that no task takes."""

import json
from pathlib import Path

import pytest

from aggregation_lab.data.importing.receipt import read_receipts
from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import imported, read, refused
from tests.aggregation_lab.data.importing.sources import CASES, Drawn, change, write


def cvat_ends(case: Drawn) -> str:
    """Each end a shape of its own."""
    return "".join(f'<points label="end" points="{x},{y}"/>' for x, y in case.points)


def labelme_ends(root: Path) -> list[str]:
    options = sources.labelme(root)
    for case in CASES:
        value = json.loads((root / f"{case.name}.json").read_text())
        value["shapes"] = [{"label": "end", "shape_type": "point", "points": [point]} for point in case.points]
        write(root / f"{case.name}.json", json.dumps(value))
    return options


@pytest.mark.parametrize("form", ["cvat", "labelme"])
def test_several_shapes_of_one_point_and_one_label_are_the_points_of_an_image(capsys, tmp_path, form):
    """Each was taken for a shape with all of the points, so every image had too many."""
    options = sources.cvat(tmp_path / "s", cvat_ends) if form == "cvat" else labelme_ends(tmp_path / "s")
    text = imported(capsys, form, tmp_path / "s", tmp_path / "out", "--task", "t", *options)
    assert sorted(read(tmp_path / "out")[1]["points"]) == sorted(case.points for case in CASES)
    assert "points: 2 points have one label, so their order is that in which they were set; see that it is" in text


def test_an_image_with_another_number_of_points_than_most_is_left_out(capsys, tmp_path):
    """One with too many left out all others."""
    options = sources.cvat(tmp_path / "s", cvat_ends)
    first = cvat_ends(CASES[0])
    change(tmp_path / "s/annotations.xml", first, f'{first}<points label="end" points="1,1"/>')
    imported(capsys, "cvat", tmp_path / "s", tmp_path / "out", "--task", "t", *options)
    receipt = read_receipts(tmp_path / "out")["t"]
    assert receipt.skipped == {"has 3 points, most images 2": [f"{CASES[0].name}.png"]}


@pytest.mark.parametrize(
    ("inside", "what"),
    [
        ('<polyline label="a" points="1,1;9,9"/>', "polylines"),
        ('<skeleton label="a"><points/></skeleton>', "skeletons"),
    ],
)
def test_shapes_that_no_task_takes_are_named_with_those_that_are_read(capsys, tmp_path, inside, what):
    """Another --type was advised, of which none helps."""
    sources.cvat(tmp_path / "s", lambda case: inside)
    line = refused(capsys, "import", "cvat", tmp_path / "s", tmp_path / "out")
    said = f"what is drawn is {what}, of which a task cannot be made; draw polygons, rectangles or points"
    assert said in line and "--type" not in line


def test_flags_of_labelme_are_named_with_the_way_to_import_them(capsys, tmp_path):
    sources.labelme(tmp_path / "s")
    for case in CASES:
        value = json.loads((tmp_path / "s" / f"{case.name}.json").read_text())
        write(tmp_path / "s" / f"{case.name}.json", json.dumps({**value, "shapes": [], "flags": {"benign": True}}))
    line = refused(capsys, "import", "labelme", tmp_path / "s", tmp_path / "out")
    assert "flags of an image are not read; write them into the column `label` of a table" in line
