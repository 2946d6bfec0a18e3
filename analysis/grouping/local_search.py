"""From one partition of tasks to better ones nearby: one step moves a task, exchanges two, or joins two units.

It supplies what an integer programme cannot make by itself for many tasks: units that fit together. All steps from a
partition are weighed at once, and the best is taken until none is better (steepest ascent).
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

import numpy as np

Value = Callable[[np.ndarray], np.ndarray]
"""What sets are worth, or cost (C), from their members (C x T, true for tasks of the set)."""

Unit = tuple[int, ...]
Units = tuple[Unit, ...]
"""A partition, sorted: the numbers of the tasks of each unit, ascending."""

_EQUAL = 1e-9
_MOST_STEPS = 200


class Weighed:
    """Sets with what they are worth and cost, each weighed once."""

    def __init__(self, tasks: int, value: Value, cost: Value | None) -> None:
        self._tasks, self._value, self._cost = tasks, value, cost
        self.known: dict[Unit, tuple[float, float]] = {}

    def add(self, sets: Iterable[Unit]) -> None:
        """Weigh the sets that are new, all at once."""
        new = [each for each in dict.fromkeys(sets) if each not in self.known]
        if new:
            members = members_of(new, self._tasks)
            costs = np.zeros(len(new)) if self._cost is None else self._cost(members)
            self.known.update(zip(new, zip(self._value(members).tolist(), costs.tolist(), strict=True), strict=True))

    def value(self, units: Units) -> float:
        """What a partition is worth."""
        return sum(self.known[unit][0] for unit in units)

    def cost(self, units: Units) -> float:
        """What a partition costs."""
        return sum(self.known[unit][1] for unit in units)


def members_of(sets: Sequence[Sequence[int]], tasks: int) -> np.ndarray:
    """Sets of numbers of tasks as rows that are true for them: C x T."""
    members = np.zeros((len(sets), tasks), bool)
    if sets:
        members[np.repeat(np.arange(len(sets)), [len(each) for each in sets]), np.concatenate(sets).astype(int)] = True
    return members


def climb(start: Units, weighed: Weighed, *, fixed: bool, most: float) -> tuple[Units, list[Units]]:
    """The last partition of an ascent from `start`, and every partition that was a step from it.

    `fixed`: the number of units stays. A partition that costs more than `most` is worse than any that does not, the
    more so the more it costs.
    """

    def rank(units: Units) -> tuple[float, float]:
        return -max(0.0, weighed.cost(units) - most), weighed.value(units)

    weighed.add(start)
    at = start
    for _ in range(_MOST_STEPS):
        around = steps(at, fixed=fixed)
        weighed.add(unit for units in around for unit in units)
        best = max(around, key=rank, default=at)
        over, value = rank(at)
        if rank(best) <= (over, value + _EQUAL):
            break
        at = best
    return at, around


def steps(units: Units, *, fixed: bool) -> list[Units]:
    """Every partition that is one step away; with `fixed`, of as many units."""
    found: dict[Units, None] = {}
    for a, b in combinations(range(len(units)), 2):
        rest = [unit for k, unit in enumerate(units) if k not in (a, b)]
        one, other = units[a], units[b]
        pairs = [(_less(one, k), _more(other, k)) for k in one] + [(_more(one, k), _less(other, k)) for k in other]
        pairs += [(_more(_less(one, k), j), _more(_less(other, j), k)) for k in one for j in other]
        if not fixed:
            pairs.append((_more(one, *other), ()))
        for pair in pairs:
            if all(pair) or not fixed:
                found[tuple(sorted([*rest, *(unit for unit in pair if unit)]))] = None
    if not fixed:
        for unit in units:
            rest = [each for each in units if each != unit]
            for k in unit if len(unit) > 1 else ():
                found[tuple(sorted([*rest, _less(unit, k), (k,)]))] = None
    found.pop(units, None)
    return list(found)


def _less(unit: Unit, k: int) -> Unit:
    return tuple(each for each in unit if each != k)


def _more(unit: Unit, *added: int) -> Unit:
    return tuple(sorted((*unit, *added)))


def joined_one_by_one(weighed: Weighed, tasks: int, units: int) -> Units:
    """From all tasks alone, join the two units that lose least or add most, until so many are left."""
    at: Units = tuple((k,) for k in range(tasks))
    while len(at) > units:
        options = [
            tuple(sorted([*(each for each in at if each not in (one, other)), _more(one, *other)]))
            for one, other in combinations(at, 2)
        ]
        weighed.add(unit for option in options for unit in option)
        at = max(options, key=weighed.value)
    return at


def drawn_at_random(random: np.random.Generator, tasks: int, units: int) -> Units:
    """A partition into so many units."""
    labels = random.permutation([*range(units), *random.integers(0, units, tasks - units)])
    return tuple(sorted(tuple(np.flatnonzero(labels == k).tolist()) for k in range(units)))
