"""Points in the forms other tools write: read where that is sure, else refused with a rule."""

from pathlib import Path

import numpy as np
import pytest

from aggregation_lab.config import TargetRules
from aggregation_lab.data.challenge import read_dataset
from aggregation_lab.tasks.geometry import points_in_sides
from tests.kinds import (
    HEIGHT,
    SIDES,
    WIDTH,
    good,
    pointed,
    problems,
    rule_in,
)


def marks(count: int = 20) -> np.ndarray:
    """N x 2 x 2 points in all parts of the image."""
    return np.random.default_rng(1).uniform((1, 1), (WIDTH, HEIGHT), (count, 2, 2)).round(2)


def test_points_in_shares_are_an_error_and_the_rule_reads_them(tmp_path: Path) -> None:
    root = pointed(tmp_path / "data", marks() / SIDES[:2])
    (line,) = problems(root, "error")
    assert "not pixels" in line and "19 more such rows" in line
    dataset = good(root, rules=rule_in(line))
    shares = points_in_sides(dataset.cases)[dataset.cases["image"].argsort()]
    np.testing.assert_allclose(shares, marks() / SIDES[:2], rtol=0, atol=1e-6)


def test_points_in_one_quarter_are_suspected(tmp_path: Path) -> None:
    root = pointed(tmp_path / "data", marks() / 2)
    (line,) = problems(root, "warning")
    assert "upper left quarter" in line
    good(root, rules=rule_in(line))


def test_missing_points_are_told_and_left_out(tmp_path: Path) -> None:
    points = marks()
    points[[0, 4, 8], 1] = 0
    root = pointed(tmp_path / "data", points)
    (line,) = problems(root, "warning")
    assert all(word in line for word in ("line 2", "point_2_xy", "2 more such rows: lines 6, 10", "data.missing_point"))
    dataset = read_dataset(root, rules=rule_in(line))
    assert len(dataset.cases) == 17 and dataset.images.shape[0] == 17
    (line,) = map(str, dataset.warnings)
    assert "left out" in line and "2 more such rows" in line


@pytest.mark.parametrize(
    ("text", "rule"), [("", "empty"), ("[NaN, NaN]", "empty"), ("[null, null]", "empty"), ("[-1, -1]", (-1.0, -1.0))]
)
def test_other_signs_of_a_missing_point(tmp_path: Path, text: str, rule: object) -> None:
    rows = [[[float(x), float(y)] for x, y in row] for row in marks().tolist()]
    rows[3][0] = rows[6][1] = text  # type: ignore[call-overload]
    root = pointed(tmp_path / "data", rows)
    first = problems(root, "error")[0]
    assert "line 5" in first and ("data.missing_point: empty" in first) == (rule == "empty")
    assert len(read_dataset(root, rules=TargetRules(missing_point=rule)).cases) == 18  # type: ignore[arg-type]


def test_a_rule_that_finds_nothing_is_told(tmp_path: Path) -> None:
    root = pointed(tmp_path / "data", marks())
    (line,) = problems(root, "warning", rules=TargetRules(missing_point=(0.0, 0.0)))
    assert "missing_point" in line and "no point of the data is" in line


POINTS = {
    "round brackets": "({}, {})",
    "no brackets": "{}, {}",
    "an array's print": "[{} {}]",
    "semicolons": "{};{}",
    "text in JSON": '["{}", "{}"]',
    "one bracket more": "[[{}, {}]]",
    "NumPy's numbers": "(np.float64({}), np.float64({}))",
    "names": '{{"x": {}, "y": {}}}',
}


@pytest.mark.parametrize("name", POINTS)
def test_points_in_other_brackets_are_read(tmp_path: Path, name: str) -> None:
    texts = [[POINTS[name].format(x, y) for x, y in row] for row in marks().tolist()]
    dataset = good(pointed(tmp_path / "data", texts))
    shares = points_in_sides(dataset.cases)[dataset.cases["image"].argsort()]
    np.testing.assert_allclose(shares, marks() / SIDES[:2], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "text", ["[5, 6", "5, 6]", "(5, 6]", "5,0; 6,5", "[5, 6, 2]", "[5]", "[NaN, 3]", "[1_0, 2]", "x"]
)
def test_what_may_be_another_point_is_refused(tmp_path: Path, text: str) -> None:
    rows = [[[float(x), float(y)] for x, y in row] for row in marks().tolist()]
    rows[3][0] = text  # type: ignore[call-overload]
    (line,) = problems(pointed(tmp_path / "data", rows), "error")
    assert "line 5" in line and "write JSON text" in line


def test_points_beyond_the_number_are_told(tmp_path: Path) -> None:
    root = pointed(tmp_path / "data", marks())
    table = root / "train/csv_files/tiny.csv"
    table.write_text(table.read_text().replace(",2,../im", ",1,../im"))
    (line,) = problems(root, "warning")
    assert "point_2_xy" in line and "num_classes is 1" in line and "19 more such rows" in line


def test_a_point_outside_that_marks_a_missing_one_has_a_rule_that_works(tmp_path: Path) -> None:
    points = marks()
    points[[2, 5], 1] = -1
    root = pointed(tmp_path / "data", points)
    (line,) = problems(root, "error")
    assert len(read_dataset(root, rules=rule_in(line)).cases) == 18
