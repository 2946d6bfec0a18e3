"""Polygons, rectangles, circles and run lengths -> class maps.

A pixel belongs to a polygon where its centre does; later shapes lie over earlier ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.path import Path as Outline

from aggregation_lab.data.interpretation.edges import check_reach
from aggregation_lab.data.rows.point_text import finite_number

Point = tuple[float, float]


@dataclass(frozen=True)
class Shape:
    """An area of one class: a polygon of at least three points (x, y) in pixels; the corner of the image is (0, 0)."""

    index: int
    polygon: tuple[Point, ...] = ()
    area: Callable[[int, int], np.ndarray] | None = None
    """For areas that are no polygon: width, height -> H x W truth values. Of equal areas, the two are equal."""


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
    """The `load` of a `ClassMap` that draws the shapes in their order on the background 0; equal where they are.

    It raises `ValueError` where there are shapes and none covers a pixel: that is no image without a finding; and
    where a polygon reaches far beyond the image.
    """

    shapes: tuple[Shape, ...]

    def __call__(self, width: int, height: int) -> np.ndarray:
        classes = np.zeros((height, width), np.uint8)
        for shape in self.shapes:
            if shape.polygon:
                check_reach("a polygon", shape.polygon, width, height)
            inside = shape.area(width, height) if shape.area else _inside(shape.polygon, width, height)
            classes[inside] = shape.index
        if self.shapes and not classes.any():
            raise ValueError("what is drawn covers no pixel: it is too small, or lies outside the image")
        return classes


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
