"""Lines of YOLO that are a box with keypoints: no polygon, whether or not data.yaml says so."""

from pathlib import Path

import pytest

from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import imported, read, refused
from tests.aggregation_lab.data.importing.sources import CASES, Drawn

SAID = "the lines are boxes with keypoints in them by their numbers, and data.yaml gives no kpt_shape"


def poses(root: Path, *, visible: str = "", shape: str = "") -> list[str]:
    """The ends of each box behind it, with a visibility or without."""

    def line(case: Drawn) -> str:
        width, height = case.size
        points = " ".join(f"{x / width:.6f} {y / height:.6f} {visible}" for x, y in case.points)
        return f"{sources.yolo_box(case)} {points}"

    return sources.yolo(root, line, shape)


@pytest.mark.parametrize(("visible", "per_point"), [("", 2), ("1", 3), ("2", 3)])
def test_poses_without_kpt_shape_are_refused(capsys, tmp_path, visible, per_point):
    """They became polygons, or were said to be no shares of the image's sides."""
    options = poses(tmp_path / "s", visible=visible)
    line = refused(capsys, "import", "yolo", tmp_path / "s", tmp_path / "out", "--task", "t")
    remedy = f"write kpt_shape: [2, {per_point}] into it, or give --type segmentation where they are polygons"
    assert f"{SAID}; {remedy}" in line
    poses(tmp_path / "s", visible=visible, shape=f"kpt_shape: [2, {per_point}]\n")
    imported(capsys, "yolo", tmp_path / "s", tmp_path / "out", "--task", "t", *options)
    assert read(tmp_path / "out")[1]["points"].map(len).tolist() == [2] * 10


def test_boxes_asked_of_lines_that_may_be_either_are_those_of_polygons_and_it_is_said(capsys, tmp_path):
    poses(tmp_path / "s")
    text = imported(capsys, "yolo", tmp_path / "s", tmp_path / "out", "--task", "t", "--type", "detection")
    assert f"labels: {SAID}, so they are taken as polygons" in text


def test_the_boxes_of_poses_are_boxes(capsys, tmp_path):
    """Ten numbers are an even count, as of a polygon: its bounds were taken."""
    poses(tmp_path / "s", visible="2", shape="kpt_shape: [2, 3]\n")
    options = ("--task", "t", "--type", "detection")
    imported(capsys, "yolo", tmp_path / "s", tmp_path / "out", *options)
    boxes = [tuple(map(round, box)) for box in read(tmp_path / "out")[1]["box"]]
    assert sorted(boxes) == sorted(case.box for case in CASES)
    line = refused(capsys, "import", "yolo", tmp_path / "s", tmp_path / "more", "--task", "t", "--type", "segmentation")
    assert "data.yaml gives kpt_shape, so lines are boxes with keypoints; choose --type regression or detection" in line


def test_polygons_of_as_many_corners_are_polygons(capsys, tmp_path):
    options = sources.yolo_segments(tmp_path / "s")
    imported(capsys, "yolo", tmp_path / "s", tmp_path / "out", "--task", "t", *options)
    assert read(tmp_path / "out")[1]["mask"].all()
