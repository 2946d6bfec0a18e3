"""Files of a source: found in the order of their names, named relative to it, text read without surprises."""

import json
import os
import re
import shlex
import unicodedata
import xml.etree.ElementTree as ElementTree
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import Any

from aggregation_lab.data.importing.records import Picture, Report
from aggregation_lab.data.rows.point_text import finite_number
from aggregation_lab.errors import DataError
from aggregation_lab.files import read_bytes
from aggregation_lab.naming import clean_name, squashed
from aggregation_lab.text import near_names, printable

PICTURES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".dib", ".tif", ".tiff", ".gif", ".webp", ".jp2", ".avif"}
    | {".ppm", ".pgm", ".pcx", ".tga"}
)
"""Endings of the image files that agglab reads itself."""

LARGEST_TEXT = 2**30
"""Bytes of the largest annotation file that is read."""

_GENERIC = frozenset(
    {"images", "image", "data", "dataset", "raw", "labels", "annotations", "jpegimages", "csv_files", "import"}
    | {"default"}
)
_PARTS = {
    "train": "train(ing)?",
    "val": "val(id|idation)?|dev",
    "test": "test(ing)?|holdout",
    "eval": "eval(uation)?",
}
"""Parts of a data set, and what each is called, squashed; `eval` may be either of the last two."""


@lru_cache(maxsize=4096)
def part_of(name: str) -> str:
    """The part of a data set that a whole name tells, as `Training`, `test_set` and `train2017` do; "" for others."""
    plain = squashed(name)
    fits = (part for part, words in _PARTS.items() if re.fullmatch(rf"({words})(set|data|split|images?)?\d*", plain))
    return next(fits, "")


def existing(folder: Path, name: str) -> Path | None:
    """The file of this name, written in whichever Unicode form; None where there is none."""
    for written in dict.fromkeys((name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD")))):
        try:
            if (folder / written).is_file():
                return folder / written
        except (OSError, ValueError):  # too long, or no name at all
            return None
    return None


def relative(file: Path, folder: Path) -> str:
    """The path of a file from `folder` on, "/" between, whatever the system; its name where it lies elsewhere."""
    try:
        return file.relative_to(folder).as_posix()
    except ValueError:
        return file.name


def without_ending(where: str, endings: Collection[str] = ()) -> str:
    """A path without its ending; of several `endings` the longest that fits."""
    fitting = [ending for ending in endings if where.lower().endswith(ending)]
    return where[: -len(max(fitting, key=len))] if fitting else os.path.splitext(where)[0]


def picture(file: Path, folder: Path) -> Picture:
    """An image file as agglab reads it."""
    where = relative(file, folder)
    return Picture(where, without_ending(where), file=file)


def source_name(source: Path) -> str:
    """What a source is called: its folder or file, with the folder above where that says little, as `train` does."""
    name = without_ending(source.name) if source.is_file() else source.name
    if _says_little(name) and source.parent.name:
        above = source.parent.name
        return above if source.is_file() and not _says_little(above) else f"{above}_{name}"
    return clean_name(name) or "import"


def _says_little(name: str) -> bool:
    return name.lower() in _GENERIC or bool(part_of(name))


def need_folder(source: Path, what: str) -> None:
    """Raise `DataError` where the source is no folder."""
    if not source.is_dir():
        fault = "is a file" if source.exists() else "does not exist"
        raise DataError(f"{source}: {fault}; give the folder {what}")


def need_file(source: Path, what: str) -> None:
    """Raise `DataError` where the source is no file."""
    if not source.is_file():
        fault = "is a folder" if source.is_dir() else "does not exist"
        raise DataError(f"{source}: {fault}; give {what}")


def need_regular(file: Path) -> None:
    """Raise `ValueError` where there is no regular file: a pipe could be read for ever."""
    if not file.is_file():
        raise ValueError("is no regular file" if file.exists() else "the file does not exist")


def need_some(found: Collection[Any], source: Path, what: str, remedy: str) -> None:
    """Raise `DataError` where nothing was found."""
    if not found:
        raise DataError(f"{source}: holds no {what}; {remedy}")


def content(file: Path) -> bytes:
    """The bytes of an annotation file. Raises `DataError` where it cannot be read, or is too large to be one."""
    try:
        if file.stat().st_size > LARGEST_TEXT:
            raise DataError(f"{file}: has more than {LARGEST_TEXT // 2**20} MiB; divide it")
        return read_bytes(file)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); check the file and its permissions") from error


def read_json(file: Path) -> Any:
    """The value of a JSON file. Raises `DataError` that names the line where it is broken."""
    try:
        return json.loads(content(file))
    except json.JSONDecodeError as error:
        raise DataError(f"{file}: line {error.lineno} is no JSON ({error.msg}); restore the file") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: is no JSON in UTF-8 ({printable(str(error), 80)}); restore the file") from error


def read_xml(file: Path) -> ElementTree.Element:
    """The root of an XML file without a document type, in which entities could be hidden. Raises `DataError`."""
    data = content(file)
    if b"<!ENTITY" in data or b"<!DOCTYPE" in data:
        raise DataError(f"{file}: declares a document type or entities, which is not read; take the declaration out")
    try:
        return ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DataError(f"{file}: is no XML ({printable(str(error), 80)}); restore the file") from error


class Classes:
    """Class names of a source: those that count, in their order, and the index of each."""

    def __init__(self, found: Collection[str], asked: tuple[str, ...], source: Path):
        """`asked` are those of --classes. Raises `DataError` where one of them does not occur."""
        unknown = [name for name in asked if name not in found]
        if unknown:
            raise DataError(f"{source}: has no class {unknown[0]!r} (--classes){near_names(unknown[0], found)}")
        self.names = asked or tuple(found)
        self._index = {name: index for index, name in enumerate(self.names)}

    def index(self, name: str) -> int | None:
        """None where --classes leaves it out."""
        return self._index.get(name)

    def leave_out(self, where: str, name: str, report: Report) -> None:
        """Report an image of a class that --classes leaves out."""
        report.skip(where, f"is of class {name}, which --classes does not name")


def one_object(names: tuple[str, ...], asked: tuple[str, ...], source: Path) -> None:
    """Raise `DataError` where boxes or points are of several classes and --classes does not say which count."""
    if len(names) > 1 and not asked:
        shown = ", ".join(names[:8]) + (" ..." if len(names) > 8 else "")
        one, several = shlex.quote(names[0]), shlex.quote(",".join(names[:8]))
        choice = f"--classes {one} for one of them, --classes {several} to take them as one"
        raise DataError(f"{source}: marks {len(names)} kinds of objects ({shown}), a task has one; give {choice}")


def annotated_size(width: Any, height: Any) -> tuple[int, int] | None:
    """Width and height as an annotation file has them; None where it does not say them."""
    numbers = [finite_number(each) for each in (width, height)]
    if any(number is None or number < 1 for number in numbers):
        return None
    return int(numbers[0] or 0), int(numbers[1] or 0)
