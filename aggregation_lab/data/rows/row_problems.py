"""Faults of rows: those of one kind in one column of a CSV are one line."""

from aggregation_lab.data.rows.csv_rows import Row
from aggregation_lab.data.rows.problems import Findings


class RowFindings:
    """Hands faults of rows on to the findings, and counts them; `kind` says which of them are the same."""

    def __init__(self, findings: Findings):
        self.findings = findings
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def error(self, row: Row, column: str, message: str, kind: str) -> None:
        """A fault of one row; of a kind, the message of the first row is shown."""
        self._count += 1
        self.findings.error(row.file, row.line, column, message, kind)

    def warning(self, row: Row, column: str, message: str, kind: str) -> None:
        self._count += 1
        self.findings.warning(row.file, row.line, column, message, kind)
