"""Worlds: what their pictures show, and what is true of the claim on capacity in them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from aggregation_lab.data.splits.stratification import SPLITS
from analysis.questions.finding_parts import CONTRADICTED, SUPPORTED
from runners.bench.worlds.pictures import Labelled, Mark, PlannedTask, Shown, marks

IN_GROUP = 2
"""Tasks of a clinical group."""


@dataclass(frozen=True)
class World(ABC):
    """Tasks of two classes in clinical groups, seen by networks of `widths`, of which the first is the study's."""

    name: ClassVar[str]
    number: ClassVar[int]
    widths: tuple[int, ...]
    pictures: tuple[int, int, int] = (48, 4, 48)
    """Of each task, in train, val and test."""
    passes: float = 10.0
    margin: float = 0.02
    seeds: int = 5
    batch: int = 24
    rate: float = 0.008
    decibel: float = 12.0
    """Of the mark that a task is about, beside the 5.6 dB by which speckle scatters."""
    cells: int = 4
    """That show the same mark, of sixteen."""

    @abstractmethod
    def plan(self, random: np.random.Generator) -> dict[str, PlannedTask]:
        """The tasks of one seed of the world."""

    @property
    def slug(self) -> str:
        """The name as part of a file's."""
        return self.name.replace(" ", "_")

    @property
    def training(self) -> dict[str, Any]:
        """The study's training."""
        return {
            "image_size": 32,
            "batch_size": self.batch,
            "passes": self.passes,
            "min_steps": 1,
            "learning_rate": self.rate,
            "evaluations": 3,
            "augment": False,
            "precision": "fp32",
        }


@dataclass(frozen=True)
class CapacityWorld(World):
    """A study of it has an arm for each of `widths`, under TS, CG and AU."""

    truth: ClassVar[str]
    """What the claim on capacity has to come out as."""
    groups: int = 5
    """Clinical groups of `IN_GROUP` tasks: the median of fewer tasks than six has no interval."""

    def _tasks(self) -> Iterator[tuple[str, str]]:
        """Group and name of every task."""
        for number in range(self.groups * IN_GROUP):
            yield f"group_{number // IN_GROUP}", f"task_{number}"

    def _every(self) -> Mapping[str, range]:
        """Numbers of a task's pictures by part; even and odd ones are the two classes."""
        return {part: range(size) for part, size in zip(SPLITS, self.pictures, strict=True)}


@dataclass(frozen=True)
class MisleadingMarks(CapacityWorld):
    """What all tasks together teach is wrong for each of them, however large the model is.

    One pair of clear marks tells the classes of all tasks; it agrees with the label in `agreement` of the pictures. A
    fainter pair, one of `kinds`, agrees with every label in training and validation and with none in the test, as the
    burnt-in marks of a hospital would. A task has too few pictures of each kind to learn it; all tasks have enough.
    """

    name = "misleading marks"
    number = 1
    truth = SUPPORTED
    agreement: float = 0.85
    kinds: int = 3
    faint: float = 4.0

    def plan(self, random: np.random.Generator) -> dict[str, PlannedTask]:
        """As in `World`."""
        clear, faint = marks(2, random), marks(2 * self.kinds, random)
        tasks = {}
        for group, name in self._tasks():
            turned = int(random.integers(2))  # which class a mark stands for: a task's own head learns that at once
            parts = {
                part: [self._picture(clear, faint, state % 2, turned, part == "test", random) for state in every]
                for part, every in self._every().items()
            }
            tasks[name] = PlannedTask(group, parts)
        return tasks

    def _picture(
        self, clear: list[Mark], faint: list[Mark], state: int, turned: int, tested: bool, random: np.random.Generator
    ) -> Labelled:
        told = state if random.random() < self.agreement else 1 - state
        misleading = faint[2 * int(random.integers(self.kinds)) + (1 - state if tested else state)]
        shown = (Shown(clear[told], self.decibel, self.cells), Shown(misleading, self.faint, self.cells))
        return Labelled(shown, state ^ turned)


@dataclass(frozen=True)
class WantOfCapacity(CapacityWorld):
    """Tasks that have nothing in common: each tells its classes by a pair of faint marks of its own.

    A mark drowns in the speckle unless the first filters of the network are made for it. A narrow network has filters
    for the marks of few tasks, and a wide one for those of all.
    """

    name = "want of capacity"
    number = 2
    truth = CONTRADICTED

    def plan(self, random: np.random.Generator) -> dict[str, PlannedTask]:
        """As in `World`."""
        tasks = {}
        for group, name in self._tasks():
            own = marks(2, random)
            parts = {
                part: [Labelled((Shown(own[number % 2], self.decibel, self.cells),), number % 2) for number in every]
                for part, every in self._every().items()
            }
            tasks[name] = PlannedTask(group, parts)
        return tasks


WORLDS: tuple[CapacityWorld, ...] = (
    MisleadingMarks(widths=(8, 18, 40), decibel=8.0, margin=0.1),
    WantOfCapacity(widths=(4, 20), groups=10, passes=20.0, margin=0.01, rate=0.007, batch=48, decibel=4.0),
)
