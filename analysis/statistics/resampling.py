"""Scores of every arm on the test cases and on resamples of them.

Subjects are resampled, not cases: images of one patient or video come and go together. All arms see the same
resamples, so differences between arms are paired. A subject that serves several tasks is drawn once for all of them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from aggregation_lab.aggregation import FLOOR
from aggregation_lab.errors import ResultsError
from aggregation_lab.tasks import find_type
from aggregation_lab.tasks.task_type import ArmValues
from analysis.statistics.rare_classes import ClassSubjects, all_folds, class_subjects
from analysis.statistics.weighted_metrics import later_metrics, weighted_scores

ARM = ["aggregation", "fraction", "seed"]
"""What tells one trained model of a task from another."""

_CHUNK = 4_000_000
"""Weights (resamples x cases) that are worked on at a time: what keeps the memory of a full-size study small."""


@dataclass(frozen=True, eq=False)
class Weights:
    """How often each subject is drawn: `counts` has a row per resample, and each subject its `column`."""

    counts: np.ndarray
    column: Mapping[str, int]

    def of(self, subjects: np.ndarray) -> np.ndarray:
        """Column of each subject."""
        return np.array([self.column[subject] for subject in subjects], int)


def draw_weights(subjects: Iterable[str], draws: int, seed: int) -> Weights:
    """`draws` resamples of the distinct subjects, in sorted order.

    Counts are Poisson(1), the limit of drawing with replacement: independent between subjects, so that a subject's
    draws are the same in every task it serves, whatever other tasks there are beside it (Chamandy et al. 2012).
    """
    ordered = sorted(set(subjects))
    counts = np.random.default_rng(seed).poisson(1.0, (len(ordered), draws)).astype(np.uint8)
    return Weights(counts.T, {subject: column for column, subject in enumerate(ordered)})


@dataclass(frozen=True, eq=False)
class CaseArrays:
    """The test cases of one task as arrays. `arms` has a row per arm (columns ARM); `subjects` has one id per case.

    `quantities` are A x N x K, see `ArmValues`.
    """

    task: str
    type: str
    arms: pd.DataFrame
    cases: np.ndarray
    subjects: np.ndarray
    quantities: ArmValues
    left_out: int
    """Cases that lack a value in some arm and are left out of all."""
    unshared: Mapping[str, int] = field(default_factory=dict)
    """Values of quantities that other arms lack wholly, since they were scored before it came: left out of all."""

    @cached_property
    def n_subjects(self) -> int:
        """Distinct subjects: what is resampled."""
        return len(set(self.subjects))

    def classes(self, metric: str, *, count_empty: bool = True) -> ClassSubjects:
        """The subjects of each class, where the metric compares classes."""
        return class_subjects(self.type, self.quantities, self.subjects, metric, count_empty=count_empty)

    @property
    def has_empty(self) -> bool:
        """Whether classes or points are absent from some cases, which metrics may count or leave out."""
        present = self.quantities.get("present")
        return present is not None and not bool(present[0].all())

    def has(self, quantity: str) -> bool:
        """Whether cases have this quantity."""
        return quantity in self.quantities

    @property
    def same_answer(self) -> np.ndarray:
        """Which arms are known to have given every case the same prediction: A flags."""
        known = find_type(self.type)
        if known is None or not set(known.quantities) <= set(self.quantities):
            return np.zeros(len(self.arms), bool)
        of_arms = ({name: self.quantities[name][arm] for name in known.quantities} for arm in range(len(self.arms)))
        return np.array([known.same_answer(values) is True for values in of_arms])

    def take(self, index: np.ndarray) -> "CaseArrays":
        """The same cases under the arms at `index`."""
        quantities = {name: values[index] for name, values in self.quantities.items()}
        return replace(self, arms=self.arms.iloc[index].reset_index(drop=True), quantities=quantities)

    @cached_property
    def later(self) -> frozenset[str]:
        """Metrics that the cases do not give, see `later_metrics`."""
        return later_metrics(self.type, self.quantities)

    def scores(self, *, count_empty: bool = True) -> dict[str, np.ndarray]:
        """Every metric of each arm on the cases as they are, without those of `later`: A values each."""
        once = np.ones((1, len(self.cases)))
        return {
            name: values[0]
            for name, values in weighted_scores(self.type, self.quantities, once, count_empty=count_empty).items()
            if name not in self.later
        }

    def draws(
        self, weights: Weights, metrics: Sequence[str] | None = None, *, count_empty: bool = True
    ) -> dict[str, np.ndarray]:
        """Metrics of each arm on every resample of `draw_weights`: B x A each; all metrics if none is named.

        Raises `ResultsError` for a metric of `later`.
        """
        if lacking := self.later.intersection(metrics or ()):
            raise ResultsError(
                f"task {self.task}: cases of some runs lack what {', '.join(sorted(lacking))} needs; train these again"
            )
        column, counts = weights.of(self.subjects), weights.counts
        step = max(1, _CHUNK // max(1, len(self.cases)))
        parts = [
            weighted_scores(self.type, self.quantities, counts[start : start + step, column], count_empty=count_empty)
            for start in range(0, len(counts), step)
        ]
        names = metrics or [name for name in parts[0] if name not in self.later]
        return {name: np.concatenate([part[name] for part in parts]) for name in names}


@dataclass(frozen=True, eq=False)
class FoldedCases:
    """The test cases of one task of which every seed tests one fold: `parts` by fold, each with the arms of its seeds.

    Arms are those of all parts, one after the other, as `index` picks them. It answers as `CaseArrays` does. Folds have
    no subject in common, so resamples of different folds are independent.
    """

    parts: Mapping[int, CaseArrays]
    index: np.ndarray

    @property
    def task(self) -> str:
        """The task's name."""
        return next(iter(self.parts.values())).task

    @cached_property
    def arms(self) -> pd.DataFrame:
        """A row per arm (columns ARM)."""
        joined = pd.concat([part.arms for part in self.parts.values()], ignore_index=True)
        return joined.iloc[self.index].reset_index(drop=True)

    @cached_property
    def subjects(self) -> np.ndarray:
        """One id per case of all folds."""
        return np.concatenate([part.subjects for part in self.parts.values()])

    @property
    def n_subjects(self) -> int:
        """Distinct subjects of all folds."""
        return len(set(self.subjects))

    def classes(self, metric: str, *, count_empty: bool = True) -> ClassSubjects:
        """The subjects of each class in all folds, where the metric compares classes."""
        return all_folds(part.classes(metric, count_empty=count_empty) for part in self.parts.values())

    @property
    def left_out(self) -> int:
        """Cases that lack a value in some arm of their fold and are left out of all."""
        return sum(part.left_out for part in self.parts.values())

    @property
    def unshared(self) -> Mapping[str, int]:
        """Values of quantities that other arms lack wholly, of any fold."""
        found: Counter[str] = Counter()
        for part in self.parts.values():
            found.update(part.unshared)
            found.update({name: values.size for name, values in part.quantities.items() if not self.has(name)})
        return found

    @property
    def has_empty(self) -> bool:
        """Whether classes or points are absent from some cases."""
        return any(part.has_empty for part in self.parts.values())

    def has(self, quantity: str) -> bool:
        """Whether cases have this quantity."""
        return all(part.has(quantity) for part in self.parts.values())

    @property
    def same_answer(self) -> np.ndarray:
        """Which arms are known to have given every case of their fold the same prediction: A flags."""
        return np.concatenate([part.same_answer for part in self.parts.values()])[self.index]

    def take(self, index: np.ndarray) -> "FoldedCases":
        """The same cases under the arms at `index`."""
        return replace(self, index=self.index[index])

    def scores(self, *, count_empty: bool = True) -> dict[str, np.ndarray]:
        """Every metric of each arm on the cases of its fold: A values each."""
        return self._joined([part.scores(count_empty=count_empty) for part in self.parts.values()])

    def draws(
        self, weights: Weights, metrics: Sequence[str] | None = None, *, count_empty: bool = True
    ) -> dict[str, np.ndarray]:
        """Metrics of each arm on every resample of its fold: B x A each."""
        return self._joined([part.draws(weights, metrics, count_empty=count_empty) for part in self.parts.values()])

    def _joined(self, parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        shared = [name for name in parts[0] if all(name in part for part in parts)]
        return {name: np.concatenate([part[name] for part in parts], axis=-1)[..., self.index] for name in shared}


def folded_cases(rows: pd.DataFrame, task: str, of_seed: Mapping[int, int]) -> FoldedCases:
    """The same where folds rotate: the arms of a fold have cases in common. Raises as `case_arrays` does."""
    fold = rows["seed"].map(of_seed)
    parts = {int(name): case_arrays(part, task) for name, part in rows.groupby(fold, sort=True)}
    return FoldedCases(parts, np.arange(sum(len(part.arms) for part in parts.values())))


def case_arrays(rows: pd.DataFrame, task: str) -> CaseArrays:
    """Rows of the table `cases` of one task as arrays; the floor is no arm.

    Raises `ResultsError` where no case has every quantity in every arm.
    """
    rows = rows[rows["aggregation"] != FLOOR]
    arm, arms = pd.factorize(pd.MultiIndex.from_frame(rows[ARM]), sort=True)
    case, cases = pd.factorize(rows["case"], sort=True)
    cell, cells = pd.factorize(pd.MultiIndex.from_frame(rows[["quantity", "index"]]), sort=True)
    values = np.full((len(arms), len(cases), len(cells)), np.nan)
    values[arm, case, cell] = rows["value"].to_numpy(float)
    names, given = cells.get_level_values(0), np.isfinite(values)
    unshared = {
        str(name): int(given[:, :, names == name].sum())
        for name in names.unique()
        if not given[:, :, names == name].any((1, 2)).all()
    }
    complete = given[:, :, ~names.isin(list(unshared))].all((0, 2))
    if not complete.any() or names.isin(list(unshared)).all():
        raise ResultsError(
            f"task {task}: no test case has a score in every arm (aggregation, fraction, seed); gains need common cases"
        )
    subject = np.empty(len(cases), dtype=object)
    subject[case] = rows["subject"].to_numpy()
    return CaseArrays(
        task=task,
        type=str(rows["type"].iloc[0]),
        arms=pd.DataFrame(list(arms), columns=ARM),
        cases=np.asarray(cases)[complete],
        subjects=subject[complete],
        quantities={
            str(name): values[:, complete][:, :, names == name] for name in names.unique() if name not in unshared
        },
        left_out=int((~complete).sum()),
        unshared=unshared,
    )
