"""Targets of the four task types, from pixels of the source to the cells of a CSV row."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aggregation_lab.data.importing.records import Frame, Written
from aggregation_lab.data.interpretation.box_forms import INVERTED
from aggregation_lab.data.interpretation.edges import check_reach
from aggregation_lab.tasks.targets import Box, Points

Remark = Callable[[str], None]

MOST_CLASSES = 256
"""A class map has 8 bits."""


@dataclass(frozen=True)
class Label:
    """A class index."""

    index: int

    def write(self, frame: Frame, remark: Remark) -> Written:
        return Written([{"mask": self.index}])


@dataclass(frozen=True)
class ClassMap:
    """A class index per pixel; `load` makes H x W whole numbers for an image of a width and height.

    Two loads of the same map are equal, so that an image with one target in two files is known to have one.
    """

    load: Callable[[int, int], np.ndarray]

    def write(self, frame: Frame, remark: Remark) -> Written:
        """Raises `ValueError` where the map has another size than the image, or a class beyond 8 bits."""
        classes = self.load(frame.width, frame.height)
        if classes.shape != (frame.height, frame.width):
            sizes = f"{classes.shape[1]} x {classes.shape[0]} pixels, its image {frame.width} x {frame.height}"
            raise ValueError(f"its mask has another size than the image ({sizes})")
        if classes.min() < 0 or classes.max() >= MOST_CLASSES:
            raise ValueError(f"its mask holds the value {classes.max()}; classes go from 0 to {MOST_CLASSES - 1}")
        x_min, y_min, x_max, y_max = frame.crop
        return Written([{}], classes[y_min:y_max, x_min:x_max].astype(np.uint8))


@dataclass(frozen=True)
class Boxes:
    """Boxes (x_min, y_min, x_max, y_max); the largest is taken, or with `each` every one as a case of its own."""

    boxes: tuple[Box, ...]
    each: bool = False

    def write(self, frame: Frame, remark: Remark) -> Written:
        """Raises `ValueError` where no box lies in the image, or one is inverted or reaches far beyond it."""
        if any(x_max < x_min or y_max < y_min for x_min, y_min, x_max, y_max in self.boxes):
            raise ValueError(INVERTED)
        inside = [box for box in (_clipped(box, frame, remark) for box in self.boxes) if box]
        if not inside:
            raise ValueError("its box is empty or lies outside the image" if self.boxes else "has no box")
        if len(inside) < len(self.boxes):
            remark("a box is empty or lies outside the image, and is left out")
        if len(inside) > 1 and not self.each:
            remark("has several boxes, of which the largest is taken (--boxes each makes every box a case)")
            inside = [max(inside, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))]
        names = ("x_min", "y_min", "x_max", "y_max")
        return Written([dict(zip(names, map(_number, box), strict=True)) for box in dict.fromkeys(inside)])


@dataclass(frozen=True)
class Landmarks:
    """Points ((x, y), ...) in the order of the task; None for one that is not marked.

    They are those of the largest of the image's `objects`.
    """

    points: tuple[tuple[float, float] | None, ...]
    objects: int = 1

    def write(self, frame: Frame, remark: Remark) -> Written:
        """Raises `ValueError` where a point is missing or outside the image."""
        if self.objects > 1:
            remark("has several objects with points, of which the largest is taken")
        marked = [point for point in self.points if point is not None]
        if len(marked) < len(self.points):
            raise ValueError(f"lacks {len(self.points) - len(marked)} of {len(self.points)} points")
        x_min, y_min, x_max, y_max = frame.crop
        check_reach("a point", marked, frame.width, frame.height)
        moved: Points = tuple((x - x_min, y - y_min) for x, y in marked)
        if not all(0 <= x <= x_max - x_min and 0 <= y <= y_max - y_min for x, y in moved):
            raise ValueError("a point lies outside the image")
        cells = [json.dumps([_number(x), _number(y)]) for x, y in moved]
        return Written([{f"point_{number}_xy": cell for number, cell in enumerate(cells, start=1)}])


def _clipped(box: Box, frame: Frame, remark: Remark) -> Box | None:
    """The part of a box in the part of the image that is kept; None where nothing of it is."""
    left, top, right, bottom = frame.crop
    x_min, y_min, x_max, y_max = box
    if not all(map(np.isfinite, box)) or x_max <= x_min or y_max <= y_min:
        return None
    check_reach("a box", ((x_min, y_min), (x_max, y_max)), frame.width, frame.height)
    cut = (max(x_min, left), max(y_min, top), min(x_max, right), min(y_max, bottom))
    if cut[2] <= cut[0] or cut[3] <= cut[1]:
        return None
    if max(abs(one - other) for one, other in zip(cut, box, strict=True)) > 1e-3:
        remark("a box reaches beyond the image, and is cut at its edge")
    return cut[0] - left, cut[1] - top, cut[2] - left, cut[3] - top


def _number(value: float) -> float | int:
    """Rounded to a ten thousandth of a pixel, without a point where it is whole."""
    rounded = round(float(value), 4)
    return int(rounded) if rounded.is_integer() else rounded
