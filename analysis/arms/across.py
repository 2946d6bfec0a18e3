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

NAMES = ("arm_gains", "arm_changes", "arm_means", "capacity", "capacity_gains", "capacity_line", "excluded")
"""The frames that `across_arms` makes; `excluded` of comparisons of arms alone."""


def across_arms(study: StudyTables, settings: Settings) -> tuple[pd.DataFrame, ...]:
    """The frames `NAMES` of a study of which `study` is one arm, the one that others are compared with.

    Empty where the study has one arm, but for `excluded` also where all arms have no test case in common. Values are on
    the unit-free score, whatever the scale of the settings: gains over other scores, or in other standard deviations,
    have no difference.
    """
    whole = study.every_arm or study
    arms = arms_of(study, whole)
    if not arms.others:
        return tuple(frame(name, []) for name in NAMES)
    (scores, left_out), fractions = cell_scores(whole, arms.cells, settings.draws, settings.seed), whole.fractions
    within = gains_within(scores, arms, fractions)
    gains = within if arms.base is None else gains_over(scores, arms, arms.base, fractions)
    changed = changes(within, arms) | effects(scores, arms, fractions)
    series = series_of({arm: whole.manifest.arms[arm] for arm in arms.aggregations if arm in whole.manifest.arms})
    return (
        arm_gains(gains, settings),
        arm_changes(changed, settings),
        arm_means(gains, changed),
        *capacity(within, series, model_sizes(whole.runs)),
        frame("excluded", left_out),
    )


def arms_of(study: StudyTables, whole: StudyTables) -> Arms:
    """The arms in their order, that of `study` first, with the aggregations that have scores.

    The plain network that a study names as its reference is none of them (`analysis.arms.reference`).
    """
    compared = [arm for arm in whole.arms if arm == study.arm or arm != whole.manifest.reference]
    names = sorted(compared, key=lambda arm: arm != study.arm)
    trained = whole.scores[whole.scores["aggregation"] != FLOOR]
    if "arm" not in trained:
        return Arms({})
    found = {str(arm): set(rows["aggregation"]) for arm, rows in trained.groupby("arm")}
    aggregations = {arm: aggregation_order(found[arm], whole.base) for arm in names if arm in found}
    chosen = whole.manifest.settings.get("compare", {}).get("base", {})
    if not chosen.get("arm"):
        return Arms(aggregations)
    base = Cell(chosen.get("aggregation") or whole.aggregations[0], chosen["arm"])
    return Arms(aggregations, base if base.aggregation in aggregations.get(base.arm, ()) else None)
