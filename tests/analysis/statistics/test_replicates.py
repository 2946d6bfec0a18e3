"""Rotating folds in the statistics: what a replicate is, and the variance of its mean, by hand and by simulation."""

import numpy as np
import pandas as pd
import pytest

from analysis.gains import PairedGain
from analysis.pairing import pair_all
from analysis.questions.families import moderated
from analysis.questions.means import moved_together, these_tasks
from analysis.questions.scale.within_tasks import task_lines
from analysis.statistics.replicates import FoldsTested, estimate_folds, fold_case_variance
from analysis.statistics.resampling import draw_weights, folded_cases
from analysis.statistics.uncertainty import CASES, NONE, SEEDS, SEEDS_AND_CASES
from analysis.validation.fold_learner import train_folds
from analysis.validation.folds import STUDY
from analysis.validation.scenario import CONTRAST

CLOSE = {"rel": 1e-9, "abs": 1e-12}


def paired(by_seed, folds, draws=None, **changes) -> PairedGain:
    count = len(by_seed)
    values = {
        "task": "a", "type": "detection", "group": "g", "unit": "1", "n_train": 10.0, "seeds": tuple(range(count)),
        "joint_scores": np.zeros(count), "base_scores": np.zeros(count), "joint_runs": np.arange(count),
        "base_runs": np.arange(count), "by_seed": np.array(by_seed, float), "draws": draws, "subjects": 12,
        "same_model": False, "unpaired": 0, "folds": folds,
    }  # fmt: skip
    return PairedGain(**values | changes)


def three_folds(*seeds: int, subjects: int = 4) -> FoldsTested:
    return FoldsTested(3, {seed: seed % 3 for seed in seeds}, dict.fromkeys(range(3), subjects))


def test_variance_by_hand():
    """D = (0.1, 0.2, 0.6): var 0.07, V = 0.07 / 3; cases: var 2 and 8 about 4 and 2 subjects, mean / R."""
    draws = np.array([[1.0, 2.0, np.nan], [3.0, 6.0, np.nan]])
    v_both, df = fold_case_variance(draws, np.array([4.0, 2.0, 4.0]))
    first, second = 2.0 * 4 / 3, 8.0 * 2
    assert v_both == pytest.approx((first + second) / 2 / 3, **CLOSE)
    assert df == pytest.approx((first + second) ** 2 / (first**2 / 3 + second**2), **CLOSE)
    found = estimate_folds(np.array([0.1, 0.2, 0.6]), draws, np.array([4.0, 2.0, 4.0]))
    assert (found.value, found.v_seed) == pytest.approx((0.3, 0.07 / 3), **CLOSE)
    assert (found.v_case, found.v_both, found.df, found.basis) == (0.0, v_both, 2.0, SEEDS_AND_CASES)
    assert found.se == pytest.approx(np.sqrt(0.07 / 3), **CLOSE)


def test_what_is_not_known_is_not_claimed():
    one = estimate_folds(np.array([0.1]), np.array([[0.0], [0.2]]), np.array([5.0]))
    assert one.basis == CASES and one.v_case == pytest.approx(0.02 * 5 / 4, **CLOSE)
    assert estimate_folds(np.array([0.1, 0.3]), None, np.zeros(2)).basis == SEEDS
    lone = estimate_folds(np.array([0.1, 0.3]), np.array([[0.0, 0.1], [0.2, 0.3]]), np.ones(2))
    assert lone.basis == SEEDS and not lone.has_cases  # one subject a fold tells nothing of subjects
    assert estimate_folds(np.array([0.1]), None, np.zeros(1)).basis == NONE


def test_seeds_of_one_fold_are_one_replicate():
    draws = np.array([[0.0, 1.0, 2.0, 4.0], [1.0, 1.0, 1.0, 2.0]])
    pair = paired([0.1, 0.2, 0.3, 0.5], three_folds(0, 1, 2, 3), draws)
    assert pair.replicates.names == (0, 1, 2)
    np.testing.assert_allclose(pair.replicates.values, [0.3, 0.2, 0.3], rtol=1e-12, atol=0)
    np.testing.assert_allclose(pair.replicates.draws, [[2, 1, 2], [1.5, 1, 1]], rtol=1e-12, atol=0)
    assert pair.gain == pytest.approx(0.8 / 3, **CLOSE)
    assert pair.estimate().df == 2.0


