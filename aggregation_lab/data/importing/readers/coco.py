"""COCO: detection (bbox), keypoints, and segmentation by polygons or plain run lengths.

Format: https://cocodataset.org/#format-data. Boxes are [x, y, width, height] in pixels,
keypoints x, y and visibility one after the other, of which 0 means not marked.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from aggregation_lab.data.importing.image_lookup import ImageLookup
from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.polygons import Shape, drawn, from_counts
from aggregation_lab.data.importing.records import ReadTask, Record, Report, Target
from aggregation_lab.data.importing.source_files import (
    Classes,
    annotated_size,
    one_object,
    read_json,
    source_name,
    walk,
)
from aggregation_lab.data.importing.targets import Boxes, ClassMap, Landmarks
from aggregation_lab.data.rows.point_text import finite_number
from aggregation_lab.errors import DataError
from aggregation_lab.naming import clean_name
from aggregation_lab.tasks import TaskType

_LISTS = ("images", "annotations", "categories")


def read(source: Path, options: ImportOptions, report: Report, progress: object) -> list[ReadTask]:
    """One task. The type is regression where the annotations hold keypoints, else detection; --type says otherwise."""
    files = _annotation_files(source)
    documents = {file: _document(file) for file in files}
    entries = [entry for document in documents.values() for entry in document["annotations"]]
    categories = {name for document in documents.values() for name in _category_names(document).values()}
    order = sorted(categories, key=lambda name: _first_id(name, list(documents.values())))
    has_points = any(isinstance(entry, dict) and entry.get("keypoints") for entry in entries)
    task_type = options.type or (TaskType.REGRESSION if has_points else TaskType.DETECTION)
    classes = Classes(order, options.classes, source)
    used = {name for document in documents.values() for name in _used_names(document)}
    marked = tuple(name for name in order if name in used)
    if task_type not in (TaskType.DETECTION, TaskType.REGRESSION, TaskType.SEGMENTATION):
        raise DataError(f"--type {task_type}: COCO files hold detection, regression (keypoints) or segmentation")
    if task_type is not TaskType.SEGMENTATION:
        one_object(marked, options.classes, source)
    points = _point_count(documents, classes) if task_type is TaskType.REGRESSION else 1
    records: list[Record] = []
    for file, document in documents.items():
        lookup = ImageLookup(options.images, file.parent, source if source.is_dir() else file.parent)
        records += _records(document, lookup, task_type, classes, points, options.each_box, report)
    segments = task_type is TaskType.SEGMENTATION
    number = len(classes.names) + 1 if segments else points
    names = ("background", *classes.names) if segments else classes.names
    return [ReadTask(source_name(source), task_type, records, number, names)]


def _annotation_files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.exists():
        raise DataError(f"{source}: does not exist; give COCO's JSON file, or the folder that holds it")
    files = list(walk(source, (".json",)))
    read = {file: read_json(file) for file in files}
    fitting = [
        file for file, value in read.items() if isinstance(value, dict) and {"images", "annotations"} <= value.keys()
    ]
    if not fitting:
        what = "no JSON file with images and annotations" if files else "no JSON file"
        raise DataError(f"{source}: holds {what}; give COCO's JSON file, or the folder that holds it")
    return fitting


def _document(file: Path) -> dict[str, Any]:
    value = read_json(file)
    for name in _LISTS:
        if not isinstance(value, dict) or not isinstance(value.get(name), list):
            raise DataError(f"{file}: holds no list {name!r}; a COCO file has {', '.join(_LISTS)}")
    if not value["images"]:
        raise DataError(f"{file}: lists no images; restore the file")
    return value


def _category_names(document: Mapping[str, Any]) -> dict[Any, str]:
    return {
        each.get("id"): clean_name(str(each.get("name", each.get("id"))))
        for each in document["categories"]
        if isinstance(each, dict) and isinstance(each.get("id"), int | str)
    }


def _used_names(document: Mapping[str, Any]) -> set[str]:
    names = _category_names(document)
    return {names.get(_id(entry, "category_id"), "") for entry in document["annotations"] if isinstance(entry, dict)}


def _id(entry: Mapping[str, Any], field: str) -> Any:
    """An id; None where it is missing, or nothing that can be one."""
    value = entry.get(field)
    return value if isinstance(value, int | str) else None


def _first_id(name: str, documents: Sequence[Mapping[str, Any]]) -> tuple[float, str]:
    """Categories stand in the order of their ids, then of their names."""
    ids = [number for document in documents for number, other in _category_names(document).items() if other == name]
    numbers = [number for number in map(finite_number, ids) if number is not None]
    return min(numbers, default=float("inf")), name


def _point_count(documents: Mapping[Path, Mapping[str, Any]], classes: Classes) -> int:
    """How many keypoints an object has. Raises `DataError` where it is not one number."""
    counts = set()
    for document in documents.values():
        names = _category_names(document)
        for entry in document["annotations"]:
            points = entry.get("keypoints") if isinstance(entry, dict) else None
            if (
                isinstance(points, list)
                and points
                and classes.index(names.get(_id(entry, "category_id"), "")) is not None
            ):
                counts.add(len(points) / 3)
    file = next(iter(documents))
    if not counts:
        raise DataError(f"{file}: no annotation holds keypoints; choose --type detection or segmentation")
    if len(counts) > 1 or not next(iter(counts)).is_integer():
        raise DataError(
            f"{file}: objects have unlike numbers of keypoints; a task has one (--classes chooses a category)"
        )
    return int(counts.pop())


def _records(
    document: Mapping[str, Any],
    lookup: ImageLookup,
    task_type: TaskType,
    classes: Classes,
    points: int,
    each_box: bool,
    report: Report,
) -> list[Record]:
    names = _category_names(document)
    images = {_id(each, "id"): each for each in document["images"] if isinstance(each, dict)}
    by_image: dict[Any, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for entry in document["annotations"]:
        if not isinstance(entry, dict) or _id(entry, "image_id") is None:
            report.skip("annotation", "names no image")
            continue
        label, category = f"annotation {_id(entry, 'id')}", _id(entry, "category_id")
        index = classes.index(names.get(_id(entry, "category_id"), ""))
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
        name = str(image.get("file_name", ""))
        if number not in by_image:
            report.skip(name or f"image {number}", "has no annotation")
            continue
        try:
            target = _target(by_image[number], task_type, points, each_box)
            size = annotated_size(image.get("width"), image.get("height"))
            records.append(Record(replace(lookup.find(name), size=size), target))
        except ValueError as error:
            report.skip(name or f"image {number}", str(error))
    return records


def _target(entries: Sequence[tuple[int, dict[str, Any]]], task_type: TaskType, points: int, each: bool) -> Target:
    if task_type is TaskType.SEGMENTATION:
        return ClassMap(drawn([shape for index, entry in entries for shape in _shapes(index + 1, entry)]))
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


def _numbers(value: Any, what: str) -> list[float]:
    numbers = [finite_number(each) for each in value] if isinstance(value, list) else [None]
    if None in numbers:
        raise ValueError(f"its {what} is no list of numbers")
    return [number for number in numbers if number is not None]


def _box(entry: Mapping[str, Any]) -> tuple[float, float, float, float]:
    values = _numbers(entry.get("bbox"), "bbox")
    if len(values) != 4:
        raise ValueError("its bbox is no four numbers")
    x, y, width, height = values
    return x, y, x + width, y + height


def _keypoints(entry: Mapping[str, Any], count: int) -> tuple[tuple[float, float] | None, ...]:
    values = _numbers(entry.get("keypoints"), "keypoints")
    if len(values) != 3 * count:
        raise ValueError(f"has {len(values) / 3:g} keypoints, the task {count}")
    triples = [values[start : start + 3] for start in range(0, len(values), 3)]
    return tuple((x, y) if visible else None for x, y, visible in triples)


def _shapes(index: int, entry: Mapping[str, Any]) -> list[Shape]:
    area = entry.get("segmentation")
    if isinstance(area, dict):
        size, counts = area.get("size"), area.get("counts")
        if not isinstance(counts, list) or not isinstance(size, list) or len(size) != 2:
            raise ValueError("its segmentation is a compressed run length, which is not read; export polygons")
        return [Shape(index, area=partial(_run_lengths, counts, int(size[0]), int(size[1])))]
    if not isinstance(area, list) or not area:
        raise ValueError("an annotation has no segmentation")
    shapes = []
    for polygon in area:
        values = _numbers(polygon, "segmentation")
        if len(values) < 6 or len(values) % 2:
            raise ValueError("a polygon has fewer than three points")
        shapes.append(Shape(index, tuple(zip(values[::2], values[1::2], strict=True))))
    return shapes


def _run_lengths(counts: list[int], rows: int, columns: int, width: int, height: int) -> np.ndarray:
    if (columns, rows) != (width, height):
        raise ValueError(f"its mask has another size than the image ({columns} x {rows}, its image {width} x {height})")
    return from_counts(counts, rows, columns, by_column=True)
