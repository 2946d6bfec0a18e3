"""Targets of the four task types, from pixels of the source to the cells of a CSV row."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aggregation_lab.data.importing.records import Frame, Written
from aggregation_lab.data.interpretation.box_forms import INVERTED
from aggregation_lab.data.interpretation.edges import FAR, check_reach
from aggregation_lab.tasks.targets import Box, Points

Remark = Callable[[str], None]

MOST_CLASSES = 256
"""A class map has 8 bits."""

_OUTSIDE_REGION = "outside the ultrasound region to which its image is cut; --no-crop keeps the whole image"
_CUT_AT_REGION = "its target reaches beyond the ultrasound region, to which it is cut with its image"


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
        """Raises `ValueError` where the map has another size than the image or a class beyond 8 bits, and where the
        part of the image that is kept lacks more than a tenth of an area."""
        classes = self.load(frame.width, frame.height)
        if classes.shape != (frame.height, frame.width):
            sizes = f"{classes.shape[1]} x {classes.shape[0]} pixels, its image {frame.width} x {frame.height}"
            unturned = frame.turned and classes.shape == (frame.width, frame.height)
            advice = "; turn the mask as the image's EXIF orientation says" if unturned else ""
            raise ValueError(f"its mask has another size than the image ({sizes}){advice}")
        if classes.min() < 0 or classes.max() >= MOST_CLASSES:
            raise ValueError(f"its mask holds the value {classes.max()}; classes go from 0 to {MOST_CLASSES - 1}")
        classes = classes.astype(np.uint8)
        _note_turned(frame, remark)
        _check_cut(classes, frame, remark)
        x_min, y_min, x_max, y_max = frame.crop
        return Written([{}], classes[y_min:y_max, x_min:x_max])


@dataclass(frozen=True)
class Boxes:
    """Boxes (x_min, y_min, x_max, y_max); the largest is taken, or with `each` every one as a case of its own."""

    boxes: tuple[Box, ...]
    each: bool = False

    def write(self, frame: Frame, remark: Remark) -> Written:
        """Raises `ValueError` where no box lies in the image, where one is inverted or reaches far beyond it, and where
        more than a tenth of one is not in the part of the image that is kept."""
        if any(x_max < x_min or y_max < y_min for x_min, y_min, x_max, y_max in self.boxes):
            raise ValueError(INVERTED)
        _note_turned(frame, remark)
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
        _note_turned(frame, remark)
        if self.objects > 1:
            remark("has several objects with points, of which the largest is taken")
        marked = [point for point in self.points if point is not None]
        if len(marked) < len(self.points):
            raise ValueError(f"lacks {len(self.points) - len(marked)} of {len(self.points)} points")
        x_min, y_min, x_max, y_max = frame.crop
        check_reach("a point", marked, frame.width, frame.height)
        moved: Points = tuple((x - x_min, y - y_min) for x, y in marked)
        if not all(0 <= x <= x_max - x_min and 0 <= y <= y_max - y_min for x, y in moved):
            in_image = all(0 <= x <= frame.width and 0 <= y <= frame.height for x, y in marked)
            raise ValueError(f"a point lies {_OUTSIDE_REGION}" if in_image else "a point lies outside the image")
        cells = [json.dumps([_number(x), _number(y)]) for x, y in moved]
        return Written([{f"point_{number}_xy": cell for number, cell in enumerate(cells, start=1)}])


def _clipped(box: Box, frame: Frame, remark: Remark) -> Box | None:
    """The part of a box in the part of the image that is kept; None where nothing of it is."""
    left, top, right, bottom = frame.crop
    x_min, y_min, x_max, y_max = box
    if not all(map(np.isfinite, box)) or x_max <= x_min or y_max <= y_min:
        return None
    check_reach("a box", ((x_min, y_min), (x_max, y_max)), frame.width, frame.height)
    seen = _common(box, (0, 0, frame.width, frame.height))
    if not _area(seen):
        return None
    if max(abs(one - other) for one, other in zip(seen, box, strict=True)) > 1e-3:
        remark("a box reaches beyond the image, and is cut at its edge")
    cut = _common(seen, frame.crop)
    if _area(cut) < (1 - FAR) * _area(seen):
        raise ValueError(f"more than a tenth of a box lies {_OUTSIDE_REGION}")
    if _area(cut) < (1 - 1e-6) * _area(seen):
        remark(_CUT_AT_REGION)
    return cut[0] - left, cut[1] - top, cut[2] - left, cut[3] - top


def _common(one: Box, other: Box) -> Box:
    return max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])


def _area(box: Box) -> float:
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)


def _check_cut(classes: np.ndarray, frame: Frame, remark: Remark) -> None:
    """Raise `ValueError` where an area of an H x W class map loses more than a tenth in the part that is kept.

    Each connected area by itself: a small one in another view may be gone, and a large one hide it in their sum.
    """
    x_min, y_min, x_max, y_max = frame.crop
    lost = classes > 0
    lost[y_min:y_max, x_min:x_max] = False
    if not lost.any():
        return
    from scipy.ndimage import label  # slow to import

    for each in np.unique(classes[lost]):
        areas, count = label(classes == each)
        sizes, gone = (np.bincount(part.ravel(), minlength=count + 1)[1:] for part in (areas, areas[lost]))
        if (gone > FAR * sizes).any():
            raise ValueError(f"more than a tenth of an area of its mask lies {_OUTSIDE_REGION}")
    remark(_CUT_AT_REGION)


def _note_turned(frame: Frame, remark: Remark) -> None:
    if frame.turned:
        remark("is turned as its EXIF orientation says; masks, boxes and points must fit the turned image")


def _number(value: float) -> float | int:
    """Rounded to a ten thousandth of a pixel, without a point where it is whole."""
    rounded = round(float(value), 4)
    return int(rounded) if rounded.is_integer() else rounded
