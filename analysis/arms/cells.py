"""Cells of a study: an aggregation under an arm, and the scores of all cells side by side on the same resamples."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.arms.side_by_side import side_by_side
from analysis.arms.together import together
from analysis.contrasts import Contrast, contrast_name
from analysis.gains import TaskScores
from analysis.study import StudyTables, task_scores


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


def cell_scores(
    study: StudyTables, cells: Sequence[Cell], draws: int, seed: int
) -> tuple[list[TaskScores], list[dict[str, object]]]:
    """One `TaskScores` per task, with every cell in the place of an aggregation (`Cell.label`); and what is left out
    for that, as rows of the frame `excluded`.

    All are resampled together, with the draws of test subjects that `analysis.study.resample` gives one arm.
    """
    made = together(side_by_side(study, {cell.label: (cell.arm, cell.aggregation) for cell in cells}), draws, seed)
    return task_scores(made.tables, made.resampled), made.excluded
