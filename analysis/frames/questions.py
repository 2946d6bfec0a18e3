"""Columns of the frames on data scale, task types, clinical groups and advice."""

from typing import Final

from analysis.frames.shared import CONTRAST, GAIN, SIDES

_CROSSOVER: Final = {
    "n_star_low": "lower 99 % limit of n_star; missing if below the sizes seen",
    "n_star_high": "upper 99 % limit of n_star; missing if above the sizes seen",
    "crossover": "starts paying, stops paying, none in range, or undetermined",
}
_BAND: Final = {
    "fit": "gain on the line",
    "low": "lower limit of the 95 % band",
    "high": "upper limit of the 95 % band",
}
_SLOPE: Final = {
    "low": "lower 95 % limit of the slope",
    "high": "upper 95 % limit of the slope",
    "p": "two-sided p of no slope",
}

QUESTIONS: Final = {
    "across": {
        **SIDES,
        "fraction": CONTRAST["fraction"],
        "scope": "all tasks or one type",
        "method": "mixed model or OLS",
        "tasks": "tasks",
        "groups": "clinical groups",
        "slope": "change of gain per doubling of n_train",
        **_SLOPE,
        "level": "gain at the geometric mean of n_train",
        "n_star": "n_train at which the line crosses zero, if in range",
        **_CROSSOVER,
        "sd_group": "standard deviation of the group effect",
        "sd_task": "standard deviation of the task effect",
        "converged": "the mixed model converged inside its bounds",
        "note": "what to know about the fit",
        "base_improving": "tasks whose base was still improving",
    },
    "across_line": {
        **SIDES,
        "scope": "all tasks or one type",
        "n": "training cases",
        **_BAND,
    },
    "influence": {
        **SIDES,
        "task": "task left out",
        "slope_without": "slope without the task",
        "change": "slope without minus slope with",
        "change_in_se": "the change in standard errors of the slope",
    },
    "within": {
        **SIDES,
        "level": "task or pooled",
        "name": "task id, all, or a task type",
        "type": "task type; all for pooled",
        "group": "clinical group; all for pooled",
        "tasks": "tasks",
        "slope": "change of gain per doubling of the same task's n_train",
        **_SLOPE,
        "n_min": "smallest n_train seen",
        "n_max": "largest n_train seen",
        "n_star": "n_train at which the gain crosses zero, if in range",
        **_CROSSOVER,
        "base_improving": "a base model was still improving at one of the fractions",
    },
    "within_line": {
        **SIDES,
        "level": "task or pooled",
        "name": "task id, all, or a task type",
        "n": "training cases; geometric mean over tasks for pooled",
        "fraction": "share of the training components at n",
        **_BAND,
    },
    "sensitivity": {
        **CONTRAST,
        "type": "task type",
        "tasks": "tasks of the type",
        **GAIN,
        "harmed": "share of tasks with verdict harm",
        "negative": "share of tasks with a negative estimate",
        "against_others": "mean gain of the type minus that of the other types",
        "others_low": "lower 95 % limit of that difference",
        "others_high": "upper 95 % limit of that difference",
        "p": "permutation p over tasks of that difference",
        "base_improving": "tasks of the type whose base was still improving",
    },
    "type_test": {
        **CONTRAST,
        "tasks": "tasks",
        "types": "types with at least two tasks",
        "statistic": "F of the type effect over task gains",
        "p": "permutation p: types shuffled over tasks",
        "note": "what limits the test",
    },
    "stability": {
        "contrast": "CG-TS, AU-TS, or their difference",
        "joint": "joint aggregation; CG of the difference",
        "base": "aggregation it is compared with; AU of the difference",
        "scope": "cells: groups x fractions, or the groups at one fraction",
        "cells": "groups x fractions",
        "spread": "standard deviation of mean gain over cells; of the difference over tasks that both have in a cell, "
        "without what seeds do to either",
        "spread_low": "lower 95 % limit",
        "spread_high": "upper 95 % limit",
        "worst": "lowest mean gain of a cell",
        "worst_low": "lower limit, 95 % for all cells together, as the lowest of them was chosen (Bonferroni)",
        "worst_high": "upper limit",
        "worst_cell": "where it is",
        "harmed": "share of task x fraction with verdict harm",
        "negative": "share of task x fraction with a negative estimate",
        "negative_low": "lower 95 % limit",
        "negative_high": "upper 95 % limit",
        "base_improving": "task x fraction whose base was still improving",
    },
    "guidelines": {
        "type": "task type",
        "group": "clinical group, or any other; any, where too few tasks tell groups apart",
        "n_low": "smallest n_train of the row",
        "n_high": "largest n_train of the row",
        "advice": "TS, CG, AU, another partition, or undecided",
        "expected": "expected gains over the base at the middle of these sizes, with limits for one new task and "
        "chances of gain and harm, or why nothing is expected, in words",
        "chance": "chance that a new task gains under the aggregation advised; the best chance, where none is; missing "
        "where nothing is expected",
        "harm": "chance that it loses more than the margin there; missing without margins",
        "tasks": "tasks of this type under the aggregation advised; under any, where none is",
        "reason": "why",
        "base_improving": "of these tasks, those of which a base model was still improving",
    },
    "regret": {
        "scheme": "leave one task out, or leave one group out",
        "rule": "guideline, or always one aggregation",
        "tasks": "tasks",
        "regret": "mean loss of unit-free score against the best aggregation in hindsight",
        "low": "lower 95 % limit",
        "high": "upper 95 % limit",
        "worst": "largest loss",
        "abstained": "share of tasks where the guideline was undecided and fell back on TS",
    },
}
