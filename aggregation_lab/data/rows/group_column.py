"""The clinical group of a task, where its CSV names one in the column `clinical_group`; a study file's `groups` win."""

from collections.abc import Iterable

from aggregation_lab.data.rows.cases import task_name
from aggregation_lab.data.rows.columns import GROUP_COLUMN
from aggregation_lab.data.rows.problems import Problems
from aggregation_lab.data.rows.row import Row
from aggregation_lab.naming import name_fault


def groups_in(rows: Iterable[Row], problems: Problems) -> dict[str, str]:
    """Group by task. Reports a group that is no name, and two groups for one task."""
    groups: dict[str, tuple[str, Row]] = {}
    for row in rows:
        group, task = row.cell(GROUP_COLUMN), task_name(row)
        if not group:
            continue
        fault = name_fault(group) or ("take out the slashes" if "/" in group or "\\" in group else "")
        if fault:
            problems.row_error(row, GROUP_COLUMN, f"is {group[:80]!r}; {fault}", f"group {group}")
            continue
        other, first = groups.setdefault(task, (group, row))
        if other != group:
            message = f"is {group!r} but task {task} has {other!r} in {first.file} line {first.line}; write one group"
            problems.row_error(row, GROUP_COLUMN, message, f"groups {task} {group}")
    return {task: group for task, (group, _) in groups.items()}
