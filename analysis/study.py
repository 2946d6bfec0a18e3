"""The score tables of one study, read, checked and counted: what every analysis starts from."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aggregation_lab import results
from aggregation_lab.aggregation import ARROW, FLOOR
from aggregation_lab.errors import ResultsError
from aggregation_lab.manifest import Manifest, read_manifest
from aggregation_lab.tasks import METRICS
from aggregation_lab.text import printable
from analysis.frames import frame
from analysis.gains import TaskScores
from analysis.primary_metric import means_above_floor, primary_metrics
from analysis.statistics.looks import Looks
from analysis.statistics.rare_classes import rarest
from analysis.statistics.replicates import FoldsTested
from analysis.statistics.resampling import CaseArrays, FoldedCases, Weights, case_arrays, draw_weights, folded_cases
from analysis.statistics.weighted_metrics import VALUE

_AGREE = 1e-6
"""Difference between a score and the same score computed from its cases that is rounding."""


@dataclass(frozen=True, eq=False)
class StudyTables:
    """Test rows of a study's tables. Tables that a source lacks are None; `excluded` counts what was left out."""

    manifest: Manifest
    scores: pd.DataFrame
    cases: pd.DataFrame | None = None
    runs: pd.DataFrame | None = None
    curves: pd.DataFrame | None = None
    routing: pd.DataFrame | None = None
    affinity: pd.DataFrame | None = None
    excluded: pd.DataFrame = field(default_factory=lambda: frame("excluded", []))
    notes: tuple[str, ...] = ()
    base: str | None = None
    """The aggregation that gains are over; TS where not given."""
    unit_free: frozenset[str] = frozenset()
    """Metrics of another trainer that have no unit, so that gains of them may be averaged over tasks: decided once,
    where the table is read."""
    chosen: Mapping[str, str] = field(default_factory=dict)
    """The primary metric of tasks of another trainer: the one that gains are of, whatever the table has beside it."""
    margin_units: Mapping[str, str] = field(default_factory=dict)
    """Units of the margins that were named for tasks of another trainer, by task; others are of unit-free scores."""
    arm: str | None = None
    """The arm that the rows are of; None where they are of every arm of the study."""
    every_arm: "StudyTables | None" = None
    """The tables of every arm, where these are of one of several: what a question across arms starts from."""
    folder: Path | None = None
    """The output folder that they were read from, with its run folders; None for tables from elsewhere."""

    @property
    def aggregations(self) -> list[str]:
        """The base, then TS, CG, AU, the user's and sequential ones, as far as they have scores."""
        return aggregation_order(set(self.scores["aggregation"]) - {FLOOR}, self.base)

    @property
    def fractions(self) -> list[float]:
        """Shares of the training components that models have scores of, ascending; those of the floor where no model
        has any yet."""
        trained = self.scores[self.scores["aggregation"] != FLOOR]
        return sorted(set((self.scores if trained.empty else trained)["fraction"]))

    @property
    def full(self) -> float:
        """The largest share of the training components that has scores."""
        return max(self.fractions)

    def unit_of(self, metric: str) -> str:
        """Unit of a metric, "1" where it has none; of one that is not known to have none its own name."""
        if metric in METRICS:
            return METRICS[metric].unit
        return "1" if metric in self.unit_free else metric

    @cached_property
    def primary(self) -> dict[str, str]:
        """The primary metric of every task that a model has scores of."""
        return primary_metrics(self.scores, self.chosen)

    @property
    def looks(self) -> Looks | None:
        """The plan by which looks at the verdicts decided how many seeds were trained; None where none did."""
        plan = self.manifest.looks
        return None if plan is None else Looks(*(tuple(plan[name]) for name in ("seeds", "planned", "made")))

    @property
    def arms(self) -> list[str]:
        """Every arm of the study in its order, those that only the tables know last by name."""
        scores = (self.every_arm or self).scores
        found = set(scores["arm"]) if "arm" in scores else {results.ONLY_ARM}
        return [*(name for name in self.manifest.arms if name in found), *sorted(found - self.manifest.arms.keys())]

    @property
    def compared_arms(self) -> list[str]:
        """The arms without the reference: what an analysis may be of."""
        return [name for name in self.arms if name != self.manifest.reference]

    @property
    def base_arm(self) -> str:
        """The arm that an analysis is of where no other is asked for."""
        base = self.manifest.base_arm
        return base if base in self.arms else [*self.compared_arms, *self.arms][0]

    def of_arm(self, name: str | None = None) -> "StudyTables":
        """The tables of one arm, `base_arm` where none is named, with the settings of its model and training.

        Raises `ResultsError` where there is no such arm.
        """
        whole = self.every_arm or self
        name = name or self.arm or whole.base_arm
        if name not in whole.arms:
            raise ResultsError(f"{whole.manifest.study}: has no arm {printable(name)}; it has {', '.join(whole.arms)}")
        if self.arm == name or len(whole.arms) == 1:
            return self
        others = int((whole.scores["arm"] != name).sum())
        left_out = {"table": "scores", "rows": others, "reason": f"rows of other arms: the analysis is of {name}"}
        return replace(
            whole,
            manifest=whole.manifest.of_arm(name),
            scores=whole.scores[whole.scores["arm"] == name].reset_index(drop=True),
            cases=_rows_of(whole.cases, name),
            runs=_rows_of(whole.runs, name),
            curves=_rows_of(whole.curves, name),
            routing=_rows_of(whole.routing, name),
            affinity=_rows_of(whole.affinity, name),
            excluded=frame("excluded", [*whole.excluded.to_dict("records"), left_out]),
            arm=name,
            every_arm=whole,
        )

    def improving(self) -> pd.DataFrame:
        """Columns aggregation, task, fraction, improving: still rising on validation at the end in at least one seed;
        rising, curves: the seeds in which it was, of those that have a curve.

        Empty without curves.
        """
        keys = ["aggregation", "task", "fraction"]
        if self.curves is None:
            return pd.DataFrame(columns=[*keys, "improving", "rising", "curves"])
        by_seed = self.curves.groupby([*keys, "seed"], as_index=False).agg(up=("still_improving", "any"))
        by_seed = by_seed.astype({"up": bool})
        rows = by_seed.groupby(keys, as_index=False).agg(rising=("up", "sum"), curves=("up", "count"))
        return rows.assign(improving=rows["rising"] > 0)[[*keys, "improving", "rising", "curves"]]


