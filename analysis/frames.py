"""The result frames of an analysis and what their columns mean.

Statistics return these frames, tables and figures read them, the report shows the meanings as hints. A contrast
`AU-TS` compares the joint aggregation AU with the base TS; a gain is oriented, so that positive favours the joint one.
`contrast` is a label to show: which aggregations it compares stands in `joint` and `base`, and nothing reads it back
from it. Intervals are 95 % unless named adjusted. `fraction` is the share of the training components.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pandas as pd

_SIDES: Final = {
    "contrast": "joint aggregation minus base",
    "joint": "joint aggregation",
    "base": "aggregation it is compared with",
}
_CONTRAST: Final = {**_SIDES, "fraction": "share of the training components"}
_TASK: Final = {"task": "task id", "type": "task type", "group": "clinical group"}
_GAIN: Final = {
    "gain": "mean gain on the unit-free score; positive favours the joint aggregation",
    "low": "lower 95 % limit",
    "high": "upper 95 % limit",
}

FRAMES: Final[dict[str, dict[str, str]]] = {
    "seed_gains": {
        **_CONTRAST,
        **_TASK,
        "seed": "seed of both runs",
        "n_train": "training cases of the task",
        "joint_score": "unit-free score of the joint model",
        "base_score": "unit-free score of the base model",
        "gain": "joint minus base on the chosen scale",
        "joint_run": "run of the joint score",
        "base_run": "run of the base score",
    },
    "gains": {
        **_CONTRAST,
        **_TASK,
        "n_train": "training cases of the task",
        "seeds": "paired seeds",
        "subjects": "test subjects resampled; 0 without cases",
        "metric": "primary metric of the task type",
        "unit": "unit of the primary metric",
        "joint_raw": "primary metric of the joint model, mean over seeds",
        "base_raw": "primary metric of the base model, mean over seeds",
        "relative": "oriented change of the primary metric over the base model's; neither averaged nor tested",
        "joint_score": "unit-free score of the joint model, mean over seeds",
        "base_score": "unit-free score of the base model, mean over seeds",
        **_GAIN,
        "se": "standard error: seeds and test cases together",
        "df": "degrees of freedom of the t with the same tails (`analysis.statistics.matched_t`)",
        "seed_share": "share of the variance that comes from seeds",
        "case_share": "share of the variance that comes from test cases",
        "basis": "what the interval covers: seeds and cases, seeds only, the same with the scatter over seeds borrowed "
        "from other tasks, cases only (one seed: no verdict), or none",
        "family": "verdicts that are corrected together: full data, or smaller fractions",
        "undefined_draws": "resamples in which the metric was undefined and left out",
        "margin": "largest loss that counts as none, from the study file",
        "p": "two-sided p of no difference",
        "p_adjusted": "the same, corrected over the family",
        "low_adjusted": "lower limit of the interval that decides",
        "high_adjusted": "upper limit of the interval that decides",
        "p_loss": "one-sided p of a loss as large as the margin",
        "p_loss_adjusted": "the same, corrected",
        "verdict": "harm, benefit, no meaningful loss, undecided, or same model",
        "supported_margin": "smallest margin for which the data support `no meaningful loss`",
        "power": "chance to notice a true gain or loss of the size of the margin with these seeds and cases",
        "base_improving": "the base model was still improving on validation when its budget ended; missing if unknown",
        "joint_improving": "the joint model was still improving when its budget ended; missing if unknown",
    },
    "scores": {
        "aggregation": "TS, CG, AU or a partition of the user's",
        "fraction": _CONTRAST["fraction"],
        **_TASK,
        "n_train": "training cases",
        "n_test": "test cases",
        "metric": "primary metric",
        "unit": "unit of the metric",
        "mean": "mean over seeds",
        "sd": "standard deviation over seeds; missing with one",
        "seeds": "seeds",
        "score": "unit-free score, mean over seeds",
        "floor": "the trivial predictor's metric",
        "beats_floor": "better than the trivial predictor",
        "verdict": "verdict of this aggregation against the base, where compared",
        "still_improving": "validation was still rising at the end in at least one seed",
    },
    "pooled": {
        **_CONTRAST,
        "level": "overall, type or group",
        "name": "which type or group; all for overall",
        "tasks": "tasks in the mean",
        "same_model": "tasks left out because both aggregations train the same model",
        "base_improving": "tasks in the mean whose base was still improving",
        **_GAIN,
        "p": "two-sided p, for these very tasks",
        "gaining": "tasks in the mean whose estimated gain is above 0",
        "median": "median gain over tasks",
        "low_new": "lower 95 % limit of the median gain of tasks of this kind, the tasks being a sample",
        "high_new": "upper 95 % limit of the median gain of tasks of this kind",
        "p_new": "two-sided p of a median gain of 0 in tasks of this kind",
        "sd_tasks": "standard deviation of gains over tasks",
    },
    "across": {
        **_SIDES,
        "fraction": _CONTRAST["fraction"],
        "scope": "all tasks or one type",
        "method": "mixed model or OLS",
        "tasks": "tasks",
        "groups": "clinical groups",
        "slope": "change of gain per doubling of n_train",
        "low": "lower 95 % limit of the slope",
        "high": "upper 95 % limit of the slope",
        "p": "two-sided p of no slope",
        "level": "gain at the geometric mean of n_train",
        "n_star": "n_train at which the line crosses zero, if in range",
        "n_star_low": "lower 99 % limit of n_star; missing if below the sizes seen",
        "n_star_high": "upper 99 % limit of n_star; missing if above the sizes seen",
        "crossover": "starts paying, stops paying, none in range, or undetermined",
        "sd_group": "standard deviation of the group effect",
        "sd_task": "standard deviation of the task effect",
        "converged": "the mixed model converged inside its bounds",
        "note": "what to know about the fit",
        "base_improving": "tasks whose base was still improving",
    },
    "across_line": {
        **_SIDES,
        "scope": "all tasks or one type",
        "n": "training cases",
        "fit": "gain on the line",
        "low": "lower limit of the 95 % band",
        "high": "upper limit of the 95 % band",
    },
    "influence": {
        **_SIDES,
        "task": "task left out",
        "slope_without": "slope without the task",
        "change": "slope without minus slope with",
        "change_in_se": "the change in standard errors of the slope",
    },
    "within": {
        **_SIDES,
        "level": "task or pooled",
        "name": "task id, all, or a task type",
        "type": "task type; all for pooled",
        "group": "clinical group; all for pooled",
        "tasks": "tasks",
        "slope": "change of gain per doubling of the same task's n_train",
        "low": "lower 95 % limit of the slope",
        "high": "upper 95 % limit of the slope",
        "p": "two-sided p of no slope",
        "n_min": "smallest n_train seen",
        "n_max": "largest n_train seen",
        "n_star": "n_train at which the gain crosses zero, if in range",
        "n_star_low": "lower 99 % limit of n_star; missing if below the sizes seen",
        "n_star_high": "upper 99 % limit of n_star; missing if above the sizes seen",
        "crossover": "starts paying, stops paying, none in range, or undetermined",
        "base_improving": "a base model was still improving at one of the fractions",
    },
    "within_line": {
        **_SIDES,
        "level": "task or pooled",
        "name": "task id, all, or a task type",
        "n": "training cases; geometric mean over tasks for pooled",
        "fraction": "share of the training components at n",
        "fit": "gain on the line",
        "low": "lower limit of the 95 % band",
        "high": "upper limit of the 95 % band",
    },
    "sensitivity": {
        **_CONTRAST,
        "type": "task type",
        "tasks": "tasks of the type",
        **_GAIN,
        "harmed": "share of tasks with verdict harm",
        "negative": "share of tasks with a negative estimate",
        "against_others": "mean gain of the type minus that of the other types",
        "others_low": "lower 95 % limit of that difference",
        "others_high": "upper 95 % limit of that difference",
        "p": "permutation p over tasks of that difference",
        "base_improving": "tasks of the type whose base was still improving",
    },
    "type_test": {
        **_CONTRAST,
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
        "spread": "standard deviation of mean gain over cells",
        "spread_low": "lower 95 % limit",
        "spread_high": "upper 95 % limit",
        "worst": "lowest mean gain of a cell",
        "worst_low": "lower 95 % limit",
        "worst_high": "upper 95 % limit",
        "worst_cell": "where it is",
        "harmed": "share of task x fraction with verdict harm",
        "negative": "share of task x fraction with a negative estimate",
        "negative_low": "lower 95 % limit",
        "negative_high": "upper 95 % limit",
        "base_improving": "task x fraction whose base was still improving",
    },
    "guidelines": {
        "type": "task type",
        "group": "clinical group, or any other",
        "n_low": "smallest n_train of the row",
        "n_high": "largest n_train of the row",
        "advice": "TS, CG, AU, another partition, or undecided",
        "expected": "expected gains over TS with limits for one new task and chances of gain and harm, in words",
        "chance": "chance that a new task gains under the aggregation advised; the best chance, where none is",
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
    "ledger": {
        "aggregation": "TS, CG, AU or a partition of the user's",
        "fraction": _CONTRAST["fraction"],
        "runs": "runs",
        "images_seen": "training images seen per seed, repeats counted",
        "steps": "optimiser steps per seed",
        "flops": "floating point operations of training per seed",
        "hours": "worker hours per seed",
        "passes_low": "fewest passes of a unit over its data",
        "passes_high": "most passes of a unit over its data",
        "flops_ratio": "operations over those of TS at the same fraction",
        "still_improving": "share of task x seed whose validation was still rising at the end",
        "beats_floor": "share of tasks better than the trivial predictor",
    },
    "power": {
        **_SIDES,
        **_TASK,
        "margin": "margin of the study file",
        "seeds": "seeds at hand",
        "sd_seed": "standard deviation of the paired gain over seeds",
        "se_cases": "standard error from test cases, which seeds cannot lower",
        "detectable": "smallest gain found with 80 % power with what is there, uncorrected",
        "seeds_to_detect": "seeds to find a gain or loss of the margin with 80 % power; missing if out of reach",
        "seeds_to_exclude": "seeds to show no meaningful loss with 80 % power, if there is none",
        "hours_per_seed": "worker hours one more seed costs, both aggregations, whole study at full data",
        "hours": "worker hours to the larger of the two numbers of seeds",
        "limit": "what stands in the way",
    },
    "multiverse": {
        **_CONTRAST,
        "task": "task id",
        "verdict": "verdict under the study's choices",
        "choices": "analyses tried",
        "share": "share of analyses with the same verdict",
        "harm": "share with harm",
        "benefit": "share with benefit",
        "no meaningful loss": "share with no meaningful loss",
        "undecided": "share undecided",
    },
    "usage": {
        "aggregation": "aggregation",
        "task": "task id",
        "group": "clinical group",
        "block": "transformer block, counted from 0",
        "expert": "expert, counted from 0",
        "share": "mean gate weight over test cases and seeds at full data",
    },
    "similarity": {
        "aggregation": "aggregation whose unit trains both tasks",
        "task": "task id",
        "other": "other task",
        "similarity": "1 - Jensen-Shannon distance of gate weights, mean over blocks and seeds",
    },
    "learning_curves": {
        "aggregation": "aggregation",
        **_TASK,
        "seed": "seed",
        "share": "share of the budget done",
        "score": "unit-free validation score",
        "still_improving": "still rising at the end",
    },
    "findings": {
        "finding": "number of the paper's finding",
        "claim": "what is claimed",
        "part": "part of the claim that is tested",
        "estimate": "effect",
        "low": "lower 95 % limit",
        "high": "upper 95 % limit",
        "p": "two-sided p",
        "verdict": "supported, contradicted, undecided, or not testable",
        "effect": "the effect in words",
        "evidence": "frames the numbers come from",
    },
    "excluded": {
        "table": "table the rows come from",
        "rows": "rows left out",
        "reason": "why",
    },
    "data": {
        **_TASK,
        "metric": "primary metric",
        "fraction": _CONTRAST["fraction"],
        "n_train": "training cases",
        "n_test": "test cases",
        "subjects": "test subjects",
        "margin": "largest loss that counts as none",
    },
}


LABELS: Final = ("contrast", "joint", "base", "fraction")
"""What a row says of its contrast, see `analysis.gains.Contrast.at`."""

OPTIONAL: Final[dict[str, frozenset[str]]] = {
    "across": frozenset({"sd_group", "sd_task"}),
    "pooled": frozenset({"gain", "low", "high", "p", "gaining", "median", "low_new", "high_new", "p_new", "sd_tasks"}),
    "stability": frozenset({"harmed", "base_improving"}),
    "power": frozenset(
        {"sd_seed", "se_cases", "detectable", "seeds_to_detect", "seeds_to_exclude", "hours_per_seed", "hours"}
    ),
    "findings": frozenset({"estimate", "low", "high", "p"}),
}
"""Columns that a row may lack, because its method does not have them; missing then."""


def frame(name: str, rows: Sequence[Mapping[Any, Any]]) -> pd.DataFrame:
    """Rows as the named frame, its columns in their order; with no rows, an empty frame with those columns.

    Raises `ValueError` where a row has a column that is not declared, or lacks one that is not optional.
    """
    for keys in {frozenset(row) for row in rows}:
        _check(name, keys)
    return pd.DataFrame(rows, columns=list(FRAMES[name]))


def part(name: str, rows: Sequence[Mapping[Any, Any]]) -> pd.DataFrame:
    """Rows of one contrast, which `stacked` adds to them. Raises `ValueError` as `frame`."""
    labels = [label for label in LABELS if label in FRAMES[name] and not any(label in row for row in rows)]
    for keys in {frozenset(row) for row in rows}:
        _check(name, keys.union(labels))
    return pd.DataFrame(rows, columns=[column for column in FRAMES[name] if column not in labels])


def stacked(name: str, parts: Iterable[tuple[Mapping[str, object], pd.DataFrame]]) -> pd.DataFrame:
    """Parts of the named frame on top of each other, with the labels of each that its rows lack."""
    filled = [
        rows.assign(**{key: value for key, value in labels.items() if key in FRAMES[name] and key not in rows})
        for labels, rows in parts
        if len(rows)
    ]
    return ordered(name, pd.concat(filled, ignore_index=True)) if filled else frame(name, [])


def ordered(name: str, rows: pd.DataFrame) -> pd.DataFrame:
    """A data frame as the named frame, its columns in their order. Raises `ValueError` as `frame` does."""
    _check(name, frozenset(rows.columns))
    return rows.reindex(columns=list(FRAMES[name]))


def _check(name: str, columns: frozenset[str]) -> None:
    declared = set(FRAMES[name])
    unknown, missing = columns - declared, declared - columns - OPTIONAL.get(name, frozenset())
    if unknown or missing:
        raise ValueError(f"frame {name}: unknown columns {sorted(unknown)}, missing columns {sorted(missing)}")
