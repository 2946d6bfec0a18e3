"""Variances of nested random effects: the optimum of the likelihood as a dense matrix gives it."""

import warnings

import numpy as np
import pandas as pd
import pytest
from statsmodels.regression.mixed_linear_model import MixedLM

from analysis.statistics.mixed_model import fit_mixed
from analysis.statistics.reml import Nested, reml


def rows(tasks: int, groups: int, seeds: int, of_group: float, of_task: float, seed: int = 0):
    """y, X, group and task of a study with known scatter; uneven numbers of seeds."""
    random = np.random.default_rng(seed)
    group = np.concatenate([np.arange(groups), random.integers(0, groups, tasks - groups)])
    size = random.normal(0, 1.5, tasks)
    level = 0.01 + 0.005 * size + random.normal(0, of_group, groups)[group] + random.normal(0, of_task, tasks)
    task = np.repeat(np.arange(tasks), [seeds - (place % 3 == 2) for place in range(tasks)])
    y = level[task] + random.normal(0, 0.01, len(task))
    return y, np.column_stack([np.ones(len(y)), size[task]]), group, task


def dense_deviance(y, x, group, task, variances) -> float:
    """-2 log restricted likelihood, constants left out."""
    of_group, of_task, rest = variances
    same_group, same_task = (names[:, None] == names[None] for names in (group[task], task))
    cov = of_group * same_group + of_task * same_task + rest * np.eye(len(y))
    inverse = np.linalg.inv(cov)
    inner = x.T @ inverse @ x
    beta = np.linalg.solve(inner, x.T @ inverse @ y)
    left = y - x @ beta
    return float(np.linalg.slogdet(cov)[1] + np.linalg.slogdet(inner)[1] + left @ inverse @ left)


@pytest.mark.parametrize(("of_group", "of_task"), [(0.02, 0.02), (0.0, 0.02), (0.03, 0.0), (0.0, 0.0)])
@pytest.mark.parametrize(("tasks", "groups"), [(8, 3), (30, 6)])
def test_no_variances_near_by_are_likelier(tasks, groups, of_group, of_task):
    y, x, group, task = rows(tasks, groups, 4, of_group, of_task)
    found, converged = reml(y, x, Nested(task, group), tasks=True, groups=True)
    assert converged
    best = dense_deviance(y, x, group, task, found)
    for place in range(3):
        for change in (0.9, 1.1):
            moved = [value * change if place == at else value for at, value in enumerate(found)]
            assert dense_deviance(y, x, group, task, moved) > best - 1e-6
    for place in (0, 1):
        more = [value + 1e-6 * (place == at) for at, value in enumerate(found)]
        assert dense_deviance(y, x, group, task, more) > best - 1e-4


def test_as_statsmodels_has_it_and_never_less_likely():
    y, x, group, task = rows(30, 6, 4, 0.02, 0.02, seed=3)
    found = fit_mixed(y, x, np.array([f"g{name}" for name in group[task]]), np.array([f"t{name:02d}" for name in task]))
    frame = pd.DataFrame({"y": 100 * y, "x": x[:, 1], "g": group[task], "t": task})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = MixedLM.from_formula("y ~ x", frame, groups="g", re_formula="1", vc_formula={"t": "0 + C(t)"}).fit()
    theirs = [value / 1e4 for value in (fit.cov_re.iloc[0, 0], fit.vcomp[0], fit.scale)]
    mine = [found.var_group, found.var_task, found.var_rest]
    np.testing.assert_allclose(mine, theirs, rtol=1e-2, atol=1e-8)
    np.testing.assert_allclose(found.beta, fit.fe_params.to_numpy() / 100, rtol=1e-2, atol=1e-6)
    np.testing.assert_allclose(np.sqrt(np.diag(found.cov)), fit.bse_fe.to_numpy() / 100, rtol=1e-2, atol=1e-6)
    assert dense_deviance(y, x, group, task, mine) < dense_deviance(y, x, group, task, theirs) + 1e-6
