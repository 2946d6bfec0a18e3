"""The primary metric of every task in its own unit, on the test cases that gains are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aggregation_lab.aggregation import FLOOR
from analysis.primary_metric import primary_rows
from analysis.statistics.resampling import ARM, CaseArrays, FoldedCases
from analysis.statistics.weighted_metrics import VALUE
from analysis.study import Resampled, StudyTables


@dataclass(frozen=True, eq=False)
class RawMetric:
    """The primary metric of a task; `values` by (aggregation, fraction, seed), as the metric itself counts."""

    name: str
    unit: str
    higher_is_better: bool
    values: Mapping[tuple[str, float, int], float]

    def of(self, aggregation: str, fraction: float, seeds: Sequence[int]) -> np.ndarray:
        """The values of these seeds; NaN where a run has none."""
        return np.array([self.values.get((aggregation, fraction, seed), np.nan) for seed in seeds], float)


def raw_metrics(study: StudyTables, resampled: Resampled | None) -> dict[str, RawMetric]:
    """`RawMetric` of every task.

    Where some model has not scored all test cases, scores of the tables rest on other cases than gains do. The metric
    is then computed anew, from the cases that all models have.
    """
    found = {}
    trained = study.scores[study.scores["aggregation"] != FLOOR]
    for task, own in primary_rows(trained, study.primary).groupby("task", sort=True):
        name = study.primary[str(task)]
        values = own.set_index(ARM)["value"]
        higher = bool(own["direction"].iloc[0] == "higher")
        cases = resampled.tasks.get(str(task)) if resampled else None
        if cases is not None and cases.left_out:
            # what a case of another trainer's error holds is its score
            turned = not higher and study.unit_of(name) == "1" and cases.has(VALUE)
            values = _from_cases(cases, name, turned=turned).reindex(values.index)
        found[str(task)] = RawMetric(name, study.unit_of(name), higher, dict(zip(values.index, values, strict=True)))
    return found


def _from_cases(cases: CaseArrays | FoldedCases, metric: str, *, turned: bool) -> pd.Series:
    values = cases.scores()[VALUE if cases.has(VALUE) else metric]
    return pd.Series(1 - values if turned else values, pd.MultiIndex.from_frame(cases.arms))
