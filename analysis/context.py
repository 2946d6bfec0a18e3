"""What every statistic of an analysis may ask for: the study, its paired gains, and the frames made so far."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from aggregation_lab.errors import ResultsError
from analysis.contrasts import Contrast, contrasts
from analysis.frames import FRAMES, frame
from analysis.gains import PairedGain, TaskScores
from analysis.pairing import compare
from analysis.questions.advice import guidelines
from analysis.questions.families import HEADLINE, JudgedFamily, by_family, judge_family
from analysis.settings import Settings
from analysis.shared_runs import without_copies
from analysis.study import Resampled, StudyTables, check_two, resample, task_scores


@dataclass(frozen=True, eq=False)
class Context:
    """`pairs` has every contrast at every fraction, contrast by contrast; `frames` fill as the steps go."""

    study: StudyTables
    settings: Settings
    resampled: Resampled | None
    scores: Sequence[TaskScores]
    pairs: dict[tuple[Contrast, float], list[PairedGain]]
    frames: dict[str, pd.DataFrame] = field(default_factory=lambda: {name: frame(name, []) for name in FRAMES})

    @property
    def contrasts(self) -> list[Contrast]:
        """Those of `analysis.contrasts.contrasts`, in their order."""
        return list(dict.fromkeys(contrast for contrast, _ in self.pairs))

    @property
    def against_base(self) -> list[Contrast]:
        """The contrasts with the common base, which is TS if there is one."""
        return [contrast for contrast in self.contrasts if contrast.base == self.study.aggregations[0]]

    def by_fraction(self, contrast: Contrast) -> list[tuple[float, list[PairedGain]]]:
        """Pairs of a contrast at every fraction that has some."""
        return [(fraction, pairs) for (key, fraction), pairs in self.pairs.items() if key == contrast and pairs]

    def gains(self, contrast: Contrast, fraction: float) -> pd.DataFrame:
        """Rows of the frame `gains` of one contrast and fraction, by task."""
        rows = self.frames["gains"]
        return rows[(rows["contrast"] == contrast.name) & (rows["fraction"] == fraction)].set_index("task")

    @cached_property
    def headline(self) -> JudgedFamily:
        """The verdicts at full data."""
        return judge_family(by_family(self.pairs)[HEADLINE], self.settings)

    @cached_property
    def rule_rows(self) -> pd.DataFrame:
        """What the rule is fitted to; asks for the frame `gains`."""
        margins = {str(task): float(values.median()) for task, values in self.frames["gains"].groupby("task")["margin"]}
        return guidelines.rule_rows({contrast: self.by_fraction(contrast) for contrast in self.against_base}, margins)

    @cached_property
    def rule(self) -> guidelines.Rule | None:
        """The guideline; None where too few tasks, or too many aggregations, are compared."""
        return guidelines.fit_rule(self.rule_rows) if len(self.against_base) <= guidelines.MOST_COMPARED else None


def prepare(study: StudyTables, settings: Settings) -> Context:
    """Resample the test subjects and pair the seeds of one arm; the tables of all are `study.every_arm`.

    Raises `ResultsError` where there is nothing to compare, and for the path of tables that are not read yet.
    """
    if isinstance(study, (str, os.PathLike)):
        how = "load_study(folder) reads an output folder, read_scores(file) an own table"
        raise ResultsError(f"{study}: is a path, and tables are asked for; {how}")
    study = without_copies(study.of_arm())
    check_two(study)
    resampled = resample(study, settings.draws, settings.seed)
    scores = task_scores(study, resampled)
    pairs = compare(scores, contrasts(study.aggregations), study.fractions, settings.scale)
    return Context(study, settings, resampled, scores, pairs)
