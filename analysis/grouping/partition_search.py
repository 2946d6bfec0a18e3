"""The best partitions of tasks into units, by what each unit is worth.

    maximise  sum of value(S) over the units S of a partition
    such that every task is in one unit, there are as many units as asked for, and they cost no more than allowed

value(S) is the sum of the predicted gains of the tasks of S. It may be any function of S: means over partners make it
neither a sum over pairs nor submodular, so nothing of its form is used.

Up to `MOST_EXACT` tasks the best partition is found exactly, by dynamic programming over subsets (`every_partition`).

Above that, ascents from many starts (`local_search`) find units that fit together; these, what lies a step from the
best, all pairs, and what the caller knows (trained units) are candidates. An integer programme (set partitioning,
a variable of 0 or 1 for each candidate; Balas and Padberg 1976), solved by HiGHS, takes the best partition made of
them. That is the best of all that were looked at, not proven to be the best of all.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.optimize import LinearConstraint, milp
from scipy.sparse import csr_array

from aggregation_lab.errors import ResultsError
from analysis.grouping.every_partition import all_sets, best_of_all, best_within
from analysis.grouping.local_search import (
    Units,
    Value,
    Weighed,
    climb,
    drawn_at_random,
    joined_one_by_one,
    members_of,
    steps,
)

MOST_EXACT = 12
"""Tasks up to which every partition is weighed."""

SECONDS = 20.0
"""Time that one integer programme may take; what it has found by then is taken."""

_STARTS = 12
"""Ascents from partitions drawn at random, beside those from known ones."""

_MOST_CANDIDATES = 4000


@dataclass(frozen=True)
class Partition:
    """Units by the numbers of their tasks, sorted; `value` and `cost` are sums over units."""

    units: Units
    value: float
    cost: float = 0.0


@dataclass(frozen=True)
class Search:
    """`best` first, then runners-up in order. `proven`: no partition at all is better than the first; the runners-up
    are the next best of all where no costs are limited, else those of the partitions a step away."""

    best: tuple[Partition, ...]
    proven: bool
    weighed: int
    """Sets that were weighed as units."""


def search(
    tasks: int,
    value: Value,
    *,
    units: int | None = None,
    cost: Value | None = None,
    most: float = np.inf,
    known: Iterable[Units] = (),
    count: int = 1,
) -> Search:
    """The `count` best partitions of so many tasks into `units` units (any number where None) that cost `most` at most.

    `known` are partitions to start from where not all can be weighed. Raises `ResultsError` where there is none.
    """
    if units is not None and not 1 <= units <= tasks:
        raise ResultsError(f"{units} units cannot be made of {tasks} tasks; ask for 1 to {tasks}")
    weighed, fixed = Weighed(tasks, value, cost), units is not None
    if tasks <= MOST_EXACT:
        sets = all_sets(tasks)
        if np.isinf(most):
            found = best_of_all(tasks, value(sets), units, count)
        else:
            best = best_within(tasks, value(sets), np.zeros(len(sets)) if cost is None else cost(sets), units, most)
            found = _with_runners_up([best] if best else [], weighed, fixed, most, count)
        proven = True
    else:
        around = _ascents(tasks, weighed, units, most, known)
        best, proven = _programme(tasks, weighed, _candidates(tasks, weighed, around), units, most), False
        found = _with_runners_up([*around, *([best] if best else [])], weighed, fixed, most, count)
    if not found:
        raise ResultsError("no such partition costs so little; allow more hours, or another number of units")
    weighed.add(unit for units in found for unit in units)
    number = 2**tasks - 1 if proven else len(weighed.known)
    return Search(tuple(_partition(each, weighed) for each in found), proven, number)


def _with_runners_up(found: Sequence[Units], weighed: Weighed, fixed: bool, most: float, count: int) -> list[Units]:
    """The best of some partitions and of those a step from the best of them."""

    def first(among: Iterable[Units]) -> list[Units]:
        among = dict.fromkeys(among)
        weighed.add(unit for each in among for unit in each)
        allowed = [each for each in among if weighed.cost(each) <= most]
        return heapq.nsmallest(count, allowed, key=lambda each: (-weighed.value(each), each))

    best = first(found)
    return first([*best, *steps(best[0], fixed=fixed)]) if best else []


def _partition(units: Units, weighed: Weighed) -> Partition:
    return Partition(units, weighed.value(units), weighed.cost(units))


def _ascents(tasks: int, weighed: Weighed, units: int | None, most: float, known: Iterable[Units]) -> list[Units]:
    """The ends of ascents, and all that lies a step from them, the best ends first."""
    random = np.random.default_rng(0)  # the same starts for the same tasks
    wanted = units or max(2, round(tasks / 3))
    starts = [joined_one_by_one(weighed, tasks, wanted)]
    starts += [each for each in known if units in (None, len(each))]
    starts += [drawn_at_random(random, tasks, wanted) for _ in range(_STARTS)]
    ends = dict(climb(start, weighed, fixed=units is not None, most=most) for start in starts)
    order = sorted(ends, key=lambda each: (max(0.0, weighed.cost(each) - most), -weighed.value(each), each))
    return [*order, *(each for end in order for each in ends[end])]


def _candidates(tasks: int, weighed: Weighed, around: Sequence[Units]) -> list[tuple[int, ...]]:
    """Sets that may become units."""
    small = [each for size in (1, 2) for each in combinations(range(tasks), size)]
    sets = dict.fromkeys([*small, *(unit for units in around for unit in units)])
    chosen = list(sets)[:_MOST_CANDIDATES]
    weighed.add(chosen)
    return chosen


def _programme(
    tasks: int, weighed: Weighed, sets: Sequence[tuple[int, ...]], units: int | None, most: float
) -> Units | None:
    """The best partition made of some sets that is found in time; None where none is."""
    members = members_of(sets, tasks)
    values, costs = np.array([weighed.known[each] for each in sets]).T
    limits = [LinearConstraint(csr_array(members.T.astype(float)), 1, 1)]
    if units is not None:
        limits.append(LinearConstraint(np.ones((1, len(sets))), units, units))
    if np.isfinite(most):
        limits.append(LinearConstraint(costs[None, :], -np.inf, most))
    options = {"time_limit": SECONDS, "mip_rel_gap": 0.0}
    result = milp(-values, integrality=np.ones(len(sets)), bounds=(0, 1), constraints=limits, options=options)
    return None if result.x is None else tuple(sorted(sets[k] for k in np.flatnonzero(result.x > 0.5).tolist()))
