"""The test subjects of the class that has fewest: what limits the errors of a score that compares classes.

AUC orders the cases of one class against those of the others, and the F1 of a class counts its own cases, so n subjects
of which m show the rarest class tell about as much as m of each. With m = 1 they tell nothing: the weight of a lone
positive cancels in every resample that has it, and its chance, the largest of all, comes out as 0. Variances by cases
therefore take m for n in n / (n - 1) and in n - 1 degrees of freedom, and a verdict needs `FEWEST_OF_CLASS`
(docs/calibration.md has what happens with fewer). A mean over cases has no classes.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from aggregation_lab.tasks import METRICS, find_type
from aggregation_lab.tasks.task_type import ArmValues
from analysis.statistics.weighted_metrics import VALUE

FEWEST_OF_CLASS = 5
"""Test subjects of a class below which there is no verdict on a score that compares classes."""

ClassSubjects = Mapping[int, frozenset[str]]
"""The subjects that show each class of a task; empty where its score is a mean over cases."""


def class_subjects(
    task_type: str, quantities: ArmValues, subjects: np.ndarray, metric: str, *, count_empty: bool = True
) -> ClassSubjects:
    """The subjects (N, one per case) of every class that occurs among the cases, where the metric is one of classes.

    `score` is the unit-free metric of the type. With `count_empty` off every metric is a mean over the structures that
    images have; see `analysis.statistics.weighted_metrics`.
    """
    known = find_type(task_type)
    if known is None or VALUE in quantities:
        return {}
    measured = METRICS.get(known.unit_free if metric == "score" else metric)  # 1 - MRE_relative is none of them
    if count_empty and not (measured and measured.by_class):
        return {}
    shown: dict[int, set[str]] = {}
    of_cases = known.case_classes({name: values[0] for name, values in quantities.items()})
    for subject, classes in zip(subjects, of_cases, strict=True):
        for number in classes:
            shown.setdefault(number, set()).add(str(subject))
    return {number: frozenset(names) for number, names in shown.items()}


def all_folds(of_folds: Iterable[ClassSubjects]) -> ClassSubjects:
    """The subjects of each class in all of these folds."""
    shown: dict[int, frozenset[str]] = {}
    for fold in of_folds:
        for number, names in fold.items():
            shown[number] = shown.get(number, frozenset()) | names
    return shown


def rarest(classes: ClassSubjects) -> frozenset[str] | None:
    """The subjects of the class that has fewest; None where there are no classes to compare."""
    return min(classes.values(), key=len) if classes else None
