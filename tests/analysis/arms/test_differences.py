"""Differences of gains between arms: by hand, with shared runs, and what must not change them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.arms.cells import Cell
from analysis.arms.comparisons import CHANGE, EFFECT, Arms, changes, effects, gains_over, gains_within
from analysis.arms.verdicts import arm_changes, arm_gains, arm_means
from analysis.gains import PairedGain, TaskScores
from analysis.settings import Settings
from analysis.statistics.verdicts import LARGER, NO_CHANGE, SAME_MODEL, SMALLER, UNDECIDED, judge_changes
from analysis.validation.simulate_arms import ArmDesign, ArmStudy, simulate_arms

ARMS = Arms({"plain": ("TS", "AU"), "wide": ("TS", "AU")})
CELLS = ("TS-plain", "AU-plain", "TS-wide", "AU-wide")
EXACT = {"rtol": 1e-12, "atol": 1e-12}


def task(values: dict[str, list[float]], runs: dict[str, list[str]] | None = None, name: str = "t") -> TaskScores:
    """Scores of every cell, one per seed; runs are named by cell and seed where not given."""
    rows = [
        (cell, 1.0, seed, (runs or {}).get(cell, [f"{cell}/{s}" for s in range(len(of_cell))])[seed], 100.0, score)
        for cell, of_cell in values.items()
        for seed, score in enumerate(of_cell)
        if np.isfinite(score)
    ]
    arms = pd.DataFrame(rows, columns=["aggregation", "fraction", "seed", "run", "n_train", "value"])
    draws = np.random.default_rng(0).normal(arms["value"].to_numpy(), 0.01, (50, len(arms)))
    shared, index = np.unique(arms["run"].to_numpy(str), return_inverse=True)
    if (shared != "").all():  # a run has one score
        draws = draws[:, np.unique(index, return_index=True)[1]][:, index]
    return TaskScores(name, "segmentation", "breast", "1", arms.drop(columns="value"), arms["value"].to_numpy(),
                      draws, subjects=10, margin=0.02)  # fmt: skip


def by_hand(scores: TaskScores) -> PairedGain:
    """The only difference of gains."""
    ((pairs),) = changes(gains_within([scores], ARMS, [1.0]), ARMS).values()
    return pairs[0]


SCORES = {
    "TS-plain": [0.70, 0.72, 0.71],
    "AU-plain": [0.68, 0.69, 0.70],
    "TS-wide": [0.74, 0.73, 0.76],
    "AU-wide": [0.76, 0.73, 0.77],
}


def test_four_scores_of_a_seed_make_one_difference():
    found = by_hand(task(SCORES))
    np.testing.assert_allclose(found.by_seed, [0.04, 0.03, 0.02], **EXACT)
    np.testing.assert_allclose(found.joint_scores, [0.02, 0.0, 0.01], **EXACT)
    np.testing.assert_allclose(found.base_scores, [-0.02, -0.03, -0.01], **EXACT)
    assert not found.same_model and found.runs_apart == 4 and found.seeds == (0, 1, 2)
    assert list(found.joint_runs) == [f"AU-wide/{s}+TS-plain/{s}" for s in range(3)]


def test_resamples_are_subtracted_one_by_one_so_that_what_all_four_share_cancels():
    scores = task(SCORES)
    shared = np.random.default_rng(1).normal(0, 0.2, (50, 1))
    alone, moved = by_hand(scores), by_hand(replace(scores, draws=scores.draws + shared))
    np.testing.assert_allclose(moved.draws, alone.draws, rtol=0, atol=1e-12)
    assert moved.estimate().v_case == pytest.approx(alone.estimate().v_case, rel=1e-9, abs=0.0)


def test_a_run_that_both_arms_share_cancels():
    ts = [f"ts/{seed}" for seed in range(3)]
    values = SCORES | {"TS-wide": SCORES["TS-plain"]}
    found = by_hand(task(values, {"TS-plain": ts, "TS-wide": ts}))
    joint = np.subtract(values["AU-wide"], values["AU-plain"])
    np.testing.assert_allclose(found.by_seed, joint, rtol=0, atol=1e-12)
    assert found.runs_apart == 2 and not any("ts" in run for run in (*found.joint_runs, *found.base_runs))


def test_where_all_runs_are_shared_nothing_is_compared():
    runs = {cell: [f"{cell[:2]}/{seed}" for seed in range(3)] for cell in CELLS}
    values = SCORES | {"TS-wide": SCORES["TS-plain"], "AU-wide": SCORES["AU-plain"]}
    found = by_hand(task(values, runs))
    assert found.same_model
    rows = arm_changes(changes(gains_within([task(values, runs)], ARMS, [1.0]), ARMS), Settings())
    assert rows["verdict"].tolist() == [SAME_MODEL] and rows[["low", "high", "p"]].isna().all(axis=None)
    means = arm_means(changes(gains_within([task(values, runs)], ARMS, [1.0]), ARMS))
    assert (means["tasks"] == 0).all() and (means["same_model"] == 1).all()


def test_seeds_of_which_nothing_is_left_are_no_evidence():
    """Seed 0 shares all runs: its 0 is by construction, and must not pull the mean to 0 or narrow the interval."""
    runs = {cell: [f"{cell[:2]}/0", f"{cell}/1", f"{cell}/2"] for cell in CELLS}
    values = {cell: [SCORES[f"{cell[:2]}-plain"][0], *SCORES[cell][1:]] for cell in CELLS}
    found = by_hand(task(values, runs))
    assert found.seeds == (1, 2) and not found.same_model and found.unpaired == 2
    np.testing.assert_allclose(found.by_seed, [0.03, 0.02], **EXACT)


def test_scores_without_runs_never_cancel():
    found = by_hand(task(SCORES, {cell: [""] * 3 for cell in CELLS}))
    assert not found.same_model and found.runs_apart == 4 and set(found.joint_runs) == {""}


def test_seeds_that_one_of_the_four_lacks_are_left_out():
    found = by_hand(task(SCORES | {"TS-wide": [np.nan, 0.73, 0.76]}))
    assert found.seeds == (1, 2) and found.unpaired == 1


def test_without_a_common_seed_there_is_no_difference():
    scores = task(SCORES | {"AU-wide": [0.7, np.nan, np.nan], "AU-plain": [np.nan, 0.7, 0.7]})
    assert not any(changes(gains_within([scores], ARMS, [1.0]), ARMS).values())


numbers = st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3)


@given(numbers, numbers, numbers, numbers, st.floats(-0.5, 0.5))
@settings(derandomize=True, max_examples=60, deadline=None)
def test_arms_exchanged_turn_the_sign_and_what_an_arm_adds_to_all_scores_is_no_difference(a, b, c, d, added):
    values = dict(zip(CELLS, (a, b, c, d), strict=True))
    found = by_hand(task(values)).by_seed
    turned = by_hand(task(dict(zip(CELLS, (c, d, a, b), strict=True)))).by_seed
    np.testing.assert_allclose(found, -turned, rtol=0, atol=1e-12)
    raised = {cell: list(np.add(of_cell, added if cell.endswith("wide") else 0.0)) for cell, of_cell in values.items()}
    np.testing.assert_allclose(by_hand(task(raised)).by_seed, found, rtol=0, atol=1e-12)


def test_the_effect_of_an_arm_is_that_of_one_aggregation():
    found = {about.contrast.joint: pairs[0] for (about, _), pairs in effects([task(SCORES)], ARMS, [1.0]).items()}
    np.testing.assert_allclose(found["TS"].by_seed, [0.04, 0.01, 0.05], **EXACT)
    np.testing.assert_allclose(found["AU"].by_seed, [0.08, 0.04, 0.07], **EXACT)


def test_with_one_base_every_other_cell_is_over_it():
    compared = gains_over([task(SCORES)], ARMS, Cell("TS", "plain"), [1.0])
    rows = arm_gains(compared, Settings()).set_index(["joint", "arm"])
    assert set(rows.index) == {("AU", "plain"), ("TS", "wide"), ("AU", "wide")}
    assert rows.loc[("AU", "wide"), "gain"] == pytest.approx(np.mean([0.06, 0.01, 0.06]), rel=1e-9, abs=0.0)
    assert set(rows["base_arm"]) == {"plain"} and set(rows["base"]) == {"TS"}


@pytest.fixture(scope="module")
def study() -> ArmStudy:
    return simulate_arms(ArmDesign(tasks=6, seeds=4, subjects=60, seed_sd=0.004, changes={"wide": 0.08}), 3)


def test_a_planted_change_is_found_in_the_right_arm(study):
    scores, arms = study.scores(100, 0), study.design.compared
    within = gains_within(scores, arms, [1.0])
    rows = arm_changes(changes(within, arms) | effects(scores, arms, [1.0]), Settings())
    of_gain, of_arm = rows[rows["kind"] == CHANGE], rows[(rows["kind"] == EFFECT) & (rows["contrast"] == "TS")]
    assert (of_gain["verdict"] == LARGER).all() and of_gain["change"].mean() == pytest.approx(0.08, abs=0.02)
    assert not of_arm["verdict"].isin([LARGER, SMALLER]).any()
    means = arm_means(within, changes(within, arms))
    overall = means[(means["kind"] == CHANGE) & (means["level"] == "overall")].iloc[0]
    assert overall["low"] > 0.05 and overall["tasks"] == 6 and overall["gaining"] == 6


def test_what_subjects_do_to_a_gain_in_both_arms_is_no_scatter_of_the_difference():
    """Were the two gains taken as independent, the part of the cases would be the sum of theirs."""
    scores = task(SCORES)
    joint = scores.arms["aggregation"].str.startswith("AU").to_numpy()
    moved = replace(scores, draws=scores.draws + joint * np.random.default_rng(1).normal(0, 0.2, (50, 1)))
    gains = [pairs[0].estimate().v_mean for pairs in gains_within([moved], ARMS, [1.0]).values()]
    apart = by_hand(moved).estimate().v_mean
    assert apart == pytest.approx(by_hand(scores).estimate().v_mean, rel=1e-9, abs=0.0)
    assert apart < 0.01 * sum(gains)


@pytest.mark.parametrize(
    ("change", "se", "verdict"),
    [(0.05, 0.01, LARGER), (-0.05, 0.01, SMALLER), (0.005, 0.003, NO_CHANGE), (0.01, 0.02, UNDECIDED)],
)
def test_verdicts_on_changes(change, se, verdict):
    row = judge_changes(np.array([change]), np.array([se]), np.array([30.0]), np.array([0.02])).iloc[0]
    assert row["verdict"] == verdict


def test_a_change_that_is_surely_there_and_surely_small_is_no_meaningful_one():
    row = judge_changes(np.array([0.01]), np.array([0.001]), np.array([30.0]), np.array([0.02])).iloc[0]
    assert row["p"] < 1e-6 and row["verdict"] == NO_CHANGE


def test_a_change_without_an_error_or_a_margin_is_not_called_none():
    rows = judge_changes(np.zeros(2), np.array([np.nan, 0.001]), np.full(2, 9.0), np.array([0.02, np.nan]))
    assert rows["verdict"].tolist() == [UNDECIDED, UNDECIDED]
