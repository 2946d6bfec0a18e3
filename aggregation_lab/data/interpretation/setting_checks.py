"""Whether the data section of a study fits the tasks of the data."""

import difflib
from collections.abc import Collection, Iterable, Mapping

from aggregation_lab.config import TargetRules
from aggregation_lab.data.rows.cases import Shape
from aggregation_lab.data.rows.csv_rows import UNKNOWN
from aggregation_lab.data.rows.problems import Problems
from aggregation_lab.naming import alike, name_fault
from aggregation_lab.tasks import TaskType


def _ruled_types() -> dict[str, list[str]]:
    """The rules of `TargetRules` by task, and the types of task that each is for."""
    rules = dict.fromkeys(rule for task_type in TaskType for rule in task_type.rules)
    return {rule: [task_type.name for task_type in TaskType if rule in task_type.rules] for rule in rules}


def check_settings(
    present: Collection[str],
    groups: Mapping[str, str],
    laterality: Collection[str],
    rules: TargetRules,
    problems: Problems,
) -> None:
    """Report names of tasks that are not `present`, groups that cannot be named so, and names that look alike."""
    named = {"groups": groups, "laterality": laterality}
    for setting, names in (named | {setting: getattr(rules, setting) for setting in _ruled_types()}).items():
        for name in names:
            if name not in present:
                close = difflib.get_close_matches(name, present, n=1, cutoff=0.7)
                hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(sorted(present))}"
                problems.error(setting, None, name, f"is no task of the data; {hint}")
    for task, group in groups.items():
        if fault := name_fault(group):
            problems.error("groups", None, task, f"is {group[:80]!r}; {fault}")
    _report_alike("task", present, problems)
    for name in sorted(name for name in present if name and name.casefold() in UNKNOWN):
        problems.note("task", None, name, "is taken as a name like any other; fill in the cells if it stands for none")
    _report_alike("groups", groups.values(), problems)


def _report_alike(what: str, names: Iterable[str], problems: Problems) -> None:
    """Warn of different names that may be one name with a typing error."""
    for same in alike(names):
        shown = " and ".join(map(repr, same))
        message = f"{shown} differ only in capitals, blanks or dashes and stay apart; write one name if they are one"
        problems.warning(what, None, None, message)


def check_ruled_types(rules: TargetRules, shapes: Mapping[str, Shape], problems: Problems) -> None:
    """Report rules for tasks of a type that they do not apply to."""
    for setting, types in _ruled_types().items():
        for name in getattr(rules, setting):
            if name in shapes and shapes[name].type not in types:
                message = f"is a {shapes[name].type} task; {setting} is for {' and '.join(types)} tasks"
                problems.error(setting, None, name, message)
