"""The world of the search for groups: tasks that read one structure, another one of the same pictures, or neither."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from aggregation_lab.data.splits.stratification import SPLITS
from runners.bench.worlds.pictures import Labelled, Mark, PlannedTask, Shown, marks
from runners.bench.worlds.planted import World


@dataclass(frozen=True)
class SharedStructures(World):
    """Pictures of one kind show every structure, each in one of two states; a task asks for the state of one of them.

    Tasks that ask for the same structure are related: together they have more pictures of it. Tasks that ask for
    different ones contradict each other: what one has to see is noise to the other, and the network is so narrow that
    its first filters cannot serve two structures. Tasks that stand apart have pictures with a plain mark of their own,
    which any filters show.
    """

    name = "shared structures"
    number = 3
    readers: tuple[int, ...] = (4, 4)
    """Tasks that ask for each structure."""
    apart: int = 1
    plain: float = 12.0
    """dB of the marks of tasks that stand apart."""
    sizes: tuple[float, ...] = (0.75, 1.0, 1.25)
    """A task has one of these shares of `pictures` to train on."""

    @property
    def structures(self) -> dict[str, int]:
        """By task what it asks for: a structure, or a number that no other task has."""
        asked = [number for number, count in enumerate(self.readers) for _ in range(count)]
        own = range(len(self.readers), len(self.readers) + self.apart)
        return {f"task_{number}": structure for number, structure in enumerate([*asked, *own])}

    def pairs(self) -> Iterator[tuple[str, str, bool]]:
        """Every pair of tasks that are not apart, and whether they contradict each other; else they are related."""
        of = {task: structure for task, structure in self.structures.items() if structure < len(self.readers)}
        for one, other in combinations(of, 2):
            yield one, other, of[one] != of[other]

    def groups(self) -> dict[str, str]:
        """Clinical groups, which are half right: each has all tasks of a structure but the first, and the first of the
        next one. Tasks that stand apart are one group."""
        last, found, seen = len(self.readers), {}, set()
        for task, structure in self.structures.items():
            number = structure if structure in seen else (structure - 1) % last
            found[task] = f"group_{number if structure < last else last}"
            seen.add(structure)
        return found

    def plan(self, random: np.random.Generator) -> dict[str, PlannedTask]:
        """As in `World`."""
        shown, groups, tasks = [marks(2, random) for _ in self.readers], self.groups(), {}
        train, val, test = self.pictures
        for task, structure in self.structures.items():
            turned, share = int(random.integers(2)), float(random.choice(self.sizes))
            own = None if structure < len(shown) else marks(2, random)
            counts = dict(zip(SPLITS, (round(share * train), val, test), strict=True))
            tasks[task] = PlannedTask(
                groups[task],
                {
                    part: [self._picture(shown, own, structure, turned, number % 2, random) for number in range(count)]
                    for part, count in counts.items()
                },
            )
        return tasks

    def _picture(
        self,
        structures: list[list[Mark]],
        own: list[Mark] | None,
        asked: int,
        turned: int,
        state: int,
        random: np.random.Generator,
    ) -> Labelled:
        if own is not None:
            return Labelled((Shown(own[state], self.plain, self.cells),), state ^ turned)
        states = random.integers(2, size=len(structures))
        states[asked] = state
        shown = tuple(
            Shown(pair[which], self.decibel, self.cells)
            for pair, which in zip(structures, states.tolist(), strict=True)
        )
        return Labelled(shown, state ^ turned)
