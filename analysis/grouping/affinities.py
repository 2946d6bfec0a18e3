"""How tasks bear on each other in a joint run: from the table `affinity` at its largest fraction.

A run's value of a pair is the mean over its moments, which are evenly spaced over the training (as Fifty et al. 2021,
arXiv 2109.04617, average their look-ahead). Runs that differ in nothing but seed, or fold, are the replicates; the
interval is Student's (1908) over them, so it is of a training's scatter and of the images that were drawn, for these
very tasks. Both directions of a pair stay apart: a step on one task may help another that does not help in return.
"""

import numpy as np
import pandas as pd
from scipy import stats

from analysis.frames import FRAMES, at_full, frame
from analysis.study import StudyTables

_PAIR = ["aggregation", "signal", "task", "other"]


def affinities(study: StudyTables) -> pd.DataFrame:
    """The frame `affinities`: every ordered pair of different tasks of a unit; empty where nothing was recorded."""
    if study.affinity is None or study.affinity.empty:
        return frame("affinities", [])
    rows = at_full(study.affinity).rename(columns={"task_i": "task", "task_j": "other"})
    rows = rows[rows["task"] != rows["other"]]
    moments = rows.groupby(_PAIR)["moment"].nunique()
    by_run = rows.groupby([*_PAIR, "seed"])["value"].mean()
    summary = by_run.groupby(level=_PAIR).agg(["mean", "std", "count"])
    count = summary["count"].to_numpy()
    with np.errstate(invalid="ignore"):
        half = stats.t.ppf(0.975, count - 1) * summary["std"] / np.sqrt(count)  # missing with one replicate
    found = pd.DataFrame(
        {
            "mean": summary["mean"],
            "low": summary["mean"] - half,
            "high": summary["mean"] + half,
            "replicates": count,
            "moments": moments,
        }
    ).reset_index()
    groups = study.scores.drop_duplicates("task").set_index("task")["group"]
    return found.assign(group=found["task"].map(groups).fillna(""))[list(FRAMES["affinities"])]
