"""The bare limit: how close a training run comes to the bare loop of its model."""

from collections.abc import Callable

import torch

from aggregation_lab.config import ModelConfig, TrainingConfig
from aggregation_lab.data.cache import open_cache
from aggregation_lab.data.challenge import read_dataset
from aggregation_lab.data.splits.split import draw_split
from aggregation_lab.model.encoder import choose_attention
from aggregation_lab.model.m2dino import M2DINO, build_m2dino
from aggregation_lab.run import RunSpec
from aggregation_lab.tasks import Task, TaskType
from aggregation_lab.training.device import pick_device
from aggregation_lab.training.optimizer import make_optimizer
from aggregation_lab.training.trainer import Trainer
from runners.bench.setting import BATCH, ENCODER, Setting
from runners.bench.tables import Table, ratios
from runners.bench.timing import paired, ratio, repeat

TASK = Task("bench", TaskType.CLASSIFICATION, 3, "bench")
STEPS = 8
"""Steps of a run between two looks at the clock."""


def model_step(model: M2DINO, size: int, precision: torch.dtype = torch.float32) -> Callable[[], None]:
    """The bare step of a model: forward, backward and optimiser on one resident batch of one task."""
    device = next(model.parameters()).device
    task = model.tasks[0]
    images = torch.randn(BATCH, 3, size, size, device=device)
    index, labels = (torch.zeros(BATCH, dtype=torch.long, device=device) for _ in range(2))
    optimizer = make_optimizer(model, TrainingConfig(), device)
    choose_attention(model.encoder, size, device, precision)

    def step() -> None:
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            logits = model(images, index, [(task.name, slice(None))])[task.name]
        torch.nn.functional.cross_entropy(logits, labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def finished(work: Callable[[], object], device: torch.device) -> Callable[[], None]:
    """`work`, and the wait until the device has done it."""

    def wait() -> None:
        work()
        if device.type != "cpu":
            torch.accelerator.synchronize(device)

    return wait


def bare(setting: Setting) -> Table:
    """Images per second of a training run over those of the bare loop of its model on tensors in memory."""
    folder = setting.scratch / "bare"
    dataset = read_dataset(setting.phantoms)
    split, cache = draw_split(dataset), open_cache(dataset, setting.size, folder / "cache")
    task = next(task for task in dataset.tasks.values() if task.type is TaskType.CLASSIFICATION)
    config = TrainingConfig(image_size=setting.size, batch_size=BATCH, passes=1000)
    spec = RunSpec((task,), 1.0, 0, ModelConfig(encoder=ENCODER), config, data="bench")
    device = pick_device()
    trainer = Trainer(spec, dataset, split, cache, folder, device)
    trainer.model.train()
    step = model_step(build_m2dino(spec.model, [task]).to(device), setting.size, trainer.precision)
    run, loop = paired(
        finished(lambda: repeat(trainer.train_step, STEPS), device),
        finished(lambda: repeat(step, STEPS), device),
        rounds=setting.rounds,
    )
    label = "training throughput / bare loop of the same model"
    goal = ">= 0.95" if device.type == "cpu" else ">= 0.90"
    note = (
        "A run of a classification task: cache, augmentation, loss check and schedule are in it, evaluation and "
        "checkpoints are not."
    )
    return ratios("Bare limit", {label: ratio(loop, run)}, {label: goal}, note)
