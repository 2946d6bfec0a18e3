"""Whether every task can be trained, validated and tested with a split, or with each of several folds."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.rows.problems import Problem, Problems
from aggregation_lab.data.splits.stratification import SPLITS, case_classes
from aggregation_lab.tasks import Task


def check_parts(
    dataset: Dataset, tables: Sequence[pd.DataFrame], source: Path, advice: str, what: str = "split"
) -> tuple[Problem, ...]:
    """Raise `DataError` on tasks that cannot be trained or scored, with `advice`; return what is less than wished.

    `tables` has one table per fold (case, component, split), or one in all. A warning is one line per task, whatever
    the number of folds. `what` names the setting at fault.
    """
    problems = Problems()
    shown = pd.Series(case_classes(dataset), index=dataset.cases.index, dtype=object)
    frame = dataset.cases.assign(classes=shown)
    by_task = {name: frame[frame["task"] == name] for name in dataset.tasks}
    lacking: dict[str, list[tuple[str, str]]] = {name: [] for name in dataset.tasks}
    for fold, table in enumerate(tables):
        where = f" of fold {fold}" if len(tables) > 1 else ""
        for name, task in dataset.tasks.items():
            rows = by_task[name].merge(table, on="case")
            fault = _fault(task, rows, where, advice)
            if fault:
                problems.error(what, None, name, fault)
            else:
                lacking[name] += [(classes, f"{part}{where}") for part, classes in _lacking(rows).items()]
    for name, lacks in lacking.items():
        rows = by_task[name].merge(tables[0], on="case")
        lines = [[lack] for lack in lacks] if len(tables) == 1 else [lacks] if lacks else []
        for line in lines:
            problems.warning(what, None, name, _wished(line, rows))
    problems.raise_errors(source)
    return problems.warnings


def _wished(lacks: Sequence[tuple[str, str]], rows: pd.DataFrame) -> str:
    """What parts lack of a task's classes, and how many components hold them; `rows` are the task's cases."""
    parts: dict[str, list[str]] = {}
    for lack, part in lacks:
        parts.setdefault(lack, []).append(part)
    absent = " and ".join(f"of class {lack} in {', '.join(where)}" for lack, where in parts.items())
    shown = rows[["component", "classes"]].explode("classes").dropna()
    held = []
    for lack in parts:
        components = shown.loc[shown["classes"].astype(str).isin(lack.split(", ")), "component"].nunique()
        held.append(f"class {lack} has {components} component(s)")
    return f"has no case {absent}: {', '.join(held)}"


def _fault(task: Task, rows: pd.DataFrame, where: str, advice: str) -> str:
    """Why a task cannot be trained or scored with its `rows`; empty where it can."""
    parts = set(rows["split"])
    empty = [part for part in SPLITS if part not in parts]
    if empty:
        held = f"its {len(rows)} cases form {rows['component'].nunique()} components"
        return f"has no case in {', '.join(empty)}{where}: {held}; {advice}"
    every = set(rows["classes"].explode().dropna())
    present = set(rows.loc[rows["split"] == "test", "classes"].explode().dropna())
    if task.type.needs_two_classes and len(present) < 2:
        listed = ", ".join(map(str, sorted(every - present)))
        remedy = advice if where else f"add cases of class {listed}"
        return f"has only class {present.pop()} in test{where}; {remedy}"
    return ""


def _lacking(rows: pd.DataFrame) -> dict[str, str]:
    """The classes that each part lacks, joined by a comma."""
    shown = rows[["split", "classes"]].explode("classes").dropna()
    every = set(shown["classes"])
    absent = {part: sorted(every - set(shown.loc[shown["split"] == part, "classes"])) for part in SPLITS}
    return {part: ", ".join(map(str, missing)) for part, missing in absent.items() if missing}
