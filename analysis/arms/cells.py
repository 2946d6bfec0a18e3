"""Cells of a study: an aggregation under an arm, and the scores of all cells side by side on the same resamples."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from aggregation_lab.aggregation import FLOOR
from analysis.gains import Contrast, TaskScores, contrast_name
from analysis.study import StudyTables, resample, task_scores


@dataclass(frozen=True)
class Cell:
    """One aggregation under one arm."""

    aggregation: str
    arm: str

    @property
    def label(self) -> str:
        """What stands for it where scores of all cells are in one table; no two cells have the same."""
        return contrast_name(self.aggregation, self.arm)

    def against(self, base: "Cell") -> Contrast:
        """The contrast of two cells in the scores of `cell_scores`."""
        return Contrast(self.label, base.label)


def cell_scores(study: StudyTables, draws: int, seed: int) -> list[TaskScores]:
    """One `TaskScores` per task, with every cell of the study in the place of an aggregation (`Cell.label`).

    All arms are resampled together, with the draws of test subjects that `analysis.study.resample` gives one of them.
    """
    labelled = replace(
        study,
        scores=_labelled(study.scores),
        cases=None if study.cases is None else _labelled(study.cases),
        curves=None if study.curves is None else _labelled(study.curves),
    )
    return task_scores(labelled, resample(labelled, draws, seed))


def _labelled(rows: pd.DataFrame) -> pd.DataFrame:
    grouped = rows.groupby(["aggregation", "arm"], sort=True)
    labels = np.array([name if name == FLOOR else Cell(name, arm).label for name, arm in grouped.groups], object)
    return rows.assign(aggregation=labels[grouped.ngroup().to_numpy()]) if len(rows) else rows
