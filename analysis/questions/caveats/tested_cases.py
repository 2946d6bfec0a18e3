"""Caveats of what scores are made from: floors, and test cases that are few."""

from collections.abc import Collection

import pandas as pd

from analysis.frames import at_full
from analysis.questions.caveats.sentences import if_any
from analysis.statistics.rare_classes import FEWEST_OF_CLASS
from analysis.study import StudyTables

FEW_SUBJECTS = 20
"""Test subjects below which resampling them says little."""

FEWEST_TASKS = 5
"""Tasks below which means over tasks say little."""


def of_floors(base: str, trained: pd.DataFrame, gains: pd.DataFrame) -> list[str]:
    """Tasks in which the models of a comparison, or the base alone, are no better than the trivial predictor."""
    known = trained[trained["beats_floor"].notna()].astype({"beats_floor": bool})
    if known.empty:
        return ["There is no trivial predictor to compare with: whether the models learned anything is unknown."]
    total, full = known["task"].nunique(), at_full(known)
    unknown = (
        "There is no trivial predictor to compare with, or not at every fraction, in {}: whether the models learned "
        "anything there is unknown."
    )
    lacking = trained.loc[trained["floor"].isna(), "task"]
    learned = set(full.loc[full["beats_floor"], "task"])
    weak = set(full.loc[~full["beats_floor"] & (full["aggregation"] == base), "task"]) & learned
    nothing = (
        "Neither model of a comparison has a mean above that of the trivial predictor in {}: the verdict there is "
        "undecided; means, lines and tests over tasks include such tasks, advice leaves them out."
    )
    below_base = (
        f"The mean of {base} is not above that of the trivial predictor in {{}}: gains there are over a baseline that "
        "learned nothing."
    )
    compared = at_full(gains)
    below = {*compared.loc[compared["learned_nothing"].eq(True), "task"], *(set(full["task"]) - learned)}
    return [
        *if_any(lacking, trained["task"].nunique(), unknown),
        *if_any(below, total, nothing),
        *if_any(weak, total, below_base),
    ]


def _rare_classes(gains: pd.DataFrame, few_of_all: Collection[str], total: int) -> list[str]:
    """Tasks whose score compares classes of which one has few test subjects; `few_of_all` have few of all classes."""
    fewest = gains.groupby("task")["rarest_class"].min()
    none = f"Fewer than {FEWEST_OF_CLASS} test subjects of one class in {{}}: no verdict there."
    rough = f"Fewer than {FEW_SUBJECTS} test subjects of one class in {{}}: intervals there are rough."
    few = fewest.index[(fewest >= FEWEST_OF_CLASS) & (fewest < FEW_SUBJECTS)]
    return [
        *if_any(fewest.index[fewest < FEWEST_OF_CLASS], total, none),
        *if_any(set(few) - set(few_of_all), total, rough),
    ]


def of_test_cases(study: StudyTables, trained: pd.DataFrame, gains: pd.DataFrame, data: pd.DataFrame) -> list[str]:
    """Test cases, or tasks, that are too few."""
    full = at_full(data)
    found: list[str] = []
    if study.cases is None and trained["seeds"].max() > 1:
        found = ["No cases: test cases cannot be resampled, so intervals hold for these very test cases."]
    elif study.cases is not None:
        few = full.loc[full["subjects"] < FEW_SUBJECTS, "task"]
        found = if_any(few, len(full), f"Fewer than {FEW_SUBJECTS} test subjects in {{}}: intervals there are rough.")
        found += _rare_classes(gains[gains["fraction"] == study.full], set(few), len(full))
    if len(full) < FEWEST_TASKS:
        tasks = "1 task" if len(full) == 1 else f"{len(full)} tasks"
        found.append(f"{tasks} only: means over tasks say little.")
    return found
