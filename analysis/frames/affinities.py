"""Columns of the frame on affinities between tasks."""

from typing import Final

AFFINITIES: Final = {
    "affinities": {
        "aggregation": "aggregation whose unit trains both tasks",
        "signal": "name in aggregation_lab.results.SIGNALS",
        "task": "task id; with a direction, the one that a step is made on",
        "group": "its clinical group",
        "other": "other task; with a direction, the one that the effect is on",
        "mean": "mean over moments, then over replicates, at full data",
        "low": "lower 95 % limit over replicates; missing with one",
        "high": "upper 95 % limit over replicates; missing with one",
        "replicates": "seeds, or folds",
        "moments": "moments that were recorded in a run",
    },
}
