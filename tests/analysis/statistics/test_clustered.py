"""Cluster-robust least squares: known special cases, and intervals that hold with few uneven clusters."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from analysis.statistics.cluster_robust import clustered_fit


def _draw(random, clusters):
    """Values with an effect of their cluster on level and slope; the true slope is 1."""
    place = np.unique(clusters, return_inverse=True)[1]
    x = random.normal(size=len(clusters)) + random.normal(size=place.max() + 1)[place]
    own = random.normal(size=place.max() + 1)
    y = 2 + x + own[place] + random.normal(size=len(clusters))
    return y, np.column_stack([np.ones(len(x)), x])


def test_clusters_of_one_give_hc2():
    random = np.random.default_rng(0)
    y, x = _draw(random, np.arange(30))
    beta, cov, _ = clustered_fit(y, x, np.arange(30))
    expected = sm.OLS(y, x).fit(cov_type="HC2")
    assert beta == pytest.approx(expected.params, rel=1e-6, abs=1e-9)
    assert cov == pytest.approx(expected.cov_params(), rel=1e-6, abs=1e-9)


def test_a_mean_of_even_clusters_is_a_t_test_on_their_means():
    random = np.random.default_rng(1)
    clusters = np.repeat(np.arange(6), 4)
    y = random.normal(size=24) + random.normal(size=6)[clusters]
    beta, cov, df = clustered_fit(y, np.ones((24, 1)), clusters)
    means = y.reshape(6, 4).mean(1)
    assert df == pytest.approx([5.0], rel=1e-6, abs=0)
    p = 2 * stats.t.sf(abs(beta[0]) / np.sqrt(cov[0, 0]), df[0])
    assert p == pytest.approx(stats.ttest_1samp(means, 0).pvalue, rel=1e-5, abs=1e-9)


def test_a_cluster_that_the_fit_follows_exactly_is_no_trouble():
    x = np.column_stack([np.ones(9), np.r_[np.zeros(8), 1.0]])  # the last value has a column of its own
    y = np.random.default_rng(2).normal(size=9)
    beta, cov, df = clustered_fit(y, x, np.repeat(np.arange(3), 3))
    assert beta[0] + beta[1] == pytest.approx(y[-1], rel=1e-6, abs=1e-9)
    assert np.isfinite(cov).all() and np.isfinite(df).all()


def test_intervals_hold_with_few_uneven_clusters():
    """8 clusters of 1 to 15 values. The plain sandwich with clusters - 1 df covers too seldom on the same draws."""
    random = np.random.default_rng(3)
    clusters = np.repeat(np.arange(8), [1, 1, 2, 3, 4, 6, 8, 15])
    found, plain = [], []
    for _ in range(600):
        y, x = _draw(random, clusters)
        beta, cov, df = clustered_fit(y, x, clusters)
        found.append(abs(beta[1] - 1) <= stats.t.ppf(0.975, df[1]) * np.sqrt(cov[1, 1]))
        fit = sm.OLS(y, x).fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
        plain.append(abs(fit.params[1] - 1) <= stats.t.ppf(0.975, 7) * fit.bse[1])
    assert 0.93 <= np.mean(found) <= 0.98
    assert np.mean(plain) < np.mean(found) - 0.02
