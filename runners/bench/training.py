"""What training costs: against the bare loop, of experts, frozen blocks, cached images, two workers, scoring."""

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from aggregation_lab.config import ModelConfig, MoEConfig, TrainingConfig
from aggregation_lab.data.cache import open_cache
from aggregation_lab.data.challenge import read_dataset
from aggregation_lab.data.splits.folds import draw_folds
from aggregation_lab.model.backbones.build import build_backbone
from aggregation_lab.model.m2dino import M2DINO, build_m2dino
from aggregation_lab.run import RunSpec
from aggregation_lab.tasks import Task, TaskType
from aggregation_lab.training.device import pick_device, pick_precision
from aggregation_lab.training.execution import train_run
from aggregation_lab.training.flops import count_flops
from aggregation_lab.training.optimizer import make_optimizer
from aggregation_lab.training.trainer import Progress, Trainer
from runners.bench.measuring import Table, paired, ratio, ratios, seconds
from runners.bench.setting import BATCH, ENCODER, Setting, write_bench_study
from runners.planning import cost
from runners.planning.study_file import read_study_file
from runners.planning.study_schema import BUDGETS
from runners.store.prepared_data import Prepared

TASK = Task("bench", TaskType.CLASSIFICATION, 3, "bench")
STEPS = 8
"""Steps of a run between two looks at the clock."""


@cache
def prepared(data: Path, cache_folder: Path, size: int) -> Prepared:
    dataset = read_dataset(data)
    return Prepared(dataset, draw_folds(dataset, 1), open_cache(dataset, size, cache_folder))


def phantoms(setting: Setting) -> Prepared:
    """The phantoms with split and cache, prepared on first use."""
    return prepared(setting.phantoms, setting.scratch / "cache", setting.size)


def model_of(**config: Any) -> M2DINO:
    """A model of one classification task."""
    return build_m2dino(ModelConfig(encoder=ENCODER, **config), [TASK]).to(pick_device())


