"""One network trained on one task as agglab trains it, and what a step of each network costs."""

from pathlib import Path
from typing import Any

import pandas as pd

from aggregation_lab.scoring import case_rows, score_rows
from aggregation_lab.tasks import Task, TaskType
from aggregation_lab.training.device import pick_device
from aggregation_lab.training.evaluation import Evaluator
from aggregation_lab.training.objective import Objective
from aggregation_lab.training.optimizer import make_optimizer
from aggregation_lab.training.trainer import Trainer
from runners.bench.measuring import paired, ratio
from runners.bench.recipe.plain_models import RESNET, UNET, PlainModel, plain_models
from runners.bench.training import steps_of
from runners.planning.plan import PlannedRun
from runners.store.prepared_data import Prepared

OURS = "agglab"
MODELS = (OURS, UNET, RESNET)


def networks(task: Task) -> tuple[str, ...]:
    """What a task is trained with: the model and the peers that are usual for its type."""
    return (OURS, RESNET) if task.type is TaskType.CLASSIFICATION else MODELS


def unit_free(task: Task, scores: pd.DataFrame) -> float:
    """The unit-free score among rows of a score table: `score`, or the primary metric where that is unit-free."""
    values = scores.set_index("metric")["value"]
    return float(values.get("score", values[task.type.primary.name]))


def trained(run: PlannedRun, prepared: Prepared, network: str) -> dict[str, float]:
    """Train the run's one task by a network, from the same images, batches, augmentation, schedule and loss as agglab.

    Returns `score`, the unit-free test score, its `steps`, and the `seconds` of training steps by the wall clock.
    """
    (task,) = run.spec.tasks
    trainer = _trainer(run, prepared, network)
    trainer.train(lambda progress: None, checkpoint_seconds=float("inf"))
    (test,) = trainer.test_cases
    rows = case_rows(task, test.cases, trainer.evaluator.predict(test).values, prepared.dataset.root)
    score = unit_free(task, score_rows(task, rows))
    return {"score": score, "steps": trainer.steps, "seconds": trainer.ledger.train_seconds}


def step_costs(run: PlannedRun, prepared: Prepared, rounds: int) -> dict[str, float]:
    """Cost of a training step of each peer over that of the model's: they take turns in this process."""
    (task,) = run.spec.tasks
    names = networks(task)
    trainers = [_trainer(run, prepared, name) for name in names]
    for trainer in trainers:
        trainer.model.train()
    times = dict(zip(names, paired(*(steps_of(each.train_step) for each in trainers), rounds=rounds), strict=True))
    return {name: ratio(times[name], times[OURS]) for name in names[1:]}


def _trainer(run: PlannedRun, prepared: Prepared, network: str) -> Trainer:
    trainer = Trainer(run.spec, prepared.dataset, prepared.split(run.fold), prepared.cache, Path(), pick_device())
    if network != OURS:
        (task,) = run.spec.tasks
        put_into(trainer, plain_models(task)[network])
    return trainer


def put_into(trainer: Trainer, plain: PlainModel) -> None:
    """Let a run of one task train another network, from everything else as it is."""
    model: Any = plain.to(trainer.device)
    trainer.model = model
    trainer.evaluator = Evaluator(model, trainer.store, trainer.to_input, trainer.precision)
    trainer.optimizer = make_optimizer(model, trainer.config, trainer.device)
    trainer.objective = Objective(trainer.spec, model, trainer.to_input, trainer.precision)
    trainer.objective.loss_of = dict.fromkeys(trainer.tasks, plain.loss)
