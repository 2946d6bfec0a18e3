"""The short version of the scenarios on grouping in `make calibrate`: fewer studies, wider bounds."""

import numpy as np
import pytest

from analysis.grouping.local_search import members_of
from analysis.grouping.predicted_gain import predict_gains
from analysis.grouping.proposal import propose
from analysis.validation.grouping.scenarios import _head_start, count_groups, scenarios, separated
from analysis.validation.grouping.simulate_groups import GroupDesign, simulate_groups
from analysis.validation.scenario import Scenario, run_scenario

GOOD = GroupDesign(tasks=8, units=3, signals={"signal": 0.9})


def test_a_planted_study_is_what_its_design_says():
    study = simulate_groups(GOOD, 0)
    again = simulate_groups(GOOD, 0)
    assert study.measured.sets.equals(again.measured.sets)
    members = members_of([study.contradictions[0], tuple(range(8))], 8)
    first, other = study.contradictions[0]
    gains = study.gains(members, expected=True)
    assert gains[0, first] - study.own[first] == pytest.approx(study.pairs[other, first], abs=1e-12)
    assert study.pairs[other, first] < -0.03 and len(study.contradictions) == GOOD.contradicting
    mean = (study.pairs.sum(0) / 7)[first]
    assert gains[1, first] - study.own[first] == pytest.approx(mean, abs=1e-12)
    assert separated(study, (tuple(range(8)),)) == 0.0 and separated(study, tuple((k,) for k in range(8))) == 1.0


def test_luck_is_what_makes_a_measured_gain_differ_from_the_true_one():
    """Were all groups found those of AU, what favours them over TS is the noise of the gains of AU."""
    study = simulate_groups(GOOD, 0)
    sets = study.measured.sets
    found = propose(predict_gains(study.measured, {}), None, units=1)
    assert found.best.units == (tuple(range(8)),)
    true = study.gains(members_of([tuple(range(8))], 8))[0]
    noise = sets[sets["aggregation"] == "AU"].set_index("task")["gain"].to_numpy() - true
    alone, same = (_head_start(study, found, units) for units in (tuple((k,) for k in range(8)), found.best.units))
    assert alone == pytest.approx(noise.mean(), abs=1e-12) and same == 0.0


def test_the_worst_partner_decides_where_it_is_asked_to():
    study = simulate_groups(GOOD.with_(worst=1.0), 0)
    gains = study.gains(members_of([(0, 1, 2)], 8), expected=True)[0]
    assert gains[0] - study.own[0] == pytest.approx(min(study.pairs[1, 0], study.pairs[2, 0]), abs=1e-12)


@pytest.mark.slow
def test_intervals_hold_and_the_found_partition_parts_contradictions_more_often_than_chance():
    """12 studies: of 80 % coverage 0.65 is three standard errors off if studies were as uncertain as a coin."""
    found = run_scenario(Scenario("good", GOOD, count_groups, draw=simulate_groups), 12)
    assert found["coverage_new_set"].mean() >= 0.7 and found["coverage_new_task"].mean() >= 0.65
    assert found["separated_found"].mean() >= 0.6 and found["separated_AU"].mean() == 0.0
    assert found["gain_found"].mean() > max(found[f"gain_{name}"].mean() for name in ("AU", "CG", "random"))
    assert (found["gain_best"] >= found["gain_found"] - 0.01).all() and np.isfinite(found["half_width"]).all()


def test_scenarios_have_names_of_their_own_and_bounds():
    names = [scenario.name for scenario in scenarios()]
    assert len(set(names)) == len(names) and all(scenario.bounds for scenario in scenarios())
