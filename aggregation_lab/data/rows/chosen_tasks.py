"""The tasks that a study takes, by other names where it gives them some: as if the CSV files had these names."""

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from aggregation_lab.data.rows.cases import task_name
from aggregation_lab.data.rows.problems import Problems
from aggregation_lab.data.rows.row import Row

FORMER = "former task"
"""The cell of a renamed row that holds the name its CSV gives; no column can be called so."""


def renamed(rows: Iterable[Row], names: Mapping[str, str], problems: Problems) -> list[Row]:
    """The rows, those of the tasks in `names` by their new names. Reports tasks that are not there, or become one."""
    rows = list(rows)
    present = {task_name(row) for row in rows}
    for name in names:
        if name not in present:
            close = difflib.get_close_matches(name, present, n=1, cutoff=0.7)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(sorted(present))}"
            problems.error("tasks", None, name, f"is no task of the data; {hint}")
    for name, count in Counter(names.values()).items():
        if count > 1:
            problems.error("tasks", None, name, f"is the new name of {count} tasks; give each its own")
    changes = {old: new for old, new in names.items() if old != new}
    return [
        replace(row, cells={**row.cells, "task_id": changes[task_name(row)], FORMER: task_name(row)})
        if task_name(row) in changes
        else row
        for row in rows
    ]


def former_name(row: Row) -> str:
    """The name that the row's CSV gives its task."""
    return row.cells.get(FORMER) or task_name(row)