def model_step(model: M2DINO, size: int, precision: torch.dtype = torch.float32) -> Callable[[], None]:
    """The bare step of a model: forward, backward and optimiser on one resident batch of one task."""
    device = next(model.parameters()).device
    task = model.tasks[0]
    images = torch.randn(BATCH, 3, size, size, device=device)
    index, labels = (torch.zeros(BATCH, dtype=torch.long, device=device) for _ in range(2))
    optimizer = make_optimizer(model, TrainingConfig(), device)
    model.backbone.choose_attention(size, device, precision)

    def step() -> None:
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            logits = model(images, index, [(task.name, slice(None))])[task.name]
        torch.nn.functional.cross_entropy(logits, labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def trainer_of(setting: Setting, task_type: TaskType, model: ModelConfig, *, augment: bool = True) -> Trainer:
    """A run of the phantoms' first task of a type, ready to train."""
    data = phantoms(setting)
    task = next(task for task in data.dataset.tasks.values() if task.type is task_type)
    config = TrainingConfig(image_size=setting.size, batch_size=BATCH, passes=1000, augment=augment)
    spec = RunSpec((task,), 1.0, 0, model, config, data="bench")
    trainer = Trainer(spec, data.dataset, data.split(), data.cache, setting.scratch, pick_device())
    trainer.model.train()
    return trainer


def steps_of(step: Callable[[], object], times: int = 1) -> Callable[[], None]:
    """`step` so many times, and the wait until the device has done it."""

    def work() -> None:
        for _ in range(times):
            step()
        if pick_device().type != "cpu":
            torch.accelerator.synchronize()

    return work


def bare(setting: Setting) -> Table:
    """Images per second of a training run over those of the bare loop of its model on tensors in memory."""
    trainer = trainer_of(setting, TaskType.CLASSIFICATION, ModelConfig(encoder=ENCODER))
    model = build_m2dino(trainer.spec.model, list(trainer.spec.tasks)).to(pick_device())
    step = model_step(model, setting.size, trainer.precision)
    run, loop = paired(steps_of(trainer.train_step, STEPS), steps_of(step, STEPS), rounds=setting.rounds)
    label = "training throughput / bare loop of the same model"
    goal = ">= 0.95" if pick_device().type == "cpu" else ">= 0.90"
    note = (
        "A run of a classification task: cache, augmentation, loss check and schedule are in it, evaluation and "
        "checkpoints are not."
    )
    return ratios("Bare limit", {label: ratio(loop, run)}, {label: goal}, note)


def experts(setting: Setting) -> Table:
    """Step time of both expert kinds over the plain ViT's, and throughput per counted operation; mixed precision."""
    device = pick_device()
    kinds = {"plain": MoEConfig(experts=0), "split": MoEConfig(kind="split"), "copy": MoEConfig(kind="copy")}
    models = {kind: model_of(moe=config) for kind, config in kinds.items()}
    image = torch.randn(1, 3, setting.size, setting.size, device=device)

    def loss(model: M2DINO) -> torch.Tensor:
        index = torch.zeros(1, dtype=torch.long, device=device)
        return model(image, index, [(TASK.name, slice(None))])[TASK.name].sum()

    flops = {kind: count_flops(loss, model) for kind, model in models.items()}
    steps = [steps_of(model_step(model, setting.size)) for model in models.values()]
    precision = pick_precision("auto", device)
    if precision != torch.float32:
        steps.append(steps_of(model_step(model_of(moe=kinds["split"]), setting.size, precision)))
    plain, split, copy, *mixed = paired(*steps, rounds=setting.rounds)
    operations = flops["copy"] / flops["plain"]
    figures = {
        "split step / plain ViT step": ratio(split, plain),
        "copy step (4 experts) / plain ViT step": ratio(copy, plain),
        "copy operations / plain ViT operations (counted)": operations,
        "copy throughput per operation / plain ViT's": operations / ratio(copy, plain),
    }
    if mixed:
        figures["fp32 step / bf16 step (split)"] = ratio(split, mixed[0])
    goals = {"split step / plain ViT step": "<= 1.10", "copy throughput per operation / plain ViT's": ">= 0.8"}
    return ratios("Experts and precision", figures, goals)


def frozen(setting: Setting, blocks: int = 6) -> Table:
    """Training throughput with frozen blocks over that of the full model, for a light head and for a heavy one.

    Both train on the same images without augmentation, from the same checkpoint; the kept output is there already, as
    it is for every run of a grid but the first.
    """
    weights = setting.scratch / "encoder.pt"
    torch.save(build_backbone(ENCODER).network.state_dict(), weights)
    figures = {}
    for kind in (TaskType.CLASSIFICATION, TaskType.SEGMENTATION):
        models = [ModelConfig(encoder=ENCODER, weights=str(weights), frozen_blocks=count) for count in (0, blocks)]
        trainers = [trainer_of(setting, kind, model, augment=False) for model in models]
        whole, upper = paired(*(steps_of(trainer.train_step, STEPS) for trainer in trainers), rounds=setting.rounds)
        figures[f"{kind}: throughput with {blocks} frozen blocks / full model"] = ratio(whole, upper)
    return ratios("Frozen blocks", figures, dict.fromkeys(figures, ">= 2"))


def loading(setting: Setting, count: int = 64) -> Table:
    """Time to get a batch by decoding its files over time to get it from the cache."""
    data = phantoms(setting)
    images = data.dataset.images.head(count)
    rows = [data.cache.image_row[content] for content in images["content"]]
    paths, side = [data.dataset.root / path for path in images["image"]], (setting.size, setting.size)

    def decode() -> np.ndarray:
        return np.stack([np.asarray(Image.open(path).convert("L").resize(side)) for path in paths])

    decoded, cached = paired(decode, lambda: data.cache.images[rows], rounds=setting.rounds)
    return ratios("Loading", {"decoding each time / cached loading": ratio(decoded, cached)}, {})


def workers(setting: Setting) -> Table:
    """Throughput of two workers over that of one: on the CPU with half of the cores each, an accelerator is shared."""
    steps, half = 2 * setting.rounds, max(1, cost.cores() // 2)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        two = max(pool.map(_steps_in_process, (half, half), (setting.size,) * 2, (steps, steps)))
        one = pool.submit(_steps_in_process, 2 * half, setting.size, steps).result()
    label = f"two workers of {half} thread(s) / one worker of {2 * half}"
    if pick_device().type != "cpu":
        label = "two workers on one accelerator / one worker"
    return ratios("Workers", {label: 2 * one / two}, {})


def _steps_in_process(threads: int, size: int, steps: int) -> float:
    torch.set_num_threads(threads)
    step = model_step(model_of(), size)
    step()
    return seconds(steps_of(step, steps))


SCORING = "scoring and writing / whole segmentation run"


def scoring(setting: Setting, budget: dict[str, float] = BUDGETS["small"]) -> Table:
    """How much of a run is scoring: of one segmentation task, the most expensive type, at `budget: small`."""
    file, folder = write_bench_study(setting)
    study = read_study_file(file, data=folder)
    data = prepared(folder, setting.scratch / "scoring_cache", setting.size)
    sizes = {
        task: len(data.split().cases("train", task.name))
        for task in data.dataset.tasks.values()
        if task.type is TaskType.SEGMENTATION
    }
    task = max(sizes, key=lambda task: sizes[task])
    training = TrainingConfig.model_validate(study.training.model_dump() | budget)
    spec = RunSpec((task,), 1.0, 0, study.model, training, data="bench")
    out = setting.scratch / "scoring"
    phases: dict[str, float] = {}

    def report(progress: Progress) -> None:
        phases.setdefault(progress.phase, time.perf_counter())

    out.mkdir(parents=True)
    start = time.perf_counter()
    train_run(spec, data.dataset, data.split(), data.cache, out, report=report, device=str(pick_device()))
    end = time.perf_counter()
    note = (
        f"{task.name}: {sizes[task]} training cases, {training.steps(sizes[task])} steps, "
        f"{len(data.split().cases('test', task.name))} test cases with DSC, HD and the rest at their original size; "
        "all tables written."
    )
    return ratios("Scoring", {SCORING: (end - phases["scoring"]) / (end - start)}, {SCORING: "< 0.05"}, note)