def aggregation_order(names: Collection[str], base: str | None = None) -> list[str]:
    """The base, then TS, CG, AU, then the user's by name, then sequential ones, TS>TS the first of them."""
    rank = {"TS": 0, "CG": 1, "AU": 2, "TS>TS": 4} | {base: -1}
    return sorted(names, key=lambda name: (rank.get(name, 5 if ARROW in name else 3), name))


def load_study(folder: Path | str) -> StudyTables:
    """Read the tables of an output folder, every arm of it.

    Raises `ResultsError` naming the file that is missing, damaged or of another schema version.
    """
    folder = Path(folder)
    tables = {name: results.read_table(folder / f"{name}.parquet", table) for name, table in results.TABLES.items()}
    scores, cases, recorded = tables["scores"], tables["cases"], folder / "affinity.parquet"
    left_out = [
        {"table": name, "rows": int((rows["split"] == "val").sum()), "reason": "validation rows: gains are on test"}
        for name, rows in (("scores", scores), ("cases", cases))
    ]
    manifest = read_manifest(folder)
    return StudyTables(
        manifest=manifest,
        scores=_test_rows(scores),
        cases=_test_rows(cases),
        runs=tables["runs"],
        curves=tables["curves"],
        routing=tables["routing"],
        affinity=results.read_table(recorded, results.AFFINITY) if recorded.exists() else None,
        excluded=frame("excluded", [row for row in left_out if row["rows"]]),
        base=manifest.base_aggregation,
        folder=folder,
    )


