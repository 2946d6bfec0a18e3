"""Margins of a score table: the losses that its reader says count as none, by task, metric or task type."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from aggregation_lab.naming import clean_name
from aggregation_lab.tasks import METRICS
from aggregation_lab.text import near_names, printable
from analysis.external.chosen_metric import ChosenMetric
from analysis.external.sheet import Sheet, quoted, shown

DEFAULT = "default"
"""Stands for the tasks with a unit-free score of which no margin is named, as in a study file."""


@dataclass(frozen=True)
class NamedMargins:
    """`margins` of the tasks that have one by name, and the `units` of these, "1" for unit-free scores."""

    margins: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)


def named_margins(
    given: Mapping[str, float], rows: pd.DataFrame, chosen: Mapping[str, ChosenMetric], sheet: Sheet
) -> NamedMargins:
    """The margin of every task, its own before that of its metric, its type and the default.

    `rows` are typed rows, with a column `unit_free`. A margin is in the unit of the task's gains; a type's is of one
    unit, and the default of unit-free scores. Raises `ResultsError` for a margin that is no loss, and one of nothing.
    """
    given = {clean_name(name): margin for name, margin in given.items()}
    types = rows.drop_duplicates("task").set_index("task")["type"]
    free = set(rows.loc[rows["unit_free"], "metric"])
    metrics = {task: metric.gain for task, metric in chosen.items()}
    units = {task: "1" if name in free else _unit(name) for task, name in metrics.items()}
    named: dict[str, str] = {}
    for task, metric in metrics.items():
        general = [DEFAULT] if units[task] == "1" else []
        names = [name for name in (task, metric, str(types[task]), *general) if name in given]
        if names:
            named[task] = names[0]
    for name, margin in given.items():
        tasks = [task for task, by in named.items() if by == name]
        of = {units[task] for task in tasks}
        where = f"--margin {quoted(name)}" if name != DEFAULT else "--margin"
        if not (np.isfinite(margin) and margin >= 0 and (margin < 1 or of != {"1"})):
            most = ", below 1 for unit-free scores" if of == {"1"} else ""
            raise sheet.fail(f"{where} {margin:g}: takes a loss of at least 0{most}")
        if len(of) > 1:
            raise sheet.fail(f"{where}: its tasks have gains in several units ({shown(sorted(of))}); name tasks")
        if not tasks:
            raise sheet.fail(f"{where}: {_of_nothing(name, metrics, types)}")
    if named:
        sheet.notes.append(_said(named, given, units))
    return NamedMargins({task: given[name] for task, name in named.items()}, {task: units[task] for task in named})


def _unit(metric: str) -> str:
    return METRICS[metric].unit if metric in METRICS else metric


def _of_nothing(name: str, metrics: Mapping[str, str], types: pd.Series) -> str:
    """Why no task has the margin of that name."""
    if name == DEFAULT:
        return "no task without a margin of its own has a unit-free score; name a task or metric, --margin TASK=LOSS"
    known = sorted({*metrics, *metrics.values(), *map(str, types)})
    if name in known:
        return "all of its tasks have a margin of their own; take it out"
    return f"no task, metric of gains or type is called so{near_names(name, known)}"


def _said(named: Mapping[str, str], given: Mapping[str, float], units: Mapping[str, str]) -> str:
    """Which margins hold, and that nobody knows when they were chosen."""
    tasks: dict[tuple[float, str], list[str]] = {}
    for task, name in named.items():
        tasks.setdefault((given[name], units[task]), []).append(task)
    each = "; ".join(
        f"{margin:g}{'' if unit == '1' else f' {printable(unit, 60)}'} for {shown(sorted(of), 5)}"
        for (margin, unit), of in sorted(tasks.items())
    )
    return f"Margins as named: {each}. Whether that was before the scores were seen is not known here."
