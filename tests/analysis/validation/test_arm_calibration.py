"""The short version of the scenarios with arms in `make calibrate`: fewer and smaller studies, wider bounds."""

import pytest

from analysis.validation.arms import count_arms, count_capacity, count_learner, scenarios
from analysis.validation.fold_learner import train_folds
from analysis.validation.folds import STUDY
from analysis.validation.scenario import Scenario, run_scenario
from analysis.validation.simulate_arms import ArmDesign, simulate_arms

HARSH = ArmDesign(
    tasks=8, subjects=12, changes={"wide": 0.03}, change_sd=0.02, noise_of={"wide": 4.0}, shares_ts=("wide",)
)
"""Three seeds, few subjects, one arm four times as noisy, TS runs shared."""


@pytest.mark.slow
def test_differences_of_gains_are_covered_in_harsh_conditions():
    """160 intervals: a standard error of 1.7 % on a coverage of 95 % if they were independent."""
    found = run_scenario(Scenario("harsh", HARSH, count_arms, draw=simulate_arms), 20)
    assert found["coverage_change"].mean() >= 0.9 and found["coverage_these"].mean() >= 0.85
    assert found["false_headline"].mean() <= 0.15 and found["no_change_error"].mean() <= 0.05


def test_a_planted_change_is_covered():
    figures = count_arms(simulate_arms(HARSH.with_(noise_of={}), 0), 0)
    assert figures["coverage_change"] >= 0.6 and figures["false_headline"] == 0.0
    assert figures["coverage_these"] == 1.0 and figures["same_model"] == 0.0


@pytest.mark.slow
def test_slopes_over_sizes_are_unbiased_and_covered():
    sizes = {"tiny": 1e6, "small": 4e6, "base": 1.6e7}
    design = ArmDesign(tasks=8, subjects=20, arms=sizes, capacity_slope=0.02, change_sd=0.005, noise_of={"base": 4.0})
    found = run_scenario(Scenario("sizes", design, count_capacity, draw=simulate_arms), 20)
    assert abs(found["slope_capacity"].mean()) < 3 * found["slope_capacity"].std() / len(found) ** 0.5 + 1e-4
    assert found["coverage_task_slope"].mean() >= 0.9 and found["coverage_slope"].mean() >= 0.8


@pytest.mark.slow
def test_a_real_learner_of_two_capacities_is_covered():
    design = STUDY.with_(tasks=2, capacities={"narrow": 8, "wide": 48})
    found = run_scenario(Scenario("learner", design, count_learner, draw=train_folds), 15)
    assert found["coverage_change"].mean() >= 0.8


def test_scenarios_have_names_of_their_own_and_bounds():
    names = [scenario.name for scenario in scenarios()]
    assert len(set(names)) == len(names) and all(scenario.bounds for scenario in scenarios())
