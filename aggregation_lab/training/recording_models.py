"""The weights that a finished run keeps, and what must be known to predict with them as the run did."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from aggregation_lab.data.challenge import Dataset
from aggregation_lab.kept.model_files import write_description, write_weights
from aggregation_lab.run import MODEL, weights_file
from aggregation_lab.tasks import Task
from aggregation_lab.training.device import precision_name
from aggregation_lab.training.keep import Weights
from aggregation_lab.training.recording import versions
from aggregation_lab.training.trainer import Trainer, mean_scores


def write_models(trainer: Trainer, dataset: Dataset, kinds: Sequence[Weights]) -> list[str]:
    """Write the weights of these kinds and model.json into the run's folder; returns the names of the files.

    Called after training, before the best weights take the place of the last ones. Raises `AgglabError` where a file
    cannot be written. Best weights that a run was asked for too late are not kept, which its log says.
    """
    scores, described = mean_scores(trainer.ledger.curve), {}
    for kind in kinds:
        weights, step = trainer.model.state_dict(), trainer.step
        if kind == "best":
            best, step = trainer.best[1] if trainer.best is not None else None, trainer.best_step
            if best is None:
                print(f"the best weights (step {step}) are gone: keep asked for them when the run was past that step")
                continue
            weights = best
        write_weights(trainer.folder, kind, weights, trainer.spec.id)
        score = scores.get(step, math.nan)
        described[kind] = {"file": weights_file(kind), "step": step, "score": score if math.isfinite(score) else None}
    if not described:
        return []
    write_description(trainer.folder, _description(trainer, dataset) | {"weights": described})
    return [*(weights_file(kind) for kind in described), MODEL]


def _description(trainer: Trainer, dataset: Dataset) -> dict[str, Any]:
    spec, encoder = trainer.spec, trainer.model.encoder.pretrained_cfg
    return {
        "run": spec.id,
        "spec": spec.to_json(),
        "scored": spec.training.checkpoint,
        "tasks": {task.name: _task(task, dataset) for task in spec.tasks},
        "image_size": spec.training.image_size,
        "channels": trainer.store.channels,
        "mean": list(encoder["mean"]),
        "std": list(encoder["std"]),
        "precision": precision_name(trainer.precision),
        "device": trainer.device.type,
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }


def _task(task: Task, dataset: Dataset) -> dict[str, Any]:
    """What the task's predictions are, and which values of its deep images became black and white."""
    cases = dataset.cases
    readings = cases.loc[cases["task"] == task.name, "content"].str.partition("@")[2]
    return {
        "type": str(task.type),
        "classes": task.classes,
        "laterality": task.laterality,
        "prediction": task.type.prediction,
        "levels": sorted(set(readings) - {""}),
    }
