"""What training a unit costs: measured where it is trained, else by the pace of the runs with several tasks."""

from dataclasses import dataclass

import numpy as np

from aggregation_lab.aggregation import stages
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
        return np.where(self.measured(members), 0.0, self.hours(members) * self.repeats)

    def measured(self, members: np.ndarray) -> np.ndarray:
        """Whether each set is trained, so that its hours are no guess (C)."""
        return np.array([key in self.trained for key in map(bytes, np.packbits(members, axis=1))], bool)


def unit_costs(study: StudyTables, measured: MeasuredGains) -> UnitCosts | None:
    """Costs from the ledger of the runs; None without one.

    A second stage starts from a model that others have paid for, so its runs tell nothing of what a unit costs.
    """
    if study.runs is None or study.runs.empty:
        return None
    full = study.scores[(study.scores["fraction"] == study.full) & (study.scores["run"] != "")]
    full = full[full["aggregation"].map(stages).isna()]
    hours = study.runs.drop_duplicates("run").set_index("run")["seconds"].div(_HOUR).to_dict()
    spent: dict[bytes, list[float]] = {}
    joint_hours = joint_cases = 0.0
    for run, rows in full.drop_duplicates(["run", "task"]).groupby("run"):
        tasks, took = set(rows["task"]), float(hours.get(run, np.nan))
        if np.isfinite(took) and tasks <= measured.number.keys():
            key = bytes(np.packbits(measured.tasks.index.isin(list(tasks))))
            spent.setdefault(key, []).append(took)
        if np.isfinite(took) and len(tasks) > 1:
            joint_hours, joint_cases = joint_hours + took, joint_cases + float(rows["n_train"].sum())
    if not joint_cases > 0:
        return None
    trained = {key: float(np.mean(each)) for key, each in spent.items()}
    seeds = study.scores.loc[study.scores["aggregation"] == BASE, "seed"].nunique()
    shares = sum(study.fractions) / study.full
    size = measured.tasks["n_train"].to_numpy(float)
    return UnitCosts(trained, joint_hours / joint_cases, size, seeds * shares)
