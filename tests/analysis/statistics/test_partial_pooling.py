"""Partial pooling: left-out values as a new fit has them, draws that agree with predictions, and shrinkage."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.statistics.partial_pooling import PooledModel

NEAR = {"rtol": 1e-6, "atol": 1e-9}


def model(seed: int = 0, features: int = 2, **changes: object) -> PooledModel:
    """Twelve values of four tasks in three sets."""
    random = np.random.default_rng(seed)
    task, set_ = np.tile(np.arange(4), 3), np.repeat(np.arange(3), 4)
    x = random.normal(size=(12, features))
    y = 0.02 + 0.03 * x.sum(1) + random.normal(0, 0.01, 12)
    return replace(PooledModel(y, x, task, set_, np.full(12, 1e-4), 4), **changes)


def refitted(whole: PooledModel, keep: np.ndarray) -> PooledModel:
    """A model of some values, on the grid of the whole."""
    few = PooledModel(whole.y[keep], whole.x[keep], whole.task[keep], whole.set[keep], whole.noise[keep], whole.tasks)
    few.__dict__["_sds"] = whole._sds
    return few


@pytest.mark.parametrize("features", [0, 2])
def test_a_value_left_out_is_predicted_as_a_new_fit_does(features):
    whole = model(features=features)
    found = whole.left_out(whole.task)
    for task in range(4):
        out = whole.task == task
        few = refitted(whole, ~out)
        # A set of which other tasks are known has a part s in common: the covariance with what is left out.
        expected = np.zeros(out.sum())
        sd, weights = whole._sds, np.exp(few._log_likelihood - few._log_likelihood.max())
        for (alpha, tau, omega, delta), weight, inverse in zip(sd, weights / weights.sum(), few._inverse, strict=True):
            across = alpha**2 + tau**2 * whole.x[out] @ few.x.T
            across += omega**2 * (whole.task[out][:, None] == few.task)
            across += delta**2 * (whole.set[out][:, None] == few.set)
            expected += weight * across @ inverse @ few.y
        np.testing.assert_allclose(found[out], expected, **NEAR)
        fitted = whole.without(out)
        np.testing.assert_allclose(fitted.beta, few.coefficients.beta, **NEAR)
        np.testing.assert_allclose(fitted.task, few.coefficients.task, **NEAR)
        at = np.flatnonzero(out)
        np.testing.assert_allclose(whole.predict(fitted, whole.x[at], whole.task[at], at), expected, **NEAR)


def test_draws_have_the_mean_that_is_predicted():
    """20,000 draws: a standard error of the mean below 0.0003 where values scatter by 0.04."""
    whole = model()
    x, task = np.array([[1.0, -1.0], [0.0, 2.0], *whole.x[:2]]), np.array([0, 3, *whole.task[:2]])
    value, sets = np.array([-1, -1, 0, 1]), np.array([0, 0, 1, 1])
    drawn = whole.draw(x, task, sets, value, 20_000, 0)
    expected = whole.predict(whole.coefficients, x, task, value)
    np.testing.assert_allclose(drawn.mean(0), expected, rtol=0, atol=0.002)
    spread = drawn.std(0)
    assert (spread[:2] > spread[2:]).all(), "what was measured is known better than what was not"
    apart = whole.draw(x, task, np.array([0, 1, 2, 2]), value, 20_000, 0)
    together, single = (np.corrcoef(each[:, 0], each[:, 1])[0, 1] for each in (drawn, apart))
    assert together > single + 0.1, "points of one set have their set in common"


def test_a_feature_of_noise_is_shrunk_and_a_real_one_is_found():
    random = np.random.default_rng(1)
    task = np.tile(np.arange(10), 4)
    x = random.normal(size=(40, 2))
    y = 0.05 * x[:, 0] + random.normal(0, 0.01, 40)
    beta = PooledModel(y, x, task, np.repeat(np.arange(4), 10), np.full(40, 1e-4), 10).coefficients.beta
    assert beta[0] == pytest.approx(0.05, abs=0.01) and abs(beta[1]) < 0.006


def test_values_that_are_all_zero_predict_zero():
    flat = model(y=np.zeros(12), noise=np.zeros(12))
    assert np.isfinite(flat.coefficients.beta).all() and np.abs(flat.left_out(flat.task)).max() < 1e-6
