"""The score of every test case under every arm of a task."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aggregation_lab.tasks import find_type
from analysis.statistics.resampling import CaseArrays, FoldedCases
from analysis.statistics.weighted_metrics import VALUE

UNKNOWN_SCORE = "value"
"""What a case's score is called that another trainer gave."""


@dataclass(frozen=True, eq=False)
class CaseScores:
    """Cases that the same arms have scored: all of a task, or those of one fold. `values` is A x N, higher is better.

    `classes` are what each case shows by its reference, `1+2`; empty where the type has none.
    """

    arms: pd.DataFrame
    cases: np.ndarray
    subjects: np.ndarray
    classes: list[str]
    values: np.ndarray

    def arm(self, aggregation: str, fraction: float, seed: int) -> int | None:
        """Index of an arm; None where it has not scored these cases."""
        same = (self.arms["aggregation"] == aggregation) & (self.arms["fraction"] == fraction)
        found = np.flatnonzero(same & (self.arms["seed"] == seed))
        return int(found[0]) if len(found) else None


def case_scores(arrays: CaseArrays | FoldedCases) -> list[CaseScores]:
    """The scores of a task's cases, fold by fold where folds rotate, see `TaskType.case_scores`.

    A case from another trainer has the value that its table gives. Empty where that knows no score of single cases.
    """
    parts = arrays.parts.values() if isinstance(arrays, FoldedCases) else [arrays]
    return [scores for part in parts if (scores := _of_part(part)) is not None]


def _of_part(part: CaseArrays) -> CaseScores | None:
    task_type, classes = find_type(part.type), [""] * len(part.cases)
    if part.has(VALUE):
        values = part.quantities[VALUE][..., 0]
    elif task_type is None:
        return None
    else:
        values = task_type.case_scores(part.quantities)
        shown = task_type.case_classes({name: each[0] for name, each in part.quantities.items()})
        classes = ["+".join(map(str, indices)) for indices in shown]
    return CaseScores(part.arms, part.cases, part.subjects, classes, values)


def score_name(type_name: str, quantities: CaseArrays | FoldedCases) -> str:
    """What the score of a case of this type is, for people."""
    task_type = find_type(type_name)
    return UNKNOWN_SCORE if task_type is None or quantities.has(VALUE) else task_type.case_score
