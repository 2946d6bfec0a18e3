"""What an analysis gives back: its frames, what must be told beside them, and the fitted rule."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from aggregation_lab.errors import ResultsError
from analysis.questions import guidelines
from analysis.settings import Settings
from analysis.study import StudyTables


@dataclass(frozen=True, eq=False)
class Analysis:
    """All frames of `analysis.frames.FRAMES` by name, what a reader must be told beside them, and the fitted rule."""

    study: StudyTables
    settings: Settings
    frames: Mapping[str, pd.DataFrame]
    warnings: tuple[str, ...] = ()
    rule: guidelines.Rule | None = None

    def recommend(self, n_train: float, task_type: str, group: str | None = None) -> guidelines.Recommendation:
        """Advice for a new task, see `guidelines`. Raises `ResultsError` where no rule could be fitted."""
        if self.rule is None:
            raise ResultsError(
                f"{self.study.manifest.study}: no rule could be fitted; it takes n_train and "
                f"{guidelines.FEWEST_TASKS} tasks with unit-free scores under every aggregation, and at most "
                f"{guidelines.MOST_ARMS} aggregations beside the base"
            )
        return self.rule.recommend(n_train, task_type, group)
