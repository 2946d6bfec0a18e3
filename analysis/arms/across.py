"""All frames across arms, from the tables of every arm."""

import pandas as pd

from aggregation_lab.aggregation import FLOOR
from analysis.arms.capacity import capacity, model_sizes, series_of
from analysis.arms.cells import Cell, cell_scores
from analysis.arms.comparisons import Arms, changes, effects, gains_over, gains_within
from analysis.arms.verdicts import arm_changes, arm_gains, arm_means
from analysis.frames import frame
from analysis.settings import Settings
from analysis.study import StudyTables, aggregation_order

NAMES = ("arm_gains", "arm_changes", "arm_means", "capacity", "capacity_gains", "capacity_line")
"""The frames that `across_arms` makes."""


def across_arms(study: StudyTables, settings: Settings) -> tuple[pd.DataFrame, ...]:
    """The frames `NAMES` of a study of which `study` is one arm, the one that others are compared with.

    Empty where the study has one arm. Values are on the unit-free score, whatever the scale of the settings: gains over
    other scores, or in other standard deviations, have no difference.
    """
    whole = study.every_arm
    if whole is None:
        return tuple(frame(name, []) for name in NAMES)
    arms = arms_of(study, whole)
    scores, fractions = cell_scores(whole, settings.draws, settings.seed), whole.fractions
    within = gains_within(scores, arms, fractions)
    gains = within if arms.base is None else gains_over(scores, arms, arms.base, fractions)
    changed = changes(within, arms) | effects(scores, arms, fractions)
    series = series_of({arm: whole.manifest.arms[arm] for arm in arms.aggregations if arm in whole.manifest.arms})
    return (
        arm_gains(gains, settings),
        arm_changes(changed, settings),
        arm_means(gains, changed),
        *capacity(within, series, model_sizes(whole.runs)),
    )


def arms_of(study: StudyTables, whole: StudyTables) -> Arms:
    """The arms in their order, that of `study` first, with the aggregations that have scores."""
    names = sorted(whole.arms, key=lambda arm: arm != study.arm)
    trained = whole.scores[whole.scores["aggregation"] != FLOOR]
    found = {str(arm): set(rows["aggregation"]) for arm, rows in trained.groupby("arm")}
    aggregations = {arm: aggregation_order(found[arm], whole.baseline) for arm in names if arm in found}
    chosen = whole.manifest.settings.get("compare", {}).get("base", {})
    first = chosen.get("aggregation") or whole.aggregations[0]
    base = Cell(first, chosen["arm"]) if chosen.get("arm") else None
    known = base is None or base.aggregation in aggregations.get(base.arm, ())
    return Arms(aggregations, base if known else None)
