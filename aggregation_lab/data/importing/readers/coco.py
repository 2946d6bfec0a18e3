"""COCO: detection (bbox), keypoints, and segmentation by polygons or plain run lengths.

Format: https://cocodataset.org/#format-data. Boxes are [x, y, width, height] in pixels,
keypoints x, y and visibility one after the other, of which 0 means not marked.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from aggregation_lab.data.importing.documents.coco import (
    annotation_files,
    category_names,
    file_name,
    first_id,
    id_of,
    images_by_id,
    point_names,
    read_document,
    used_names,
)
from aggregation_lab.data.importing.documents.coco_forms import check_boxes, numbers, point_count
from aggregation_lab.data.importing.drawing.polygons import Drawing, Shape, from_counts
from aggregation_lab.data.importing.image_lookup import IMAGES_TOO, ImageLookup, parts_of_words
from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.records import Picture, ReadTask, Record, Report, Target
from aggregation_lab.data.importing.source_files import (
    Classes,
    annotated_size,
    one_object,
    relative,
    source_name,
)
from aggregation_lab.data.importing.targets import Boxes, Landmarks
from aggregation_lab.errors import DataError
from aggregation_lab.tasks import TaskType
from aggregation_lab.tasks.targets import Box


def read(source: Path, options: ImportOptions, report: Report, progress: object) -> list[ReadTask]:
    """One task. The type is regression where the annotations hold keypoints, else detection; --type says otherwise."""
    files = annotation_files(source)
    documents = {file: read_document(file) for file in files}
    named = {file.name: parts_of_words(file.stem) for file in files}
    if len(set().union(*named.values())) > 1:
        report.note_parts([name for name, parts in named.items() if parts])
    entries = [entry for document in documents.values() for entry in document["annotations"]]
    categories = {name for document in documents.values() for name in category_names(document).values()}
    order = sorted(categories, key=lambda name: first_id(name, list(documents.values())))
    has_points = any(isinstance(entry, dict) and entry.get("keypoints") for entry in entries)
    task_type = options.type or (TaskType.REGRESSION if has_points else TaskType.DETECTION)
    classes = Classes(order, options.classes, source)
    used = {name for document in documents.values() for name in used_names(document)}
    marked = tuple(name for name in order if name in used)
    if task_type not in (TaskType.DETECTION, TaskType.REGRESSION, TaskType.SEGMENTATION):
        raise DataError(f"--type {task_type}: COCO files hold detection, regression (keypoints) or segmentation")
    if task_type is not TaskType.SEGMENTATION:
        one_object(marked, options.classes, source)
    if task_type is TaskType.DETECTION:
        for file, document in documents.items():
            check_boxes(file, document, report)
    points = point_count(documents, classes) if task_type is TaskType.REGRESSION else 1
    records: list[Record] = []
    top = source if source.is_dir() else source.parent
    lookup = ImageLookup(options.images, top, IMAGES_TOO)
    for file, document in documents.items():
        find = partial(lookup.find, beside=file.parent, title=relative(file, top))
        records += _records(document, find, task_type, classes, points, options.each_box, report)
    segments = task_type is TaskType.SEGMENTATION
    number = len(classes.names) + 1 if segments else points
    names = ("background", *classes.names) if segments else classes.names
    if task_type is TaskType.REGRESSION:
        names = point_names(documents.values(), classes, points)
    return [ReadTask(source_name(source), task_type, records, number, names)]


def _records(
    document: Mapping[str, Any],
    find: Callable[[str], Picture],
    task_type: TaskType,
    classes: Classes,
    points: int,
    each_box: bool,
    report: Report,
) -> list[Record]:
    names = category_names(document)
    images = images_by_id(document["images"], report)
    by_image: dict[Any, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for entry in document["annotations"]:
        if not isinstance(entry, dict) or id_of(entry, "image_id") is None:
            report.skip("annotation", "names no image")
            continue
        label, category = f"annotation {id_of(entry, 'id')}", id_of(entry, "category_id")
        index = classes.index(names.get(id_of(entry, "category_id"), ""))
        if entry["image_id"] not in images:
            report.skip(label, "is of an image that the file does not list")
        elif category not in names:
            report.skip(label, f"is of the category {category}, which the file does not list")
        elif index is None:
            report.skip(label, f"is of class {names[category]}, which --classes does not name")
        elif entry.get("iscrowd") and task_type is not TaskType.SEGMENTATION:
            report.skip(label, "marks a crowd (iscrowd)")
        else:
            by_image[entry["image_id"]].append((index, entry))
    records = []
    for number, image in images.items():
        name = file_name(image)
        if number not in by_image:
            report.skip(name or f"image {number}", "has no annotation")
            continue
        try:
            target = _target(by_image[number], task_type, points, each_box)
            size = annotated_size(image.get("width"), image.get("height"))
            records.append(Record(replace(find(name), size=size), target))
        except ValueError as error:
            report.skip(name or f"image {number}", str(error))
    return records


def _target(entries: Sequence[tuple[int, dict[str, Any]]], task_type: TaskType, points: int, each: bool) -> Target:
    if task_type is TaskType.SEGMENTATION:
        return Drawing(tuple(shape for index, entry in entries for shape in _shapes(index + 1, entry)))
    if task_type is TaskType.DETECTION:
        return Boxes(tuple(_box(entry) for _, entry in entries), each)
    marked = [entry for _, entry in entries if entry.get("keypoints")]
    if not marked:
        raise ValueError("has no keypoints")
    return Landmarks(_keypoints(max(marked, key=_area), points), len(marked))


def _area(entry: Mapping[str, Any]) -> float:
    """The area of an object's box; 0 where it has none."""
    try:
        x_min, y_min, x_max, y_max = _box(entry)
    except ValueError:
        return 0.0
    return (x_max - x_min) * (y_max - y_min)


