"""Whether the numbers of a COCO file are in COCO's form: boxes with sides, keypoints with their visibility."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aggregation_lab.data.importing.documents.coco import category_names, id_of
from aggregation_lab.data.importing.records import Report
from aggregation_lab.data.importing.source_files import Classes, annotated_size
from aggregation_lab.data.interpretation.box_forms import beyond_as_sides, mean_corners
from aggregation_lab.data.interpretation.edges import is_for_larger
from aggregation_lab.data.rows.point_text import finite_number
from aggregation_lab.errors import DataError
from aggregation_lab.tasks.targets import Box

_SIDES = "COCO's are x, y, width, height, so write these"
_FAR = 0.1
"""Where so many boxes reach far beyond their images, none is taken in any case."""


def numbers(value: Any, what: str) -> list[float]:
    """The numbers of a list. Raises `ValueError` where it is none, or holds something else."""
    found = [finite_number(each) for each in value] if isinstance(value, list) else [None]
    if None in found:
        raise ValueError(f"its {what} is no list of numbers")
    return [number for number in found if number is not None]


def check_boxes(file: Path, document: Mapping[str, Any], report: Report) -> None:
    """Raise `DataError` where the boxes of a file are two corners by the areas and polygons beside them, or by the
    sizes of their images; where these do not make it sure, it is remarked."""
    sizes = {
        id_of(image, "id"): annotated_size(image.get("width"), image.get("height"))
        for image in document["images"]
        if isinstance(image, dict)
    }
    boxes, areas, bounds, images = [], [], [], []
    for entry in document["annotations"]:
        try:
            box = numbers(entry.get("bbox"), "bbox") if isinstance(entry, dict) else []
        except ValueError:
            continue
        if len(box) == 4:
            boxes.append(box)
            areas.append(finite_number(entry.get("area")) or None)
            bounds.append(_bounds(entry.get("segmentation")))
            images.append(sizes.get(id_of(entry, "image_id")))
    if mean_corners(boxes, areas, bounds):
        said = "the boxes are x_min, y_min, x_max, y_max by the areas or polygons beside them"
        raise DataError(f"{file}: {said}; {_SIDES}")
    known = [(box, size) for box, size in zip(boxes, images, strict=True) if size]
    beyond = beyond_as_sides([box for box, _ in known], [size for _, size in known])
    if len(beyond) < 2:
        return
    said = (
        f"{len(beyond)} of {len(known)} boxes reach beyond their images as x, y, width, height, and none as two corners"
    )
    corners = [(box[0] + box[2], box[1] + box[3]) for box, _ in known]
    far = sum(is_for_larger([corners[place]], *known[place][1]) for place in beyond)
    if far > _FAR * len(known):
        raise DataError(f"{file}: {said}, so they seem to be x_min, y_min, x_max, y_max; {_SIDES}")
    report.remark(file.name, f"{said}; if they are x_min, y_min, x_max, y_max, {_SIDES}")


def _bounds(polygons: Any) -> Box | None:
    """The smallest box around polygons; None where they are no lists of x and y."""
    try:
        corners = np.concatenate([np.reshape(numbers(each, "segmentation"), (-1, 2)) for each in polygons])
    except (ValueError, TypeError):
        return None
    (x_min, y_min), (x_max, y_max) = corners.min(0).tolist(), corners.max(0).tolist()
    return x_min, y_min, x_max, y_max


def point_count(documents: Mapping[Path, Mapping[str, Any]], classes: Classes) -> int:
    """How many keypoints an object of the classes that count has.

    Raises `DataError` where it is not one number, and where keypoints are no triples of x, y and visibility: pairs
    of three points would be two points in other places.
    """
    counts = set()
    for file, document in documents.items():
        names = category_names(document)
        named = {id_of(each, "id"): each.get("keypoints") for each in document["categories"] if isinstance(each, dict)}
        for entry in document["annotations"]:
            points = entry.get("keypoints") if isinstance(entry, dict) else None
            category = id_of(entry, "category_id") if isinstance(entry, dict) else None
            if isinstance(points, list) and points and classes.index(names.get(category, "")) is not None:
                _check_triples(f"{file}: annotation {id_of(entry, 'id')}", entry, points, named.get(category))
                counts.add(len(points) / 3)
    file = next(iter(documents))
    if not counts:
        raise DataError(f"{file}: no annotation holds keypoints; choose --type detection or segmentation")
    if len(counts) > 1 or not next(iter(counts)).is_integer():
        raise DataError(
            f"{file}: objects have unlike numbers of keypoints; a task has one (--classes chooses a category)"
        )
    return int(counts.pop())


def _check_triples(where: str, entry: Mapping[str, Any], points: list[Any], names: Any) -> None:
    form = "COCO's keypoints are x, y, visibility (0, 1 or 2) one after the other, so write these"
    marked, seen = finite_number(entry.get("num_keypoints")), [finite_number(each) for each in points[2::3]]
    if isinstance(names, list) and names and 3 * len(names) != len(points):
        said = f"has {len(points)} numbers for the {len(names)} keypoints that its category names"
    elif marked is not None and 3 * marked > len(points):
        said = f"has {len(points)} numbers for {marked:g} keypoints (num_keypoints)"
    elif any(number not in (0, 1, 2) for number in seen if number is not None):
        wrong = next(number for number in seen if number is not None and number not in (0, 1, 2))
        said = f"has a keypoint of the visibility {wrong:g}"
    else:
        return
    raise DataError(f"{where} {said}; {form}")
