"""Scores of every arm on the test cases and on resamples of them.

Subjects are resampled, not cases: images of one patient or video come and go together. All arms see the same
resamples, so differences between arms are paired. A subject that serves several tasks is drawn once for all of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from aggregation_lab.aggregation import FLOOR
from aggregation_lab.errors import ResultsError
from aggregation_lab.tasks.task_type import ArmValues
from analysis.statistics.weighted_metrics import weighted_scores

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

    @cached_property
    def n_subjects(self) -> int:
        """Distinct subjects: what is resampled."""
        return len(set(self.subjects))

    def scores(self, *, count_empty: bool = True) -> dict[str, np.ndarray]:
        """Every metric of each arm on the cases as they are: A values each."""
        once = np.ones((1, len(self.cases)), np.float32)
        return {
            name: values[0]
            for name, values in weighted_scores(self.type, self.quantities, once, count_empty=count_empty).items()
        }

    def draws(
        self, weights: Weights, metrics: Sequence[str] | None = None, *, count_empty: bool = True
    ) -> dict[str, np.ndarray]:
        """Metrics of each arm on every resample of `draw_weights`: B x A each; all metrics if none is named."""
        column, counts = weights.of(self.subjects), weights.counts
        step = max(1, _CHUNK // max(1, len(self.cases)))
        parts = [
            weighted_scores(self.type, self.quantities, counts[start : start + step, column], count_empty=count_empty)
            for start in range(0, len(counts), step)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in metrics or parts[0]}


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
    complete = np.isfinite(values).all((0, 2))
    if not complete.any():
        raise ResultsError(
            f"task {task}: no test case has a score in every arm (aggregation, fraction, seed); gains need common cases"
        )
    subject = np.empty(len(cases), dtype=object)
    subject[case] = rows["subject"].to_numpy()
    names = cells.get_level_values(0)
    return CaseArrays(
        task=task,
        type=str(rows["type"].iloc[0]),
        arms=pd.DataFrame(list(arms), columns=ARM),
        cases=np.asarray(cases)[complete],
        subjects=subject[complete],
        quantities={str(name): values[:, complete][:, :, names == name] for name in names.unique()},
        left_out=int((~complete).sum()),
    )
