"""Where the time of a grid goes that is not training: 1 - seconds of training steps / (workers x seconds of the grid).

The grid is that of `peers` from the moment its data are prepared: what is left are the starts of the workers, their
imports, opening the cache, building models, validation, scoring, writing, and workers that wait for the last one.
"""

import pandas as pd

from runners.bench.setting import BATCH, Setting
from runners.bench.study import EVALUATIONS, MIN_STEPS, run_study
from runners.bench.tables import Table, ratios
from runners.study import BUDGETS

MEASURED = "outside training steps / worker time of the grid"
SMALL = "the same at `budget: small` but for the waiting, at most"


def overhead(setting: Setting) -> Table:
    """Shares of the workers' time, measured in the cut-down study and reckoned for the small budget on its data."""
    study = run_study(setting)
    runs, small = study.runs, BUDGETS["small"]
    in_steps, in_runs = float(runs["train_seconds"].sum()), float(runs["seconds"].sum())
    between = study.worker_seconds - in_runs
    waiting = _waiting(runs, study.workers)
    # the start of a grid does not grow with the length of its runs; what a run does besides training grows at most as
    # the number of validations
    cases = runs["images_seen"] / runs["passes"]
    steps = (small["passes"] * cases / BATCH).clip(lower=small["min_steps"])
    longer = float((runs["train_seconds"] * steps / runs["steps"]).sum())
    besides = (in_runs - in_steps) * small["evaluations"] / EVALUATIONS
    figures = {
        MEASURED: 1 - in_steps / study.worker_seconds,
        "- validation, scoring, writing": (in_runs - in_steps) / study.worker_seconds,
        "- start, imports, taking runs": (between - waiting) / study.worker_seconds,
        "- waiting for the last run": waiting / study.worker_seconds,
        SMALL: 1 - longer / (longer + besides + between - waiting),
    }
    note = (
        f"{len(runs)} runs of {in_runs / len(runs):.1f} s with {study.workers} worker(s), {setting.passes:g} passes, "
        f"at least {MIN_STEPS} steps. The last line takes the measured seconds of each part to {small['passes']:g} "
        f"passes, {small['min_steps']:g} steps and {small['evaluations']:g} validations."
    )
    return ratios("Overhead", figures, {SMALL: "< 0.05"}, note)


def _waiting(runs: pd.DataFrame, workers: int) -> float:
    """Seconds that workers had nothing left to take: from each one's last run, one of the last to end, to the end."""
    ends = (pd.to_datetime(runs["started"]) + pd.to_timedelta(runs["seconds"], unit="s")).sort_values().tail(workers)
    return float((ends.max() - ends).dt.total_seconds().sum())