def _rows_of(rows: pd.DataFrame | None, arm: str) -> pd.DataFrame | None:
    return None if rows is None else rows[rows["arm"] == arm].reset_index(drop=True)


def _test_rows(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["split"] == "test"].reset_index(drop=True)


def check_two(study: StudyTables) -> None:
    """Raise `ResultsError` where there is nothing to compare."""
    if len(study.aggregations) < 2:
        named = ", ".join(study.aggregations) or "no aggregation"
        raise ResultsError(f"{study.manifest.study}: has scores of {named} only; a gain needs two aggregations")


@dataclass(frozen=True, eq=False)
class Resampled:
    """The cases of every task as arrays, and one set of resamples of their subjects."""

    tasks: dict[str, CaseArrays | FoldedCases]
    weights: Weights


def resample(study: StudyTables, draws: int, seed: int) -> Resampled | None:
    """Arrays and resamples of the table `cases`; None where there is none.

    Raises `ResultsError` where the models of a task have no test case in common.
    """
    if study.cases is None or study.cases.empty:
        return None
    tasks, faults = task_cases(study)
    for error in faults.values():
        raise ResultsError(f"{study.manifest.study}: {error}") from error
    return resampled_of(tasks, draws, seed)


def task_cases(study: StudyTables) -> tuple[dict[str, CaseArrays | FoldedCases], dict[str, ResultsError]]:
    """The table `cases` as arrays by task; beside it, of the tasks whose models have no test case in common, the error
    that says so."""
    assert study.cases is not None
    tasks: dict[str, CaseArrays | FoldedCases] = {}
    faults: dict[str, ResultsError] = {}
    for task, rows in study.cases[study.cases["aggregation"] != FLOOR].groupby("task", sort=True):
        try:
            tasks[str(task)] = _arrays(study, str(task), rows)
        except ResultsError as error:
            faults[str(task)] = error
    return tasks, faults


def resampled_of(tasks: dict[str, CaseArrays | FoldedCases], draws: int, seed: int) -> Resampled:
    """These cases with resamples of their subjects."""
    subjects = {str(subject) for cases in tasks.values() for subject in cases.subjects}
    return Resampled(tasks, draw_weights(subjects, draws, seed))


def task_arrays(study: StudyTables, task: str) -> CaseArrays | FoldedCases:
    """The cases of one task as arrays, fold by fold where folds rotate. Raises `ResultsError` where it has none."""
    if study.cases is None:
        raise ResultsError(f"{study.manifest.study}: has no scores of single cases")
    rows = study.cases[(study.cases["task"] == task) & (study.cases["aggregation"] != FLOOR)]
    if rows.empty:
        raise ResultsError(f"{study.manifest.study}: has no scores of single cases of {printable(task)}")
    return _arrays(study, task, rows)


def _arrays(study: StudyTables, task: str, rows: pd.DataFrame) -> CaseArrays | FoldedCases:
    folds = _fold_of_seed(study, rows)
    return folded_cases(rows, task, folds) if folds else case_arrays(rows, task)


def _fold_of_seed(study: StudyTables, rows: pd.DataFrame) -> dict[int, int]:
    """The fold that each seed of the rows tests; empty where all seeds have the same cases."""
    folds = {int(seed): study.manifest.fold(int(seed)) for seed in rows["seed"].unique()}
    return {seed: fold for seed, fold in folds.items() if fold is not None}


def about_subjects(
    cases: CaseArrays | FoldedCases, metric: str, folds: FoldsTested | None, *, count_empty: bool = True
) -> dict[str, Any]:
    """What `TaskScores` says of the test subjects behind a metric: as many as `cases` have, in all and in each of the
    `folds`."""
    if isinstance(cases, FoldedCases) and folds is not None:
        subjects = {fold: part.n_subjects for fold, part in cases.parts.items()}
        classes = {fold: part.classes(metric, count_empty=count_empty) for fold, part in cases.parts.items()}
        folds = replace(folds, subjects=subjects, classes=classes)
    return {
        "subjects": cases.n_subjects,
        "subject_names": frozenset(cases.subjects),
        "rarest_class": rarest(cases.classes(metric, count_empty=count_empty)),
        "folds": folds,
    }


