"""Pascal VOC: Annotations/NAME.xml with JPEGImages/NAME.jpg, and SegmentationClass/NAME.png for segmentation.

Numbers of boxes are taken as they stand: VOC itself counts pixels from 1, most programs that write its form from 0.
"""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import dropwhile
from pathlib import Path

from aggregation_lab.data.importing.image_lookup import MASK_FOLDER, ImageLookup
from aggregation_lab.data.importing.mask_values import FileMap, MaskValues, certain_values, held_by_all
from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.records import ReadTask, Record, Report
from aggregation_lab.data.importing.source_files import (
    PICTURES,
    Classes,
    annotated_size,
    need_folder,
    need_some,
    one_object,
    part_of,
    read_xml,
    relative,
    source_name,
)
from aggregation_lab.data.importing.targets import Boxes, ClassMap
from aggregation_lab.data.progress import Progress
from aggregation_lab.data.rows.point_text import finite_number
from aggregation_lab.errors import DataError
from aggregation_lab.files import walk
from aggregation_lab.naming import clean_name
from aggregation_lab.tasks import TaskType

_VOID = 255
"""The value of VOC's masks between objects and background."""


def read(source: Path, options: ImportOptions, report: Report, progress: Progress) -> list[ReadTask]:
    """One task: detection from the XML files, or segmentation from SegmentationClass with --type segmentation."""
    need_folder(source, "that holds Annotations and JPEGImages")
    lists = sorted({file.name for file in walk(source / "ImageSets", (".txt",)) if part_of(file.stem)})
    if len(set(map(part_of, (name.removesuffix(".txt") for name in lists)))) > 1:
        report.note_parts([f"ImageSets/{name}" for name in lists])
    if options.type is TaskType.SEGMENTATION:
        return [_segmentation(source, options, report, progress)]
    if options.type not in (None, TaskType.DETECTION):
        raise DataError(f"--type {options.type}: VOC holds detection or segmentation")
    files = list(walk(source, (".xml",)))
    need_some(files, source, "XML files", "give the folder that holds Annotations and JPEGImages")
    roots: dict[Path, ElementTree.Element] = {}
    for file in files:
        try:
            root = read_xml(file)
        except DataError as error:
            report.skip(relative(file, source), str(error).removeprefix(f"{file}: "))
            continue
        if root.tag == "annotation":
            roots[file] = root
        else:
            report.skip(relative(file, source), "is no annotation of VOC")
    need_some(roots, source, "XML file that is an annotation of VOC", f"first: {_first_reason(report)}")
    found = sorted({_name(each) for root in roots.values() for each in root.iter("object")})
    one_object(tuple(found), options.classes, source)
    classes = Classes(found, options.classes, source)
    lookup, seen, records = _lookup(source), set[Path | None](), []
    for file, root in roots.items():
        where = relative(file, source)
        try:
            name = clean_name(root.findtext("filename") or "") or file.stem
            picture = lookup.find(_in_folder(name, where), source / "JPEGImages", where, file.stem)
            size = annotated_size(root.findtext("size/width"), root.findtext("size/height"))
            seen.add(picture.file)
            kept = [each for each in root.iter("object") if classes.index(_name(each)) is not None]
            if not kept:
                raise ValueError(
                    "marks no object" + (" of the classes that --classes names" if options.classes else "")
                )
            boxes = Boxes(tuple(map(_box, kept)), options.each_box)
            records.append(Record(replace(picture, size=size), boxes))
        except ValueError as error:
            report.skip(where, str(error))
    for image in walk(source / "JPEGImages", PICTURES):
        if image not in seen:
            report.skip(relative(image, source), "has no annotation")
    return [ReadTask(source_name(source), TaskType.DETECTION, records, 1, classes.names)]


def _lookup(source: Path) -> ImageLookup:
    folder = source / "JPEGImages"
    return ImageLookup(None, folder if folder.is_dir() else source)


def _in_folder(name: str, annotation: str) -> str:
    """The name of an image behind the folders that its annotation lies in, but for those that hold annotations, as
    `Annotations` does; a path stays as it is."""
    folders = dropwhile(MASK_FOLDER.fullmatch, annotation.split("/")[:-1])
    return name if re.search(r"[/\\]", name) else "/".join((*folders, name))


def _first_reason(report: Report) -> str:
    return next((f"{names[0]} {reason}" for reason, names in report.skipped.items()), "none is there")


def _name(element: ElementTree.Element) -> str:
    return clean_name(element.findtext("name") or "") or "object"


def _box(element: ElementTree.Element) -> tuple[float, float, float, float]:
    values = [finite_number(element.findtext(f"bndbox/{name}")) for name in ("xmin", "ymin", "xmax", "ymax")]
    if None in values:
        raise ValueError("an object has no box of four numbers")
    x_min, y_min, x_max, y_max = (value for value in values if value is not None)
    return x_min, y_min, x_max, y_max


def _segmentation(source: Path, options: ImportOptions, report: Report, progress: Progress) -> ReadTask:
    masks = list(walk(source / "SegmentationClass", (".png",)))
    need_some(masks, source, "masks (SegmentationClass/*.png)", "give the folder that holds SegmentationClass")
    values = options.mask_values or _values(masks, report, progress)
    lookup, records = _lookup(source), []
    for mask in masks:
        try:
            where = relative(mask, source)
            picture = lookup.find(_in_folder(f"{mask.stem}.jpg", where), source / "JPEGImages", where, mask.stem)
            records.append(Record(picture, ClassMap(FileMap(mask, values))))
        except ValueError as error:
            report.skip(relative(mask, source), str(error))
    return ReadTask(source_name(source), TaskType.SEGMENTATION, records)


def _values(masks: list[Path], report: Report, progress: Progress) -> MaskValues:
    """What the values mean: 255 is void, and background, beside classes that are more than one background."""
    held = held_by_all(masks, report, progress)
    has_void = _VOID in held.values and any(value not in (0, _VOID) for value in held.values)
    return certain_values(masks, held, report, _VOID if has_void else None)
