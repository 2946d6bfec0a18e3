"""Columns of the frames on the study itself: data, scores, compute, learning curves, experts, rows left out."""

from typing import Final

from analysis.frames.shared import CONTRAST, TASK

STUDY: Final = {
    "data": {
        **TASK,
        "metric": "primary metric",
        "fraction": CONTRAST["fraction"],
        "n_train": "training cases",
        "n_test": "test cases",
        "subjects": "test subjects",
        "margin": "largest loss that counts as none",
    },
    "scores": {
        "aggregation": "TS, CG, AU or a partition of the user's",
        "fraction": CONTRAST["fraction"],
        **TASK,
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
        "rising": "seeds in which it was",
        "curves": "seeds with a validation curve",
    },
    "ledger": {
        "aggregation": "TS, CG, AU or a partition of the user's",
        "fraction": CONTRAST["fraction"],
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
    "learning_curves": {
        "aggregation": "aggregation",
        **TASK,
        "seed": "seed",
        "share": "share of the training done",
        "score": "unit-free validation score",
        "still_improving": "still rising at the end",
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
    "excluded": {
        "table": "table the rows come from",
        "rows": "rows left out",
        "reason": "why",
    },
}
