"""Why a part of the page is empty: one sentence instead of a section that vanishes."""

from analysis.arms.across import NAMES as ARMS
from analysis.arms.together import APART
from analysis.result import Analysis
from analysis.tables.order import unit_free

_WHY = {
    "gains": "No task has test scores of two aggregations with a common seed, so there is no gain.",
    "seed_gains": "No task has test scores of two aggregations with a common seed.",
    "scores": "The source holds no test scores.",
    "pooled": "There are no gains to average.",
    "findings": "There are no gains on which a finding could be tested.",
    "guidelines": "No rule was fitted: every joint aggregation needs gains over the base of at least five tasks in "
    "which something was learned, of the same task types throughout.",
    "regret": "Without a rule, or with fewer than five tasks that have scores of every aggregation, nothing can be "
    "left out and tried.",
    "across": "Too few tasks with a unit-free gain and different sizes for a line.",
    "influence": "There is no line over all tasks.",
    "sensitivity": "There are no unit-free gains to compare between task types.",
    "type_test": "The test needs two task types with at least two tasks each.",
    "stability": "A spread needs gains in at least two clinical groups.",
    "arm_gains": "The study has one arm.",
    "arm_changes": "No two arms have scores of one aggregation with a common seed.",
    "arm_means": "No two arms have scores of one aggregation with a common seed.",
    "capacity": "No two arms differ in capacity alone by a quarter or more of their size, with known sizes and at "
    "least three tasks that have gains in all of them.",
    "case_gains": "The source has no scores of single test cases.",
    "case_parts": "Nothing is known of the cases by which they could be parted: class, image source, size.",
    "found_means": "The grid has found no partition, or none of its runs has finished.",
    "affinities": "No joint run recorded how its tasks bear on each other (`affinity` in the study file).",
    **dict.fromkeys(
        ("prediction_errors", "predicted_gains", "partitions", "found_groups"),
        "A prediction of gains needs validation scores of TS and of two aggregations with units of several tasks.",
    ),
    "multiverse": "No other choices of analysis were tried.",
    "power": "A plan needs the scatter of gains: two seeds, or scores of test cases.",
    "excluded": "No row of the tables was left out.",
    "collapsed": "No run is known to have learned next to nothing of a task that others of its aggregation learned.",
    "reference": "The study names no plain network as its reference, or none of its runs has finished.",
    "data": "The source holds no test scores.",
}

_UNSIZED = "no task says how many it has (n_train)."
_BY_SIZE = ("across", "influence", "guidelines", "regret")

_TABLES = {"ledger": "runs", "learning_curves": "curves", "usage": "routing", "similarity": "routing"}
"""Frames that come from one table of the study alone."""


def why_empty(analysis: Analysis, name: str) -> str:
    """Why the frame of that name has no rows."""
    study = analysis.study
    if name == "within":
        if len(study.fractions) < 2:
            return (
                "The study has one fraction of the training data; what happens when a task's own data shrink needs two."
            )
        gains = unit_free(analysis.frames["gains"])
        several = gains.groupby(["contrast", "task"])["fraction"].nunique() > 1
        if several.any() and not (gains["n_train"] > 0).any():
            return f"The line is drawn over training cases, and {_UNSIZED}"
        return "No task has unit-free gains at two fractions with a common seed and known, different sizes."
    if name in _BY_SIZE and len(analysis.frames["gains"]) and not (analysis.frames["gains"]["n_train"] > 0).any():
        return f"It goes by training cases, and {_UNSIZED}"
    if name in ARMS and len(study.compared_arms) > 1:
        if analysis.frames["excluded"]["reason"].str.startswith(APART).any():
            return f"{APART[0].upper()}{APART[1:]}."
        if name == "arm_gains":
            return "No arm has test scores of two aggregations with a common seed."
    if name in _TABLES:
        table = _TABLES[name]
        if getattr(study, table) is None:
            return f"The source has no table of {table}."
        experts = " The model has no experts, or they were not recorded." if table == "routing" else ""
        return f"The table of {table} holds nothing to show.{experts}"
    return _WHY.get(name, "The study gives it nothing to be computed from.")
