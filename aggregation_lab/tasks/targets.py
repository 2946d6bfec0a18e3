"""Where targets come from: the cells of a CSV row, and the reference of a test case."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

TargetField = Literal["mask", "label", "box", "points"]
"""The column of the case table that holds a task's targets: path of a class map, whole number, box or points."""

Box = tuple[float, float, float, float]
Points = tuple[tuple[float, float], ...]


class TargetCells(Protocol):
    """The target's cells of one CSV row. A cell that cannot be read is reported to the user, and None is returned."""

    def path(self, column: str) -> str | None:
        """A file, relative to the train folder."""

    def label(self, column: str) -> int | None:
        """A whole number from 0 to num_classes - 1, or the number that the study gives to a label; -1 where it is
        none of them."""

    def box(self) -> Box | None:
        """The four columns x_min, y_min, x_max, y_max."""

    def points(self) -> Points | None:
        """The columns point_1_xy, point_2_xy, ..., as many as num_classes."""


@dataclass(frozen=True)
class Reference:
    """The target of one test case in pixels of the original image; `class_map` reads H x W class indices from disk."""

    height: int
    width: int
    label: int
    box: Box | None
    points: Points | None
    class_map: Callable[[], np.ndarray]
