"""Faults that many rows have in common, as one line per CSV instead of one per row."""

from dataclasses import dataclass, field

from aggregation_lab.data.problems import Findings
from aggregation_lab.data.tables import Row


@dataclass
class _Kind:
    row: Row
    column: str
    message: str
    lines: dict[int, None] = field(default_factory=dict)


class Gathered:
    """Gathers faults by CSV and kind; `report` tells the first of each kind, and how many more rows have it."""

    def __init__(self, findings: Findings):
        self.findings = findings
        self._kinds: dict[tuple[str, str, str], _Kind] = {}

    def __len__(self) -> int:
        return len(self._kinds)

    def error(self, row: Row, column: str, message: str, kind: str) -> None:
        """A fault of one row; `message` is told only for the first row of its kind."""
        self._add("error", row, column, message, kind)

    def warning(self, row: Row, column: str, message: str, kind: str) -> None:
        self._add("warning", row, column, message, kind)

    def _add(self, level: str, row: Row, column: str, message: str, kind: str) -> None:
        first = self._kinds.setdefault((level, row.file, kind), _Kind(row, column, message))
        first.lines[row.line] = None

    def report(self) -> None:
        """Hand everything on to the findings."""
        for (level, file, _), kind in self._kinds.items():
            tell = self.findings.error if level == "error" else self.findings.warning
            tell(file, kind.row.line, kind.column, kind.message + _others(list(kind.lines)[1:]))


def _others(lines: list[int]) -> str:
    if not lines:
        return ""
    shown = ", ".join(map(str, lines[:5])) + (", ..." if len(lines) > 5 else "")
    return f" ({len(lines) + 1} rows; also line{'s' if len(lines) > 1 else ''} {shown})"
