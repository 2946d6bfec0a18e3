"""What a run reads: batches of images and targets, drawn as a pure function of (seed, step).

No draw depends on earlier ones, so a run that was killed continues with the same batches and needs no sampler state
beyond its step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from aggregation_lab.config import TrainingConfig
from aggregation_lab.data.cache import ImageCache
from aggregation_lab.tasks import Task
from aggregation_lab.training.device import resident_bytes, to_device
from aggregation_lab.training.token_cache import TokenCache

RESIDENT_CHUNK = 1024
"""Images that pass through memory at once on their way to an accelerator."""


class ImageStore:
    """What a run reads, by rows of the cache, on the run's device: images, masks, and the tokens of a frozen trunk."""

    def __init__(
        self,
        cache: ImageCache,
        cases: Sequence["TaskCases"],
        device: torch.device,
        tokens: TokenCache | None = None,
    ):
        image_rows = torch.cat([task_cases.image_rows for task_cases in cases])
        masked = [task_cases.targets for task_cases in cases if task_cases.task.type.masked]
        mask_rows = torch.cat(masked) if masked else torch.zeros(0, dtype=torch.long)
        self.device = device
        self._files: list[ImageCache | TokenCache] = [cache] if tokens is None else [cache, tokens]
        room = resident_bytes(device)
        self._images = _Rows(cache.images, image_rows, device, room)
        self.channels = int(cache.images.shape[-1])
        self._masks = _Rows(cache.masks, mask_rows, device, room - self._images.resident_bytes)
        room -= self._images.resident_bytes + self._masks.resident_bytes
        self._tokens = None if tokens is None else _Rows(tokens, image_rows, device, room)

    def images(self, rows: Tensor) -> Tensor:
        """B x C x S x S uint8, C = 1 or 3."""
        return self._images.take(rows).movedim(-1, 1)

    def tokens(self, rows: Tensor) -> Tensor | None:
        """B x N x D float32; None without a frozen trunk."""
        return None if self._tokens is None else self._tokens.take(rows)

    def masks(self, rows: Tensor) -> Tensor:
        """B x S x S uint8 class indices."""
        return self._masks.take(rows)

    def check(self) -> None:
        """Raise `AgglabError` where a file that is read from has been damaged since it was opened."""
        for files in self._files:
            files.check()


class _Rows:
    """Rows of the cache: read on demand, or kept on the device where they take `room` bytes at most."""

    def __init__(self, source: np.ndarray | TokenCache, rows: Tensor, device: torch.device, room: float):
        self._source, self._device = source, device
        self._resident: Tensor | None = None
        wanted = rows.unique()
        if room > 0 and len(wanted):
            first = torch.from_numpy(source[wanted[:1].numpy()])
            if len(wanted) * first.nbytes <= room:
                self._resident = first.new_empty(len(wanted), *first.shape[1:], device=device)
                for chunk in torch.arange(len(wanted)).split(RESIDENT_CHUNK):
                    self._resident[chunk[0] : chunk[-1] + 1] = torch.from_numpy(source[wanted[chunk].numpy()])
                self._resident_row = torch.zeros(len(source), dtype=torch.long)
                self._resident_row[wanted] = torch.arange(len(wanted))

    @property
    def resident_bytes(self) -> int:
        return 0 if self._resident is None else self._resident.nbytes

    def take(self, rows: Tensor) -> Tensor:
        if self._resident is not None:
            return self._resident[to_device(self._resident_row[rows], self._device)]
        return to_device(torch.from_numpy(self._source[rows.numpy()]), self._device)


class TaskCases:
    """The cases of one task in one split. `targets` are as its type has them, of class maps their rows in the cache."""

    def __init__(self, task: Task, cases: pd.DataFrame, cache: ImageCache):
        self.task = task
        self.cases = cases
        self.image_rows = torch.tensor(cache.image_rows(cases))
        if task.type.masked:
            self.targets = torch.tensor(cache.mask_rows(cases))
        else:
            targets = torch.tensor(task.type.targets(cases))
            self.targets = targets.float() if targets.is_floating_point() else targets

    def __len__(self) -> int:
        return len(self.cases)

    def target(self, rows: Tensor, store: ImageStore) -> Tensor:
        """Targets of some cases on the run's device, class maps as B x S x S (int64)."""
        if self.task.type.masked:
            return store.masks(self.targets[rows]).long()
        return to_device(self.targets[rows], store.device)


