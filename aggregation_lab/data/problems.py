"""Faults of a data folder: each one line, all of them gathered before any is reported."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aggregation_lab.errors import DataError


@dataclass(frozen=True)
class Problem:
    """One fault of a data folder.

    `file` is the path relative to the train folder, or the name of the setting at fault; `row` is the line an editor
    shows; `message` says what was found and what to do. Errors make a folder unusable, warnings do not.
    """

    file: str
    row: int | None
    field: str | None
    message: str
    level: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = [self.file]
        place += [f"line {self.row}"] if self.row is not None else []
        place += [self.field] if self.field else []
        return " ".join(f"{', '.join(place)}: {self.message}".splitlines())


class Findings:
    """Gathers problems in the order they are found; a problem found twice counts once."""

    def __init__(self) -> None:
        self._problems: dict[Problem, None] = {}

    def error(self, file: str, row: int | None, field: str | None, message: str) -> None:
        self._problems[Problem(file, row, field, message)] = None

    def warning(self, file: str, row: int | None, field: str | None, message: str) -> None:
        self._problems[Problem(file, row, field, message, "warning")] = None

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self._problems if problem.level == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self._problems if problem.level == "warning")

    def raise_errors(self, source: Path | str) -> None:
        """Raise a `DataError` that holds every problem, errors first, if there is any error."""
        if not self.errors:
            return
        first, *others = self.errors
        more = f" (and {len(others)} more; `agglab validate` lists all)" if others else ""
        raise DataError(f"{source}: {first}{more}", self.errors + self.warnings)
