"""Paths of a CSV that differ from the files' names: read where exactly one file fits.

Other systems write backslashes, another Unicode form, other capitals, a drive or a folder of their own before the
path; spreadsheets add blanks. An ambiguous path is an error with the nearest name.
"""

import difflib
import os
import posixpath
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from aggregation_lab.data.images.foreign_formats import ending_format, foreign_fault
from aggregation_lab.data.rows.cases import relative_path
from aggregation_lab.data.rows.csv_rows import CSV_FOLDER
from aggregation_lab.data.rows.layout import OTHER_PARTS
from aggregation_lab.data.rows.problems import Problems
from aggregation_lab.data.rows.row import Row
from aggregation_lab.naming import clean_name, strip_all
from aggregation_lab.tasks import read_type

_HINTS = 20  # nearest names that are searched, at most: each search reads a whole folder
_LONGEST = 4096  # characters of a path; the search for a name near a longer text would take minutes
_NAMES = 5000  # names of a folder that are compared


@dataclass(frozen=True)
class PathReading:
    """The text of a cell as the file is named, how it differs from what was written, and what is wrong with it."""

    text: str
    how: tuple[str, ...] = ()
    fault: str = ""


def find_files(train: Path, rows: Sequence[Row], problems: Problems) -> list[Row]:
    """The rows with their paths as the files are named; rows whose file cannot be an image are reported and left out.

    Reports once per CSV what had to be read otherwise. A path that fits no file stays as it is.
    """
    reader = PathReader(train)
    changed: dict[str, list[tuple[Row, str, PathReading]]] = {}
    result = []
    for row in rows:
        cells, usable = dict(row.cells), True
        for column in _path_columns(row):
            reading = reader.read(cells[column])
            if reading.fault:
                problems.row_error(row, column, reading.fault)
                usable = False
            elif reading.how:
                changed.setdefault(row.file, []).append((row, column, reading))
            cells[column] = reading.text
        if usable:
            result.append(row if cells == row.cells else replace(row, cells=cells))
    for file, cases in changed.items():
        how = ", ".join(dict.fromkeys(difference for _, _, reading in cases for difference in reading.how))
        row, column, reading = cases[0]
        count = "a path is not written as its file is named"
        if len(cases) > 1:
            count = f"{len(cases)} paths are not written as their files are named"
        example = f"{row.cells[column]!r} is read as {reading.text}"
        problems.warning(file, row.line, column, f"{count} ({how}); first {example}; correct the CSV")
    return result


def _path_columns(row: Row) -> list[str]:
    """Columns that name a file: `mask_path` where masks are targets only, detection rows may carry that of a source."""
    task_type = read_type(row.cell("task_name") or "")
    masked = task_type is not None and task_type.masked
    return [column for column in ("image_path", *(["mask_path"] if masked else [])) if row.cell(column)]


