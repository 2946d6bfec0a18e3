"""Peer (a): a plain PyTorch pipeline as one writes it for the challenge.

One process, fp32, one task per step, a DataLoader with workers, every image decoded from its file at every access.
Model, heads, losses, augmentation, steps, images and validations are agglab's. It is spared what agglab does besides:
case table and split are given to it, and it writes neither checkpoints nor scores.

    python -m runners.bench.plain OUT RESULT      # OUT: the finished study of agglab that it repeats
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import ConcatDataset, DataLoader

from aggregation_lab.model.m2dino import build_m2dino
from aggregation_lab.run import RunSpec
from aggregation_lab.training.augmentation import augment, to_model_input
from aggregation_lab.training.batches import Batch
from aggregation_lab.training.device import pick_device
from aggregation_lab.training.evaluation import EVALUATION_BATCH
from aggregation_lab.training.optimizer import schedule
from aggregation_lab.training.trainer import evaluation_points
from runners.bench.files_on_disk import CaseFiles, draw_batches
from runners.planning import cost
from runners.store.prepared_data import Prepared, load_prepared
from runners.store.study_folder import StudyFolder


@dataclass
class Trained:
    """What a peer has done: runs, optimiser steps, training images, and the mean test loss of its last run."""

    runs: int = 0
    steps: int = 0
    images: int = 0
    test_loss: float = float("nan")


class PlainRun:
    """One run, from its spec to its test loss."""

    def __init__(self, spec: RunSpec, prepared: Prepared, steps: int, device: torch.device, workers: int):
        self.spec, self.steps, self.device, self.workers = spec, steps, device, workers
        self.train_files, self.val_files, self.test_files = (
            task_files(spec, prepared, part) for part in ("train", "val", "test")
        )
        self.model = build_m2dino(spec.model, spec.tasks, spec.seed).to(device)
        statistics = self.model.encoder.pretrained_cfg
        self.mean, self.std = (
            torch.tensor(statistics[name], device=device).view(1, 3, 1, 1) for name in ("mean", "std")
        )
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
        sizes = [len(files) for files in self.train_files]
        batches = Batches(
            self.train_files, draw_batches(sizes, self.steps, training.batch_size, self.spec.seed), self.workers
        )
        validation = self.evaluation_batches(self.val_files)
        random, points = (
            torch.Generator().manual_seed(self.spec.seed),
            evaluation_points(self.steps, training.evaluations),
        )
        self.model.train()
        for step, (task, images, target) in enumerate(batches, start=1):
            self.train_step(task, images, target, random)
            if step in points:
                self.evaluate(validation)
        return self.steps * training.batch_size

    def train_step(self, task: int, images: Tensor, target: Tensor, random: torch.Generator) -> None:
        batch = self.batch(task, images, target)
        if self.spec.training.augment:
            batch = augment(batch, {each.name: each for each in self.spec.tasks}, random)
        self.loss(task, batch).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.spec.training.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.rate.step()

    def batch(self, task: int, images: Tensor, target: Tensor) -> Batch:
        name, size = self.spec.tasks[task].name, len(images)
        index = torch.full((size,), task, device=self.device)
        moved = [each.to(self.device, non_blocking=True) for each in (images, target)]
        return Batch(moved[0], index, [(name, slice(0, size))], {name: moved[1]})

    def loss(self, task: int, batch: Batch) -> Tensor:
        name = self.spec.tasks[task].name
        outputs = self.model(to_model_input(batch.images, self.mean, self.std), batch.task_index, batch.parts)
        return self.spec.tasks[task].type.network.loss(outputs[name], batch.targets[name]).mean()

    @torch.no_grad()
    def evaluate(self, batches: "Batches") -> float:
        """Mean loss over the batches of all tasks."""
        self.model.eval()
        losses = [self.loss(task, self.batch(task, images, target)) for task, images, target in batches]
        self.model.train()
        return float(torch.stack(losses).mean())

    def test(self) -> float:
        return self.evaluate(self.evaluation_batches(self.test_files))

    def evaluation_batches(self, files: Sequence[CaseFiles]) -> "Batches":
        """Every case once."""
        chunks = [
            (task, list(range(start, min(start + EVALUATION_BATCH, len(each)))))
            for task, each in enumerate(files)
            for start in range(0, len(each), EVALUATION_BATCH)
        ]
        return Batches(files, chunks, self.workers)


class Batches:
    """(task, images, target) of the batches asked for, read ahead by the workers of one DataLoader over all tasks."""

    def __init__(self, files: Sequence[CaseFiles], batches: Sequence[tuple[int, list[int]]], workers: int):
        starts = [sum(len(each) for each in files[:task]) for task in range(len(files))]
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


def task_files(spec: RunSpec, prepared: Prepared, part: str) -> list[CaseFiles]:
    """The files of each task of a run in one part of the split."""
    by_case = prepared.dataset.cases.set_index("case", drop=False)
    fraction = spec.fraction if part == "train" else 1.0
    return [
        CaseFiles(
            task,
            by_case.loc[prepared.split.cases(part, task.name, fraction)],
            prepared.dataset.root,
            spec.training.image_size,
        )
        for task in spec.tasks
    ]


def repeat_study(out: Path, workers: int) -> Trained:
    """Every run of the study in `out`, one after the other."""
    prepared, device, done = load_prepared(StudyFolder(out)), pick_device(), Trained()
    for planned in StudyFolder(out).read_plan():
        run = PlainRun(planned.spec, prepared, planned.steps, device, workers)
        done.images += run.train()
        done.test_loss = run.test()
        done.runs, done.steps = done.runs + 1, done.steps + planned.steps
    return done


if __name__ == "__main__":
    torch.set_num_threads(cost.cores())
    done = repeat_study(Path(sys.argv[1]), workers=max(1, cost.cores() // 2))
    Path(sys.argv[2]).write_text(json.dumps(asdict(done)), encoding="utf-8")
