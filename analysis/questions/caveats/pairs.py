"""Caveats of what is compared: runs without a counterpart, and gains that cannot be decided."""

from typing import cast

import pandas as pd

from analysis.contrasts import contrasts
from analysis.questions.caveats.sentences import if_any
from analysis.statistics.planning import WANTED
from analysis.statistics.uncertainty import BORROWED, BORROWED_AND_CASES, CASES, NONE, SEEDS
from analysis.statistics.verdicts import SAME_MODEL, UNDECIDED
from analysis.study import StudyTables


def of_missing_pairs(study: StudyTables, gains: pd.DataFrame) -> list[str]:
    """Runs that are in no gain, and tasks that a contrast lacks, or has with fewer seeds, at the largest fraction."""
    full, found = gains[gains["fraction"] == study.full], _unpaired(study, gains)
    tasks = set(study.scores.loc[study.scores["fraction"] == study.full, "task"])
    for name, rows in full.groupby("contrast", sort=False):
        lacking = f"{name}: no seed under both aggregations in {{}}, so it says nothing of these tasks."
        found += if_any(tasks - set(rows["task"]), len(tasks), lacking)
        fewer = rows.loc[(rows["seeds"] < rows["seeds"].max()) & (rows["unpaired"] == 0), "task"]
        if study.looks is None:  # else tasks are meant to have fewer
            found += if_any(fewer, len(tasks), f"{name}: fewer pairs of seeds than in other tasks in {{}}.")
    return found


def _unpaired(study: StudyTables, gains: pd.DataFrame) -> list[str]:
    """Runs without a counterpart of their seed, at every fraction."""
    found, tasks = [], study.scores["task"].nunique()
    for key, rows in gains[gains["unpaired"] > 0].groupby(["contrast", "fraction"], sort=False):
        name, share = cast("tuple[str, float]", key)
        where = name if share == study.full else f"{name} at fraction {share:g}"
        said = "some seeds have a score under one of both aggregations alone in {}: in means of scores, in no gain."
        found += if_any(rows["task"], tasks, f"{where}: {said}")
    return found


def of_repeated_tests(study: StudyTables, gains: pd.DataFrame) -> list[str]:
    """Contrasts that compare the same runs as another one in some tasks, at the largest fraction."""
    all_full = gains[gains["fraction"] == study.full]
    full = all_full[all_full["repeats"] != ""]
    found = []
    for key, rows in full.groupby(["contrast", "repeats"], sort=False):
        name, before = cast("tuple[str, str]", key)
        turned = ", the other way round" if before.startswith("-") else ""
        said = f"{name}: the same runs as {before.removeprefix('-')}{turned}, in {{}}: one test there, counted once."
        found += if_any(rows["task"], int((all_full["contrast"] == name).sum()), said)
    return found


def of_missing_contrasts(study: StudyTables, gains: pd.DataFrame) -> list[str]:
    """Contrasts of which no gain could be made at the largest fraction."""
    full = gains[gains["fraction"] == study.full]
    names = [contrast.name for contrast in contrasts(study.aggregations) if contrast.name not in set(full["contrast"])]
    said = "{} cannot be compared at fraction {:g}: no task has a seed under both aggregations."
    return [said.format(name, study.full) for name in names]


def of_what_can_be_decided(study: StudyTables, gains: pd.DataFrame, power: pd.DataFrame) -> list[str]:
    """Intervals that cover less than both sources of chance, and power for the margin, at the largest fraction."""
    full = gains[(gains["fraction"] == study.full) & (gains["verdict"] != SAME_MODEL)]
    total = full["task"].nunique()
    found = []
    if study.cases is not None:
        alone = full.loc[full["basis"].isin([SEEDS, BORROWED]), "task"]
        said = (
            "Test cases cannot be resampled in {} (one subject, of all or of a class, or no metric): intervals there "
            "cover seeds alone, and the verdict is undecided."
        )
        if study.manifest.folds == 1 and not full["basis"].isin([SEEDS, BORROWED]).all():
            said += " In means their test cases count as the noisiest of the other tasks'."
        found += if_any(alone, total, said)
    borrowed = full.loc[full["basis"].isin([BORROWED, BORROWED_AND_CASES]), "task"]
    said = "One pair of seeds, or gains that do not vary, in {}: the scatter over seeds is that of tasks of the type."
    found += if_any(borrowed, total, said)
    said = "Seeds scatter more in {} than in the other tasks of the type: each has an interval by its own few seeds."
    found += if_any(full.loc[full["own_scatter"].eq(True), "task"], total, said)
    if study.scores["seed"].nunique() > 1:
        said = "One pair of seeds, or gains that do not vary, in {}, and no task of the type with more: undecided."
        found += if_any(full.loc[full["basis"].isin([CASES, NONE]), "task"], total, said)
    planned = power[power["limit"] != SAME_MODEL]
    undecided = set(full.loc[full["verdict"] == UNDECIDED, "contrast"])
    for name, rows in planned.groupby("contrast", sort=False):
        able = int((rows["limit"] == "").sum())
        if able < len(rows) / 2 and rows["detectable"].notna().any() and name in undecided:
            found.append(
                f"{name}: the seeds at hand tell the margin from no difference with {100 * WANTED:g} % power, "
                f"corrected for the number of tasks, in {able} of {len(rows)} tasks only: undecided means too little "
                "data."
            )
    return found