class PathReader:
    """Finds the files of one train folder by paths that may be written differently."""

    def __init__(self, train: Path):
        self._train = train
        self._folders: dict[str, dict[str, list[str]]] = {}
        self._known: dict[str, PathReading] = {}
        self._hints = _HINTS

    def read(self, text: str) -> PathReading:
        if text not in self._known:
            self._known[text] = self._read(text)
        return self._known[text]

    def _read(self, text: str) -> PathReading:
        if len(text) > _LONGEST:
            return PathReading(text, fault=f"is a path of {len(text):,} characters; systems allow {_LONGEST:,} at most")
        written = relative_path(text)
        if written is not None and self._is_there(written):
            return PathReading(text, fault=self._unusable(written))
        for meant, how in _meanings(text):
            path = relative_path(meant)
            files = self._files(path.split("/")) if path else []
            if not files:
                files, how = self._files_below(meant), (*how, "the folders before it")
            if len(files) > 1:
                shown = " or ".join(files[:3])
                return PathReading(
                    text, fault=f"{text!r} is no file, and {len(files)} are alike: {shown}; write the right one"
                )
            if files:
                how = tuple(dict.fromkeys((*how, *_differences(meant, files[0]))))
                return PathReading(posixpath.relpath(files[0], CSV_FOLDER), how, self._unusable(files[0]))
        near = self._nearest(written) if written else ""
        return PathReading(text, fault=f"{text!r} does not exist; did you mean {near}?" if near else "")

    def _is_there(self, path: str) -> bool:
        try:
            return os.path.lexists(self._train / path)
        except ValueError:
            return False

    def _unusable(self, path: str) -> str:
        """Why an existing file cannot be an image, known without opening it; "" where it may be one."""
        full = self._train / path
        if full.exists() and not full.is_file() and not full.is_dir():  # a pipe or a device would be read for ever
            return f"{path} is no regular file; restore it"
        form = ending_format(path)
        return f"{path} {foreign_fault(form)}" if form else ""

    def _files(self, parts: Sequence[str], folder: str = "") -> list[str]:
        """Files below `folder` whose path differs from `parts` in capitals, blanks or Unicode form at most."""
        names = self._listing(folder).get(fold(parts[0]), [])
        paths = [f"{folder}/{name}" if folder else name for name in names]
        if len(parts) == 1:
            return [path for path in paths if (self._train / path).is_file()]
        return [file for path in paths for file in self._files(parts[1:], path)]

    def _files_below(self, text: str) -> list[str]:
        """Files for the longest end of the path, a folder and a name at least, that lies in the train folder.

        None where the path names another file that is there, or another part of the data: `val/x/1.png` is not
        `train/x/1.png`.
        """
        if self._is_elsewhere(text):
            return []
        parts = [part for part in re.sub("^[A-Za-z]:", "", text).split("/") if part not in ("", ".", "..")]
        for start in range(len(parts) - 1):
            if start and fold(parts[start - 1]) in OTHER_PARTS:
                return []
            files = self._files(parts[start:])
            if files:
                return files
        return []

    def _is_elsewhere(self, text: str) -> bool:
        try:
            full = os.path.realpath(self._train / CSV_FOLDER / text)
            return os.path.exists(full) and not full.startswith(f"{os.path.realpath(self._train)}{os.sep}")
        except (OSError, ValueError):  # too long, or no name at all
            return False

    def _listing(self, folder: str) -> dict[str, list[str]]:
        if folder not in self._folders:
            names: dict[str, list[str]] = {}
            try:
                for name in sorted(os.listdir(self._train / folder)):
                    names.setdefault(fold(name), []).append(name)
            except (OSError, ValueError):  # no folder: nothing lies in it
                pass
            self._folders[folder] = names
        return self._folders[folder]

    def _nearest(self, path: str) -> str:
        """The file whose name is nearest in the folder that the path names; "" where none is near."""
        if not self._hints:
            return ""
        self._hints -= 1
        folder, name = posixpath.split(path)
        wanted, names = fold(name), self._listing(folder)
        # among numbered files another number is another file, not a typing error
        same_number = [other for other in list(names)[:_NAMES] if _digits(other) == _digits(wanted)]
        close = [other for other in same_number if other.rsplit(".", 1)[0] == wanted.rsplit(".", 1)[0]]
        close = close or difflib.get_close_matches(wanted, same_number, n=1, cutoff=0.8)
        return posixpath.join(folder, names[close[0]][0]) if close else ""


def _digits(name: str) -> str:
    return "".join(char for char in name if char.isdigit())


def fold(name: str) -> str:
    """What two spellings of one file name have in common: capitals, blanks and Unicode form left out."""
    return " ".join(clean_name(unicodedata.normalize("NFKC", clean_name(name)).casefold()).split())


def _meanings(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """What a path may mean, the likeliest first, each with what it takes to read it so."""
    bare = strip_all(text, "\"'")
    how = ("blanks or quotes around it",) if bare != text else ()
    bare = bare.removeprefix("file://")
    if "\\" in bare:
        bare, how = bare.replace("\\", "/"), (*how, "backslashes")
    plain = unquote(bare)
    return [(bare, how)] + ([(plain, (*how, "% codes"))] if plain != bare else [])


def _differences(meant: str, file: str) -> list[str]:
    """How the end of the path that was meant differs from the file's."""
    parts = [part for part in meant.split("/") if part not in ("", ".", "..")]
    differences = []
    for one, other in zip(reversed(parts), reversed(file.split("/")), strict=False):
        if one != other:
            one, other = unicodedata.normalize("NFC", one), unicodedata.normalize("NFC", other)
            same = one.casefold() == other.casefold()
            differences.append("Unicode form" if one == other else "capitals" if same else "blanks")
    return differences
