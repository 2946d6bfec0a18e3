"""Gain against the size of the model: lines by hand, which arms form a series, and what is left out."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.arms.capacity import OPERATIONS, PARAMETERS, capacity, model_sizes, series_of
from analysis.arms.comparisons import Arms, gains_within
from analysis.validation.simulate_arms import ArmDesign, simulate_arms

SIZES = {"tiny": 1e6, "small": 2e6, "base": 8e6}
DESIGN = ArmDesign(
    tasks=6, groups=3, seeds=4, subjects=30, arms=SIZES, capacity_slope=0.02, seed_sd=0.0, interaction_sd=0.0,
    noise_sd=0.002, subject_sd=0.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def found() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    study = simulate_arms(DESIGN, 0)
    within = gains_within(study.scores(50, 0), DESIGN.compared, [1.0])
    return capacity(within, [tuple(SIZES)], {PARAMETERS: study.sizes, OPERATIONS: {}})


def test_the_slope_is_that_of_a_doubling(found):
    slopes, gains, lines = found
    assert set(slopes["measure"]) == {PARAMETERS}
    pooled = slopes[(slopes["level"] == "pooled") & (slopes["name"] == "all")].iloc[0]
    assert pooled["slope"] == pytest.approx(0.02, abs=0.001) and pooled["low"] < 0.02 < pooled["high"]
    assert (pooled["tasks"], pooled["arms"], pooled["series"]) == (6, 3, "tiny, small, base")
    assert pooled["size_min"] == pytest.approx(1e6, rel=1e-9, abs=0.0) and pooled["size_max"] == pytest.approx(
        8e6, rel=1e-9, abs=0.0
    )
    by_arm = gains.set_index("arm")
    np.testing.assert_allclose(by_arm.loc[list(SIZES), "size"], list(SIZES.values()), rtol=1e-9, atol=0)
    assert by_arm.loc["base", "gain"] - by_arm.loc["tiny", "gain"] == pytest.approx(0.06, abs=0.003)
    ends = lines.sort_values("size")["fit"].iloc[[0, -1]].to_numpy()
    assert ends[1] - ends[0] == pytest.approx(3 * pooled["slope"], rel=1e-6, abs=0.0)


def test_single_tasks_have_lines_of_their_own(found):
    tasks = found[0][found[0]["level"] == "task"]
    assert len(tasks) == 6
    np.testing.assert_allclose(tasks["slope"].astype(float), 0.02, rtol=0, atol=0.003)


def test_a_task_that_lacks_an_arm_is_out_of_the_pooled_line_and_not_all_of_it():
    study = simulate_arms(DESIGN, 1)
    within = gains_within(study.scores(50, 0), DESIGN.compared, [1.0])
    key = next(about for about in within if about[0].arm == "base")
    slopes, gains, _ = capacity(within | {key: within[key][1:]}, [tuple(SIZES)], {PARAMETERS: study.sizes})
    pooled = slopes[(slopes["level"] == "pooled") & (slopes["name"] == "all")].iloc[0]
    assert pooled["tasks"] == 5 and (gains["tasks"] == 5).all()
    assert slopes.set_index("name").loc["task00", "arms"] == 2


def test_runs_of_unknown_or_equal_size_make_no_line():
    study = simulate_arms(DESIGN, 2)
    within = gains_within(study.scores(0, 0), DESIGN.compared, [1.0])
    alike = {run: 1e6 * (1.0 + 0.1 * run.startswith("base")) for run in study.sizes}
    for sizes in ({}, alike):
        assert all(rows.empty for rows in capacity(within, [tuple(SIZES)], {PARAMETERS: sizes}))


def test_with_one_seed_a_slope_has_no_interval():
    design = DESIGN.with_(seeds=1)
    study = simulate_arms(design, 0)
    slopes, _, _ = capacity(
        gains_within(study.scores(50, 0), design.compared, [1.0]), [tuple(SIZES)], {PARAMETERS: study.sizes}
    )
    assert len(slopes) and slopes[["low", "high", "p"]].isna().all(axis=None)


def _arm(training: dict | None = None, **model: object) -> dict:
    return {
        "model": {"encoder": "vit_small", "weights": "random", "moe": {"experts": 4, "kind": "split"}} | model,
        "training": {"passes": 30, "loss_weights": {}} | (training or {}),
    }


def test_arms_of_a_series_differ_in_capacity_alone():
    arms = {
        "main": _arm(),
        "wide": _arm(encoder="vit_base"),
        "copy": _arm(moe={"experts": 8, "kind": "copy"}),
        "hub": _arm(weights="hub"),
        "upgrad": _arm({"aggregator": "upgrad"}),
        "wide-upgrad": _arm({"aggregator": "upgrad"}, encoder="vit_base"),
    }
    assert series_of(arms) == [("main", "wide", "copy"), ("upgrad", "wide-upgrad")]
    assert series_of({"main": _arm(), "upgrad": arms["upgrad"]}) == []


def test_sizes_are_counted_per_run():
    runs = pd.DataFrame(
        {"run": ["a", "a", "b", "c"], "aggregation": ["TS", "CG", "AU", "AU"], "parameters": [10, 10, 20, 0],
         "flops": [600.0, 600.0, 900.0, 0.0], "images_seen": [3, 3, 9, 0]}
    )  # fmt: skip
    found = model_sizes(runs)
    assert found == {PARAMETERS: {"a": 10.0, "b": 20.0}, OPERATIONS: {"a": 200.0, "b": 100.0}}
    assert model_sizes(None) == {PARAMETERS: {}, OPERATIONS: {}}


def test_a_contrast_that_only_one_arm_has_has_no_trend():
    study = simulate_arms(DESIGN, 0)
    arms = Arms(dict(DESIGN.compared.aggregations) | {"small": ("AU",), "base": ("TS",)})
    within = gains_within(study.scores(0, 0), arms, [1.0])
    assert {about.arm for about, _ in within} == {"tiny"}
    assert all(rows.empty for rows in capacity(within, [tuple(SIZES)], {PARAMETERS: study.sizes}))


def test_improving_bases_are_told():
    study = simulate_arms(DESIGN, 0)
    within = gains_within(study.scores(0, 0), DESIGN.compared, [1.0])
    rising = {
        key: [replace(pair, base_improving=pair.task == "task01" and key[0].arm == "small") for pair in pairs]
        for key, pairs in within.items()
    }
    slopes, _, _ = capacity(rising, [tuple(SIZES)], {PARAMETERS: study.sizes})
    assert set(slopes.loc[slopes["base_improving"].astype(bool) & (slopes["level"] == "task"), "name"]) == {"task01"}
