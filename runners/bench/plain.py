"""Peer (a): a plain PyTorch pipeline as one writes it for the challenge.

One process, fp32, one task per step, a DataLoader with workers, every image decoded from its file at every access.
Model, heads, losses, augmentation, steps, images and validations are agglab's. It is spared what agglab does besides:
case table and split are given to it, and it writes neither checkpoints nor scores.

    python -m runners.bench.plain RESULT OUT      # OUT: the finished study of agglab that it repeats
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import ConcatDataset, DataLoader, Dataset

from aggregation_lab.files import write_json
from aggregation_lab.model.m2dino import M2DINO, build_m2dino
from aggregation_lab.run import RunSpec
from aggregation_lab.tasks import Task
from aggregation_lab.training.augmentation import augment, to_model_input
from aggregation_lab.training.batches import Batch
from aggregation_lab.training.course import is_evaluated
from aggregation_lab.training.device import pick_device
from aggregation_lab.training.evaluation import EVALUATION_BATCH
from aggregation_lab.training.optimizer import schedule
from runners.planning import cost
from runners.store.prepared_data import Prepared, load_prepared
from runners.store.study_folder import StudyFolder


class CaseFiles(Dataset[tuple[Tensor, Tensor]]):
    """One task's rows of the case table: 3 x S x S uint8 images, and targets as `batches.TaskCases` has them.

    With `keep`, this process decodes every case once and keeps what it has decoded.
    """

    def __init__(self, task: Task, cases: pd.DataFrame, root: Path, size: int, keep: bool = False):
        self.task, self.size, self.keep = task, size, keep
        self.kept: dict[int, tuple[Tensor, Tensor]] = {}
        self.images = [root / path for path in cases["image"]]
        self.masks = [root / path for path in cases["mask"]]
        self.targets: Tensor | None = None
        if not task.type.masked:
            targets = torch.tensor(task.type.targets(cases))
            self.targets = targets.float() if targets.is_floating_point() else targets

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        case = self.kept.get(index) or self.decode(index)
        if self.keep:
            self.kept[index] = case
        return case

    def decode(self, index: int) -> tuple[Tensor, Tensor]:
        with Image.open(self.images[index]) as image:
            resized = image.convert("RGB").resize((self.size, self.size), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(resized)).movedim(-1, 0)
        if self.targets is not None:
            return pixels, self.targets[index]
        with Image.open(self.masks[index]) as mask:
            classes = np.array(mask.resize((self.size, self.size), Image.Resampling.NEAREST))
        return pixels, torch.from_numpy(classes).long()


def task_files(spec: RunSpec, prepared: Prepared, part: str, keep: bool = False) -> list[CaseFiles]:
    """The files of each task of a run in one part of the split."""
    by_case, root = prepared.dataset.cases.set_index("case", drop=False), prepared.dataset.root
    fraction = spec.fraction if part == "train" else 1.0
    cases = [by_case.loc[prepared.split().cases(part, task.name, fraction)] for task in spec.tasks]
    size = spec.training.image_size
    return [CaseFiles(task, rows, root, size, keep) for task, rows in zip(spec.tasks, cases, strict=True)]


def input_statistics(model: M2DINO, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the encoder's input, each 1 x 3 x 1 x 1."""
    known = model.encoder.pretrained_cfg
    mean, std = (torch.tensor(known[name], device=device).view(1, 3, 1, 1) for name in ("mean", "std"))
    return mean, std


def in_batches(items: Sequence[int], size: int) -> list[list[int]]:
    return [list(items[start : start + size]) for start in range(0, len(items), size)]


