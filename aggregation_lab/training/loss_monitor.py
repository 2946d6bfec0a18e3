"""The losses of the steps, checked every few steps: for the learning curve, and to end a run that diverges."""

import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from aggregation_lab.errors import TrainingError
from aggregation_lab.training.device import HostCopy

EXPLODED = 1e3
"""Every loss is of the order of 1 at the start; a run beyond this has diverged."""
CHECK_EVERY = 10
"""Steps whose losses are read together."""


class LossWatch:
    """`since` holds each task's losses since the last point of its curve, `last` the mean of the steps read last.

    Losses leave an accelerator in the background and are read when the next ones are sent, so that it never waits.
    """

    def __init__(self, tasks: Iterable[str]):
        self.since: dict[str, list[float]] = {name: [] for name in tasks}
        self.last = math.nan
        self._new: list[tuple[int, list[str], Tensor]] = []
        self._sent: tuple[list[tuple[int, str]], HostCopy] | None = None

    def add(self, step: int, tasks: list[str], losses: Tensor) -> None:
        """The mean loss of each task in a step. Raises as `check` does."""
        self._new.append((step, tasks, losses))
        if len(self._new) >= CHECK_EVERY:
            self._read()
            self._send()
            if self._sent and self._sent[1].arrived():
                self._read()

    def check(self) -> None:
        """Read all losses so far. Raises `TrainingError` naming step and task where one is not finite or exploded."""
        self._read()
        self._send()
        self._read()

    def _send(self) -> None:
        if self._new:
            labels = [(step, name) for step, names, _ in self._new for name in names]
            self._sent = labels, HostCopy(torch.cat([losses for _, _, losses in self._new]))
            self._new = []

    def _read(self) -> None:
        if self._sent is None:
            return
        (labels, copy), self._sent = self._sent, None
        values = copy.values()
        for (step, name), value in zip(labels, values, strict=True):
            if not math.isfinite(value) or value > EXPLODED:
                raise TrainingError(
                    f"step {step}: the loss of task {name} is {value:g}; "
                    "lower training.learning_rate or look at the task's targets"
                )
            self.since[name].append(value)
        self.last = float(np.mean(values))
