"""Cases as the peers read them: each image and mask decoded from its file at every access."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from aggregation_lab.data.geometry import boxes_in_sides, points_in_sides
from aggregation_lab.tasks import Task, TaskType


class CaseFiles(Dataset[tuple[Tensor, Tensor]]):
    """One task's rows of the case table: 3 x S x S uint8 images, and targets as `loading.TaskCases` has them."""

    def __init__(self, task: Task, cases: pd.DataFrame, root: Path, size: int):
        self.task, self.size = task, size
        self.images = [root / path for path in cases["image"]]
        self.masks = [root / path for path in cases["mask"]]
        self.targets: Tensor | None = None
        if task.type is TaskType.CLASSIFICATION:
            self.targets = torch.tensor(cases["label"].to_numpy(np.int64))
        elif task.type is TaskType.DETECTION:
            self.targets = torch.tensor(boxes_in_sides(cases), dtype=torch.float32)
        elif task.type is TaskType.REGRESSION:
            self.targets = torch.tensor(points_in_sides(cases), dtype=torch.float32)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor]:
        with Image.open(self.images[place]) as image:
            resized = image.convert("RGB").resize((self.size, self.size), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(resized)).movedim(-1, 0)
        if self.targets is not None:
            return pixels, self.targets[place]
        with Image.open(self.masks[place]) as mask:
            classes = np.array(mask.resize((self.size, self.size), Image.Resampling.NEAREST))
        return pixels, torch.from_numpy(classes).long()


def draw_batches(sizes: Sequence[int], steps: int, batch_size: int, seed: int) -> list[tuple[int, list[int]]]:
    """(task, cases) of every step: one task per step, tasks in proportion to their cases, and every case of a task
    seen equally often, in passes of random order."""
    random = np.random.default_rng(seed)
    shares = np.array(sizes) * steps / sum(sizes)
    counts = np.floor(shares).astype(int)
    counts[np.argsort(counts - shares, kind="stable")[: steps - counts.sum()]] += 1
    order = random.permutation(np.repeat(np.arange(len(sizes)), counts))
    streams = [passes(size, int(count) * batch_size, random) for size, count in zip(sizes, counts, strict=True)]
    taken = [0] * len(sizes)
    batches = []
    for task in order.tolist():
        batches.append((task, streams[task][taken[task] : taken[task] + batch_size]))
        taken[task] += batch_size
    return batches


def passes(size: int, places: int, random: np.random.Generator) -> list[int]:
    """`places` positions out of `size`, one random order after the other."""
    orders = [random.permutation(size) for _ in range(-(-places // size))]
    return np.concatenate([np.zeros(0, int), *orders])[:places].tolist()
