"""Caveats of how a study was planned: what was left out, its base, seeds and folds."""

from collections.abc import Mapping, Sequence

import pandas as pd

from aggregation_lab.aggregation import ARROW, FLOOR, FOUND
from analysis.contrasts import trained_twice
from analysis.frames import at_full
from analysis.questions.caveats.sentences import if_any, named
from analysis.study import StudyTables

ENOUGH_SEEDS = 6
"""Seeds from which the signs of gains alone could reach p < 0.05: two-sided, 2 / 2^seeds."""


def of_design(study: StudyTables) -> list[str]:
    """What was left out, and what gains are over."""
    about, found = study.manifest, []
    if about.leakage is None:
        found.append("Whether images leak from training to test was not counted.")
    elif count := about.leakage.get("crossing_components", 0):
        found.append(f"{count} components of related images stand in two parts of the split: test scores are too high.")
    if about.planned is not None and about.finished is not None and about.finished < about.planned and not about.looks:
        found.append(f"{about.planned - about.finished} of {about.planned} planned runs are not finished.")
    if study.full < 1:
        found.append(
            f"No model was trained on all training data: what is called full data is {100 * study.full:g} % of it."
        )
    aggregations = about.settings.get("aggregations")
    if about.found is None and isinstance(aggregations, Mapping) and aggregations.get(FOUND, ()) is None:
        found.append(
            f"The groups of {FOUND} are not known yet: the runs that they are found from are not all finished."
        )
    if study.base is not None:
        untested = "" if study.base == "TS" else "; what the findings say of gains over TS is not tested"
        found.append(f"Gains are over {study.base}, which was named as their base{untested}.")
    if more := trained_more(study.aggregations):
        found.append(more)
    if study.base is None and "TS" not in study.aggregations:
        found.append("There is no TS: gains compare joint models with each other, not with models of one task.")
    return found


def trained_more(aggregations: Sequence[str]) -> str:
    """That sequential aggregations had more training than the base of their gains; empty where they had not."""
    base = aggregations[0]
    longer = [name for name in aggregations if ARROW in name and name != base]
    twice = trained_twice(base)
    if not longer or ARROW in base or twice in aggregations:
        return ""
    had = "has had" if len(longer) == 1 else "have had"
    return (
        f"{named(longer)} {had} two stages of training, {base} one: part of the gains may be longer training. "
        f"{twice}, the same second stage from the base's own weights, is the fair base; add it to aggregations."
    )


def of_seeds(study: StudyTables, trained: pd.DataFrame) -> list[str]:
    """Seeds that are too few to judge by, and tasks whose aggregations saw different numbers of training cases."""
    full = at_full(trained)
    fewest = full.groupby("aggregation")["seeds"].max().min()
    found = []
    if fewest == 1 and study.cases is None:
        found = ["One seed and no cases: gains have no interval and every verdict is undecided."]
    elif fewest == 1:
        found = [
            "One seed only: intervals cover the chance of test cases, not that of training, and every verdict is "
            "undecided until another seed is trained."
        ]
    elif fewest < ENOUGH_SEEDS:
        support = "" if study.cases is None else " and on test cases"
        found = [
            f"{fewest:.0f} seeds only: signs of gains alone cannot give p below {2 / 2**fewest:g}, so verdicts lean on "
            f"normal scatter over seeds{support}."
        ]
    rows = study.scores[study.scores["aggregation"] != FLOOR]
    sizes = rows.groupby(["task", "fraction", "seed"])["n_train"].nunique()
    uneven = sizes[sizes > 1].index.get_level_values("task")
    said = "Aggregations saw different numbers of training cases in {}."
    return found + if_any(uneven, rows["task"].nunique(), said)


def of_folds(study: StudyTables) -> list[str]:
    """What rotating test folds leave open."""
    count = study.manifest.folds
    if count == 1:
        return []
    rows = study.scores[study.scores["aggregation"] != FLOOR]
    seeds = sorted(int(seed) for seed in rows["seed"].unique())
    tested = {study.manifest.fold(seed) for seed in seeds}
    found = [
        "Folds have training data in common: intervals take them for independent replicates, which is an approximation."
    ]
    if len(tested) < count:
        found.append(f"{len(tested)} of {count} folds are tested: the images of the others never are.")
    if len(tested) < len(seeds):
        found.append(f"{len(seeds)} seeds test {len(tested)} folds: seeds of one fold count as one replicate.")
    return found