def passes(size: int, count: int, random: np.random.Generator) -> list[int]:
    """`count` indices below `size`, one random order after the other."""
    orders = [random.permutation(size) for _ in range(-(-count // size))]
    return np.concatenate([np.zeros(0, int), *orders])[:count].tolist()


def draw_batches(sizes: Sequence[int], steps: int, batch_size: int, seed: int) -> list[tuple[int, list[int]]]:
    """(task, cases) of every step: one task per step, tasks in proportion to their cases, and every case of a task
    seen equally often, in passes of random order."""
    random = np.random.default_rng(seed)
    shares = np.array(sizes) * steps / sum(sizes)
    counts = np.floor(shares).astype(int)
    counts[np.argsort(counts - shares, kind="stable")[: steps - counts.sum()]] += 1
    order = random.permutation(np.repeat(np.arange(len(sizes)), counts))
    batches = [
        iter(in_batches(passes(size, int(count) * batch_size, random), batch_size))
        for size, count in zip(sizes, counts, strict=True)
    ]
    return [(task, next(batches[task])) for task in order.tolist()]


class Batches:
    """(task, images, target) of the batches asked for, read ahead by the workers of one DataLoader over all tasks."""

    def __init__(self, files: Sequence[CaseFiles], batches: Sequence[tuple[int, list[int]]], workers: int):
        starts = np.cumsum([0, *map(len, files)]).tolist()
        self.tasks = [task for task, _ in batches]
        self.loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
            ConcatDataset(files),
            batch_sampler=[[starts[task] + case for case in cases] for task, cases in batches],
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def __iter__(self) -> Iterator[tuple[int, Tensor, Tensor]]:
        for task, (images, target) in zip(self.tasks, self.loader, strict=True):
            yield task, images, target


class PlainRun:
    """One run, from its spec to its test loss."""

    def __init__(
        self,
        spec: RunSpec,
        prepared: Prepared,
        steps: int,
        device: torch.device,
        workers: int,
        *,
        keep: bool = False,
        precision: torch.dtype = torch.float32,
    ):
        self.spec, self.steps, self.device, self.workers, self.precision = spec, steps, device, workers, precision
        self.train_files, self.val_files, self.test_files = (
            task_files(spec, prepared, part, keep) for part in ("train", "val", "test")
        )
        self.model = build_m2dino(spec.model, spec.tasks, spec.seed).to(device)
        self.mean, self.std = input_statistics(self.model, device)
        training = spec.training
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), training.learning_rate, weight_decay=training.weight_decay
        )
        self.rate = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: schedule(min(step, steps - 1), steps, training.warmup)
        )

    def train(self) -> int:
        """All steps, with validation where agglab validates. Returns the images seen."""
        training = self.spec.training
        validation = self.evaluation_batches(self.val_files)
        random = torch.Generator().manual_seed(self.spec.seed)
        self.model.train()
        for step, batch in enumerate(self.training_batches(), start=1):
            self.train_step(*batch, random)
            if is_evaluated(step, self.steps, training.evaluations):
                self.evaluate(validation)
        return self.steps * training.batch_size

    def training_batches(self) -> Batches:
        """Those of all steps."""
        sizes = [len(files) for files in self.train_files]
        drawn = draw_batches(sizes, self.steps, self.spec.training.batch_size, self.spec.seed)
        return Batches(self.train_files, drawn, self.workers)

    def train_step(self, task: int, images: Tensor, target: Tensor, random: torch.Generator) -> None:
        batch = self.batch(task, images, target)
        if self.spec.training.augment:
            batch = augment(batch, {task.name: task for task in self.spec.tasks}, random)
        self.loss(task, batch).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.spec.training.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.rate.step()

    def batch(self, task: int, images: Tensor, target: Tensor) -> Batch:
        name, size = self.spec.tasks[task].name, len(images)
        index = torch.full((size,), task, device=self.device)
        images, target = (tensor.to(self.device, non_blocking=True) for tensor in (images, target))
        return Batch(images, index, [(name, slice(0, size))], {name: target})

    def loss(self, task: int, batch: Batch) -> Tensor:
        name = self.spec.tasks[task].name
        inputs = to_model_input(batch.images, self.mean, self.std)
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            outputs = self.model(inputs, batch.task_index, batch.parts)
        return self.spec.tasks[task].type.network.loss(outputs[name], batch.targets[name]).mean()

    @torch.no_grad()
    def evaluate(self, batches: Batches) -> float:
        """Mean loss over the batches of all tasks."""
        self.model.eval()
        losses = [self.loss(task, self.batch(task, images, target)) for task, images, target in batches]
        self.model.train()
        return float(torch.stack(losses).mean())

    def test(self) -> float:
        return self.evaluate(self.evaluation_batches(self.test_files))

    def evaluation_batches(self, files: Sequence[CaseFiles]) -> Batches:
        """Every case once."""
        chunks = [
            (task, cases) for task, rows in enumerate(files) for cases in in_batches(range(len(rows)), EVALUATION_BATCH)
        ]
        return Batches(files, chunks, self.workers)


def repeat_study(train: Callable[[RunSpec, Prepared, int], tuple[int, int]], result: str, out: str) -> None:
    """Train every run of the study in `out`, one after the other, by `train`(spec, data, steps), which returns steps
    and images; writes how many of them there were into the JSON file `result`."""
    torch.set_num_threads(cost.cores())
    folder = StudyFolder(Path(out))
    prepared = load_prepared(folder)
    done = [train(run.spec, prepared, run.steps) for run in folder.read_plan()]
    steps, images = map(sum, zip(*done, strict=True))
    write_json(Path(result), {"runs": len(done), "steps": steps, "images": images})


def train_plain(spec: RunSpec, prepared: Prepared, steps: int) -> tuple[int, int]:
    """One run with its test. Returns its steps and training images."""
    run = PlainRun(spec, prepared, steps, pick_device(), workers=max(1, cost.cores() // 2))
    images = run.train()
    run.test()
    return steps, images


if __name__ == "__main__":
    repeat_study(train_plain, *sys.argv[1:])