def _box(entry: Mapping[str, Any]) -> Box:
    values = numbers(entry.get("bbox"), "bbox")
    if len(values) != 4:
        raise ValueError("its bbox is no four numbers")
    x, y, width, height = values
    return x, y, x + width, y + height


def _keypoints(entry: Mapping[str, Any], count: int) -> tuple[tuple[float, float] | None, ...]:
    values = numbers(entry.get("keypoints"), "keypoints")
    if len(values) != 3 * count:
        raise ValueError(f"has {len(values) / 3:g} keypoints, the task {count}")
    triples = [values[start : start + 3] for start in range(0, len(values), 3)]
    return tuple((x, y) if visible else None for x, y, visible in triples)


def _shapes(index: int, entry: Mapping[str, Any]) -> list[Shape]:
    area = entry.get("segmentation")
    if isinstance(area, dict):
        size, counts = area.get("size"), area.get("counts")
        if not isinstance(counts, list):
            raise ValueError("its segmentation is a compressed run length, which is not read; export polygons")
        sides = annotated_size(*reversed(size)) if isinstance(size, list) and len(size) == 2 else None
        if sides is None:
            raise ValueError("its segmentation has run lengths without a size [height, width]")
        return [Shape(index, area=_RunLengths(counts, *sides))]
    if not isinstance(area, list) or not area:
        raise ValueError("an annotation has no segmentation")
    shapes = []
    for polygon in area:
        values = numbers(polygon, "segmentation")
        if len(values) < 6 or len(values) % 2:
            raise ValueError("a polygon has fewer than three points")
        shapes.append(Shape(index, tuple(zip(values[::2], values[1::2], strict=True))))
    return shapes


@dataclass(frozen=True)
class _RunLengths:
    counts: list[object]
    columns: int
    rows: int

    def __call__(self, width: int, height: int) -> np.ndarray:
        if (self.columns, self.rows) != (width, height):
            sizes = f"{self.columns} x {self.rows}, its image {width} x {height}"
            raise ValueError(f"its mask has another size than the image ({sizes})")
        return from_counts(self.counts, self.rows, self.columns, by_column=True)
