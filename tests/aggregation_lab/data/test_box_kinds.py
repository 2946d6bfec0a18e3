"""Boxes in the forms other tools write: read where that is sure, else refused with a rule."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aggregation_lab.config import TargetRules
from aggregation_lab.data.challenge import Dataset
from tests.kinds import (
    HEIGHT,
    SIDES,
    TASK,
    WIDTH,
    boxed,
    good,
    problems,
)


def corners(seed: int = 0, count: int = 20) -> np.ndarray:
    """N x 4 boxes in all parts of the image."""
    generator = np.random.default_rng(seed)
    low = generator.uniform((0, 0), (WIDTH - 16, HEIGHT - 12), (count, 2))
    return np.hstack([low, low + generator.uniform(4, 12, (count, 2))]).round(2)


def as_size(boxes: np.ndarray) -> np.ndarray:
    return np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])


def as_centre(boxes: np.ndarray) -> np.ndarray:
    return np.hstack([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]])


BOXES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], dict]] = {
    "shares": (lambda boxes: boxes / SIDES, {"coordinates": {TASK: "normalised"}}),
    "sizes": (as_size, {"box_format": {TASK: "xywh"}}),
    "centres": (as_centre, {"box_format": {TASK: "cxcywh"}}),
    "centres in shares": (
        lambda boxes: as_centre(boxes / SIDES),
        {"coordinates": {TASK: "normalised"}, "box_format": {TASK: "cxcywh"}},
    ),
}


def check_boxes(dataset: Dataset, boxes: np.ndarray) -> None:
    order = dataset.cases["image"].str[2:].astype(int)
    np.testing.assert_allclose(np.array(dataset.cases["box"].tolist()), boxes[order], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", BOXES)
def test_boxes_of_another_form_are_one_error_and_the_rule_reads_them(tmp_path: Path, name: str) -> None:
    write, rule = BOXES[name]
    root = boxed(tmp_path / "data", write(corners()))
    (line,) = problems(root, "error")
    setting = next(iter(rule))
    assert f"data.{setting}: " in line and f"{TASK}: {rule[setting][TASK]}" in line and "19 more such rows" in line
    check_boxes(good(root, rules=TargetRules.model_validate(rule)), corners())


def test_boxes_of_two_corners_are_not_suspected(tmp_path: Path) -> None:
    for seed in range(5):
        check_boxes(good(boxed(tmp_path / str(seed), corners(seed))), corners(seed))


def test_large_boxes_of_sizes_are_suspected(tmp_path: Path) -> None:
    """Boxes that start near the corner are larger than they are far: none is inverted."""
    generator = np.random.default_rng(0)
    boxes = np.hstack([generator.uniform(2, 12, (20, 2)), generator.uniform(20, 34, (20, 2))])
    root = boxed(tmp_path / "data", boxes)
    (line,) = problems(root, "warning")
    assert "upper left quarter" in line and f"{TASK}: xywh" in line
    good(root, rules=TargetRules(box_format={TASK: "xyxy"}))
    good(root, rules=TargetRules(box_format={TASK: "xywh"}))


def test_faults_of_many_boxes_are_one_line_each(tmp_path: Path) -> None:
    boxes = corners()
    boxes[[1, 5, 7], 2] += WIDTH
    boxes[3] = boxes[3][[2, 1, 0, 3]]
    outside, inverted = sorted(problems(boxed(tmp_path / "data", boxes), "error"), key=lambda line: "inverted" in line)
    assert "line 3" in outside and "2 more such rows: lines 7, 9" in outside
    assert "line 5" in inverted and "more" not in inverted


def test_single_rows_in_shares_are_told(tmp_path: Path) -> None:
    boxes = corners()
    boxes[[4, 6]] /= SIDES
    (line,) = problems(boxed(tmp_path / "data", boxes), "warning")
    assert "line 6" in line and "1 more such row: line 8" in line and "write pixels" in line


def test_one_csv_in_shares_among_others_in_pixels(tmp_path: Path) -> None:
    """A rule for the task would not help: the CSV itself is to be corrected."""
    root = boxed(tmp_path / "data", corners())
    table = root / "train/csv_files/tiny.csv"
    head, *rows = table.read_text().splitlines()
    shares = [
        [*row.split(",")[:4], *map(repr, box)] for row, box in zip(rows, (corners() / SIDES).tolist(), strict=True)
    ]
    table.with_name("other.csv").write_text("\n".join([head, *(",".join(row) for row in shares[:10])]))
    table.write_text("\n".join([head, *rows[10:]]))
    (line,) = problems(root, "error")
    assert "other.csv" in line and "write pixels here" in line


def test_boxes_without_an_object_are_one_line(tmp_path: Path) -> None:
    boxes = corners()
    boxes[[2, 5]] = -1
    root = boxed(tmp_path / "data", boxes)
    (line,) = problems(root, "error")
    assert "take the row out" in line and "1 more such row" in line and not problems(root, "warning")


def test_boxes_of_a_larger_image_are_told_with_their_cause(tmp_path: Path) -> None:
    lines = problems(boxed(tmp_path / "data", corners() * 8), "error")
    assert lines and all("as what was drawn on a larger image does; scale it to this image" in line for line in lines)
    boxes = corners()
    boxes[4, 2] = WIDTH + 2
    (line,) = problems(boxed(tmp_path / "more", boxes), "error")
    assert "correct the box" in line


def test_a_box_by_width_and_height_is_told_how_to_become_one_of_corners(tmp_path: Path) -> None:
    root = boxed(tmp_path / "data", as_size(corners()))
    table = root / "train/csv_files/tiny.csv"
    table.write_text(table.read_text().replace("x_max,y_max", "width,height"))
    lines = problems(root, "error")
    assert any("is missing (it is x_min + 'width', where that is the side of the box)" in line for line in lines)
    assert any("is missing (it is y_min + 'height'" in line for line in lines)


def test_a_decimal_comma_in_a_table_of_commas_is_named(tmp_path: Path) -> None:
    root = boxed(tmp_path / "data", corners())
    table = root / "train/csv_files/tiny.csv"
    head, first, *rows = table.read_text().splitlines()
    cells = first.split(",")
    cells[-1] = '"12,5"'
    table.write_text("\n".join([head, ",".join(cells), *rows]))
    (line,) = problems(root, "error")
    assert "is '12,5'; write a number in pixels; write a decimal point, as in 12.5, where 12,5 is meant" in line
