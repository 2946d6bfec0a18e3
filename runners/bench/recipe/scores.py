"""Scores of the model under TS and of plain networks on the same images, passes and schedule."""

from pathlib import Path
from typing import Any

import pandas as pd

from aggregation_lab.data.cache import open_cache
from aggregation_lab.data.challenge import read_dataset
from aggregation_lab.data.splits.folds import draw_folds
from aggregation_lab.floor import floor_tables
from aggregation_lab.run import RunSpec
from aggregation_lab.scoring import case_rows, score_rows
from aggregation_lab.tasks import Task
from aggregation_lab.training.device import pick_device
from aggregation_lab.training.evaluation import Evaluator
from aggregation_lab.training.objective import Objective
from aggregation_lab.training.optimizer import make_optimizer
from aggregation_lab.training.trainer import Trainer
from runners.bench.measuring import Cell, Table
from runners.bench.recipe.plain_models import RESNET, UNET, PlainModel, plain_models
from runners.bench.setting import Setting, write_bench_study
from runners.planning.study_file import read_study_file
from runners.store.prepared_data import Prepared

OURS = "agglab"
MODELS = (OURS, UNET, RESNET)
BETTER = "agglab / better peer"
COLUMNS = ("test score - floor's", "floor", *MODELS, BETTER, *(f"{name} s" for name in MODELS))
GOAL = 0.97
"""What the model reaches of the better peer, at least."""


def recipe(setting: Setting) -> Table:
    """Each task trained by itself, by the model and by plain networks; then the mean of each task type."""
    file, data = write_bench_study(setting)
    study, dataset = read_study_file(file), read_dataset(data)
    prepared = Prepared(dataset, draw_folds(dataset, 1), open_cache(dataset, setting.size, setting.scratch / "cache"))
    floors, _ = floor_tables(dataset, prepared.split(), 1.0, prepared.cache)
    found = []
    for task in dataset.tasks.values():
        floor = _unit_free(task, floors[floors["task"] == task.name])
        spec = RunSpec((task,), 1.0, 0, study.model, study.training, data="bench")
        found.append(
            {"name": task.name, "type": str(task.type), "floor": floor, **_side_by_side(spec, prepared, floor)}
        )
    rows = pd.DataFrame(found)
    means = rows.drop(columns="name").groupby("type", as_index=False).mean()
    every = pd.concat([rows, means.assign(name="mean, " + means["type"])])
    better = every[[UNET, RESNET]].max(axis=1)
    every[BETTER] = every[OURS] / better.where(better > 0)  # no share of what a peer has not gained
    note = (
        f"Random start, TS, one split and seed, {setting.described}, {setting.passes:g} passes, {setting.size} px, "
        f"learning rate {study.training.learning_rate:g} for all, {pick_device()}. Scores are unit-free; goal of the "
        f"means: {BETTER} >= {GOAL}. s: seconds of training steps."
    )
    return Table("Recipe", COLUMNS, tuple(_cells(row) for _, row in every.iterrows()), note)


def _cells(row: pd.Series) -> tuple[Cell, ...]:
    figures = row.reindex(COLUMNS[1:])
    return (str(row["name"]), *("" if pd.isna(figure) else float(figure) for figure in figures))


def _side_by_side(spec: RunSpec, prepared: Prepared, floor: float) -> dict[str, float]:
    """Test scores minus the floor's, and seconds of training, of every model that there is for the spec's one task."""
    (task,) = spec.tasks
    trainers = {OURS: _trainer(spec, prepared)}
    for name, plain in plain_models(task).items():
        trainers[name] = _trainer(spec, prepared)
        put_into(trainers[name], plain)
    found = {}
    for name, trainer in trainers.items():
        trainer.train(lambda progress: None, checkpoint_seconds=float("inf"))
        (test,) = trainer.test_cases
        rows = case_rows(task, test.cases, trainer.evaluator.predict(test).values, prepared.dataset.root)
        found[name] = _unit_free(task, score_rows(task, rows)) - floor
        found[f"{name} s"] = trainer.ledger.train_seconds
    return found


def _trainer(spec: RunSpec, prepared: Prepared) -> Trainer:
    return Trainer(spec, prepared.dataset, prepared.split(), prepared.cache, Path(), pick_device())


def put_into(trainer: Trainer, plain: PlainModel) -> None:
    """Let a run of one task train another network, from everything else as it is."""
    model: Any = plain.to(trainer.device)
    trainer.model = model
    trainer.evaluator = Evaluator(model, trainer.store, trainer.to_input, trainer.precision)
    trainer.optimizer = make_optimizer(model, trainer.config, trainer.device)
    trainer.objective = Objective(trainer.spec, model, trainer.to_input, trainer.precision)
    trainer.objective.loss_of = dict.fromkeys(trainer.tasks, plain.loss)


def _unit_free(task: Task, scores: pd.DataFrame) -> float:
    """The unit-free score among rows of a score table: `score`, or the primary metric where that is unit-free."""
    values = scores.set_index("metric")["value"]
    return float(values.get("score", values[task.type.primary.name]))
