"""`agg.cases(study)`: the test cases that gain or lose most, as frames that show their pictures."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aggregation_lab.aggregation import FLOOR
from aggregation_lab.errors import ResultsError
from aggregation_lab.kept.study_images import StudyImages
from aggregation_lab.tasks import Task
from aggregation_lab.tasks.marks import covered
from aggregation_lab.text import near_names
from analysis.cases.gains import case_gains
from analysis.cases.scores import CaseScores, case_scores
from analysis.context import prepare
from analysis.figures.canvas import known_to_pyplot
from analysis.gallery.shown import ShownCases
from analysis.gallery.strips import Panel, Strip
from analysis.result import Analysis
from analysis.settings import Settings
from analysis.study import StudyTables, task_arrays

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NO_FOLDER = "no pictures: the scores come from tables alone; they need the output folder of the study"

NO_RUNS = "no pictures: they need the whole output folder of the study; this one holds score tables and no runs"


@dataclass(frozen=True, eq=False)
class Cases:
    """The test cases of one arm of a study at full data.

    `gains` is the frame `case_gains`; `images` is None where there are no pictures, and `why_no_images` says why.
    """

    study: StudyTables
    gains: pd.DataFrame
    images: StudyImages | None
    why_no_images: str = ""
    _scores: dict[str, list[CaseScores]] = field(default_factory=dict, repr=False)
    _sizes: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict, repr=False)

    def of(self, contrast: str, task: str) -> pd.DataFrame:
        """The rows of one contrast and task, the largest loss first, with sizes where there are images.

        Raises `ResultsError` where there are none.
        """
        rows = self._rows(contrast, task)
        return rows if self.images is None else self._with_sizes(self.images, rows)

    def _rows(self, contrast: str, task: str) -> pd.DataFrame:
        known = list(dict.fromkeys(self.gains["contrast"]))
        if contrast not in known:
            raise ResultsError(f"no cases of the contrast {contrast}{near_names(contrast, known)}")
        rows = self.gains[(self.gains["contrast"] == contrast) & (self.gains["task"] == task)]
        if rows.empty:
            tasks = set(self.gains.loc[self.gains["contrast"] == contrast, "task"])
            raise ResultsError(f"no cases of the task {task} under {contrast}{near_names(task, tasks)}")
        return rows.sort_values(["gain", "case"], ignore_index=True)

    def worst(self, contrast: str, task: str, n: int = 8) -> ShownCases:
        """The cases that lose most, such as `worst("AU-TS", "breast_lesion", 8)`; raises as `of` does."""
        return self._shown(self._rows(contrast, task).head(n), f"{task}, {contrast}: cases that lose most")

    def best(self, contrast: str, task: str, n: int = 8) -> ShownCases:
        """The cases that gain most, the largest gain first; raises as `of` does."""
        return self._shown(self._rows(contrast, task)[::-1].head(n), f"{task}, {contrast}: cases that gain most")

    def median(self, contrast: str, task: str, n: int = 1) -> ShownCases:
        """The cases in the middle, their gains being nearest to the median one; raises as `of` does."""
        rows = self._rows(contrast, task)
        start = max(0, (len(rows) - n) // 2)
        return self._shown(rows[start : start + n], f"{task}, {contrast}: cases in the middle")

    def figure(self, contrast: str, task: str) -> "Figure":
        """Scores of the cases under both aggregations, and their gains by class, image source and size.

        What it shows stands in the frames `case_gains` and `case_parts`. Raises as `of` does.
        """
        from analysis.gallery.figures import case_figure

        return case_figure(self.of(contrast, task), known_to_pyplot)[0]

    def runs(self, task: str) -> list[str]:
        """The runs behind the task at full data, by id."""
        return list(dict.fromkeys(self._runs.loc[self._runs["task"] == task, "run"]))

    def strips(self, rows: pd.DataFrame) -> list[Strip]:
        """The cases of rows of `of` with their pictures; none where there are no images.

        Raises `DataError` where an image is gone or has changed, `ResultsError` where kept predictions are damaged.
        """
        images = self.images
        return [] if images is None else [self._strip(images, row) for row in rows.to_dict("records")]

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _shown(self, rows: pd.DataFrame, title: str) -> ShownCases:
        rows = rows.reset_index(drop=True)
        rows = rows if self.images is None else self._with_sizes(self.images, rows)
        return ShownCases(title, rows, self.strips(rows), self.why_no_images)

    @cached_property
    def _runs(self) -> pd.DataFrame:
        """Task, aggregation, seed and run of every trained model at full data."""
        scores = self.study.scores
        trained = scores[(scores["aggregation"] != FLOOR) & (scores["fraction"] == self.study.full)]
        return trained[["task", "aggregation", "seed", "run"]].drop_duplicates()

    def _with_sizes(self, images: StudyImages, rows: pd.DataFrame) -> pd.DataFrame:
        """The same with the sizes of images and targets."""
        task = images.tasks[str(rows["task"].iloc[0])]
        for case in rows["case"]:
            if (task.name, case) not in self._sizes:
                about = images.row(case)
                share = covered(task.type.marks(images.truth(task, case)), about.height, about.width)
                self._sizes[task.name, case] = float(np.hypot(about.height, about.width)), share
        sizes = [self._sizes[task.name, case] for case in rows["case"]]
        return rows.assign(image_size=[size for size, _ in sizes], target_size=[share for _, share in sizes])

    def _strip(self, images: StudyImages, row: dict[Any, Any]) -> Strip:
        task, case = images.tasks[str(row["task"])], str(row["case"])
        picture = images.image(case)
        panels = [self._panel(images, task, row, name) for name in self.study.aggregations]
        return Strip(row, picture, task.type.marks(images.truth(task, case)), panels)

    def _panel(self, images: StudyImages, task: Task, row: dict[Any, Any], aggregation: str) -> Panel:
        """What an aggregation predicts with the seed that is shown, and its score of the case."""
        case, seed = str(row["case"]), int(row["shown_seed"])
        runs = self._runs
        own = (runs["task"] == task.name) & (runs["aggregation"] == aggregation) & (runs["seed"] == seed)
        found = runs.loc[own, "run"]
        if found.empty:
            return Panel(aggregation, "no run with this seed", None)
        predicted, score = (
            images.prediction(task, case, str(found.iloc[0])),
            self._score(task.name, case, aggregation, seed),
        )
        marks = None if predicted is None else task.type.marks(predicted)
        about = images.row(case)
        return Panel(aggregation, task.type.case_text(score, float(np.hypot(about.height, about.width))), marks)

    def _score(self, task: str, case: str, aggregation: str, seed: int) -> float:
        """The score of one case under one model; NaN where it has none."""
        if task not in self._scores:
            self._scores[task] = case_scores(task_arrays(self.study, task))
        for scores in self._scores[task]:
            arm, at = scores.arm(aggregation, self.study.full, seed), np.flatnonzero(scores.cases == case)
            if arm is not None and len(at):
                return float(scores.values[arm, at[0]])
        return float("nan")


def cases(source: StudyTables | Analysis, data: Path | str | None = None) -> Cases:
    """The test cases of a study, or of the study of an analysis, and their pictures where its output folder is at hand.

    `data` is where the images lie now, if they were moved. Raises `ResultsError` where the study has no scores of
    single cases.
    """
    if isinstance(source, Analysis):
        study, gains = source.study, source.case_gains
    else:
        context = prepare(source, Settings(draws=1))  # gains of cases need no resamples
        study, gains = context.study, case_gains(context)
    if gains.empty:
        raise ResultsError(
            f"{study.manifest.study}: no two aggregations have scores of single cases with a common seed"
        )
    if study.folder is None:
        return Cases(study, gains, None, NO_FOLDER)
    if not (study.folder / "runs").is_dir():
        return Cases(study, gains, None, NO_RUNS)
    images = StudyImages.of(study.folder, study.manifest.dataset, None if data is None else Path(data))
    return Cases(study, gains, images)
