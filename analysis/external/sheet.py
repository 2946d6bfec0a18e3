"""A score table as it was read: cells of text under the header as written, and the line that each row stands in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from aggregation_lab.errors import ResultsError
from aggregation_lab.text import listed, printable


@dataclass(frozen=True)
class Sheet:
    """`lines` says in which line of the file, or in which row of a typed one, each row of `cells` stands; `notes`
    gathers how the file was read."""

    path: Path
    header: tuple[str, ...]
    cells: pd.DataFrame
    lines: tuple[int, ...]
    notes: list[str] = field(default_factory=list)

    def row(self, index: int) -> str:
        """Where a row stands."""
        return f"row {self.lines[index]}"

    def rows(self, chosen: np.ndarray) -> "Sheet":
        """The sheet of some rows only, with the same notes."""
        cells = self.cells[chosen].reset_index(drop=True)
        return replace(self, cells=cells, lines=tuple(np.array(self.lines)[chosen].tolist()))

    def fail(self, reason: str) -> ResultsError:
        """The error to raise for what is wrong with the table as a whole."""
        return ResultsError(f"{self.path}: {reason}")

    def check(self, wrong: pd.Series, reason: str | Callable[[int], str]) -> None:
        """Raise `ResultsError` naming the first row that is `wrong`; a `reason` may depend on its index."""
        if wrong.any():
            index = int(wrong.to_numpy().argmax())
            raise self.fail(f"{self.row(index)}: {reason if isinstance(reason, str) else reason(index)}")

    def check_filled(self, empty: pd.Series, name: str) -> None:
        """Raise `ResultsError` where a cell that has to be filled is empty."""
        self.check(empty, f"{name} is empty; fill it, or take the row out")


def shown(names: Sequence[str], most: int = 12) -> str:
    """Names of a file in a message."""
    return listed([printable(name, 40) or "(no name)" for name in names], most)


def quoted(cell: str) -> str:
    """The text of a cell in a message."""
    return f"'{printable(cell, 60)}'"