def task_scores(study: StudyTables, resampled: Resampled | None, metric: str = "score") -> list[TaskScores]:
    """One metric of every task under every arm, oriented, with its resamples where there are cases.

    `metric` is "score" (the unit-free one; a task that has none takes its primary metric), or a metric by name: tasks
    without it are left out. Raises `ResultsError` where a score differs from what its cases give.
    """
    found = []
    trained = study.scores[study.scores["aggregation"] != FLOOR]
    improving: dict[str, dict[tuple[str, float], bool]] = {}
    flags = study.improving()[["aggregation", "task", "fraction", "improving"]]
    for name, task, fraction, known in flags.itertuples(index=False, name=None):
        improving.setdefault(task, {})[name, fraction] = known
    above_floor: dict[str, dict[tuple[str, float], bool]] = {}
    for (name, fraction, task), above in means_above_floor(study.scores, study.primary).items():
        above_floor.setdefault(task, {})[name, fraction] = above
    for task, rows in trained.groupby("task", sort=True):
        available = set(rows["metric"])
        name = study.primary[str(task)] if metric == "score" and metric not in available else metric
        if name not in available:
            continue
        own = rows[rows["metric"] == name].sort_values(["aggregation", "fraction", "seed"], ignore_index=True)
        sign = 1.0 if own["direction"].iloc[0] == "higher" else -1.0
        cases = resampled.tasks.get(str(task)) if resampled else None
        values, draws = own["value"].to_numpy(float), None
        of_seed = _fold_of_seed(study, own)
        folds = FoldsTested(study.manifest.folds, of_seed) if of_seed else None
        if cases is not None and resampled is not None:
            index = _arm_index(own, cases)
            column = VALUE if cases.has(VALUE) else name
            draws = cases.draws(resampled.weights, [column])[column][:, index]
            computed = cases.scores()[column][index]
            if not cases.left_out:
                _check_agreement(study, str(task), name, values, computed, own)
            values = computed
        found.append(
            TaskScores(
                task=str(task),
                type=str(own["type"].iloc[0]),
                group=str(own["group"].iloc[0]),
                unit=study.unit_of(name),
                arms=own[["aggregation", "fraction", "seed", "run", "n_train"]],
                values=sign * values,
                draws=None if draws is None else sign * draws,
                margin=study.manifest.margin(str(task)),
                margin_unit=study.margin_units.get(str(task), "1"),
                improving=improving.get(str(task), {}),
                above_floor=above_floor.get(str(task), {}),
                looks=study.looks,
                **({"folds": folds} if cases is None else about_subjects(cases, name, folds)),
            )
        )
    return found


def _arm_index(own: pd.DataFrame, cases: CaseArrays | FoldedCases) -> np.ndarray:
    """Where each score's arm stands among the arms of the cases. Raises `ResultsError` where it has no cases."""
    arms = pd.MultiIndex.from_frame(cases.arms)
    index = arms.get_indexer(pd.MultiIndex.from_frame(own[list(cases.arms.columns)]))
    if (index < 0).any():
        row = own.iloc[int((index < 0).argmax())]
        raise ResultsError(
            f"cases table: no rows of {cases.task} under {row['aggregation']}, fraction {row['fraction']:g}, "
            f"seed {row['seed']}, which has a score; collect the study again"
        )
    return index


def _check_agreement(
    study: StudyTables, task: str, metric: str, given: np.ndarray, computed: np.ndarray, own: pd.DataFrame
) -> None:
    same = np.isclose(given, computed, rtol=_AGREE, atol=_AGREE, equal_nan=True)
    if not same.all():
        at = int((~same).argmax())
        raise ResultsError(
            f"{study.manifest.study}: {metric} of {task} is {given[at]:.6g} in the scores of run "
            f"{own['run'].iloc[at]} and {computed[at]:.6g} from its cases; collect the study again"
        )
