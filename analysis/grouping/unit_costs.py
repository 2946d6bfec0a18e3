"""What training a unit costs: measured where it is trained, else by the pace of the runs with several tasks."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.grouping.measured_gains import BASE, MeasuredGains
from analysis.study import StudyTables

_HOUR = 3600.0


@dataclass(frozen=True, eq=False)
class UnitCosts:
    """`trained` has the worker hours of one seed at full data by the members of a unit; `pace` the hours per training
    case (T of them in `size`); `repeats` how many seeds a study has, a smaller fraction counting as its share."""

    trained: dict[bytes, float]
    pace: float
    size: np.ndarray
    repeats: float

    def hours(self, members: np.ndarray) -> np.ndarray:
        """Worker hours of one seed at full data, of each set (C x T). A rough guess where the set is not trained: the
        same passes over its training cases as in the other joint runs."""
        guess = self.pace * members.astype(float) @ self.size
        keys = map(bytes, np.packbits(members, axis=1))
        return np.array([self.trained.get(key, hours) for key, hours in zip(keys, guess, strict=True)])

    def missing(self, members: np.ndarray) -> np.ndarray:
        """Worker hours that are still to be spent on each set in all seeds and fractions: none where it is trained."""
        there = np.array([key in self.trained for key in map(bytes, np.packbits(members, axis=1))])
        return np.where(there, 0.0, self.hours(members) * self.repeats)


def unit_costs(study: StudyTables, measured: MeasuredGains) -> UnitCosts | None:
    """Costs from the ledger of the runs; None without one."""
    if study.runs is None or study.runs.empty:
        return None
    full = study.scores[(study.scores["fraction"] == study.full) & (study.scores["run"] != "")]
    of_run = full.groupby("run")["task"].agg(lambda tasks: frozenset(tasks))
    cases = full.drop_duplicates(["run", "task"]).groupby("run")["n_train"].sum()
    hours = study.runs.drop_duplicates("run").set_index("run")["seconds"] / _HOUR
    runs = pd.DataFrame({"tasks": of_run, "cases": cases, "hours": hours}).dropna()
    trained = {}
    for tasks, same in runs.groupby("tasks"):
        if tasks <= measured.number.keys():
            row = np.array([task in tasks for task in measured.tasks.index])
            trained[bytes(np.packbits(row))] = float(same["hours"].mean())
    joint = runs[runs["tasks"].map(len) > 1]
    cases_seen = float(joint["cases"].sum())
    if not cases_seen > 0:
        return None
    seeds = study.scores.loc[study.scores["aggregation"] == BASE, "seed"].nunique()
    shares = sum(study.fractions) / study.full
    size = measured.tasks["n_train"].to_numpy(float)
    return UnitCosts(trained, float(joint["hours"].sum()) / cases_seen, size, seeds * shares)
