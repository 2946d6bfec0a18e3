"""Trainers of two contradicting classifiers and two tasks of nodules, all phantoms at 32 px."""

from collections.abc import Callable
from pathlib import Path

import torch

from aggregation_lab.config import ModelConfig, TrainingConfig
from aggregation_lab.data.cache import ImageCache
from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.splits.split import Split
from aggregation_lab.run import CHECKPOINT, RunSpec
from aggregation_lab.training.batches import Batch, make_batch
from aggregation_lab.training.checkpoint import read_checkpoint
from aggregation_lab.training.trainer import Trainer
from tests.small_encoder import EXPERTS, MINI

SIZE, BATCH = 32, 8
LUNG = ("lung_2cls", "lung_disease_3cls")
TASKS = (*LUNG, "thyroid_nodule", "thyroid_nodule_det")
SEEDED = 5
"""What `step_gradients` seeds torch with."""

Study = tuple[Dataset, Split, ImageCache]


def spec_for(dataset: Dataset, *names: str, model: dict | None = None, **training: object) -> RunSpec:
    tasks = tuple(dataset.tasks[name] for name in names or TASKS)
    fields = {"image_size": SIZE, "passes": 1, "min_steps": 40, "batch_size": BATCH, "precision": "fp32", **training}
    settings = {"encoder": MINI, "head_width": 16, "moe": EXPERTS}
    config = ModelConfig.model_validate(settings | {"drop_path": 0.3} | (model or {}))
    return RunSpec(tasks, 1.0, 0, config, TrainingConfig.model_validate(fields), data="test")


def trainer_for(study: Study, folder: Path, *names: str, model: dict | None = None, **training: object) -> Trainer:
    folder.mkdir(exist_ok=True)
    trainer = Trainer(spec_for(study[0], *names, model=model, **training), *study, folder, torch.device("cpu"))
    trainer.model.train()
    return trainer


def batch_with(trainer: Trainer, fits: Callable[[Batch], bool] = lambda batch: True) -> Batch:
    """The first batch of the run that fits."""
    batches = (make_batch(trainer.sampler.draw(step), trainer.train_cases, trainer.store) for step in range(1000))
    return next(batch for batch in batches if fits(batch))


def all_tasks(batch: Batch) -> bool:
    return len(batch.parts) == len(TASKS)


def step_gradients(trainer: Trainer, batch: Batch, micro_batch: int = BATCH) -> dict[str, torch.Tensor]:
    """Gradient of every parameter that has one, by name."""
    trainer.objective.micro_batch = micro_batch
    torch.manual_seed(SEEDED)
    trainer.objective.gradients(batch, "step 0")
    return {name: each.grad.clone() for name, each in trainer.model.named_parameters() if each.grad is not None}


def task_gradients(trainer: Trainer, batch: Batch) -> torch.Tensor:
    """M x P: gradient of each task's part of the loss for the shared parameters, by one pass over the whole batch."""
    torch.manual_seed(SEEDED)
    model, weights = trainer.model, trainer.config.loss_weights
    shared = [each for name, each in model.named_parameters() if not name.startswith("heads.") and each.requires_grad]
    depth = model.draw_depth(len(batch.images))
    outputs = model(trainer.to_input(batch.images), batch.task_index, batch.parts, tokens=batch.tokens, depth=depth)
    rows = []
    for name, _ in batch.parts:
        loss = trainer.objective.loss_of[name](outputs[name], batch.targets[name]).sum() / len(batch.images)
        gradients = torch.autograd.grad(weights.get(name, 1.0) * loss, shared, retain_graph=True, allow_unused=True)
        parts = [torch.zeros_like(p) if g is None else g for p, g in zip(shared, gradients, strict=True)]
        rows.append(torch.cat([part.flatten() for part in parts]))
    return torch.stack(rows)


def shared_part(gradients: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([gradient.flatten() for name, gradient in gradients.items() if not name.startswith("heads.")])


def weights_of(trainer: Trainer) -> torch.Tensor:
    return torch.cat([each.detach().flatten() for each in trainer.model.parameters()])


def weights_after_resume(study: Study, folder: Path, **training: object) -> tuple[torch.Tensor, torch.Tensor]:
    """All weights after seven steps: without a break, and with one after four, in a batch that lacks some tasks."""
    whole = trainer_for(study, folder / "whole", batch_size=3, **training)
    for _ in range(7):
        whole.train_step()
    broken = trainer_for(study, folder / "broken", batch_size=3, **training)
    for _ in range(4):
        broken.train_step()
    broken.save()
    torch.rand(3)  # whatever the process that goes on has drawn before
    resumed = trainer_for(study, folder / "broken", batch_size=3, **training)
    resumed.restore(read_checkpoint(folder / "broken" / CHECKPOINT))
    while resumed.step < 7:
        resumed.train_step()
    return weights_of(whole), weights_of(resumed)
