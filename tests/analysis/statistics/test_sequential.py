"""Tests that are looked at several times: published bounds, error rates by simulation, the plain test as one look."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.statistics.group_sequential import nominal_level, nominal_levels, sequential_p, spent
from analysis.statistics.sequential_verdicts import Looked, judge_looks
from analysis.statistics.verdicts import judge

EVEN = (0.2, 0.4, 0.6, 0.8, 1.0)
PUBLISHED = (4.877, 3.357, 2.680, 2.290, 2.031)
"""Bounds of the spending function of O'Brien and Fleming's type at 0.025 one-sided, five even looks: program of
Reboussin, DeMets, Kim and Lan (2000, Control. Clin. Trials 21)."""


def whole(*shares: float) -> tuple[tuple[float, float], ...]:
    """Looks of which no replicate is missing."""
    return tuple((share, share) for share in shares)


def bound(level: float, looks: tuple[tuple[float, float], ...]) -> float:
    return float(stats.norm.isf(nominal_level(level, looks)))


def test_bounds_are_those_published():
    found = [bound(0.025, whole(*EVEN[: look + 1])) for look in range(5)]
    np.testing.assert_allclose(found, PUBLISHED, rtol=0, atol=6e-4)


def test_one_look_at_all_replicates_is_the_plain_test():
    for level in (1e-6, 0.001, 0.025, 0.3):
        assert nominal_level(level, whole(1.0)) == pytest.approx(level, rel=1e-3, abs=0)


def test_all_looks_together_reject_as_often_as_allowed():
    """Under the null hypothesis, stopped at the first rejection, also where replicates are missing."""
    random, count = np.random.default_rng(0), 40_000
    for looks in (whole(0.4, 0.55, 0.7, 0.85, 1.0), ((0.4, 2.0), (0.7, 6.0), (1.0, 7.0))):
        amounts = np.array([amount for _, amount in looks])
        steps = np.sqrt(np.diff(amounts, prepend=0.0))
        z = np.cumsum(random.normal(size=(count, len(looks))) * steps, axis=1) / np.sqrt(amounts)
        for level in (0.01, 0.05):
            bounds = [bound(level, looks[: look + 1]) for look in range(len(looks))]
            assert (z > bounds).any(1).mean() == pytest.approx(level, abs=3.5 * np.sqrt(level / count))


def test_a_sequential_p_is_the_level_at_which_a_look_just_rejects():
    looks = whole(*EVEN)
    for level in (0.0004, 0.01, 0.1):
        nominal = nominal_level(level, looks[:3])
        assert sequential_p(np.array([0.5, 0.5, nominal]), looks[:3]) == pytest.approx(level, rel=1e-3, abs=0)
    assert np.isnan(sequential_p(np.full(2, np.nan), looks[:2]))


def test_a_sequential_p_never_rises_with_a_look_more():
    random, looks = np.random.default_rng(1), whole(*EVEN)
    for p in random.uniform(0, 1, (50, 5)) ** 3:
        found = [sequential_p(p[: look + 1], looks[: look + 1]) for look in range(5)]
        assert (np.diff(found) <= 1e-9).all() and max(found) <= 1


def test_the_more_alike_two_looks_are_the_less_the_second_costs():
    later = [bound(0.025, ((0.5, 1.0), (1.0, amount))) for amount in (1.5, 2.0, 8.0)]
    assert later == sorted(later)


def test_nothing_is_spent_before_and_all_at_the_end():
    level = np.array([0.025])
    assert spent(level, 1.0) == pytest.approx(0.025, rel=1e-9, abs=0)
    assert (np.diff([float(spent(level, share)[0]) for share in (0.1, 0.3, 0.5, 0.9, 1.0)]) > 0).all()


@pytest.mark.parametrize("looks", [((0.5, 1.0), (0.5, 2.0)), ((0.5, 2.0), (1.0, 2.0)), ((0.5, 1.0), (1.1, 2.0))])
def test_looks_that_do_not_rise_are_refused(looks):
    with pytest.raises(ValueError, match="have to rise"):
        nominal_levels(looks)


def looked(*rows: tuple[list[float], list[float]], shares=(0.5, 1.0)) -> Looked:
    """Gains and standard errors of each look, 8 degrees of freedom, no replicate missing."""
    gain, se = (np.array(part, float) for part in zip(*rows, strict=True))
    replicates = np.broadcast_to(10 * np.array(shares)[: len(gain), None], gain.shape)
    return Looked(gain, se, np.full(gain.shape, 8.0), replicates, np.array(shares)[: len(gain)])


GAIN, SE = [0.08, -0.05, 0.001, -0.06, 0.01], [0.01, 0.01, 0.004, 0.03, np.nan]
MARGIN = np.array([0.02, 0.02, 0.02, 0.02, 0.02])


@pytest.mark.parametrize("correction", ["BH", "Holm", "none"])
def test_with_one_look_at_everything_verdicts_are_the_plain_ones(correction):
    one = judge_looks(looked((GAIN, SE), shares=(1.0,)), MARGIN, correction=correction)
    plain = judge(np.array(GAIN), np.array(SE), np.full(5, 8.0), MARGIN, correction=correction)
    assert list(one.columns) == list(plain.columns) and list(one["verdict"]) == list(plain["verdict"])
    small = plain["p"] < 0.4  # sequential p values end there
    for name in ("low_adjusted", "high_adjusted", "power"):
        pd.testing.assert_series_equal(one[name], plain[name], rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(one["p"][small], plain["p"][small], rtol=2e-3, atol=1e-12)


def test_an_early_look_needs_more_than_the_last():
    early = judge_looks(looked(([0.01, 0.06], [0.008, 0.004])), np.full(2, 0.018))
    assert list(early["verdict"]) == ["undecided", "benefit"]
    late = judge_looks(looked(([0.01, 0.06], [0.008, 0.004]), shares=(1.0,)), np.full(2, 0.018))
    assert list(late["verdict"]) == ["no meaningful loss", "benefit"]


def test_what_one_look_has_decided_stays_decided_and_its_interval_says_so():
    found = judge_looks(looked(([0.09], [0.006]), ([0.02], [0.02])), np.full(1, 0.02))
    assert found["verdict"][0] == "benefit" and found["low_adjusted"][0] > 0


@pytest.mark.parametrize("last", [0.05, -0.01])
def test_an_interval_holds_the_estimate_it_stands_beside(last: float):
    """The first look was lucky: what both looks allow lies above what the last one estimates."""
    both = looked(([0.10], [0.01]), ([last], [0.01]))
    low, high = (float(limit[0]) for limit in both.intervals(0.05))
    found = judge_looks(both, np.full(1, 0.02))
    assert low <= last <= high and found["low_adjusted"][0] <= last <= found["high_adjusted"][0]
    inner, outer = (float(limit[0]) for limit in both.in_common(0.05))
    assert low <= inner and outer <= high, "it is wider than what the looks have in common, never narrower"


def test_without_a_look_nothing_is_decided():
    none = Looked(*np.empty((4, 0, 3)), np.empty(0))
    found = judge_looks(none, np.full(3, 0.02))
    assert set(found["verdict"]) == {"undecided"} and found[["p", "low_adjusted", "power"]].isna().all(axis=None)


def test_intervals_hold_the_truth_wherever_one_stops():
    """Stopped at the first interval without 0, which is where a plain one fails."""
    random, count = np.random.default_rng(2), 800
    shares = np.array([0.25, 0.5, 0.75, 1.0])
    replicates = (20 * shares)[:, None]
    steps = np.diff(replicates[:, 0], prepend=0.0)
    mean = np.cumsum(random.normal(size=(4, count)) * np.sqrt(steps)[:, None], axis=0) / replicates
    at_all = Looked(mean, np.broadcast_to(1 / np.sqrt(replicates), mean.shape), np.full(mean.shape, 1e6),
                    np.broadcast_to(replicates, mean.shape), shares)  # fmt: skip
    adjusted, plain = np.zeros(count, bool), np.zeros(count, bool)
    for look in range(4):
        so_far = Looked(mean[: look + 1], at_all.se[: look + 1], at_all.df[: look + 1],
                        at_all.replicates[: look + 1], shares[: look + 1])  # fmt: skip
        low, high = so_far.intervals(0.05)
        adjusted |= (low > 0) | (high < 0)
        plain |= np.abs(mean[look] / at_all.se[look]) > stats.norm.isf(0.025)
    assert 0.02 < adjusted.mean() < 0.07 and plain.mean() > 0.09
