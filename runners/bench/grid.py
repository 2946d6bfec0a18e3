"""The same study by agglab and by two peers, each in a process of its own; and where the time of agglab's grid goes."""

import time
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import torch

from aggregation_lab.training.device import pick_device
from aggregation_lab.training.trainer import Trainer
from runners.bench.measuring import GIB, Cell, CommandFailed, Table, measure_module, ratios
from runners.bench.setting import BATCH, EVALUATIONS, MIN_STEPS, Setting, StudyRun, run_study
from runners.planning import cost
from runners.planning.study_schema import BUDGETS
from runners.store.prepared_data import load_prepared
from runners.store.study_folder import StudyFolder

PLAIN, LIBMTL = "plain PyTorch, decoding each time", "LibMTL's trainer (HPS, EW)"
PEERS = {PLAIN: "runners.bench.plain", LIBMTL: "runners.bench.libmtl"}
GOALS = {PLAIN: {"cpu": ">= 2", "cuda": ">= 5"}}
COLUMNS = (
    "the same study by", "runs", "steps", "images", "preparation s", "training s", "total s", "total / agglab's",
    "goal", "processor s", "processor / agglab's", "peak GiB", "device GiB",
)  # fmt: skip


def peers(setting: Setting) -> Table:
    """Time and memory of TS, CG and AU by agglab, by a plain pipeline, and by LibMTL where it is installed.

    What the ratio is made of: `runners.bench.attribution`.
    """
    study = run_study(setting)
    runs, total = study.runs, study.measured
    rows: list[tuple[Cell, ...]] = [
        ("agglab", len(runs), int(runs["steps"].sum()), int(runs["images_seen"].sum()), study.preparation,
         study.grid_seconds, total.seconds, 1.0, "", total.processor, 1.0,
         total.memory / GIB, total.device_memory / GIB)
    ]  # fmt: skip
    notes = [_note(setting, study)]
    for name, module in PEERS.items():
        if name == LIBMTL and find_spec("LibMTL") is None:
            continue  # as the note says
        try:
            done, taken = measure_module(module, study.out, scratch=setting.scratch)
        except CommandFailed as error:
            notes.append(f"{name} did not run: {error}")
            continue
        goal = GOALS.get(name, {}).get(str(runs["device"].iloc[0]), "")
        rows.append((
            name, done["runs"], done["steps"], done["images"], "", taken.seconds, taken.seconds,
            taken.seconds / total.seconds, goal, taken.processor, taken.processor / total.processor,
            taken.memory / GIB, taken.device_memory / GIB,
        ))  # fmt: skip
    return Table("Peers", COLUMNS, tuple(rows), " ".join(notes))


def _note(setting: Setting, study: StudyRun) -> str:
    precision = ", ".join(sorted(set(study.runs["precision"])))
    try:
        libmtl = f"LibMTL {version('LibMTL')}"
    except PackageNotFoundError:
        libmtl = "LibMTL is not installed (pip install -e '.[bench]')"
    return (
        f"TS, CG and AU on {setting.described}, {setting.passes:g} passes, {setting.size} px. agglab: `run-grid` from "
        f"nothing, {study.workers} worker(s), {precision}, scores of every test case and all tables; preparation is "
        "scan, split, cache and floor. The peers: one process, fp32, case table and split given to them, no scores, no "
        f"tables. {libmtl}; a step of its trainer takes a batch of every task. Memory: pages that processes share "
        "count once."
    )


MEASURED = "outside training steps / worker time of the grid"
SMALL = "overhead / worker time at `budget: small`, waiting left out"


def overhead(setting: Setting) -> Table:
    """Where the time of a grid goes that is not training: 1 - seconds of training steps / (workers x seconds of it).

    The grid is that of `peers` from the moment its data are prepared. Validation is part of what a study asks for, and
    that workers wait for the last run depends on how many there are; the rest is overhead: starts, imports, opening the
    cache, building models, scoring, writing. Measured in the cut-down study, and calculated for the small budget on its
    data.
    """
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
        f"at least {MIN_STEPS} steps. Validation is timed again. The last line takes the measured seconds to "
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
        trainer = Trainer(run.spec, prepared.dataset, prepared.split(run.fold), prepared.cache, scratch, pick_device())
        start = time.perf_counter()
        for cases in trainer.val_cases:
            trainer.evaluator.validate(cases)
        seconds += time.perf_counter() - start
    torch.set_num_threads(before)
    return seconds
