"""Scatter over seeds that tasks lend each other, and the t that stands for an uncertain variance."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.matched_t import matched_t
from analysis.statistics.moderated_variance import log_variance_posterior, moderate, noisy
from analysis.statistics.uncertainty import BORROWED, BORROWED_AND_CASES, CASES, NONE, estimate, two_part_test


def seeds_only(sds, seeds=3):
    """Estimates whose gains over seeds have given standard deviations."""
    pattern = stats.zscore(np.arange(seeds), ddof=1)
    return [estimate(0.1 + sd * pattern) for sd in sds]


def moderated(estimates, seeds, types, subjects=0):
    return moderate(estimates, [seeds] * len(estimates), [subjects] * len(estimates), types)


def inverse_chi_squared(df, values=4000):
    """Values of df / chi-squared(df) that are equally likely."""
    return df / stats.chi2.ppf((np.arange(values) + 0.5) / values, df)


@pytest.mark.parametrize("df", [2.0, 5.0, 40.0])
def test_the_t_of_an_inverse_chi_squared_variance_is_student(df):
    variances = 0.3**2 * inverse_chi_squared(df)
    se, found = matched_t(variances[None], np.full((1, len(variances)), 1 / len(variances)))
    assert se[0] == pytest.approx(0.3, rel=0.02, abs=0)
    assert found[0] == pytest.approx(df, rel=0.1, abs=0)


def test_the_t_of_a_sum_of_two_variances_is_behrens_fisher():
    first, second = 0.2**2 * inverse_chi_squared(2.0, 1000), 0.1**2 * inverse_chi_squared(20.0, 200)
    total = (first[:, None] + second).ravel()
    se, df = matched_t(total[None], np.full((1, len(total)), 1 / len(total)))
    _, high, _ = two_part_test(0.0, (0.04, 0.01), (2.0, 20.0))
    assert se[0] * stats.t.ppf(0.975, df[0]) == pytest.approx(high, rel=0.02, abs=0)


@pytest.mark.parametrize("seeds", [2, 3, 6])
def test_a_task_alone_in_its_type_keeps_its_own_t(seeds):
    alone, *_ = moderated(seeds_only([0.02, 0.5, 0.4, 0.6], seeds), seeds, ["mine", "a", "a", "a"])
    low, high = seeds_only([0.02], seeds)[0].interval()
    assert alone.interval() == pytest.approx((low, high), rel=0.06, abs=1e-3)


def test_tasks_of_one_type_that_scatter_alike_lend_degrees_of_freedom():
    random = np.random.default_rng(0)
    found = [estimate(random.normal(0, 0.02, 3)) for _ in range(40)]
    lent = moderated(found, 3, ["a"] * 40)
    sharing = [each for each in lent if not each.own_scatter]
    assert min(each.df for each in sharing) > 8 and len(sharing) >= 32, "one in ten looks noisy by chance"
    shares = [each.se / (0.02 / np.sqrt(3)) for each in sharing]
    assert min(shares) > 0.75 and max(shares) < 1.4


@pytest.mark.parametrize(("seeds", "times"), [(3, 4.0), (2, 8.0), (5, 8.0)])
def test_a_noisy_task_in_a_type_of_quiet_ones_is_covered(seeds: int, times: float):
    """No effect; the last of eight tasks scatters more. Drawn to the others, its interval held in 0.75 to 0.87."""
    random, draws = np.random.default_rng(1), 150
    sd = np.array([0.005] * 7 + [0.005 * times])
    held = []
    for _ in range(draws):
        sides = random.normal(size=(2, 8, seeds)) * sd[:, None] / np.sqrt(2)
        scatter = [(float(of.var(axis=1, ddof=1).sum()), 2.0 * (seeds - 1)) for of in sides.swapaxes(0, 1)]
        found = [estimate(gains) for gains in sides[0] - sides[1]]
        for each in moderate(found, [seeds] * 8, [0] * 8, ["a"] * 8, scatter):
            low, high = each.interval()
            held.append(low <= 0 <= high)
    covered = np.array(held).reshape(draws, 8)
    assert covered[:, 7].mean() > 0.88 and covered[:, :7].mean() > 0.94


def test_a_noisy_task_is_told_by_its_scatter_and_only_ever_widened():
    found = seeds_only([0.01, 0.01, 0.01, 0.01, 0.08])
    *quiet, loud = moderated(found, 3, ["a"] * 5)
    assert loud.own_scatter and loud.interval() == pytest.approx(found[-1].interval(), rel=0.06, abs=1e-3)
    assert not any(each.own_scatter for each in quiet)
    # The same gains, whose sides scatter as those of the others do: chance, so it borrows.
    alike = moderate(found, [3] * 5, [0] * 5, ["a"] * 5, [(1e-4, 4.0)] * 5)[-1]
    assert not alike.own_scatter and alike.se < loud.se
    # The sides scatter, but its gains happen to agree: an interval of the few seeds would be too narrow.
    lucky = seeds_only([0.01, 0.01, 0.01, 0.01, 0.002])
    kept = moderate(lucky, [3] * 5, [0] * 5, ["a"] * 5, [(1e-4, 4.0)] * 4 + [(1e-2, 4.0)])[-1]
    assert not kept.own_scatter and kept.df > 2.0


def test_alone_or_without_scatter_no_task_is_noisy():
    variance, df = np.array([4.0, 1e-4, 1e-4, 9.0]), np.array([2.0, 2.0, 2.0, 0.0])
    assert noisy(variance, df, np.array(["lone", "a", "a", "a"], object)).tolist() == [False] * 4
    assert noisy(variance[:3], df[:3], np.array(["a"] * 3, object)).tolist() == [True, False, False]


def test_a_type_that_scatters_more_neither_lends_to_another_nor_borrows_from_it():
    quiet, noisy = [0.004, 0.005, 0.006, 0.005], [0.05, 0.06, 0.07, 0.06]
    together = moderated(seeds_only(quiet + noisy), 3, ["q"] * 4 + ["n"] * 4)
    for sds, part in ((quiet, together[:4]), (noisy, together[4:])):
        middle = np.median(sds) / np.sqrt(3)
        assert all(0.8 * middle < each.se < 1.25 * middle for each in part)
    mixed = moderated(seeds_only(quiet + noisy), 3, ["one"] * 8)
    assert mixed[0].se > 1.2 * together[0].se


def test_tasks_of_a_type_that_differ_in_scatter_lend_less():
    alike = moderated(seeds_only([0.02] * 8), 3, ["a"] * 8)
    unlike = moderated(seeds_only([0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.02, 0.05]), 3, ["a"] * 8)
    assert min(each.df for each in alike) > 2 * max(each.df for each in unlike)


def test_one_pair_borrows_from_its_type_and_nothing_from_another():
    known = seeds_only([0.02, 0.025, 0.03, 0.02])
    lone = estimate(np.array([0.1]))
    *_, same, other = moderate([*known, lone, lone], [3] * 4 + [1, 1], [0] * 6, ["a"] * 4 + ["a", "b"])
    assert same.basis == BORROWED and 0.015 < same.se < 0.05
    assert same.df < min(each.df for each in moderated(known, 3, ["a"] * 4))
    assert other == lone and other.basis == NONE


def test_one_pair_with_cases_is_less_sure_than_its_cases():
    random = np.random.default_rng(1)
    lone = estimate(np.array([0.1]), 0.1 + random.normal(0, 0.01, (500, 1)), 40)
    *_, found = moderate([*seeds_only([0.02, 0.03, 0.02]), lone], [3, 3, 3, 1], [0, 0, 0, 40], ["a"] * 4)
    assert found.basis == BORROWED_AND_CASES and found.se > 1.4 * lone.se


def test_a_study_of_one_seed_stays_as_it_is():
    random = np.random.default_rng(1)
    found = [estimate(np.array([0.1]), 0.1 + random.normal(0, 0.01, (500, 1)), 40) for _ in range(6)]
    assert moderate(found, [1] * 6, [40] * 6, ["a"] * 6) == found
    assert {each.basis for each in found} == {CASES}


def test_gains_that_do_not_vary_at_all_borrow():
    still = estimate(np.array([0.1, 0.1, 0.1]))
    found = moderated([still, *seeds_only([0.02, 0.03, 0.02])], 3, ["a"] * 4)
    assert found[0].se > 0.008 and found[0].basis == BORROWED
    assert moderated([still, still], 3, ["a"] * 2) == [still, still]


@pytest.mark.parametrize("subjects", [4, 8])
def test_cases_of_few_subjects_are_not_taken_for_nothing(subjects):
    """What seeds and cases do together may exceed the whole by chance; the cases are then unknown, not absent."""
    random = np.random.default_rng(0)
    common = random.normal(0, 0.05, (2000, 1))
    draws = np.hstack([common, -common, random.normal(0, 0.02, (2000, 1))])
    found = estimate(np.array([0.10, 0.11, 0.12]), 0.11 + draws, subjects)
    assert found.v_case == 0 and found.v_both > found.v_mean > 0
    better, _ = moderate([found, found], [3, 3], [subjects] * 2, ["a", "a"])
    assert better.df < 60
    assert better.se > np.sqrt(found.v_both)


def test_scatter_in_other_units_is_lent_alike():
    found = seeds_only([0.01, 0.02, 0.03, 0.01])
    larger = [replace(each, value=7 * each.value, v_seed=49 * each.v_seed) for each in found]
    for one, other in zip(moderated(found, 3, list("aabb")), moderated(larger, 3, list("aabb")), strict=True):
        assert other.se == pytest.approx(7 * one.se, rel=1e-4, abs=0)
        assert other.df == pytest.approx(one.df, rel=1e-3, abs=0)


def test_the_posterior_finds_the_scatter_it_was_drawn_from():
    random = np.random.default_rng(0)
    true = np.exp(random.normal(np.log(1e-4), 0.6, 400))
    seen = true * random.chisquare(4, 400) / 4
    theta, posterior = log_variance_posterior(seen, np.full(400, 4.0), np.full(400, "a", object))
    middle = posterior @ theta
    spread = np.sqrt(posterior @ theta**2 - middle**2)
    assert np.mean(np.abs(middle - np.log(true)) < 1.96 * spread) == pytest.approx(0.95, rel=0, abs=0.03)
    assert np.corrcoef(middle, np.log(true))[0, 1] > 0.5
