"""Where the time of a grid goes that is not training: 1 - seconds of training steps / (workers x seconds of the grid).

The grid is that of `peers` from the moment its data are prepared. Validation is part of what a study asks for, and that
workers wait for the last run depends on how many there are; the rest is overhead: starts, imports, opening the cache,
building models, scoring, writing.
"""

import time
from pathlib import Path

import pandas as pd
import torch

from aggregation_lab.training.device import pick_device
from aggregation_lab.training.trainer import Trainer
from runners.bench.setting import BATCH, Setting
from runners.bench.study import EVALUATIONS, MIN_STEPS, run_study
from runners.bench.tables import Table, ratios
from runners.planning import cost
from runners.planning.study_schema import BUDGETS
from runners.store.prepared_data import load_prepared
from runners.store.study_folder import StudyFolder

MEASURED = "outside training steps / worker time of the grid"
SMALL = "overhead / worker time at `budget: small`, waiting left out"


def overhead(setting: Setting) -> Table:
    """Shares of the workers' time, measured in the cut-down study and reckoned for the small budget on its data."""
    study = run_study(setting)
    runs, small, whole = study.runs, BUDGETS["small"], study.worker_seconds
    in_steps, in_runs = float(runs["train_seconds"].sum()), float(runs["seconds"].sum())
    waiting = _waiting(runs, study.workers)
    validating = EVALUATIONS * _validation(study.out, cost.cores() // study.workers, setting.scratch)
    scoring, starting = in_runs - in_steps - validating, whole - in_runs - waiting
    # what is done once for each run or grid does not grow with the length of the runs
    cases = runs["images_seen"] / runs["passes"]
    steps = (small["passes"] * cases / BATCH).clip(lower=small["min_steps"])
    longer = float((runs["train_seconds"] * steps / runs["steps"]).sum())
    longer += validating * small["evaluations"] / EVALUATIONS
    figures = {
        MEASURED: 1 - in_steps / whole,
        "- validation": validating / whole,
        "- scoring, writing": scoring / whole,
        "- start, imports, taking runs": starting / whole,
        "- waiting for the last run": waiting / whole,
        SMALL: (scoring + starting) / (longer + scoring + starting),
    }
    note = (
        f"{len(runs)} runs of {in_runs / len(runs):.1f} s with {study.workers} worker(s), {setting.passes:g} passes, "
        f"at least {MIN_STEPS} steps. Validation is timed anew. The last line takes the measured seconds to "
        f"{small['passes']:g} passes, {small['min_steps']:g} steps and {small['evaluations']:g} validations."
    )
    return ratios("Overhead", figures, {SMALL: "< 0.05"}, note)


def _waiting(runs: pd.DataFrame, workers: int) -> float:
    """Seconds that workers had nothing left to take: from each one's last run, one of the last to end, to the end."""
    ends = (pd.to_datetime(runs["started"]) + pd.to_timedelta(runs["seconds"], unit="s")).sort_values().tail(workers)
    return float((ends.max() - ends).dt.total_seconds().sum())


def _validation(out: Path, threads: int, scratch: Path) -> float:
    """Seconds that every run of the study takes for one point of its learning curve."""
    before, prepared, seconds = torch.get_num_threads(), load_prepared(StudyFolder(out)), 0.0
    torch.set_num_threads(max(1, threads))
    for run in StudyFolder(out).read_plan():
        trainer = Trainer(run.spec, prepared.dataset, prepared.split, prepared.cache, scratch, pick_device())
        start = time.perf_counter()
        for cases in trainer.val_cases:
            trainer.evaluator.validation_score(cases)
        seconds += time.perf_counter() - start
    torch.set_num_threads(before)
    return seconds