def test_without_folds_seeds_are_the_replicates():
    pair = paired([0.1, 0.2, 0.4], None)
    assert pair.replicates.names == pair.seeds
    assert pair.gain == pair.by_seed.mean()


def test_the_mean_of_tasks_takes_folds_as_clusters():
    """Two tasks that move together from fold to fold: the variance of their mean is that of one, not half of it."""
    draws = np.random.default_rng(0).normal(0, 0.01, (200, 3))
    pairs = [paired([0.1, 0.2, 0.6], three_folds(0, 1, 2), draws, task=name) for name in "ab"]
    value, low, high, _ = these_tasks(pairs)
    assert value == pytest.approx(0.3, **CLOSE)
    assert (high - low) / 2 == pytest.approx(4.302652729749464 * np.sqrt(0.07 / 3), rel=1e-6, abs=0)
    ((variance, df),) = moved_together(pairs)
    assert (variance, df) == (pytest.approx(0.07 / 3, **CLOSE), pytest.approx(2.0, **CLOSE))


def test_a_line_over_fractions_takes_folds_for_seeds():
    """Seeds 0 and 3 test one fold: the line is that of three seeds with their means, and cases add nothing."""
    gains = {0.5: [0.1, 0.2, 0.3, 0.5], 1.0: [0.2, 0.1, 0.5, 0.4]}
    draws = np.random.default_rng(0).normal(0, 0.1, (50, 4))
    folds = three_folds(0, 1, 2, 3)
    points = [(share, [paired(own, folds, draws, n_train=20 * share)]) for share, own in gains.items()]
    means = {share: [(own[0] + own[3]) / 2, *own[1:3]] for share, own in gains.items()}
    plain = [(share, [paired(own, None, n_train=20 * share)]) for share, own in means.items()]
    (found,), (expected,) = task_lines(points), task_lines(plain)
    assert found.seeds == (0, 1, 2) and found.draws is None
    assert found.line.slope_interval() == pytest.approx(expected.line.slope_interval(), **CLOSE)


def rows(seed: int, cases: range, value: float) -> list[dict[str, object]]:
    common = {"task": "a", "type": "detection", "fraction": 1.0, "seed": seed, "quantity": "value", "index": 0}
    return [
        common | {"aggregation": name, "case": f"a/{case}", "subject": f"s{case}", "value": value + shift + case / 100}
        for name, shift in (("TS", 0.0), ("AU", 0.1))
        for case in cases
    ]


def test_arms_of_a_fold_share_its_cases_and_draws():
    table = pd.DataFrame([*rows(0, range(4), 0.1), *rows(1, range(4, 9), 0.2), *rows(2, range(4), 0.3)])
    cases = folded_cases(table, "a", {0: 0, 1: 1, 2: 0})
    assert {fold: part.n_subjects for fold, part in cases.parts.items()} == {0: 4, 1: 5}
    assert (cases.n_subjects, cases.left_out) == (9, 0)
    by_arm = {(arm["aggregation"], arm["seed"]): at for at, arm in enumerate(cases.arms.to_dict("records"))}
    scores, draws = cases.scores()["value"], cases.draws(draw_weights(cases.subjects, 50, 0), ["value"])["value"]
    assert scores[by_arm["TS", 1]] == pytest.approx(0.2 + np.arange(4, 9).mean() / 100, **CLOSE)
    gap = draws[:, by_arm["TS", 2]] - draws[:, by_arm["TS", 0]]
    defined = np.isfinite(gap)
    np.testing.assert_allclose(gap[defined], 0.2, rtol=0, atol=1e-5)  # seeds of one fold: the same resamples
    chosen = cases.take(np.array([by_arm["AU", 1], by_arm["TS", 0]]))
    np.testing.assert_array_equal(chosen.arms["aggregation"], ["AU", "TS"])
    np.testing.assert_array_equal(chosen.scores()["value"], scores[[by_arm["AU", 1], by_arm["TS", 0]]])


def test_intervals_of_folds_hold_with_a_learner():
    """160 intervals: 95 % less four standard errors; a fold's own cases are in the scatter, so none are added."""
    inside = []
    for seed in range(40):
        study = train_folds(STUDY, seed)
        pairs = pair_all(study.scores(100, seed), CONTRAST, 1.0)
        for pair, estimate, gain in zip(pairs, moderated(pairs), study.truth["gain"], strict=True):
            low, high = estimate.interval()
            inside.append(low <= gain <= high)
            assert pair.estimate().v_case == 0
    assert np.mean(inside) >= 0.88
