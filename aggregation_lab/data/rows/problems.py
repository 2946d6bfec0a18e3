"""Faults of a data folder, each one line, all collected before any is reported."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from aggregation_lab.config import yaml_key
from aggregation_lab.data.rows.row import Row
from aggregation_lab.errors import DataError
from aggregation_lab.text import escaped

Level = Literal["error", "warning", "note"]

_LONGEST = 2000  # characters of a line: a cell may hold anything
_RANGES = 10  # ranges of lines that are written out


@dataclass(frozen=True)
class Problem:
    """One fault of a data folder.

    `file` is the path relative to the train folder, or the name of the setting at fault; `row` is the line an editor
    shows; `message` says what is wrong and what to do. Errors make a folder unusable, warnings do not; a note says
    what is ignored without harm.
    """

    file: str
    row: int | None
    field: str | None
    message: str
    level: Level = "error"

    def __str__(self) -> str:
        where = [self.file]
        where += [f"line {self.row}"] if self.row is not None else []
        where += [self.field] if self.field else []
        line = escaped(" ".join(f"{', '.join(where)}: {self.message}".splitlines()))
        return line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}"


class Problems:
    """Collects problems in order; a repeated problem counts once.

    Rows of one file with the same fault share a line: a column of wrong paths is one fault, not ten thousand. Two
    faults are the same where `kind` is, or where their messages have the same words, numbers and paths left out.
    """

    def __init__(self) -> None:
        self._problems: dict[Problem, str] = {}

    def error(self, file: str, row: int | None, field: str | None, message: str, kind: str = "") -> None:
        self._problems[Problem(file, row, field, message)] = kind

    def warning(self, file: str, row: int | None, field: str | None, message: str, kind: str = "") -> None:
        self._problems[Problem(file, row, field, message, "warning")] = kind

    def row_error(self, row: Row, field: str, message: str, kind: str = "") -> None:
        self.error(row.file, row.line, field, message, kind)

    def row_warning(self, row: Row, field: str, message: str, kind: str = "") -> None:
        self.warning(row.file, row.line, field, message, kind)

    def note(self, file: str, row: int | None, field: str | None, message: str) -> None:
        self._problems[Problem(file, row, field, message, "note")] = ""

    @property
    def errors(self) -> tuple[Problem, ...]:
        return self._of("error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return self._of("warning")

    @property
    def notes(self) -> tuple[Problem, ...]:
        return self._of("note")

    def _of(self, level: Level) -> tuple[Problem, ...]:
        alike: dict[tuple, list[Problem]] = {}
        for problem, kind in self._problems.items():
            if problem.level == level:
                same = problem.row if problem.row is None else kind or _words(problem.message)
                # a fault without a line is one of the file, the task or the setting: it stands alone
                key = (problem.file, problem.field, same, problem.message if same is None else "")
                alike.setdefault(key, []).append(problem)
        return tuple(_folded(same) for same in alike.values())

    def raise_errors(self, source: Path | str) -> None:
        """Raise a `DataError` that holds every problem, errors first, if there is any error."""
        errors = self.errors
        if not errors:
            return
        first, *others = errors
        more = f" (and {len(others)} more; `agglab validate` lists all)" if others else ""
        raise DataError(f"{escaped(source)}: {first}{more}", errors + self.warnings)


def _words(message: str) -> str:
    """What a message says but for the names and numbers in it."""
    without_quotes = re.sub(r"'[^']*'|\"[^\"]*\"", "", message)
    return " ".join(word for word in without_quotes.split() if not re.search(r"[/\\\d.]", word))


def _folded(same: Sequence[Problem]) -> Problem:
    """The first of several rows with the same fault, which tells where the others are."""
    first, *others = same
    rest = sorted({problem.row for problem in others if problem.row is not None and problem.row != first.row})
    if not rest:
        return first
    rows = f"and {len(rest)} more such row{'s' if len(rest) > 1 else ''}: {lines(rest)}"
    return replace(first, message=f"{first.message} ({rows})")


def rule(setting: str, task: str, value: str | Mapping[str, int] | Mapping[int, int]) -> str:
    """A rule for one task as it stands in a study file: "data.mask_values: {task: {0: 0, 255: 1}}"."""
    if not isinstance(value, str):
        value = f"{{{', '.join(f'{key}: {index}' for key, index in value.items())}}}"
    return f"data.{setting}: {{{yaml_key(task)}: {value}}}"


def lines(rows: Sequence[int]) -> str:
    """Line numbers in short: "line 7", "lines 3-5, 9"."""
    ranges: list[list[int]] = []
    for row in sorted(set(rows)):
        if ranges and row == ranges[-1][1] + 1:
            ranges[-1][1] = row
        else:
            ranges.append([row, row])
    shown = [str(low) if low == high else f"{low}-{high}" for low, high in ranges[:_RANGES]]
    more = ["..."] if len(ranges) > _RANGES else []
    return f"line{'s' if len(set(rows)) > 1 else ''} {', '.join(shown + more)}"
