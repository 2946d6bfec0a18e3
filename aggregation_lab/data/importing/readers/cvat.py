"""CVAT for images 1.1: one XML file with boxes, polygons, masks, points and tags of each image.

Format: https://docs.cvat.ai/docs/manual/advanced/formats/format-cvat/
"""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aggregation_lab.data.importing.drawing.drawn_shapes import DrawnShape, Marked, task_of
from aggregation_lab.data.importing.drawing.polygons import Point, from_counts, rectangle
from aggregation_lab.data.importing.image_lookup import IMAGES_TOO, ImageLookup
from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.records import ReadTask, Report
from aggregation_lab.data.importing.source_files import annotated_size, need_some, read_xml, relative, source_name
from aggregation_lab.data.rows.point_text import finite_number
from aggregation_lab.errors import DataError
from aggregation_lab.files import walk
from aggregation_lab.naming import clean_name


def read(source: Path, options: ImportOptions, report: Report, progress: object) -> list[ReadTask]:
    """One task: segmentation where areas are drawn, else detection of boxes, else regression of points, else
    classification by tags; --type says otherwise. Shapes lie over each other by their z_order."""
    files = [source] if source.is_file() else list(walk(source, (".xml",)))
    if not source.exists():
        raise DataError(f"{source}: does not exist; give CVAT's XML file, or the folder that holds it")
    need_some(files, source, "XML file", "give CVAT's annotations.xml, or the folder that holds it")
    marked: list[Marked] = []
    subsets: set[str] = set()
    top = source if source.is_dir() else source.parent
    lookup = ImageLookup(options.images, top, IMAGES_TOO)
    for file in files:
        root = read_xml(file)
        if root.tag != "annotations":
            raise DataError(f"{file}: is no XML file of CVAT for images; export it in that form")
        if root.find("track") is not None:
            raise DataError(f"{file}: holds tracks of a video; export it as `CVAT for images`")
        for image in root.iter("image"):
            name = image.get("name") or ""
            subsets.add(image.get("subset") or "")
            try:
                size = annotated_size(image.get("width"), image.get("height"))
                picture = replace(lookup.find(name, file.parent, relative(file, top)), size=size)
                elements = sorted(image, key=_layer)
                shapes = tuple(replace(_shape(each), layer=_layer(each)) for each in elements)
                marked.append(Marked(name, picture, shapes))
            except ValueError as error:
                report.skip(name or "image without a name", str(error))
    if len(subsets - {""}) > 1:
        report.note_parts(sorted(subsets - {""}))
    reason = next(iter(report.skipped), "it lists none")
    need_some(marked, source, "image that can be used", f"first reason: {reason}")
    return [task_of(marked, source_name(source), source, options, report)]


def _shape(element: ElementTree.Element) -> DrawnShape:
    label, kind = clean_name(element.get("label") or ""), element.tag
    if kind == "ellipse":
        return DrawnShape(
            label, "unread", reason="marks an area as an ellipse, which is not read; draw it as a polygon"
        )
    if kind == "tag":
        return DrawnShape(label, "tag")
    if kind == "box":
        x_min, y_min, x_max, y_max = (_number(element, name) for name in ("xtl", "ytl", "xbr", "ybr"))
        if finite_number(element.get("rotation", "0")):
            return DrawnShape(label, "unread", reason="marks a box that is turned, which is not read; draw a polygon")
        return DrawnShape(label, "box", rectangle((x_min, y_min), (x_max, y_max)))
    if kind == "mask":
        left, top, width, height = (int(_number(element, name)) for name in ("left", "top", "width", "height"))
        counts = (element.get("rle") or "").replace(",", " ").split()
        return DrawnShape(label, "area", (), _Mask(counts, left, top, width, height))
    if kind in ("polygon", "points"):
        points = tuple(_point(text) for text in (element.get("points") or "").split(";") if text.strip())
        if len(points) < (3 if kind == "polygon" else 1):
            raise ValueError(f"a {kind} has {len(points)} points")
        return DrawnShape(label, "area" if kind == "polygon" else "point", points)
    return DrawnShape(label, "other", reason=f"{kind}s")


def _layer(element: ElementTree.Element) -> float:
    return finite_number(element.get("z_order", "0")) or 0


def _number(element: ElementTree.Element, name: str) -> float:
    number = finite_number(element.get(name))
    if number is None:
        raise ValueError(f"a {element.tag} has no number {name}")
    return number


def _point(text: str) -> Point:
    numbers = [finite_number(part) for part in text.split(",")]
    if len(numbers) != 2 or None in numbers:
        raise ValueError("a point is no two numbers")
    return numbers[0] or 0.0, numbers[1] or 0.0


@dataclass(frozen=True)
class _Mask:
    """H x W truth values of a mask that CVAT keeps as run lengths along the rows of its bounding box."""

    counts: list[str]
    left: int
    top: int
    columns: int
    rows: int

    def __call__(self, width: int, height: int) -> np.ndarray:
        inside = np.zeros((height, width), bool)
        right, bottom = self.left + self.columns, self.top + self.rows
        if self.left < 0 or self.top < 0 or right > width or bottom > height:
            raise ValueError("a mask reaches beyond the image")
        area = from_counts(self.counts, self.rows, self.columns, by_column=False)
        inside[self.top : bottom, self.left : right] = area
        return inside
