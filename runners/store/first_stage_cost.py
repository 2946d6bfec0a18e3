"""What the first stage of a sequential aggregation has spent on the tasks of a second one."""

from collections.abc import Mapping, Sequence

import pandas as pd

from aggregation_lab.config import TrainingConfig

COLUMNS = ("start", "passes_before", "flops_before")
"""Columns of the table `runs` that a run does not write itself."""


def share(sizes: Mapping[str, int], tasks: Sequence[str], training: TrainingConfig) -> float:
    """Share of a run's images that were of the `tasks`; `sizes` are the training images of each task of its unit."""
    weights = {task: size**training.sampling_power for task, size in sizes.items()}
    return sum(weights[task] for task in tasks) / sum(weights.values())


def with_first_stages(runs: pd.DataFrame, starts: Mapping[str, str], shares: Mapping[str, float]) -> pd.DataFrame:
    """The table `runs` with `COLUMNS`: `starts` has the first stage's run by that of the second, `shares` what `share`
    gives for its tasks.

    The cost is missing where the first stage is not in the table, because it is trained again at this moment.
    """
    once = runs.drop_duplicates("run").set_index("run")
    start = runs["run"].map(starts)
    images, flops = (start.map(once[name]) * runs["run"].map(shares) for name in ("images_seen", "flops"))
    own_images = runs["images_seen"] / runs["passes"]
    has_none = start.isna()
    return runs.assign(
        start=start.fillna(""),
        passes_before=(images / own_images).mask(has_none, 0.0),
        flops_before=flops.mask(has_none, 0.0),
    )
