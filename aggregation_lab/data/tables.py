"""The CSV files of a data folder in the challenge's layout, as rows of text that know their line."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path, PurePosixPath

from aggregation_lab.data.problems import Findings

CSV_FOLDER = "csv_files"
COMMON_COLUMNS = ("task_id", "task_name", "image_path")

_EMPTY = frozenset({"", "nan", "NaN"})  # what pandas writes, or leaves, where a source lacks a column


@dataclass(frozen=True)
class Row:
    """One data row of a CSV. `file` is relative to the train folder; `line` is the line an editor shows."""

    file: str
    line: int
    cells: dict[str, str]

    @property
    def source(self) -> str:
        """Name of the CSV without its ending: the challenge keeps one CSV per source data set."""
        return PurePosixPath(self.file).name.removesuffix(".csv")

    def cell(self, column: str) -> str | None:
        """Text of the cell, None where the file lacks the column, "" where the cell is empty."""
        text = self.cells.get(column)
        return "" if text in _EMPTY else text


def find_train_folder(root: Path) -> Path | None:
    """The folder holding csv_files: `root` itself, `root`/train or `root`/train/train; None if it is none of them."""
    candidates = (root, root / "train", root / "train" / "train")
    return next((folder for folder in candidates if (folder / CSV_FOLDER).is_dir()), None)


def read_rows(train: Path, findings: Findings) -> list[Row]:
    """Rows of every CSV under `train`/csv_files, files in the order of their names.

    Reports a folder without CSV files and, per file: unreadable, not UTF-8, no data row, a missing or repeated
    column, a row with more or fewer cells than the header.
    """
    files = sorted(path for path in (train / CSV_FOLDER).iterdir() if path.suffix.lower() == ".csv")
    if not files:
        findings.error(CSV_FOLDER, None, None, "holds no .csv file; put the challenge's CSV files there")
    return [row for path in files for row in _read_file(path, f"{CSV_FOLDER}/{path.name}", findings)]


def _read_file(path: Path, name: str, findings: Findings) -> Iterator[Row]:
    try:
        data = path.read_bytes()
    except OSError as error:
        findings.error(name, None, None, f"cannot be read ({error.strerror}); check the file and its permissions")
        return
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        findings.error(name, line, None, f"is not UTF-8 (byte 0x{data[error.start]:02x}); save the file as UTF-8")
        return
    reader = csv.reader(StringIO(text, newline=""))
    try:
        yield from _read_records(reader, name, findings)
    except csv.Error as error:
        findings.error(name, reader.line_num, None, f"is not readable as CSV ({error}); mend the quotes of this line")


def _read_records(reader, name: str, findings: Findings) -> Iterator[Row]:
    header = next(reader, None)
    if not header:
        findings.error(name, None, None, "is empty; fill it or take it away")
        return
    repeated = sorted({column for column in header if header.count(column) > 1})
    for column in repeated:
        findings.error(name, 1, column, "stands twice in the header; keep one")
    missing = [column for column in COMMON_COLUMNS if column not in header]
    for column in missing:
        findings.error(name, 1, column, "is missing; every CSV needs this column")
    count = 0
    line = reader.line_num + 1  # a quoted cell may hold line breaks, so lines are not rows
    for cells in reader:
        if cells:
            count += 1
            if len(cells) != len(header):
                advice = "put quotes around text that holds a comma" if len(cells) > len(header) else "complete the row"
                findings.error(name, line, None, f"has {len(cells)} cells, the header {len(header)}; {advice}")
            elif not missing and not repeated:
                yield Row(name, line, dict(zip(header, cells, strict=True)))
        line = reader.line_num + 1
    if not count:
        findings.error(name, None, None, "has a header but no row; fill it or take it away")
