"""What can be trained once more: the units of a study with the seeds that they have and the hours of another one."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aggregation_lab.errors import ResultsError
from analysis.study import StudyTables

_HOUR = 3600.0

Side = tuple[str, float, str]
"""Aggregation, fraction and task: what a gain is a difference of."""


@dataclass(frozen=True, eq=False)
class Unit:
    """A set of tasks that one run trains at one fraction. `names` are AGGREGATION/UNIT, one for each aggregation that
    it counts in; `hours` are those of one seed on one worker; `start` is the unit whose models it starts from."""

    names: tuple[str, ...]
    aggregations: frozenset[str]
    tasks: frozenset[str]
    fraction: float
    hours: float
    seeds: frozenset[int]
    start: "Unit | None" = None

    @property
    def sides(self) -> list[Side]:
        """What it is trained for: each of its tasks in each of its aggregations."""
        return [(name, self.fraction, task) for name in sorted(self.aggregations) for task in sorted(self.tasks)]


def trained_units(study: StudyTables) -> list[Unit]:
    """The units that have a finished run, those that others start from first; hours are means over their seeds.

    Raises `ResultsError` where the study has no ledger of runs.
    """
    if study.runs is None or study.runs.empty:
        raise ResultsError(
            f"{study.manifest.study}: has no table of runs, so what another run takes is not known; `agglab power` "
            "says how many seeds it takes"
        )
    # The ledger joins the names of tasks by +, which they may hold: a run's tasks are those that it has scores of.
    tasks_of = {run: frozenset(map(str, tasks)) for run, tasks in study.scores.groupby("run")["task"]}
    members, first = (
        pd.Series([tasks_of.get(run, frozenset()) for run in study.runs[name]], index=study.runs.index, dtype=object)
        for name in ("run", "start")
    )
    runs = study.runs.assign(members=members, first=first)
    found: dict[tuple[frozenset[str], float, frozenset[str]], Unit] = {}
    for _, rows in runs.groupby(["members", "fraction", "first"], sort=False):
        once = rows.drop_duplicates("run")
        tasks, fraction, start = (rows[name].iloc[0] for name in ("members", "fraction", "first"))
        found[tasks, float(fraction), start] = Unit(
            names=tuple(dict.fromkeys(f"{row.aggregation}/{row.unit}" for row in rows.itertuples())),
            aggregations=frozenset(rows["aggregation"]),
            tasks=tasks,
            fraction=float(fraction),
            hours=float(np.mean(once["seconds"])) / _HOUR,
            seeds=frozenset(map(int, once["seed"])),
        )
    alone = {key: unit for key, unit in found.items() if not key[2]}
    later = {
        key: Unit(**{**vars(unit), "start": alone.get((key[2], key[1], frozenset()))})
        for key, unit in found.items()
        if key[2]
    }
    return [*alone.values(), *later.values()]
