"""Lines of YOLO's labels: a class and its numbers, and whether these are a box with keypoints."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from aggregation_lab.data.importing.documents.yolo import HIGHEST
from aggregation_lab.data.importing.records import Report
from aggregation_lab.data.importing.source_files import content, relative
from aggregation_lab.data.rows.point_text import finite_number

Line = tuple[int, tuple[float, ...]]
"""Class and numbers of one line."""

_ROUNDING = 2e-3
"""How far rounded shares let a keypoint lie beyond its box, or a box beyond its image."""


def read_lines(file: Path, source: Path, report: Report) -> list[Line] | None:
    """The lines of a file; None, reported, where one of them is none of YOLO's."""
    lines: list[Line] = []
    for number, text in enumerate(content(file).decode(errors="replace").splitlines(), start=1):
        words = text.split()
        if not words:
            continue
        values = [value for value in map(finite_number, words) if value is not None]
        if len(words) < 5 or len(values) < len(words) or values[0] not in range(HIGHEST + 1):
            report.skip(relative(file, source), f"line {number} is no class with four numbers or more")
            return None
        lines.append((int(values[0]), tuple(values[1:])))
    return lines


def pose_shape(lines: Iterable[Line]) -> tuple[int, int]:
    """The kpt_shape (points, numbers of each) that lines without one may have; 0, 0 where they are no pose.

    All lines have one length, and begin with a box in the image that holds all the points behind it. Numbers in
    threes with a visibility of 0, 1 or 2 are sure; pairs could be those of polygons of so many corners.
    """
    numbers = [each for _, each in lines]
    lengths = {len(each) for each in numbers}
    rest = lengths.pop() - 4 if len(lengths) == 1 else 0
    for per_point in (3, 2):
        if rest > 0 and rest % per_point == 0 and all(_is_pose(each, per_point) for each in numbers):
            return rest // per_point, per_point
    return 0, 0


def _is_pose(numbers: Sequence[float], per_point: int) -> bool:
    x, y, width, height = numbers[:4]
    groups = [numbers[start : start + per_point] for start in range(4, len(numbers), per_point)]
    if per_point == 3 and any(group[2] not in (0, 1, 2) for group in groups):
        return False
    in_image = all(
        side / 2 - _ROUNDING <= centre <= 1 - side / 2 + _ROUNDING for centre, side in ((x, width), (y, height))
    )
    marked = [group for group in groups if any(group[:2])]  # 0 0 is a keypoint that is not marked
    return in_image and all(
        abs(group[0] - x) <= width / 2 + _ROUNDING and abs(group[1] - y) <= height / 2 + _ROUNDING for group in marked
    )
