"""Data scale: lines, crossovers and mixed models against statsmodels, closed forms and simulated truth."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM

from analysis.contrasts import Contrast
from analysis.pairing import pair_all
from analysis.questions.scale.across_tasks import (
    across_tasks,
    by_task_and_seed,
    clustered_line,
    leave_one_out,
    mixed_line,
)
from analysis.questions.scale.within_tasks import task_lines, within_tasks
from analysis.statistics.cluster_robust import clustered_fit
from analysis.statistics.fitted_line import LIMITS_LEVEL, NO_CROSSING, STARTS, STOPS, UNDETERMINED, Line
from analysis.statistics.mixed_model import fit_mixed
from analysis.validation.simulate import Design, simulate

AU_TS = Contrast("AU", "TS")
DESIGN = Design(
    seeds=4,
    subjects=40,
    fractions=(0.25, 0.5, 1.0),
    levels={"AU": 0.0},
    slopes={"AU": 0.03},
    group_sd=0.01,
    task_sd=0.02,
)


@pytest.fixture(scope="module")
def by_fraction():
    scores = simulate(DESIGN, 2).scores(200, 0)
    return [(share, pair_all(scores, AU_TS, share)) for share in DESIGN.fractions]


@pytest.fixture(scope="module")
def rows(by_fraction) -> pd.DataFrame:
    return by_task_and_seed(by_fraction[-1][1])


@pytest.fixture(scope="module")
def grouped() -> pd.DataFrame:
    """Rows of tasks whose groups differ by far more than their errors."""
    return by_task_and_seed(pair_all(simulate(DESIGN.with_(group_sd=0.05), 2).scores(0, 0), AU_TS, 1.0))


# ---- lines -------------------------------------------------------------------------------------------------------


def line(level, slope, se_level=0.005, se_slope=0.004, df=20.0):
    return Line(level, slope, np.diag([se_level**2, se_slope**2]), df, centre=9.0, x_min=6.0, x_max=12.0)


def test_crossover_and_its_limits_are_fiellers():
    found = line(0.02, 0.03).crossover()
    assert found["crossover"] == STARTS
    assert found["n_star"] == pytest.approx(2 ** (9 - 0.02 / 0.03), rel=1e-9, abs=0)
    t = stats.t.ppf(0.5 + LIMITS_LEVEL / 2, 20.0)
    # (level + slope x)^2 = t^2 (var_level + x^2 var_slope)
    roots = np.roots([0.03**2 - t**2 * 0.004**2, 2 * 0.02 * 0.03, 0.02**2 - t**2 * 0.005**2])
    np.testing.assert_allclose(
        [found["n_star_low"], found["n_star_high"]], 2 ** (9 + np.sort(roots)), rtol=0.01, atol=0
    )


def test_directions_and_abstentions():
    assert line(0.02, -0.03).crossover()["crossover"] == STOPS
    assert line(0.2, 0.03).crossover()["crossover"] == NO_CROSSING
    assert line(0.001, 0.002).crossover()["crossover"] == UNDETERMINED
    # the line meets zero just below the sizes seen, or just above zero in them: nobody knows
    assert line(0.1, 0.03).crossover()["crossover"] == UNDETERMINED
    assert line(0.02, 0.0, se_level=0.008).crossover()["crossover"] == UNDETERMINED
    wide = line(0.05, 0.03, se_level=0.02).crossover()
    assert np.isnan(wide["n_star_low"]) and np.isfinite(wide["n_star_high"])


def test_a_line_without_an_error_says_nothing():
    found = line(0.02, 0.03, se_level=np.nan).crossover()
    assert found["crossover"] == UNDETERMINED and np.isnan(found["n_star"])


# ---- mixed model -------------------------------------------------------------------------------------------------


def test_fixed_effects_and_group_effects_equal_statsmodels(grouped):
    x = np.log2(grouped["n_train"].to_numpy(float))
    design = np.column_stack([np.ones(len(x)), x - x.mean()])
    fit = fit_mixed(grouped["gain"].to_numpy(), design, grouped["group"].to_numpy(str), grouped["task"].to_numpy(str))
    data = grouped.assign(x=x - x.mean(), gain=grouped["gain"] / grouped["gain"].std(ddof=0))
    other = MixedLM.from_formula("gain ~ x", data, groups="group", re_formula="1", vc_formula={"task": "0 + C(task)"})
    other = other.fit(reml=True, method=["lbfgs", "bfgs", "powell"])
    scale = grouped["gain"].std(ddof=0)
    np.testing.assert_allclose(fit.beta, other.fe_params.to_numpy() * scale, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.cov)), other.bse_fe.to_numpy() * scale, rtol=1e-2, atol=0)
    effects = {
        name: values["group"] if "group" in values else values.iloc[0] for name, values in other.random_effects.items()
    }
    np.testing.assert_allclose(fit.effects, [effects[name] * scale for name in fit.groups], rtol=0.02, atol=1e-5)
    assert fit.converged and np.ptp(fit.effects) > 0.05


def test_variances_are_those_that_were_simulated():
    random = np.random.default_rng(0)
    groups, tasks, seeds = 60, 4, 5
    group = np.repeat(np.arange(groups), tasks * seeds)
    task = np.repeat(np.arange(groups * tasks), seeds)
    y = random.normal(0, 0.03, groups)[group] + random.normal(0, 0.02, groups * tasks)[task]
    y = y + random.normal(0, 0.01, len(y))
    fit = fit_mixed(y, np.ones((len(y), 1)), group.astype(str), task.astype(str))
    found = np.sqrt([fit.var_group, fit.var_task, fit.var_rest])
    np.testing.assert_allclose(found, [0.03, 0.02, 0.01], rtol=0.2, atol=0)


def test_one_group_and_one_row_per_task_is_least_squares():
    random = np.random.default_rng(1)
    x = random.normal(size=12)
    y = 0.1 + 0.2 * x + random.normal(0, 0.1, 12)
    design = np.column_stack([np.ones(12), x])
    fit = fit_mixed(y, design, np.full(12, "g"), np.arange(12).astype(str))
    expected = sm.OLS(y, design).fit()
    np.testing.assert_allclose(fit.beta, expected.params, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.cov)), expected.bse, rtol=1e-3, atol=0)


def test_few_tasks_fall_back_and_say_so():
    """Six tasks in two groups, one row per task and seed: groups and tasks often cannot be told apart."""
    notes = set()
    for seed in range(8):
        simulated = simulate(Design(tasks=6, groups=2, seeds=2, levels={"AU": 0.0}), seed)
        pairs = pair_all(simulated.scores(0, 0), AU_TS, 1.0)
        _, fit = mixed_line(by_task_and_seed(pairs))
        assert np.isfinite(fit.cov).all() and fit.var_rest > 0
        notes.add(fit.note)
    assert not any("Singular" in note for note in notes)


def test_a_new_group_is_less_sure_than_a_known_one(grouped):
    design = np.ones((len(grouped), 1))
    fit = fit_mixed(grouped["gain"].to_numpy(), design, grouped["group"].to_numpy(str), grouped["task"].to_numpy(str))
    known, new = (fit.predict(np.ones(1), name) for name in (fit.groups[0], "elsewhere"))
    assert new[2] > known[2] and np.hypot(*new[1:3]) > np.hypot(*known[1:3])
    assert new[0] == pytest.approx(float(fit.beta[0]), rel=1e-9, abs=1e-12)


# ---- across tasks ------------------------------------------------------------------------------------------------


def test_least_squares_has_cluster_robust_errors(rows):
    few = rows[rows["group"].isin(sorted(set(rows["group"]))[:5])]
    found = clustered_line(few)
    slope = np.polyfit(np.log2(few["n_train"].to_numpy(float)), few["gain"], 1)[0]
    assert found["slope"] == pytest.approx(slope, rel=1e-6, abs=1e-9)
    assert "task" in found["note"]
    whole, x = clustered_line(rows), np.log2(rows["n_train"].to_numpy(float))
    beta, cov, df = clustered_fit(
        rows["gain"].to_numpy(), np.column_stack([np.ones(len(x)), x]), rows["group"].to_numpy(str)
    )
    assert "group" in whole["note"]
    p = 2 * stats.t.sf(abs(beta[1]) / np.sqrt(cov[1, 1]), df[1])
    assert whole["p"] == pytest.approx(p, rel=1e-5, abs=1e-9)


def test_both_fits_are_reported_with_their_line(by_fraction):
    fits, lines, influence = across_tasks(by_fraction[-1][1])
    whole = fits[fits["scope"] == "all"]
    assert list(whole["method"]) == ["mixed model", "OLS"]
    assert (whole["low"] < 0.03).all() and (whole["high"] > 0.03).all()
    assert set(lines["scope"]) == set(fits["scope"]) and len(influence) == 27


def test_influence_is_the_change_of_slope_without_the_task(rows):
    fitted, _ = mixed_line(rows)
    found = pd.DataFrame(leave_one_out(rows, fitted)).set_index("task")
    means = rows.groupby("task").agg(gain=("gain", "mean"), n=("n_train", "first")).drop("task05")
    slope = np.polyfit(np.log2(means["n"]), means["gain"], 1)[0]
    assert found.loc["task05", "slope_without"] == pytest.approx(slope, rel=1e-6, abs=1e-9)


def test_too_few_tasks_give_no_line(by_fraction):
    fits, lines, influence = across_tasks(by_fraction[-1][1][:3])
    assert fits.empty and lines.empty and influence.empty


# ---- within tasks ------------------------------------------------------------------------------------------------


def test_a_task_line_is_least_squares_of_its_fractions(by_fraction):
    found = task_lines(by_fraction)[4]
    gains = [{each.task: each for each in pairs}[found.task].by_seed.mean() for _, pairs in by_fraction]
    sizes = [{each.task: each for each in pairs}[found.task].n_train for _, pairs in by_fraction]
    slope, _ = np.polyfit(np.log2(sizes), gains, 1)
    assert found.line.slope == pytest.approx(slope, rel=1e-6, abs=1e-9)
    assert found.line.level == pytest.approx(np.mean(gains), rel=1e-6, abs=1e-9)


def test_slope_error_from_seeds_alone_is_the_classical_one():
    """Without cases, one slope per seed: the standard error is that of the two-way table of seeds and fractions."""
    simulated = simulate(Design(tasks=1, groups=1, seeds=5, fractions=(0.25, 0.5, 1.0), levels={"AU": 0.0}), 8)
    points = [(share, pair_all(simulated.scores(0, 0), AU_TS, share)) for share in (0.25, 0.5, 1.0)]
    found = task_lines(points)[0]
    gains = np.array([pairs[0].by_seed for _, pairs in points]).T
    x = np.array([-1.0, 0.0, 1.0])
    rest = gains - gains.mean(1, keepdims=True) - gains.mean(0) + gains.mean()
    expected = np.sqrt((rest**2).sum() / 8 / (5 * (x**2).sum()))
    assert found.line.slope_se() == pytest.approx(expected, rel=1e-6, abs=1e-9)
    _, _, p = found.line.slope_interval()
    assert p == pytest.approx(2 * stats.t.sf(abs(found.line.slope) / expected, 8), rel=1e-5, abs=1e-9)


def test_pooled_slope_is_the_mean_of_the_tasks(by_fraction):
    improving = [
        (share, [replace(pair, base_improving=pair.task == "task00") for pair in pairs]) for share, pairs in by_fraction
    ]
    frame, lines = within_tasks(improving)
    tasks = frame[frame["level"] == "task"]
    pooled = frame[(frame["level"] == "pooled") & (frame["name"] == "all")].iloc[0]
    assert pooled["slope"] == pytest.approx(tasks["slope"].mean(), rel=1e-6, abs=1e-9)
    assert pooled["low"] < 0.03 < pooled["high"] and pooled["base_improving"]
    assert frame.set_index("name").loc["task00", "base_improving"]
    assert not frame.set_index("name").loc["task01", "base_improving"]
    assert lines["fraction"].between(0.24, 1.01).all()


def test_one_fraction_gives_no_line_within(by_fraction):
    frame, lines = within_tasks(by_fraction[-1:])
    assert frame.empty and lines.empty
