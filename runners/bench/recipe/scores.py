"""Scores of the model under TS and of plain networks over rotating folds: the same images, passes and schedule."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import torch

from aggregation_lab.data.cache import open_cache
from aggregation_lab.data.challenge import read_dataset
from aggregation_lab.data.splits.folds import draw_folds
from aggregation_lab.errors import DataError
from aggregation_lab.floor import floor_tables
from aggregation_lab.text import near_names, printable
from aggregation_lab.training.device import pick_device
from runners.bench.measuring import Cell, Table, counts_processor_time
from runners.bench.recipe.comparison import FEWEST, LEVEL, share_of
from runners.bench.recipe.kept import KeptResults
from runners.bench.recipe.runs import MODELS, OURS, networks, step_costs, trained, unit_free
from runners.bench.setting import Setting, write_bench_study
from runners.execution.progress import duration
from runners.planning.plan import PlannedRun, plan_runs
from runners.planning.study_file import read_study_file
from runners.planning.study_schema import Study
from runners.store.prepared_data import Prepared

PEERS = MODELS[1:]
BETTER, INTERVAL, VERDICT = "agglab / better peer", f"{LEVEL:.0%} interval", "goal"
STEPS = tuple(f"step, {name}'s / agglab's" for name in PEERS)
COLUMNS = ("test score - floor's", "folds", "floor", *MODELS, BETTER, INTERVAL, VERDICT, *STEPS)
GOAL = 0.97
"""What the model reaches of the better peer, at least."""


def recipe(setting: Setting) -> Table:
    """Each task trained by itself, by the model and by plain networks, on every fold; then the mean of each task type.

    Results are kept in `setting.out` one by one; those that are there are not made again. With `setting.finished`
    nothing is trained: the table is of the folds whose networks are all there. Raises `DataError` where there is none,
    or where `setting.tasks` names a task that the data lack.
    """
    study, prepared, runs = _planned(setting)
    kept = KeptResults((setting.out or setting.scratch / "recipe") / "results")
    if setting.finished:
        runs = [run for run in runs if all(kept.has(run, name) for name in networks(run.spec.tasks[0]))]
        if not runs:
            raise DataError(f"{kept.folder}: holds no finished fold of this setting; leave --finished out to train")
    found = pd.DataFrame(_results(prepared, runs, kept))
    firsts = {run.spec.tasks[0].name: run for run in reversed(runs)}
    costs = pd.DataFrame.from_dict({name: _cost(setting, prepared, run, kept) for name, run in firsts.items()}, "index")
    rows = [_row(name, gains, costs.loc[[name]]) for name, gains in found.groupby("task", sort=False)]
    for kind, gains in found.groupby("type"):
        names = gains["task"].unique()
        complete = gains[gains.groupby("fold")["task"].transform("size") == len(names)]
        if len(complete):
            mean = complete.groupby("fold")[["floor", *MODELS]].mean(skipna=False)
            rows.append(_row(f"mean of {len(names)}, {kind}", mean, costs.loc[names]))
    clock = "processor time (user and system)" if counts_processor_time() else "wall clock"
    note = (
        f"Random start, TS, {_replicates(setting)}, {setting.described}, {setting.passes:g} passes, {setting.size} px, "
        f"learning rate {study.training.learning_rate:g}, {pick_device()}, {torch.get_num_threads()} thread(s). Scores "
        f"are unit-free, means over folds. {BETTER}: of the peer with the higher mean; interval by Fieller, paired by "
        f"fold, t with folds - 1 degrees of freedom, none below {FEWEST} folds; few folds make it wide. Goal: "
        f">= {GOAL}, not shown where the interval holds it. Steps: median of {setting.rounds} turns in one process, "
        f"{clock}."
    )
    return Table("Recipe", COLUMNS, tuple(rows), note)


def _replicates(setting: Setting) -> str:
    return f"{setting.folds} rotating folds, seed s on fold s" if setting.folds > 1 else "one split and seed"


def _planned(setting: Setting) -> tuple[Study, Prepared, list[PlannedRun]]:
    """The runs as `agglab run-grid` would have them: of each task, in the order asked for, one for each fold."""
    file, folder = write_bench_study(setting)
    out = setting.out or setting.scratch / "recipe"
    study, dataset = read_study_file(file), read_dataset(folder)
    data = study.data.model_copy(update={"folds": setting.folds})
    study = study.model_copy(update={"data": data, "aggregations": {"TS": None}, "seeds": tuple(range(setting.folds))})
    names = setting.tasks or tuple(dataset.tasks)
    for name in names:
        if name not in dataset.tasks:
            raise DataError(f"--tasks {printable(name)}: the data have no such task{near_names(name, dataset.tasks)}")
    folds = draw_folds(dataset, setting.folds)  # of all tasks, as a study has them
    prepared = Prepared(dataset, folds, open_cache(dataset, setting.size, out / "cache"))
    by_task: dict[str, list[PlannedRun]] = {}
    for run in plan_runs(study, dataset, folds):
        by_task.setdefault(run.spec.tasks[0].name, []).append(run)
    return study, prepared, [run for name in names for run in by_task[name]]


def _results(prepared: Prepared, runs: Sequence[PlannedRun], kept: KeptResults) -> Iterator[dict[str, object]]:
    """One row for each task and fold: task, type, fold, floor, and what each network gains over the floor."""
    wanted = [(run, name) for run in runs for name in networks(run.spec.tasks[0])]
    pace = _Pace(sum(run.steps for run, name in wanted if not kept.has(run, name)))
    done = 0
    for run in runs:
        (task,) = run.spec.tasks
        floor = kept.get(run, "floor", partial(_floor, run, prepared))[0]["score"]
        row: dict[str, object] = {"task": task.name, "type": str(task.type), "fold": run.fold or 0, "floor": floor}
        row |= dict.fromkeys(MODELS, float("nan"))
        for name in networks(task):
            result, made = kept.get(run, name, partial(trained, run, prepared, name))
            row[name], done = result["score"] - floor, done + 1
            left = pace.after(run.steps) if made else "kept"
            title = f"[{done}/{len(wanted)}] {task.name}, fold {run.fold or 0}, {name}"
            print(f"{title}: {row[name]:.3f} above the floor; {left}", flush=True)
        yield row


class _Pace:
    """How long the rest will take, by the steps made so far."""

    def __init__(self, steps: int):
        self.steps, self.done, self.start = steps, 0, time.monotonic()

    def after(self, steps: int) -> str:
        self.done += steps
        left = (time.monotonic() - self.start) / self.done * max(0, self.steps - self.done)
        return f"about {duration(left)} left"


def _floor(run: PlannedRun, prepared: Prepared) -> dict[str, float]:
    (task,) = run.spec.tasks
    alone = replace(prepared.dataset, tasks={task.name: task})
    return {"score": unit_free(task, floor_tables(alone, prepared.split(run.fold), 1.0, prepared.cache)[0])}


def _cost(setting: Setting, prepared: Prepared, run: PlannedRun, kept: KeptResults) -> dict[str, float]:
    costs, _ = kept.get(run, "costs", partial(step_costs, run, prepared, setting.rounds))
    return {name: costs.get(name, float("nan")) for name in PEERS}


def _row(name: object, gains: pd.DataFrame, costs: pd.DataFrame) -> tuple[Cell, ...]:
    """A line of the table from gains by fold (columns floor and the networks) and costs by task."""
    better = str(gains[list(PEERS)].mean().idxmax())
    pairs = gains.dropna(subset=[OURS, better])  # an AUC is undefined where a fold tests one class only
    share = share_of(pairs[OURS].to_numpy(), pairs[better].to_numpy(), GOAL)
    figures = [pairs["floor"].mean(), *pairs[list(MODELS)].mean(), share.ratio]
    return (
        str(name), len(pairs), *map(_cell, figures), share.interval, share.verdict, *map(_cell, costs.mean()),
    )  # fmt: skip


def _cell(figure: float) -> Cell:
    return "" if np.isnan(figure) else float(figure)
