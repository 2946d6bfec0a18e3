"""The benchmarks run at their smallest size and give finite figures; their peers do the same work as agglab."""

import math

import pytest

from runners.bench.bare import bare
from runners.bench.frozen import frozen
from runners.bench.growth import growth
from runners.bench.peers import peers
from runners.bench.setting import Setting


@pytest.fixture(scope="module")
def setting(tmp_path_factory) -> Setting:
    return Setting(tmp_path_factory.mktemp("bench"), size=32, passes=0.05, rounds=1, growth_seeds=(1, 2))


def figures(table) -> list[float]:
    return [cell for row in table.rows for cell in row if isinstance(cell, int | float)]


@pytest.mark.slow
@pytest.mark.parametrize("part", [bare, frozen, growth])
def test_a_part_gives_finite_figures(part, setting):
    found = figures(part(setting))
    assert found and all(math.isfinite(figure) for figure in found)


@pytest.mark.slow
def test_the_plain_peer_trains_as_much_as_agglab(setting):
    table = peers(setting)
    names = [row[0] for row in table.rows]
    ours, plain = (dict(zip(table.columns, row, strict=True)) for row in table.rows[:2])
    assert names[0] == "agglab" and names[1].startswith("plain PyTorch")
    assert plain["steps"] >= ours["steps"] > 0 and plain["images"] >= ours["images"] > 0
