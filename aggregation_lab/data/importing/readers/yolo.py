"""YOLO: one text file of labels per image, lines of a class and shares of the image's sides.

Boxes: `class cx cy w h`; segments: `class x1 y1 x2 y2 ...`; pose: a box, then `x y [visibility]` per keypoint, which
data.yaml announces as kpt_shape. Format: https://docs.ultralytics.com/datasets/
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from aggregation_lab.data.importing.documents.yolo import class_names, keypoint_shape, read_description
from aggregation_lab.data.importing.documents.yolo_lines import Line, pose_shape, read_lines
from aggregation_lab.data.importing.drawing.polygons import Drawing, Shape
from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.records import Frame, ReadTask, Record, Report, Target, Written
from aggregation_lab.data.importing.source_files import (
    PICTURES,
    Classes,
    need_folder,
    need_some,
    one_object,
    picture,
    relative,
    source_name,
    without_ending,
)
from aggregation_lab.data.importing.targets import Boxes, Landmarks, Remark
from aggregation_lab.errors import DataError
from aggregation_lab.files import walk
from aggregation_lab.tasks import TaskType

_BEYOND = 1.5
"""Shares of a side reach a little beyond 1 where a box is cut by the edge; larger numbers are pixels."""


@dataclass(frozen=True)
class Shares:
    """A target in shares of the image's sides: `build` makes the target in pixels from width and height."""

    lines: tuple[Line, ...]
    build: Any

    def write(self, frame: Frame, remark: Remark) -> Written:
        return self.build(self.lines, frame.width, frame.height).write(frame, remark)


def read(source: Path, options: ImportOptions, report: Report, progress: object) -> list[ReadTask]:
    """One task: regression with kpt_shape, segmentation where lines hold polygons, detection where they hold boxes.

    Where both occur, --type says which.
    """
    need_folder(source, "that holds images and labels")
    description = read_description(source, report)
    files = [file for file in walk(source, (".txt",)) if _is_label(file, source)]
    need_some(files, source, "labels of YOLO (.txt below a folder labels)", "give the folder of images and labels")
    by_file = {file: read_lines(file, source, report) for file in files}
    numbers = sorted({index for lines in by_file.values() for index, _ in lines or ()})
    names = class_names(description, source, numbers)
    points, per_point = keypoint_shape(description, source)
    if not points:
        _check_pose([line for lines in by_file.values() for line in lines or ()], options.type, source, report)
    task_type = options.type or _guess(by_file.values(), points, source)
    if points and task_type is TaskType.SEGMENTATION:
        said = "data.yaml gives kpt_shape, so lines are boxes with keypoints"
        raise DataError(f"{source}: {said}; choose --type regression or detection, or take kpt_shape out")
    if task_type is TaskType.REGRESSION and not points:
        raise DataError(f"{source}: data.yaml gives no kpt_shape, so there are no keypoints; choose another --type")
    if task_type is TaskType.CLASSIFICATION:
        raise DataError(
            "--type classification: YOLO's classification data sets are a folder per class; import `folder`"
        )
    classes = Classes(names, options.classes, source)
    if task_type is not TaskType.SEGMENTATION:
        one_object(tuple(names[index] for index in numbers if index < len(names)), options.classes, source)
    build = {
        TaskType.SEGMENTATION: _class_map,
        TaskType.REGRESSION: partial(_landmarks, points, per_point),
        TaskType.DETECTION: partial(_boxes, options.each_box, bool(points)),
    }[task_type]
    labels: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        labels[_key(relative(file, source))].append(file)
    images = list(walk(source, PICTURES))
    sharing = Counter(_key(relative(image, source)) for image in images)
    records = []
    for image in images:
        where = relative(image, source)
        found = [each for file in labels.get(_key(where), ()) if (each := by_file[file]) is not None]
        try:
            if found and sharing[_key(where)] > 1:
                raise ValueError(
                    f"has a name that {sharing[_key(where)]} images have; nobody knows whose the labels are"
                )
            if any(each != found[0] for each in found):
                raise ValueError(f"has {len(found)} files of unlike labels; take the wrong ones out")
            if not found:
                raise ValueError("has no labels, or they cannot be read")
            lines = _kept(found[0], names, classes, per_point)
            if not lines and task_type is not TaskType.SEGMENTATION:
                raise ValueError("shows no object")
            if task_type is TaskType.DETECTION and any(len(numbers) == 5 for _, numbers in lines):
                report.remark(where, "has a number behind a box, as predictions of a model have; it is not used")
            records.append(Record(picture(image, source), Shares(lines, build)))
        except ValueError as error:
            report.skip(where, str(error))
    for file in files:
        if _key(relative(file, source)) not in sharing:
            report.skip(relative(file, source), "are labels without an image")
    count, shown = {
        TaskType.SEGMENTATION: (len(classes.names) + 1, ("background", *classes.names)),
        TaskType.REGRESSION: (points, ()),  # keypoints have no names
        TaskType.DETECTION: (1, classes.names),
    }[task_type]
    return [ReadTask(source_name(source), task_type, records, count, shown)]


