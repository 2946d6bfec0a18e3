"""The frames of an analysis by name: what tables and figures are made from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from aggregation_lab.text import near_names
from analysis.frames import FRAMES
from analysis.settings import Settings
from analysis.study import StudyTables


class FrameAttributes:
    """Every frame as an attribute; what its columns mean stands in `analysis.frames.FRAMES`."""

    frames: Mapping[str, pd.DataFrame]

    seed_gains: pd.DataFrame
    """One row per contrast, fraction, task and seed: the gain and both runs."""
    gains: pd.DataFrame
    """One row per contrast, fraction and task: gain, intervals, verdict."""
    scores: pd.DataFrame
    """One row per aggregation, fraction and task: primary metric and floor."""
    collapsed: pd.DataFrame
    """One row per run that learned next to nothing of a task while others of its aggregation did."""
    pooled: pd.DataFrame
    """Mean gains over all tasks, by type and by clinical group."""
    across: pd.DataFrame
    """Gain against n_train over different tasks: slopes and crossovers."""
    across_line: pd.DataFrame
    """The lines of `across` with their bands."""
    influence: pd.DataFrame
    """Slopes of `across` without one task."""
    within: pd.DataFrame
    """Gain against n_train within tasks: slopes and crossovers."""
    within_line: pd.DataFrame
    """The lines of `within` with their bands."""
    sensitivity: pd.DataFrame
    """Gains by task type, and shares of harmed tasks."""
    type_test: pd.DataFrame
    """Test of the type effect over all tasks."""
    stability: pd.DataFrame
    """Spread of group means over groups and fractions."""
    arm_gains: pd.DataFrame
    """One row per contrast, arm, fraction and task: the gain in that arm; empty with one arm."""
    arm_changes: pd.DataFrame
    """How gains, and scores, of a task differ between arms."""
    arm_means: pd.DataFrame
    """Gains in every arm and their differences, over all tasks, by type and by clinical group."""
    capacity: pd.DataFrame
    """Gain against the size of the model: slopes per doubling."""
    capacity_gains: pd.DataFrame
    """Mean gains in arms that differ in capacity alone."""
    capacity_line: pd.DataFrame
    """The lines of `capacity` with their bands."""
    affinities: pd.DataFrame
    """How tasks bear on each other in joint runs; empty where nothing was recorded."""
    prediction_errors: pd.DataFrame
    """What predictions of gains are worth, beside naive baselines; empty with fewer than two aggregations beside TS."""
    predicted_gains: pd.DataFrame
    """Predicted against measured gains of every trained set of tasks."""
    found_means: pd.DataFrame
    """Mean gains of the partition that the grid has found, with the seeds of the choice and with later ones."""
    partitions: pd.DataFrame
    """Cost and mean score of partitions, trained and predicted."""
    found_groups: pd.DataFrame
    """The groups of tasks that are predicted to gain most."""
    guidelines: pd.DataFrame
    """Which aggregation for which type, group and n_train."""
    regret: pd.DataFrame
    """What the guideline is worth on tasks left out."""
    ledger: pd.DataFrame
    """What training cost, by aggregation and fraction."""
    power: pd.DataFrame
    """What the seeds at hand can show, and how many more it takes."""
    multiverse: pd.DataFrame
    """Verdicts under other choices of analysis."""
    usage: pd.DataFrame
    """Mean weight of each expert by task and block."""
    similarity: pd.DataFrame
    """How alike two tasks are routed."""
    learning_curves: pd.DataFrame
    """Validation scores during training."""
    findings: pd.DataFrame
    """The five findings of arXiv 2603.18123 on these data."""
    case_gains: pd.DataFrame
    """One row per contrast, task and test case at full data: what the case gains or loses."""
    case_parts: pd.DataFrame
    """Gains of test cases by class, image source and size."""
    excluded: pd.DataFrame
    """Rows left out, and why."""
    reference: pd.DataFrame
    """The plain network beside TS, task by task; empty where the study names none."""
    data: pd.DataFrame
    """One row per task and fraction: cases, subjects, margin."""

    if not TYPE_CHECKING:  # so that a type checker reports a name that is none of these

        def __getattr__(self, name: str) -> Any:
            if name in FRAMES:
                return self.frames[name]
            suggestion = "" if name.startswith("_") else near_names(name, dir(self))
            raise AttributeError(f"{type(self).__name__} has no attribute {name}{suggestion}", name=name, obj=self)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *FRAMES})


@dataclass(frozen=True, eq=False)
class NamedFrames(FrameAttributes):
    """The frames computed from a study, under which settings; `frames` has them by name, for code that loops."""

    study: StudyTables
    settings: Settings
    frames: Mapping[str, pd.DataFrame]
