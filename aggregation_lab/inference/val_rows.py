"""Rows of a challenge folder whose labels are withheld: what a submission has to answer."""

import posixpath
from dataclasses import dataclass
from pathlib import Path

from aggregation_lab.data.rows.cases import relative_path, task_name
from aggregation_lab.data.rows.csv_rows import CSV_FOLDER, read_rows
from aggregation_lab.data.rows.file_paths import PathReader
from aggregation_lab.data.rows.layout import OTHER_PARTS
from aggregation_lab.data.rows.point_text import finite_number
from aggregation_lab.data.rows.problems import Problems
from aggregation_lab.data.rows.row import Row
from aggregation_lab.errors import DataError
from aggregation_lab.tasks import TaskType, read_type
from aggregation_lab.text import printable


@dataclass(frozen=True)
class ValRow:
    """One row: `image_path` as the CSV has it, the `file` that it means, and where the challenge wants the mask ("" for
    other types). `classes` is num_classes, None where the row has none."""

    where: str
    task: str
    type: TaskType
    image_path: str
    file: Path
    mask: str = ""
    classes: int | None = None


def read_val_rows(root: Path) -> list[ValRow]:
    """The rows of `root`, which is the folder of csv_files or has it in `val`, in the order of its CSV files.

    Raises `DataError` with every fault, a line each.
    """
    candidates = [root, *(root / part for part in OTHER_PARTS), *(root / part / part for part in OTHER_PARTS)]
    folder = next((each for each in candidates if (each / CSV_FOLDER).is_dir()), None)
    if folder is None:
        wanted = f"has no {CSV_FOLDER}, nor has val in it; give the challenge's val folder"
        raise DataError(f"{printable(str(root), 400)}: {wanted}")
    problems, reader = Problems(), PathReader(folder)
    rows = [_val_row(row, folder, reader, problems) for row in read_rows(folder, problems)]
    found = [row for row in rows if row is not None]
    taken: dict[str, ValRow] = {}
    for row in found:
        other = taken.setdefault(row.mask, row) if row.mask else row
        if (other.image_path, other.task) != (row.image_path, row.task):
            what = "image" if other.image_path != row.image_path else "task"
            problems.error(row.where, None, "mask_path", f"is that of {other.where}, too, whose {what} is another")
    if problems.errors:
        raise DataError("\n".join(map(str, problems.errors)), problems.errors)
    return found


def _val_row(row: Row, folder: Path, reader: PathReader, problems: Problems) -> ValRow | None:
    task, task_type = task_name(row), read_type((row.cell("task_name") or "").strip())
    if task_type is None or not task:
        problems.row_error(row, "task_name", "or task_id names no task that is known; correct the CSV")
        return None
    text = row.cell("image_path") or ""
    reading = reader.read(text)
    path = relative_path(reading.text) if text and not reading.fault else None
    if path is None or not (folder / path).is_file():
        why = reading.fault or f"{text!r} is not there"
        problems.row_error(row, "image_path", f"{why}; restore the file or correct the CSV", f"image {task}")
        return None
    mask = ""
    if task_type.masked:
        written = (row.cell("mask_path") or "").replace("../", "")
        mask = posixpath.normpath(written) if written else ""
        if not mask or posixpath.isabs(mask) or mask.split("/")[0] in ("..", ".") or "\0" in mask:
            problems.row_error(
                row, "mask_path", "says no place for the mask, as the challenge's CSV does", f"mask {task}"
            )
            return None
    number = finite_number(row.cell("num_classes") or "")
    classes = int(number) if task_type.classes_given and number is not None else None
    return ValRow(f"{row.file} line {row.line}", task, task_type, text, folder / path, mask, classes)
