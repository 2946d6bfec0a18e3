"""COCO's JSON files: which of a source they are, and what their ids of images and categories mean."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aggregation_lab.data.importing.records import Report
from aggregation_lab.data.importing.source_files import Classes, read_json
from aggregation_lab.data.rows.point_text import finite_number
from aggregation_lab.errors import DataError
from aggregation_lab.files import walk
from aggregation_lab.naming import clean_name

_LISTS = ("images", "annotations", "categories")


def annotation_files(source: Path) -> list[Path]:
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


def read_document(file: Path) -> dict[str, Any]:
    value = read_json(file)
    for name in _LISTS:
        if not isinstance(value, dict) or not isinstance(value.get(name), list):
            raise DataError(f"{file}: holds no list {name!r}; a COCO file has {', '.join(_LISTS)}")
    names: dict[Any, str] = {}
    for each in value["categories"]:
        for number, name in category_names({"categories": [each]}).items():
            if names.setdefault(number, name) != name:
                raise DataError(f"{file}: gives the id {number} to {names[number]} and to {name}; correct one")
    if not value["images"]:
        raise DataError(f"{file}: lists no images; restore the file")
    return value


def category_names(document: Mapping[str, Any]) -> dict[Any, str]:
    return {
        each.get("id"): clean_name(str(each.get("name", each.get("id"))))
        for each in document["categories"]
        if isinstance(each, dict) and isinstance(each.get("id"), int | str)
    }


def used_names(document: Mapping[str, Any]) -> set[str]:
    names = category_names(document)
    return {names.get(id_of(entry, "category_id"), "") for entry in document["annotations"] if isinstance(entry, dict)}


def id_of(entry: Mapping[str, Any], field: str) -> Any:
    """An id; None where it is missing, or nothing that can be one."""
    value = entry.get(field)
    return value if isinstance(value, int | str) else None


def first_id(name: str, documents: Sequence[Mapping[str, Any]]) -> tuple[float, str]:
    """Categories stand in the order of their ids, then of their names."""
    ids = [number for document in documents for number, other in category_names(document).items() if other == name]
    numbers = [number for number in map(finite_number, ids) if number is not None]
    return min(numbers, default=float("inf")), name


def point_names(documents: Iterable[Mapping[str, Any]], classes: Classes, count: int) -> tuple[str, ...]:
    """What the first category that has `count` keypoints calls them; empty where none names as many."""
    for document in documents:
        for each in document["categories"]:
            names = each.get("keypoints") if isinstance(each, dict) else None
            wanted = classes.index(category_names({"categories": [each]}).get(id_of(each, "id"), "")) is not None
            if isinstance(names, list) and len(names) == count and wanted:
                return tuple(clean_name(str(name)) for name in names)
    return ()


def images_by_id(images: Sequence[Any], report: Report) -> dict[Any, dict[str, Any]]:
    """The images of a file by their id. One without an id, or with that of another image, is reported: nobody knows
    whose the annotations are."""
    found: dict[Any, dict[str, Any]] = {}
    twice = set()
    for place, image in enumerate(images):
        number = id_of(image, "id") if isinstance(image, dict) else None
        if number is None:
            report.skip(f"images[{place}]", "is an image without an id")
        elif number in found and file_name(found[number]) != file_name(image):
            twice.add(number)
            report.skip(file_name(image) or f"images[{place}]", f"has the id {number} of another image")
        else:
            found[number] = image
    for number in twice:
        report.skip(file_name(found.pop(number)) or f"image {number}", f"has the id {number} of another image")
    return found


def file_name(image: Mapping[str, Any]) -> str:
    return name if isinstance(name := image.get("file_name"), str) else ""
