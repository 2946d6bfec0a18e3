"""Partition search: against all partitions written out, with limited costs, many tasks, and what cannot be had."""

from collections.abc import Iterator

import numpy as np
import pytest

from aggregation_lab.errors import ResultsError
from analysis.grouping import partition_search
from analysis.grouping.local_search import Units, climb, members_of, steps
from analysis.grouping.partition_search import search

NEAR = {"rel": 1e-9, "abs": 1e-12}


def planted(tasks: int, seed: int):
    """What a set is worth: mean affinity of the partners and an effect of each task, 0 of a task alone."""
    random = np.random.default_rng(seed)
    pairs, own = random.normal(0, 0.02, (tasks, tasks)), random.normal(0, 0.01, tasks)
    np.fill_diagonal(pairs, 0.0)

    def value(members: np.ndarray) -> np.ndarray:
        inside, size = members.astype(float), members.sum(1)
        gains = np.where(members, inside @ pairs / np.maximum(size - 1, 1)[:, None] + own, 0.0)
        return np.where(size > 1, gains.sum(1), 0.0)

    return value


def cost(members: np.ndarray) -> np.ndarray:
    size = members.sum(1)
    return np.where(size > 1, size + members @ np.linspace(0, 1, members.shape[1]), 0.0)


def all_partitions(tasks: list[int]) -> Iterator[list[list[int]]]:
    if not tasks:
        yield []
        return
    first, rest = tasks[0], tasks[1:]
    for smaller in all_partitions(rest):
        yield [[first], *smaller]
        for k in range(len(smaller)):
            yield [*smaller[:k], [first, *smaller[k]], *smaller[k + 1 :]]


def worth(function, units, tasks: int) -> float:
    return float(function(members_of(units, tasks)).sum())


@pytest.mark.parametrize("units", [None, 1, 3, 6])
@pytest.mark.parametrize("most", [np.inf, 7.0])
def test_the_best_of_all_203_partitions_of_six_tasks(units, most):
    value = planted(6, 1)
    allowed = [
        each for each in all_partitions(list(range(6))) if units in (None, len(each)) and worth(cost, each, 6) <= most
    ]
    if not allowed:
        with pytest.raises(ResultsError, match="no such partition costs so little"):
            search(6, value, units=units, cost=cost, most=most)
        return
    values = sorted((worth(value, each, 6) for each in allowed), reverse=True)
    found = search(6, value, units=units, cost=cost, most=most, count=5)
    assert found.proven and found.best[0].value == pytest.approx(values[0], **NEAR)
    assert all(each.cost <= most for each in found.best)
    if np.isinf(most):
        assert [each.value for each in found.best] == pytest.approx(values[: len(found.best)], **NEAR)
        assert len(found.best) == min(5, len(values))


def test_partitions_hold_every_task_once_and_no_partition_twice():
    found = search(8, planted(8, 2), units=3, count=20).best
    assert len({each.units for each in found}) == 20
    for each in found:
        assert sorted(k for unit in each.units for k in unit) == list(range(8)) and len(each.units) == 3


@pytest.mark.parametrize("units", [None, 3])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_integer_programme_finds_what_is_proven_for_ten_tasks(units, seed, monkeypatch):
    value = planted(10, seed)
    exact = search(10, value, units=units).best[0].value
    monkeypatch.setattr(partition_search, "MOST_EXACT", 5)
    found = search(10, value, units=units)
    assert found.best[0].value == pytest.approx(exact, **NEAR) and not found.proven


@pytest.mark.slow
@pytest.mark.parametrize(("units", "most"), [(None, np.inf), (4, np.inf), (None, 30.0)])
def test_27_tasks_are_parted_as_they_were_planted(units, most, monkeypatch):
    """Four blocks that help themselves and harm each other. A programme that runs out of time takes what it has, so
    the limit on it is what keeps the whole search under a minute."""
    monkeypatch.setattr(partition_search, "SECONDS", 10.0)
    block = np.arange(27) % 4
    pairs = np.where(block[:, None] == block, 0.03, -0.03) + np.random.default_rng(0).normal(0, 0.005, (27, 27))
    np.fill_diagonal(pairs, 0.0)

    def value(members: np.ndarray) -> np.ndarray:
        inside, size = members.astype(float), members.sum(1, keepdims=True)
        return np.where(members & (size > 1), inside @ pairs / np.maximum(size - 1, 1), 0.0).sum(1)

    found = search(27, value, units=units, cost=cost, most=most, count=5)
    assert all(len(set(block[list(unit)])) == 1 for unit in found.best[0].units)
    assert units in (None, len(found.best[0].units)) and found.best[0].cost <= most
    planted_blocks = [tuple(np.flatnonzero(block == k)) for k in range(4)]
    if np.isinf(most):
        assert found.best[0].value >= value(members_of(planted_blocks, 27)).sum() - 1e-9


@pytest.mark.parametrize("units", [0, 7])
def test_units_that_cannot_be_made_are_one_line(units):
    with pytest.raises(ResultsError, match=f"{units} units cannot be made of 6 tasks; ask for 1 to 6"):
        search(6, planted(6, 0), units=units)


def test_a_step_keeps_the_tasks_and_where_asked_the_number_of_units():
    start: Units = ((0, 1), (2,), (3, 4))
    for fixed in (True, False):
        for each in steps(start, fixed=fixed):
            assert sorted(k for unit in each for k in unit) == list(range(5)) and each != start
            assert all(each) and each == tuple(sorted(each))
            assert len(each) == 3 or not fixed
    assert ((0, 1, 2), (3, 4)) in steps(start, fixed=False) and ((0,), (1,), (2,), (3, 4)) in steps(start, fixed=False)


def test_an_ascent_ends_where_no_step_is_better():
    from analysis.grouping.local_search import Weighed

    weighed = Weighed(7, planted(7, 3), None)
    end, around = climb(tuple((k,) for k in range(7)), weighed, fixed=False, most=np.inf)
    assert set(around) == set(steps(end, fixed=False))
    assert all(weighed.value(each) <= weighed.value(end) + 1e-9 for each in around)