@dataclass(frozen=True)
class Sampler:
    """Draws the cases of each step; `sizes` holds the training cases of each task.

    proportional: every pass is one random order of all cases, so every one is seen equally often (up to the last pass).
    uniform, temperature: the task of each item of the batch is drawn first, then one of its cases.
    """

    sizes: tuple[int, ...]
    training: TrainingConfig
    seed: int

    @property
    def steps(self) -> int:
        return self.training.steps(sum(self.sizes))

    def draw(self, step: int) -> list[tuple[int, np.ndarray]]:
        """(task position, case positions) for the tasks that occur in this step's batch, in order of tasks."""
        if self.training.sampling == "proportional":
            tasks, cases = self._in_passes(step)
        else:
            tasks, cases = self._by_task(step)
        return [(task, cases[tasks == task]) for task in np.unique(tasks).tolist()]

    def _in_passes(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        total, batch = sum(self.sizes), self.training.batch_size
        indices = np.arange(step * batch, (step + 1) * batch)
        drawn = np.concatenate(
            [
                _permutation(self.seed, number, total)[indices[indices // total == number] % total]
                for number in np.unique(indices // total)
            ]
        )
        starts = np.concatenate([[0], np.cumsum(self.sizes)])
        tasks = np.searchsorted(starts, drawn, side="right") - 1
        return tasks, drawn - starts[tasks]

    def _by_task(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        power = 0.0 if self.training.sampling == "uniform" else 1.0 / self.training.temperature
        weights = np.array(self.sizes, float) ** power
        random = np.random.default_rng([self.seed, 1, step])
        tasks = random.choice(len(self.sizes), self.training.batch_size, p=weights / weights.sum())
        return tasks, random.integers(0, np.array(self.sizes)[tasks])


@lru_cache(maxsize=2)  # a step reads from one pass, or from two
def _permutation(seed: int, number: int, total: int) -> np.ndarray:
    return np.random.default_rng([seed, 0, number]).permutation(total)


@dataclass(frozen=True)
class Batch:
    """`images`, `tokens` as `ImageStore` has them; `task_index` B; `parts` the rows of each task; `targets` by task."""

    images: Tensor
    task_index: Tensor
    parts: list[tuple[str, slice]]
    targets: dict[str, Tensor]
    tokens: Tensor | None = None

    @property
    def names(self) -> list[str]:
        """Its tasks, in the order of `parts`."""
        return [name for name, _ in self.parts]

    def piece(self, rows: slice) -> "Batch":
        """Some rows of the batch, as a batch."""
        parts, targets = [], {}
        for name, whole in self.parts:
            start, stop = max(whole.start, rows.start), min(whole.stop, rows.stop)
            if start < stop:
                parts.append((name, slice(start - rows.start, stop - rows.start)))
                targets[name] = self.targets[name][start - whole.start : stop - whole.start]
        tokens = None if self.tokens is None else self.tokens[rows]
        return Batch(self.images[rows], self.task_index[rows], parts, targets, tokens)


def make_batch(drawn: Sequence[tuple[int, np.ndarray]], tasks: Sequence[TaskCases], store: ImageStore) -> Batch:
    """Gather what the sampler drew."""
    parts, targets, image_rows, start = [], {}, [], 0
    for position, chosen in drawn:
        rows = torch.from_numpy(np.asarray(chosen))
        name = tasks[position].task.name
        parts.append((name, slice(start, start + len(rows))))
        targets[name] = tasks[position].target(rows, store)
        image_rows.append(tasks[position].image_rows[rows])
        start += len(rows)
    index = torch.repeat_interleave(
        torch.tensor([position for position, _ in drawn]), torch.tensor([len(chosen) for _, chosen in drawn])
    )
    drawn_rows = torch.cat(image_rows)
    index = to_device(index, store.device)
    return Batch(store.images(drawn_rows), index, parts, targets, store.tokens(drawn_rows))
