"""The short version of `make calibrate`: fewer studies, wider bounds; the long one is in docs/calibration.md."""

import numpy as np
import pandas as pd
import pytest

from analysis.validation.calibrate import as_markdown, bounds_table
from analysis.validation.deciding import scenarios as deciding
from analysis.validation.scale import count_scale
from analysis.validation.scenario import BASE, MARGIN, Scenario, run_scenario
from analysis.validation.verdicts import count_verdicts

STUDIES = 40
"""At 27 tasks a study: 1,080 intervals, a standard error of 0.7 % on a coverage of 95 % if they were independent."""


@pytest.fixture(scope="module")
def no_effect() -> pd.DataFrame:
    return run_scenario(Scenario("no effect", BASE.with_(seeds=3, subjects=50), count_verdicts), STUDIES)


@pytest.mark.slow
def test_intervals_cover_with_three_seeds(no_effect):
    assert 0.93 <= no_effect["coverage"].mean() <= 0.97
    assert no_effect["coverage_these"].mean() >= 0.85
    assert no_effect["coverage_kind"].mean() >= 0.85


@pytest.mark.slow
def test_false_verdicts_stay_rare(no_effect):
    """FDR 5 %: of 40 studies at most 6 with any false verdict (binomial, 99.6 %)."""
    assert (no_effect["fdr"] > 0).sum() <= 6


@pytest.mark.slow
def test_the_percentile_bootstrap_of_three_seeds_does_not_cover():
    scattered = BASE.with_(seeds=3, subjects=50, seed_sd=0.03, interaction_sd=0.02)
    found = run_scenario(Scenario("seeds scatter", scattered, count_verdicts), 10)
    assert found["coverage_percentile"].mean() < 0.9 < found["coverage"].mean()


@pytest.mark.slow
def test_a_loss_as_large_as_the_margin_is_hardly_ever_called_none():
    at_margin = BASE.with_(seeds=3, subjects=50, levels={"AU": -MARGIN})
    found = run_scenario(Scenario("margin", at_margin, count_verdicts), 20)
    assert found["no_loss_error"].mean() <= 0.05
    assert found["no_loss_verdict_error"].mean() <= 0.05


@pytest.mark.slow
def test_power_rises_with_seeds_and_cases():
    loss = BASE.with_(levels={"AU": -0.03}, tasks=16)
    designs = [loss.with_(seeds=s, subjects=n) for s, n in ((3, 40), (8, 40), (8, 160))]
    found = [run_scenario(Scenario("power", each, count_verdicts), 6)["harm_found"].mean() for each in designs]
    assert found[0] < found[1] < found[2]


@pytest.mark.slow
def test_slopes_are_unbiased_and_crossovers_covered():
    scale = BASE.with_(
        fractions=(0.25, 0.5, 1.0),
        slopes={"AU": 0.02},
        group_sd=0.01,
        task_sd=0.02,
        types=("segmentation",),
        seeds=3,
        subjects=40,
    )
    found = run_scenario(Scenario("scale", scale, count_scale), 20)
    for name in ("slope_mixed", "slope_ols", "slope_within"):
        error = found[name].std() / np.sqrt(len(found))
        assert abs(found[name].mean()) < 3 * error + 1e-4
    for name in ("coverage_mixed", "coverage_within", "coverage_task_slope", "crossover_across", "band_task"):
        assert found[name].mean() >= 0.8
    assert "| scale |" in as_markdown({"scale": found})


@pytest.mark.slow
def test_what_would_decide_a_task_mostly_does():
    """Two seeds on 150 subjects: 0.91 of 80 tasks of ten studies; here of some 24, less four standard errors."""
    (scenario,) = (each for each in deciding() if each.name == "deciding: 2 seeds, 150 subjects, no gain")
    found = run_scenario(scenario, 5)
    assert found["undecided"].mean() > 0.8 and found["carried_out_replicates"].mean() > 0.3
    assert found["decided_replicates"].mean() >= 0.65


def test_a_figure_lies_inside_or_outside_or_was_not_measured():
    bounds = {"any_false": (0.0, 0.05), "advice_wrong": (0.0, 0.01), "coverage": (0.93, 0.98), "claimed": (0.0, 0.0)}
    scenario = Scenario("made up", BASE, count_verdicts, bounds)
    figures = {"any_false": 0.0, "advice_wrong": np.nan, "coverage": [0.9, 1.0] * 50, "claimed": [0.0] * 99 + [1.0]}
    rows = bounds_table([scenario], {"made up": pd.DataFrame(figures, index=range(100))}).splitlines()[2:]
    assert [row.split(" | ")[-1].strip(" |") for row in rows] == ["inside", "not measured", "inside", "OUTSIDE"]


def test_none_of_a_hundred_studies_is_not_never():
    """Exact 95 % limits of 0, and of 1, of 100: 1 - 0.025^(1/100), and those of Clopper and Pearson's table."""
    cells = as_markdown({"a": pd.DataFrame({"x": [0.0] * 100, "y": [0.0] * 99 + [1.0], "z": [0.5, 1.0] * 50})})
    assert "| 0.000 [0.000, 0.036] | 0.010 [0.000, 0.054] | 0.750 ± 0.050 |" in cells
