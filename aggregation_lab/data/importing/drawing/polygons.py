"""Polygons, rectangles, circles and run lengths -> class maps.

A pixel belongs to a polygon where its centre does. Later shapes lie over earlier ones, but a shape inside a larger one
of another class lies over that: a list that hides it wholly has no order that is meant.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.path import Path as Outline

from aggregation_lab.data.importing.drawing.layers import Patch, painted
from aggregation_lab.data.importing.records import Frame, Written
from aggregation_lab.data.importing.targets import ClassMap, Remark
from aggregation_lab.data.interpretation.edges import check_reach
from aggregation_lab.data.rows.point_text import finite_number

Point = tuple[float, float]

_ROUNDING = 1e-3
"""Pixels by which a corner may lie beyond the edge and still be on it."""


@dataclass(frozen=True)
class Shape:
    """An area of one class: a polygon of at least three points (x, y) in pixels; the corner of the image is (0, 0)."""

    index: int
    polygon: tuple[Point, ...] = ()
    area: Callable[[int, int], np.ndarray] | None = None
    """For areas that are no polygon: width, height -> H x W truth values. Of equal areas, the two are equal."""
    layer: float = 0
    """Shapes of a higher layer, where the source has such, lie over those of a lower one, whatever their areas."""


def rectangle(one: Point, other: Point) -> tuple[Point, ...]:
    """The polygon of two opposite corners."""
    return one, (other[0], one[1]), other, (one[0], other[1])


def circle(centre: Point, edge: Point) -> tuple[Point, ...]:
    """The polygon of 90 corners of a circle, by its centre and a point on it."""
    radius = float(np.hypot(edge[0] - centre[0], edge[1] - centre[1]))
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    return tuple((centre[0] + radius * float(np.cos(a)), centre[1] + radius * float(np.sin(a))) for a in angles)


@dataclass(frozen=True)
class Drawing:
    """The target of an image on whose background 0 shapes are drawn; equal where they are."""

    shapes: tuple[Shape, ...]

    def write(self, frame: Frame, remark: Remark) -> Written:
        """The class map of the shapes; `remark` takes which of them are cut, or are not seen in it.

        Raises `ValueError` where there are shapes and none covers a pixel: that is no image without a finding; and
        where a polygon reaches far beyond the image.
        """
        classes = self._drawn(frame.width, frame.height, remark)
        return ClassMap(lambda width, height: classes).write(frame, remark)

    def _drawn(self, width: int, height: int, remark: Remark) -> np.ndarray:
        patches = []
        for shape in self.shapes:
            if shape.polygon:
                check_reach("a polygon", shape.polygon, width, height)
                if _is_cut(shape.polygon, width, height):
                    remark("a polygon reaches beyond the image, and is cut at its edge")
            inside = shape.area(width, height) if shape.area else _inside(shape.polygon, width, height)
            patches.append(Patch.of(shape.index, shape.layer, inside))
        if patches and not any(patch.size for patch in patches):
            raise ValueError("what is drawn covers no pixel: it is too small, or lies outside the image")
        return painted(patches, height, width, remark)


def _is_cut(polygon: Sequence[Point], width: int, height: int) -> bool:
    corners = np.asarray(polygon, float)
    return bool((corners < -_ROUNDING).any() or (corners > np.array([width, height]) + _ROUNDING).any())


def _inside(polygon: Sequence[Point], width: int, height: int) -> np.ndarray:
    """H x W, whether the centre of each pixel lies in the polygon, by the even-odd rule of its outline."""
    inside = np.zeros((height, width), bool)
    corners = np.asarray(polygon, float)
    left, top = np.clip(np.floor(corners.min(0)), 0, (width, height)).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(0)) + 1, 0, (width, height)).astype(int)
    if right <= left or bottom <= top:
        return inside
    x, y = np.meshgrid(np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5)
    centres = np.column_stack([x.ravel(), y.ravel()])
    inside[top:bottom, left:right] = Outline(corners, closed=False).contains_points(centres).reshape(x.shape)
    return inside


def from_counts(counts: Sequence[object], height: int, width: int, *, by_column: bool) -> np.ndarray:
    """H x W truth values from run lengths that begin with a run of the background.

    COCO counts along columns, CVAT along rows. Raises `ValueError` where they are no whole numbers, or do not fill
    the area.
    """
    numbers = [finite_number(each) for each in counts]
    if not all(number is not None and number.is_integer() and number >= 0 for number in numbers):
        raise ValueError("its run lengths are no whole numbers from 0 on")
    if sum(number for number in numbers if number is not None) != height * width:
        raise ValueError(f"its run lengths do not fill the area of {width} x {height}")
    runs = np.array(numbers, np.int64)
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(width, height).T if by_column else flat.reshape(height, width)
