"""What the first stage of a sequential aggregation has spent on the tasks of a second one."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from aggregation_lab.config import TrainingConfig


def share(sizes: Mapping[str, int], tasks: Sequence[str], training: TrainingConfig) -> float:
    """Share of a run's images that were of the `tasks`; `sizes` are the training images of each task of its unit."""
    weights = {task: size**training.sampling_power for task, size in sizes.items()}
    return sum(weights[task] for task in tasks) / sum(weights.values())


def with_first_stages(runs: pd.DataFrame, starts: Mapping[str, str], shares: Mapping[str, float]) -> pd.DataFrame:
    """The table `runs` with the columns that a run does not write itself, start, passes_before and flops_before.

    `starts` has the first stage's run by that of the second, `shares` what `share` gives for its tasks. The cost is
    missing where the first stage is not in the table, because it is trained again at this moment.
    """
    once = runs.drop_duplicates("run").set_index("run")[["images_seen", "flops"]].to_dict("index")
    before = []
    for run, own_images in zip(runs["run"], runs["images_seen"] / runs["passes"], strict=True):
        first, part = once.get(starts.get(run, "")), shares.get(run)
        if run not in starts:
            before.append((0.0, 0.0))
        elif first is None or part is None:
            before.append((math.nan, math.nan))
        else:
            before.append((part * first["images_seen"] / own_images, part * first["flops"]))
    passes, flops = zip(*before, strict=True) if before else ((), ())
    start = [starts.get(run, "") for run in runs["run"]]
    return runs.assign(start=start, passes_before=np.array(passes, float), flops_before=np.array(flops, float))
