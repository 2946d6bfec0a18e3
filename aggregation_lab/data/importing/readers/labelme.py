"""LabelMe: one JSON file per image, with shapes of a label: polygon, rectangle, circle, point.

Format: https://github.com/wkentaro/labelme. The image is the file of imagePath, or imageData in the JSON file.
"""

import base64
import binascii
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from aggregation_lab.data.images.decode import read_picture
from aggregation_lab.data.importing.drawing.drawn_shapes import DrawnShape, Marked, task_of
from aggregation_lab.data.importing.drawing.polygons import Point, circle, rectangle
from aggregation_lab.data.importing.image_lookup import ImageLookup
from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.records import Picture, ReadTask, Report
from aggregation_lab.data.importing.source_files import (
    annotated_size,
    need_folder,
    need_some,
    read_json,
    relative,
    source_name,
    without_ending,
)
from aggregation_lab.data.rows.point_text import finite_number
from aggregation_lab.errors import DataError
from aggregation_lab.files import walk
from aggregation_lab.naming import clean_name
from aggregation_lab.text import printable

_FLAGS = "flags of an image are not read; write them into the column `label` of a table, and import it as csv"


def read(source: Path, options: ImportOptions, report: Report, progress: object) -> list[ReadTask]:
    """One task: segmentation where polygons or circles are drawn, else detection of rectangles, else regression of
    points; --type says otherwise."""
    need_folder(source, "that holds LabelMe's JSON files")
    files = list(walk(source, (".json",)))
    need_some(files, source, "JSON file", "give the folder that holds LabelMe's JSON files")
    marked, flagged = [], False
    lookup = ImageLookup(None, source)
    for file in files:
        where = relative(file, source)
        try:
            value = read_json(file)
            if not isinstance(value, dict) or not isinstance(value.get("shapes"), list):
                raise ValueError("is no JSON file of LabelMe")
            flagged |= isinstance(value.get("flags"), dict) and any(value["flags"].values())
            shapes = tuple(_shape(each) for each in value["shapes"])
            marked.append(Marked(where, _picture(value, file, where, lookup), shapes))
        except (ValueError, DataError) as error:
            report.skip(where, str(error).removeprefix(f"{file}: "))
    reason = next(iter(report.skipped), "none is there")
    need_some(marked, source, "JSON file of LabelMe that can be used", f"first reason: {reason}")
    no_shape = _FLAGS if flagged else ""
    return [task_of(marked, source_name(source), source, options, report, no_shape)]


def _picture(value: dict[str, Any], file: Path, where: str, lookup: ImageLookup) -> Picture:
    size = annotated_size(value.get("imageWidth"), value.get("imageHeight"))
    name = str(value.get("imagePath") or "")
    try:
        return replace(lookup.find(name, file.parent, where, file.stem), size=size)
    except ValueError:
        if not isinstance(value.get("imageData"), str):
            raise
    return Picture(where, without_ending(where), load=partial(_inside, value["imageData"]), size=size)


def _inside(text: str) -> Image.Image:
    """The image that the JSON file itself holds."""
    try:
        return read_picture(base64.b64decode(text, validate=True)).image
    except binascii.Error as error:
        raise ValueError("its imageData is damaged") from error


def _shape(value: Any) -> DrawnShape:
    if not isinstance(value, dict):
        raise ValueError("a shape is no object")
    label, kind = clean_name(str(value.get("label") or "")), str(value.get("shape_type") or "polygon")
    if kind == "mask":
        reason = "marks an area as a mask of LabelMe, which is not read; draw it as a polygon"
        return DrawnShape(label, "unread", reason=reason)
    marked = value.get("points")
    points = [_point(each) for each in (marked if isinstance(marked, list) else ())]
    least = {"point": 1, "polygon": 3}.get(kind, 2)
    if len(points) < least:
        raise ValueError(f"a {printable(kind, 40)} has {len(points)} points")
    if kind == "rectangle":  # two opposite corners, or all four
        x, y = zip(*points, strict=True)
        return DrawnShape(label, "box", rectangle((min(x), min(y)), (max(x), max(y))))
    if kind == "circle":
        return DrawnShape(label, "area", circle(points[0], points[1]))
    if kind in ("polygon", "point"):
        return DrawnShape(label, "area" if kind == "polygon" else "point", tuple(points))
    return DrawnShape(label, "other", tuple(points), reason=f"{printable(kind, 40)}s")


def _point(value: Any) -> Point:
    numbers = [finite_number(each) for each in value] if isinstance(value, list) else []
    if len(numbers) != 2 or None in numbers:
        raise ValueError("a point is no two numbers")
    return numbers[0] or 0.0, numbers[1] or 0.0
