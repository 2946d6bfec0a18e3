"""Experts are matched across seeds before they are averaged; similarity never leaves a seed."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from aggregation_lab.manifest import Manifest
from analysis.frames import FRAMES
from analysis.questions.expert_routing import similarity, usage
from analysis.study import StudyTables

TASKS = ("a", "b", "c")
NEAR = {"rtol": 1e-6, "atol": 1e-6}
"""Similarity takes a root, which makes an error in the sixteenth digit one in the eighth."""


def rows(shares: np.ndarray, seed: int, block: int = 0, unit: str = "all", **changed) -> pd.DataFrame:
    """Routing of one model: tasks x experts."""
    tasks = changed.pop("tasks", TASKS)
    labels = {"run": f"{unit}{seed}", "aggregation": "AU", "unit": unit, "type": "segmentation", "group": "g"}
    parts = [
        pd.DataFrame({"task": task, "expert": np.arange(len(values)), "share": values})
        for task, values in zip(tasks, shares, strict=True)
    ]
    return pd.concat(parts).assign(**{**labels, "fraction": 1.0, "seed": seed, "block": block, **changed})


def study(*parts: pd.DataFrame) -> StudyTables:
    routing = pd.concat(parts, ignore_index=True) if parts else None
    return StudyTables(Manifest("routes"), pd.DataFrame({"fraction": [1.0]}), routing=routing)


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Jensen-Shannon distance to base 2 from its definition."""
    middle = (one + other) / 2
    return float(np.sqrt((entropy(one, middle, base=2) + entropy(other, middle, base=2)) / 2))


def shares_of(seed: int, experts: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(experts), len(TASKS))


@given(seed=st.integers(0, 2**32 - 1), order=st.permutations(range(4)))
@settings(max_examples=15, deadline=None)
def test_renaming_the_experts_of_a_seed_changes_nothing(seed, order):
    first = shares_of(seed)
    found = usage(study(rows(first, 0), rows(first[:, list(order)], 1)))
    assert list(found.columns) == list(FRAMES["usage"])
    wide = found.pivot(index="task", columns="expert", values="share").to_numpy()
    np.testing.assert_allclose(wide, first, **NEAR)
    plain, renamed = (similarity(study(rows(first, 0), rows(shares, 1))) for shares in (first, first[:, list(order)]))
    np.testing.assert_allclose(plain["similarity"], renamed["similarity"], **NEAR)


def test_each_block_and_unit_is_matched_by_itself():
    one, two = shares_of(1), shares_of(2)
    found = usage(
        study(
            rows(one, 0, block=6),
            rows(two, 0, block=7),
            rows(one[:, [1, 0, 3, 2]], 1, block=6),
            rows(two[:, [3, 2, 1, 0]], 1, block=7),
        )
    )
    for block, shares in ((6, one), (7, two)):
        wide = found[found["block"] == block].pivot(index="task", columns="expert", values="share")
        np.testing.assert_allclose(wide.to_numpy(), shares, **NEAR)
    np.testing.assert_allclose(found.groupby(["task", "block"])["share"].sum(), 1.0, **NEAR)


def test_a_task_that_the_first_seed_lacks_follows_the_others():
    first = shares_of(3)
    second = rows(first[:, [2, 0, 1, 3]], 1)
    found = usage(study(rows(first, 0).query("task != 'c'"), second))
    third = found[found["task"] == "c"].sort_values("expert")["share"]
    np.testing.assert_allclose(third, first[2], **NEAR)


def test_similarity_is_the_mean_over_blocks_then_seeds():
    tables = {(seed, block): shares_of(10 * seed + block) for seed in (0, 1) for block in (0, 1, 2)}
    found = similarity(study(*(rows(shares, seed, block) for (seed, block), shares in tables.items())))
    assert list(found.columns) == list(FRAMES["similarity"])
    expected = np.mean(
        [
            np.mean([1 - distance(tables[seed, block][0], tables[seed, block][1]) for block in (0, 1, 2)])
            for seed in (0, 1)
        ]
    )
    wide = found.pivot(index="task", columns="other", values="similarity")
    assert wide.loc["a", "b"] == pytest.approx(expected, rel=1e-6, abs=1e-6)
    np.testing.assert_allclose(wide, wide.T, **NEAR)
    np.testing.assert_allclose(np.diag(wide), 1.0, **NEAR)


def test_one_for_the_same_experts_and_none_for_experts_of_their_own():
    shares = np.array([[0.5, 0.5, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]])
    wide = similarity(study(rows(shares, 0))).pivot(index="task", columns="other", values="similarity")
    assert wide.loc["a", "b"] == pytest.approx(1.0, rel=0, abs=1e-6) and wide.loc["a", "c"] == pytest.approx(
        0.0, rel=0, abs=1e-6
    )


def test_all_but_equal_shares_stay_a_number():
    random = np.random.default_rng(0)
    for _ in range(50):
        one = random.dirichlet(np.ones(4))
        near = np.stack([one, one * (1 + random.normal(0, 1e-15, 4)), one])
        assert similarity(study(rows(near, 0)))["similarity"].between(1 - 1e-6, 1).all()


def test_tasks_of_different_units_are_not_compared():
    shares = shares_of(5)
    pair = rows(shares[:2], 0, unit="pair", tasks=("a", "b"), aggregation="CG")
    alone = rows(shares[2:], 0, unit="alone", tasks=("c",), aggregation="CG")
    found = similarity(study(pair, alone))
    assert set(found["task"]) == set(found["other"]) == {"a", "b"}
    assert set(usage(study(pair, alone))["task"]) == set(TASKS)


def test_only_the_largest_fraction_counts():
    full, half = shares_of(6), shares_of(7)
    both = study(rows(half, 0, fraction=0.5), rows(full, 0))
    pd.testing.assert_frame_equal(usage(both), usage(study(rows(full, 0))), rtol=1e-6, atol=1e-9)
    pd.testing.assert_frame_equal(similarity(both), similarity(study(rows(full, 0))), rtol=1e-6, atol=1e-9)


def test_without_routing_the_frames_are_empty():
    for tables in (study(), study(rows(shares_of(0), 0).iloc[:0])):
        assert usage(tables).empty and list(usage(tables).columns) == list(FRAMES["usage"])
        assert similarity(tables).empty and list(similarity(tables).columns) == list(FRAMES["similarity"])
