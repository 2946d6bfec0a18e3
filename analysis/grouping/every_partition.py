"""The best of all partitions of a few tasks, by dynamic programming over subsets of them.

The best partition of some tasks is a unit that holds the first of them, and the best partition of the rest (Bellman
1957), so that some 3^(T - 1) / 2 sums stand for all partitions: 90,000 for 12 tasks, which
have four million partitions. Where costs
are limited, every subset keeps each of its partitions that no other one beats in both value and cost.

Sets are bit masks: task i is in a set where bit i is set.
"""

from collections.abc import Iterator

import numpy as np

from analysis.grouping.local_search import Units


def all_sets(tasks: int) -> np.ndarray:
    """Every set of tasks but the empty one, in the order of their masks, by members: (2^T - 1) x T."""
    return (np.arange(1, 2**tasks)[:, None] >> np.arange(tasks)) % 2 == 1


def best_of_all(tasks: int, values: np.ndarray, units: int | None, count: int) -> list[Units]:
    """The `count` best partitions into `units` units, any number where None; `values` of `all_sets`.

    For every mask and number of units the best values are kept, and how they are made: the mask of the unit with the
    first task, and the place of the rest among its best.
    """
    levels = range(1) if units is None else range(1, units + 1)
    best = np.full((2**tasks, (units or 0) + 1, count), -np.inf)
    unit, rest = np.zeros(best.shape, np.int64), np.zeros(best.shape, np.int64)
    best[0, 0, 0] = 0.0
    for mask, sets in _units_of_first(tasks):
        for level in levels:
            options = (values[sets - 1][:, None] + best[mask ^ sets, max(level - 1, 0)]).ravel()
            order = np.argsort(-options, kind="stable")[:count]
            best[mask, level, : len(order)] = options[order]
            unit[mask, level, : len(order)], rest[mask, level, : len(order)] = sets[order // count], order % count
    found = []
    for rank in range(count):
        mask, level, place, made = 2**tasks - 1, units or 0, rank, []
        if not np.isfinite(best[mask, level, place]):
            break
        while mask:
            made.append(int(unit[mask, level, place]))
            place, mask, level = int(rest[mask, level, place]), mask ^ made[-1], max(level - 1, 0)
        found.append(_units(made))
    return found


def best_within(tasks: int, values: np.ndarray, costs: np.ndarray, units: int | None, most: float) -> Units | None:
    """The best partition that costs `most` at most; None where there is none. `values`, `costs` of `all_sets`."""
    levels = range(1) if units is None else range(1, units + 1)
    none = (np.empty(0), np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
    fronts = {(0, 0): (np.zeros(1), np.zeros(1), np.zeros(1, np.int64), np.zeros(1, np.int64))}
    for mask, sets in _units_of_first(tasks):
        for level in levels:
            parts = []
            for one in sets.tolist():
                value, cost, *_ = fronts.get((mask ^ one, max(level - 1, 0)), none)
                made = np.full(len(value), one), np.arange(len(value))
                parts.append((value + values[one - 1], cost + costs[one - 1], *made))
            value, cost, one, place = (np.concatenate(column) for column in zip(*parts, strict=True))
            order = np.lexsort((-value, cost))
            order = order[cost[order] <= most]
            ahead = np.maximum.accumulate(np.concatenate([[-np.inf], value[order]]))[:-1]
            order = order[value[order] > ahead]
            fronts[mask, level] = value[order], cost[order], one[order], place[order]
    left, level, masks = 2**tasks - 1, units or 0, list[int]()
    at = len(fronts[left, level][0]) - 1  # values rise with costs
    if at < 0:
        return None
    while left:
        _, _, ones, places = fronts[left, level]
        masks.append(int(ones[at]))
        at, left, level = int(places[at]), left ^ masks[-1], max(level - 1, 0)
    return _units(masks)


def _units_of_first(tasks: int) -> Iterator[tuple[int, np.ndarray]]:
    """Every mask that can be left to divide, smaller ones first, with all of its subsets that hold its first
    task: masks without task 0, which is in the first unit, and at last the one of all tasks."""
    for mask in (*range(2, 2**tasks, 2), 2**tasks - 1):
        first = mask & -mask
        sets = np.array([first])
        for bit in (1 << k for k in range(tasks) if (mask ^ first) >> k & 1):
            sets = np.concatenate([sets, sets | bit])
        yield mask, sets


def _units(masks: list[int]) -> Units:
    return tuple(sorted(tuple(k for k in range(mask.bit_length()) if mask >> k & 1) for mask in masks))