def _is_label(file: Path, source: Path) -> bool:
    parts = relative(file, source).split("/")
    return file.name != "classes.txt" and (
        "labels" in parts[:-1]
        or source.name == "labels"
        or any(file.with_suffix(ending).is_file() for ending in PICTURES)
    )


def _key(where: str) -> str:
    """What an image and its labels have in common: their path without the folders images and labels."""
    return "/".join(part for part in without_ending(where).split("/") if part not in ("images", "labels"))


def _check_pose(lines: Sequence[Line], asked: TaskType | None, source: Path, report: Report) -> None:
    """Raise `DataError` where lines may be poses without a kpt_shape, which would be polygons; remark it where boxes
    were asked for, which polygons have, too."""
    points, each = pose_shape(lines)
    if not points or asked in (TaskType.SEGMENTATION, TaskType.REGRESSION):
        return
    said = "the lines are boxes with keypoints in them by their numbers, and data.yaml gives no kpt_shape"
    remedy = f"write kpt_shape: [{points}, {each}] into it"
    if asked is None or each == 3:
        raise DataError(f"{source}: {said}; {remedy}, or give --type segmentation where they are polygons")
    report.remark("labels", f"{said}, so they are taken as polygons; {remedy} where they are poses")


def _guess(files: Iterable[list[Line] | None], points: int, source: Path) -> TaskType:
    if points:
        return TaskType.REGRESSION
    polygons = [len(numbers) >= 6 for lines in files for _, numbers in lines or ()]
    if any(polygons) and not all(polygons):
        counts = f"{sum(polygons)} polygons and {len(polygons) - sum(polygons)} boxes"
        raise DataError(
            f"{source}: the labels hold {counts}; choose --type detection, which takes both, or segmentation"
        )
    return TaskType.SEGMENTATION if any(polygons) else TaskType.DETECTION


def _kept(lines: list[Line], names: tuple[str, ...], classes: Classes, per_point: int) -> tuple[Line, ...]:
    """The lines of classes that count, by their new index. Raises `ValueError` with a reason."""
    kept = []
    for index, numbers in lines:
        if index >= len(names):
            raise ValueError(f"is of class {index}, names has {len(names)} classes")
        shares = [number for place, number in enumerate(numbers) if per_point < 3 or place < 4 or place % 3 != 0]
        if max(map(abs, shares)) > _BEYOND:  # visibilities of keypoints are no shares
            raise ValueError("holds numbers beyond 1, so they are no shares of the image's sides")
        new = classes.index(names[index])
        if new is not None:
            kept.append((new, numbers))
    if lines and not kept:
        raise ValueError("shows no object of the classes that --classes names")
    return tuple(kept)


def _corners(numbers: Sequence[float], width: int, height: int) -> tuple[float, float, float, float]:
    x, y, w, h = numbers[:4]
    return (x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height


def _boxes(each: bool, pose: bool, lines: Sequence[Line], width: int, height: int) -> Target:
    boxes = []
    for _, numbers in lines:
        if len(numbers) > 5 and len(numbers) % 2 == 0 and not pose:  # a polygon: its bounding box
            x, y = numbers[::2], numbers[1::2]
            boxes.append((min(x) * width, min(y) * height, max(x) * width, max(y) * height))
        else:
            boxes.append(_corners(numbers, width, height))
    return Boxes(tuple(boxes), each)


def _class_map(lines: Sequence[Line], width: int, height: int) -> Target:
    shapes = []
    for index, numbers in lines:
        if len(numbers) < 6 or len(numbers) % 2:
            raise ValueError(
                "holds a box, or a polygon with an odd count of numbers; choose --type detection for boxes"
            )
        polygon = tuple((x * width, y * height) for x, y in zip(numbers[::2], numbers[1::2], strict=True))
        shapes.append(Shape(index + 1, polygon))
    return Drawing(tuple(shapes))


def _landmarks(points: int, per_point: int, lines: Sequence[Line], width: int, height: int) -> Target:
    largest = max((numbers for _, numbers in lines), key=lambda numbers: numbers[2] * numbers[3])
    rest = largest[4:]
    if len(rest) != points * per_point:
        raise ValueError(f"has {len(rest)} numbers behind its box, kpt_shape asks for {points * per_point}")
    groups = [rest[start : start + per_point] for start in range(0, len(rest), per_point)]
    marked = [(g[0] * width, g[1] * height) if per_point == 2 or g[2] > 0 else None for g in groups]
    return Landmarks(tuple(marked), len(lines))
