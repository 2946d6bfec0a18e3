"""Jackknife+ over groups: by hand, with too few groups, and how often it holds a new group's value."""

import numpy as np
import pytest

from analysis.statistics.conformal import jackknife_plus


def test_by_hand():
    """Four groups of one value, level 0.8: weights of 1/5 each, so the interval ends at the outermost."""
    predicted, residuals = np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([0.5, 0.1, 0.2, 0.3])
    low, high = jackknife_plus(predicted, residuals, np.arange(4), 0.8)
    assert (low[0], high[0]) == pytest.approx((0.5, 4.3), abs=1e-12)
    low, high = jackknife_plus(predicted, residuals, np.arange(4), 0.6)
    assert (low[0], high[0]) == pytest.approx((1.9, 3.2), abs=1e-12)


def test_a_group_counts_as_one_however_many_values_it_has():
    """A group of three values with one far off weighs 1/3 x 1/5 there: at 0.6 it does not move the end."""
    predicted = np.zeros((6, 1))
    residuals, groups = np.array([0.1, 0.2, 0.3, 0.1, 0.1, 9.0]), np.array([0, 1, 2, 3, 3, 3])
    assert jackknife_plus(predicted, residuals, groups, 0.6)[1][0] == pytest.approx(0.3, abs=1e-12)


@pytest.mark.parametrize(("level", "groups"), [(0.8, 4), (0.9, 9), (0.95, 19)])
def test_few_groups_give_no_interval(level, groups):
    for count, ends in ((groups, True), (groups - 1, False)):
        low, high = jackknife_plus(np.zeros((count, 1)), np.ones(count), np.arange(count), level)
        assert np.isfinite(low[0]) == ends and np.isfinite(high[0]) == ends


def test_a_new_group_is_covered_about_as_often_as_is_said():
    """The mean as the model, 400 repetitions: a standard error of 2 % on 80 %."""
    random, inside = np.random.default_rng(0), 0
    for _ in range(400):
        values, new = random.normal(size=10), random.normal()
        without = (values.sum() - values) / 9
        low, high = jackknife_plus(without[:, None], np.abs(values - without), np.arange(10), 0.8)
        inside += low[0] <= new <= high[0]
    assert 0.74 <= inside / 400 <= 0.9
