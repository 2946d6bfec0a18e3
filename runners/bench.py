"""`make bench`: how close training comes to the bare model, as ratios measured side by side in one process.

Ratios, not seconds: the machine's speed cancels out. Each ratio is the median over alternating rounds.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from aggregation_lab.config import ModelConfig, MoEConfig, TrainingConfig
from aggregation_lab.data.cache import ImageCache, open_cache
from aggregation_lab.data.challenge import Dataset, read_dataset
from aggregation_lab.data.phantoms import PhantomConfig, write_phantoms
from aggregation_lab.data.splits import Split, draw_split
from aggregation_lab.device import pick_device
from aggregation_lab.flops import count_flops
from aggregation_lab.model.m2dino import M2DINO, build_m2dino
from aggregation_lab.optimisation import make_optimizer
from aggregation_lab.run import RunSpec
from aggregation_lab.tasks import Task, TaskType
from aggregation_lab.training import Trainer

ENCODER = "vit_tiny_patch16_dinov3_qkvb"
SIZE = 128
BATCH = 16
ROUNDS = 7
TASK = Task("bench", TaskType.CLASSIFICATION, 3, "bench")


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def paired(*works: Callable[[], object], rounds: int = ROUNDS) -> list[list[float]]:
    """Seconds of each work over alternating rounds, after one round to warm up."""
    for work in works:
        work()
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for times, work in zip(taken, works, strict=True):
            times.append(seconds(work))
    return taken


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    return statistics.median(one / other for one, other in zip(numerators, denominators, strict=True))


def model_step(model: M2DINO, precision: torch.dtype = torch.float32) -> Callable[[], None]:
    """The bare step of a model: forward, backward and optimiser on one resident batch of one task."""
    device = next(model.parameters()).device
    task = model.tasks[0]
    images, index = (
        torch.randn(BATCH, 3, SIZE, SIZE, device=device),
        torch.zeros(BATCH, dtype=torch.long, device=device),
    )
    labels = torch.zeros(BATCH, dtype=torch.long, device=device)
    optimizer = make_optimizer(model, TrainingConfig(), device)

    def step() -> None:
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            logits = model(images, index, [(task.name, slice(None))])[task.name]
        torch.nn.functional.cross_entropy(logits, labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return step


def experts() -> dict[str, float]:
    """Cost of the experts against the plain ViT: step time, and throughput per counted operation."""
    device = pick_device()
    kinds = {"plain": MoEConfig(experts=0), "split": MoEConfig(kind="split"), "copy": MoEConfig(kind="copy")}
    models = {
        kind: build_m2dino(ModelConfig(encoder=ENCODER, moe=moe), [TASK]).to(device) for kind, moe in kinds.items()
    }
    image = torch.randn(1, 3, SIZE, SIZE, device=device)

    def loss(model: M2DINO) -> torch.Tensor:
        index = torch.zeros(1, dtype=torch.long, device=device)
        return model(image, index, [(TASK.name, slice(None))])[TASK.name].sum()

    flops = {kind: count_flops(loss, model) for kind, model in models.items()}
    plain, split, copy = paired(*(model_step(model) for model in models.values()))
    return {
        "split step / plain ViT step": ratio(split, plain),
        "copy step / plain ViT step": ratio(copy, plain),
        "copy operations / plain ViT operations": flops["copy"] / flops["plain"],
        "copy throughput per operation / plain ViT's": flops["copy"] / flops["plain"] / ratio(copy, plain),
    }


def training(dataset: Dataset, split: Split, cache: ImageCache, folder: Path) -> dict[str, float]:
    """Images per second of a training run over those of the bare loop of its model on tensors in memory."""
    task = next(task for task in dataset.tasks.values() if task.type is TaskType.CLASSIFICATION)
    config = TrainingConfig(image_size=SIZE, batch_size=BATCH, passes=1000)
    spec = RunSpec((task,), 1.0, 0, ModelConfig(encoder=ENCODER), config, data="bench")
    trainer = Trainer(spec, dataset, split, cache, folder, pick_device())
    trainer.model.train()
    bare = model_step(build_m2dino(spec.model, [task]).to(trainer.device), trainer.precision)
    steps = 8
    run, loop = paired(lambda: repeat(trainer.train_step, steps), lambda: repeat(bare, steps))
    return {"training throughput / bare loop": ratio(loop, run)}


def repeat(work: Callable[[], object], times: int) -> None:
    for _ in range(times):
        work()


def loading(dataset: Dataset, cache: ImageCache) -> dict[str, float]:
    """Time to get a batch by decoding its files over time to get it from the cache."""
    images = dataset.images.head(64)
    rows = [cache.image_row[content] for content in images["content"]]

    def decode() -> np.ndarray:
        opened = [Image.open(dataset.root / path).convert("L").resize((SIZE, SIZE)) for path in images["image"]]
        return np.stack([np.asarray(image) for image in opened])

    decoded, cached = paired(decode, lambda: cache.images[rows])
    return {"decoding each time / cached loading": ratio(decoded, cached)}


def _steps_in_process(threads: int, steps: int) -> float:
    torch.set_num_threads(threads)
    step = model_step(build_m2dino(ModelConfig(encoder=ENCODER), [TASK]))
    step()
    return seconds(lambda: repeat(step, steps))


def workers(steps: int = 12) -> dict[str, float]:
    """Throughput of two worker processes of one thread each over that of one process with two threads."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        two = max(pool.map(_steps_in_process, (1, 1), (steps, steps)))
        one = pool.submit(_steps_in_process, 2, steps).result()
    return {"two workers / one worker with two threads": 2 * one / two}


GOALS = {
    "training throughput / bare loop": ">= 0.95",
    "split step / plain ViT step": "<= 1.10",
    "copy throughput per operation / plain ViT's": ">= 0.8",
}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_phantoms(folder / "data", PhantomConfig(scale=0.02))
        dataset = read_dataset(folder / "data")
        split = draw_split(dataset)
        cache = open_cache(dataset, SIZE, folder / "cache")
        figures = {**training(dataset, split, cache, folder), **experts(), **loading(dataset, cache)}
    if pick_device().type == "cpu":
        figures |= workers()
    print(f"{ENCODER}, {SIZE} px, batch {BATCH}, torch {torch.__version__}, {pick_device()}\n")
    print(f"| {'ratio':<44} | measured | goal    |\n|{'-' * 46}|----------|---------|")
    for label, value in figures.items():
        print(f"| {label:<44} | {value:8.2f} | {GOALS.get(label, ''):<7} |")


if __name__ == "__main__":
    main()
