"""What annotation programs draw on an image -> the target of one task: areas, boxes, points, or tags of the image."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from aggregation_lab.data.importing.drawing.polygons import Drawing, Point, Shape
from aggregation_lab.data.importing.label_names import in_order
from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.records import Picture, ReadTask, Record, Report, Target
from aggregation_lab.data.importing.source_files import Classes, one_object
from aggregation_lab.data.importing.targets import Boxes, Label, Landmarks
from aggregation_lab.errors import DataError
from aggregation_lab.tasks import TaskType

Kind = Literal["area", "box", "point", "tag", "unread", "other"]


@dataclass(frozen=True)
class DrawnShape:
    """A shape with its label: polygon of an `area` or `box`, the points of a `point`, none of a `tag`.

    An `unread` one is an area, and `reason` says why it cannot be read; of an `other`, which no task takes, it says
    what it is.

    Raises `ValueError` for a shape without a label, which would be a class of its own.
    """

    label: str
    kind: Kind
    points: tuple[Point, ...] = ()
    area: Callable[[int, int], np.ndarray] | None = None
    reason: str = ""
    layer: float = 0

    def __post_init__(self) -> None:
        if not self.label:
            raise ValueError("a shape has no label")


@dataclass(frozen=True)
class Marked:
    """An image with what is drawn on it; `where` names it for people."""

    where: str
    picture: Picture
    shapes: tuple[DrawnShape, ...]


_KINDS: dict[TaskType, tuple[Kind, ...]] = {
    TaskType.SEGMENTATION: ("area", "box"),
    TaskType.DETECTION: ("box", "area"),
    TaskType.REGRESSION: ("point",),
    TaskType.CLASSIFICATION: ("tag",),
}
"""Shapes that a task of each type takes; that of a task is the first type of which the first kind was drawn."""


def task_of(
    images: Sequence[Marked], name: str, source: Path, options: ImportOptions, report: Report, no_shape: str = ""
) -> ReadTask:
    """The task of the images. Labels are in the order of their names, or of --classes; `no_shape` says what to do where
    no shape is drawn that a task takes.

    In segmentation they are classes behind the background, later shapes over earlier ones; in regression they are the
    points, so every label is marked once in an image. Raises `DataError` where nothing of the type is drawn.
    """
    kinds = {shape.kind for image in images for shape in image.shapes}
    task_type = options.type or next((each for each, kind in _KINDS.items() if kind[0] in kinds), None)
    if task_type is None or not kinds & set(_KINDS[task_type]):
        unread = [(image.where, shape.reason) for image in images for shape in image.shapes if shape.kind == "unread"]
        if unread and (task_type is None or "area" in _KINDS[task_type]):
            raise DataError(f"{source}: {' '.join(unread[0])}")
        others = sorted({shape.reason for image in images for shape in image.shapes if shape.kind == "other"})
        what = " and ".join(sorted(kinds - {"other", "unread"}) or others) or "nothing"
        wanted = f"a {task_type} task" if task_type else "a task"
        remedy = "choose another --type"
        if not kinds & {kind for takes in _KINDS.values() for kind in takes}:
            remedy = no_shape or "draw polygons, rectangles or points, which are read"
        raise DataError(f"{source}: what is drawn is {what}, of which {wanted} cannot be made; {remedy}")
    takes = _KINDS[task_type]
    used = [shape for image in images for shape in image.shapes if shape.kind in takes]
    classes = Classes(in_order({shape.label for shape in used}), options.classes, source)
    if task_type is TaskType.DETECTION:
        one_object(classes.names, options.classes, source)
    single = len(classes.names) == 1
    usual = _usual_points(images, classes) if task_type is TaskType.REGRESSION and single else 0
    if usual > 1:
        said = f"{usual} points have one label, so their order is that in which they were set"
        report.remark("points", f"{said}; see that it is the same in all images, or give each point its own label")
    records = []
    for image in images:
        kept = [s for s in image.shapes if s.kind in takes and classes.index(s.label) is not None]
        if reason := _unread(image, takes, options.classes):
            report.skip(image.where, reason)
            continue
        if any(shape.kind not in takes for shape in image.shapes):
            report.remark(image.where, f"holds shapes that a {task_type} task does not take, which are left out")
        try:
            if not kept:
                which = "of the classes that --classes names" if options.classes else f"that a {task_type} task takes"
                raise ValueError(f"marks nothing {which}" if image.shapes else "marks nothing")
            target = _target(kept, task_type, classes, usual, options.each_box)
        except ValueError as error:
            report.skip(image.where, str(error))
            continue
        records.append(Record(image.picture, target))
    count, names = len(classes.names), classes.names
    if task_type is TaskType.SEGMENTATION:
        count, names = count + 1, ("background", *names)
    if task_type is TaskType.DETECTION:
        count = 1
    if task_type is TaskType.REGRESSION and single:
        count, names = usual, ()
    return ReadTask(name, task_type, records, count, names)


def _unread(image: Marked, takes: Sequence[Kind], asked: Sequence[str]) -> str:
    """Why an image shows an object that its target would lack; "" where it does not."""
    shapes = (shape for shape in image.shapes if shape.kind == "unread" and (not asked or shape.label in asked))
    return next((shape.reason for shape in shapes), "") if "area" in takes else ""


def _usual_points(images: Sequence[Marked], classes: Classes) -> int:
    """How many points of the one class most of the images have that have some; the larger number where two are even."""
    counts = Counter(
        sum(len(s.points) for s in image.shapes if s.kind == "point" and classes.index(s.label) is not None)
        for image in images
    )
    del counts[0]
    return max(counts, key=lambda number: (counts[number], number), default=0)


def _target(shapes: Sequence[DrawnShape], task_type: TaskType, classes: Classes, usual: int, each_box: bool) -> Target:
    if task_type is TaskType.SEGMENTATION:
        order = [(classes.index(shape.label) or 0, shape) for shape in shapes]
        return Drawing(tuple(Shape(index + 1, shape.points, shape.area, shape.layer) for index, shape in order))
    if task_type is TaskType.DETECTION:
        return Boxes(tuple(_bounds(shape) for shape in shapes), each_box)
    if task_type is TaskType.CLASSIFICATION:
        tags = {shape.label for shape in shapes}
        if len(tags) > 1:
            raise ValueError(f"has {len(tags)} tags ({', '.join(sorted(tags)[:4])}); a case has one class")
        return Label(classes.index(tags.pop()) or 0)
    if len(classes.names) == 1:  # one label with several points: in the order in which they were set
        points = [point for shape in shapes for point in shape.points]
        if len(points) != usual:
            raise ValueError(f"has {len(points)} points, most images {usual}")
        return Landmarks(tuple(points))
    by_label: dict[str, list[Point]] = {name: [] for name in classes.names}
    for shape in shapes:
        by_label[shape.label] += shape.points
    twice = next((label for label, points in by_label.items() if len(points) > 1), None)
    if twice is not None:
        raise ValueError(f"marks the point {twice} more than once")
    return Landmarks(tuple(points[0] if points else None for points in by_label.values()))


def _bounds(shape: DrawnShape) -> tuple[float, float, float, float]:
    """The smallest box around a shape."""
    if not shape.points:
        raise ValueError("marks an area by run lengths, of which no box is made")
    x, y = zip(*shape.points, strict=True)
    return min(x), min(y), max(x), max(y)
