"""Boxes in another form than their fields say: refused with the cause where many show it, else left out."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from aggregation_lab.data.importing.receipt import read_receipts
from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import imported, read, refused
from tests.aggregation_lab.data.importing.sources import CASES, Drawn, change, write
from tests.aggregation_lab.data.importing.test_beyond_edge import BOX
from tests.aggregation_lab.data.importing.test_left_out import COCO

FIRST = CASES[0]


def as_sides(case: Drawn) -> dict[str, object]:
    x_min, y_min, x_max, y_max = case.box
    return dict(zip(BOX, (x_min, y_min, x_max - x_min, y_max - y_min), strict=True))


def as_ends(case: Drawn) -> dict[str, object]:
    """The ends of a line that was drawn from either side."""
    (x_1, y_1), (x_2, y_2) = reversed(case.points) if case.label else case.points
    return dict(zip(("x1", "y1", "x2", "y2"), (x_1, y_1, x_2, y_2), strict=True))


@pytest.mark.parametrize("columns", [as_sides, as_ends])
def test_many_inverted_boxes_are_of_another_form_and_none_is_taken(capsys, tmp_path, columns):
    """The inverted ones were left out as empty, and the others imported: wrong boxes that `validate` cannot tell."""
    file = sources.table(tmp_path / "s", columns)
    line = refused(capsys, "import", "csv", file, tmp_path / "out", "--task", "t")
    assert " of 10 images have boxes that are inverted as two corners (first images/p" in line
    assert "so none is taken; of a table, say what they are, as in --columns x_min=x,y_min=y,width=w,height=h" in line


def test_the_line_says_what_works(capsys, tmp_path):
    file = sources.table(tmp_path / "s", as_sides)
    columns = "x_min=x_min,y_min=y_min,width=x_max,height=y_max"
    imported(capsys, "csv", file, tmp_path / "out", "--task", "t", "--columns", columns)
    assert sorted(read(tmp_path / "out")[1]["box"]) == sorted(case.box for case in CASES)


def coco_boxes(root: Path, box: Callable[[Drawn], list[float]], **more: Callable[[Drawn], object]) -> list[str]:
    """COCO's file with other boxes, and further fields; None takes a field away."""
    options = sources.coco(root)
    value = json.loads((root / COCO).read_text())
    for case, entry in zip(CASES, value["annotations"], strict=True):
        del entry["keypoints"]
        entry |= {"bbox": box(case), **{name: made(case) for name, made in more.items()}}
    write(root / COCO, json.dumps(value))
    return options


def area(case: Drawn) -> int:
    x_min, y_min, x_max, y_max = case.box
    return (x_max - x_min) * (y_max - y_min)


def test_inverted_boxes_are_refused_in_other_formats_and_one_alone_is_left_out(capsys, tmp_path):
    coco_boxes(tmp_path / "s", lambda case: [case.box[2], case.box[3], -5, -5])
    assert "10 of 10 images have boxes that are inverted" in refused(
        capsys, "import", "coco", tmp_path / "s", tmp_path / "out", "--task", "t"
    )
    options = sources.voc(tmp_path / "v")
    x_min = f"<xmin>{FIRST.box[0]}<"
    change(tmp_path / "v/Annotations" / f"{FIRST.name}.xml", x_min, f"<xmin>{FIRST.box[2] + 1}<")
    imported(capsys, "voc", tmp_path / "v", tmp_path / "out", "--task", "t", *options)
    receipt = read_receipts(tmp_path / "out")["t"]
    assert any("a box is inverted" in reason for reason in receipt.skipped) and receipt.counts["cases"] == 9


NOTHING = {"segmentation": lambda case: []}
POLYGON = {"area": lambda case: area(case) - 9}


@pytest.mark.parametrize("more", [{"area": area, **NOTHING}, {}, POLYGON])
def test_corners_in_a_coco_file_are_refused_by_the_areas_or_polygons(capsys, tmp_path, more):
    """They made boxes that are far too large."""
    coco_boxes(tmp_path / "s", lambda case: list(case.box), **more)
    line = refused(capsys, "import", "coco", tmp_path / "s", tmp_path / "out", "--task", "t")
    assert "the boxes are x_min, y_min, x_max, y_max by the areas or polygons beside them; COCO's are x, y, w" in line


@pytest.mark.parametrize("more", [{"area": area, **NOTHING}, {"area": area}, POLYGON, {"area": lambda case: 7}])
def test_sides_in_a_coco_file_are_taken_whatever_is_said_of_areas(capsys, tmp_path, more):
    sides = lambda case: [*case.box[:2], case.box[2] - case.box[0], case.box[3] - case.box[1]]  # noqa: E731
    options = coco_boxes(tmp_path / "s", sides, **more)
    imported(capsys, "coco", tmp_path / "s", tmp_path / "out", "--task", "t", *options)
    assert sorted(read(tmp_path / "out")[1]["box"]) == sorted(case.box for case in CASES)


NO_MORE = {"segmentation": lambda case: []}


def test_corners_that_nothing_tells_are_refused_where_they_lie_far_beyond_as_sides(capsys, tmp_path):
    """As annotations of larger images: scaling them was the advice."""
    coco_boxes(tmp_path / "s", lambda case: [18, 15, 30, 28], **NO_MORE)
    line = refused(capsys, "import", "coco", tmp_path / "s", tmp_path / "out", "--task", "t")
    said = "10 of 10 boxes reach beyond their images as x, y, width, height, and none as two corners"
    assert f"{said}, so they seem to be x_min, y_min, x_max, y_max; COCO's are x, y, width, height" in line


def test_and_are_said_where_they_lie_a_little_beyond(capsys, tmp_path):
    options = coco_boxes(tmp_path / "s", lambda case: [18, 10, 25, 22], **NO_MORE)
    text = imported(capsys, "coco", tmp_path / "s", tmp_path / "out", "--task", "t", *options)
    assert "instances.json: 5 of 10 boxes reach beyond their images as x, y, width, height, and none as two" in text


# ---- keypoints of COCO -----------------------------------------------------------------------------------------------


def coco_points(root: Path, points: Callable[[Drawn], list[float]], names: list[str], **more: object) -> None:
    sources.coco(root)
    value = json.loads((root / COCO).read_text())
    for case, entry in zip(CASES, value["annotations"], strict=True):
        entry |= {"keypoints": points(case), **more}
    value["categories"][0]["keypoints"] = names
    write(root / COCO, json.dumps(value))


def pairs(case: Drawn) -> list[float]:
    return [*case.points[0], *case.points[1], 9, 11]


NAMES = ["a", "b", "c"]


@pytest.mark.parametrize(
    ("points", "names", "more", "said"),
    [
        (pairs, NAMES, {}, "annotation 0 has 6 numbers for the 3 keypoints that its category names"),
        (pairs, [], {"num_keypoints": 3}, "annotation 0 has 6 numbers for 3 keypoints (num_keypoints)"),
        (pairs, [], {}, f"annotation 0 has a keypoint of the visibility {FIRST.points[1][0]}"),
        (lambda case: [*case.points[0], 0.7], [], {}, "annotation 0 has a keypoint of the visibility 0.7"),
    ],
)
def test_keypoints_that_are_no_triples_are_refused(capsys, tmp_path, points, names, more, said):
    """Pairs were read as triples: three points became two, in other places."""
    coco_points(tmp_path / "s", points, names, **more)
    line = refused(capsys, "import", "coco", tmp_path / "s", tmp_path / "out", "--task", "t")
    assert f"{said}; COCO's keypoints are x, y, visibility (0, 1 or 2) one after the other, so write these" in line
