"""One row of a CSV file, as text."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

_EMPTY = frozenset({"", "nan", "NaN"})  # what pandas writes, or leaves, where a source lacks a column


@dataclass(frozen=True)
class Row:
    """One data row of a CSV. `file` is relative to the train folder; `line` is the line an editor shows; `others` are
    the columns of the file that are not used."""

    file: str
    line: int
    cells: dict[str, str]
    others: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """Name of the CSV without its ending: the challenge keeps one CSV per source data set."""
        return re.sub(r"\.csv$", "", PurePosixPath(self.file).name, flags=re.IGNORECASE)

    def cell(self, column: str) -> str | None:
        """Text of the cell, None where the file lacks the column, "" where the cell is empty.

        Any text is a task's name, `nan` too.
        """
        text = self.cells.get(column)
        return "" if text in _EMPTY and column != "task_id" else text
