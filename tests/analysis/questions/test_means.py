"""What is said of several tasks at once: combined intervals, the typical task, one seed, missing runs, advice."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.contrasts import Contrast
from analysis.frames import frame
from analysis.gains import PairedGain
from analysis.pairing import pair_all
from analysis.pipeline import analyse
from analysis.questions.advice.guidelines import UNDECIDED, _confidence, fit_rule, rule_rows
from analysis.questions.finding_parts import NOT_TESTABLE
from analysis.questions.findings import findings
from analysis.questions.means import pooled_row, tasks_of_this_kind, these_tasks
from analysis.questions.scale.across_tasks import across_tasks
from analysis.questions.scale.within_tasks import within_tasks
from analysis.questions.shared_variance import case_parts, seed_covariance
from analysis.questions.typical_task import effective_tasks, typical_gain
from analysis.settings import Settings
from analysis.statistics.combined_variance import p_value, reach
from analysis.validation import advice, crossover, means
from analysis.validation.scenario import Scenario, run_scenario
from analysis.validation.simulate import Design, simulate

AU_TS = Contrast("AU", "TS")
ALONE = [(0.0, 1e6), (1e-12, 1e6)]
"""Next to nothing moves all tasks together."""


def pairs_of(design: Design, seed: int = 0, draws: int = 100) -> list[PairedGain]:
    return pair_all(simulate(design, seed).scores(draws, seed), AU_TS, 1.0)


# ---- combined intervals ------------------------------------------------------------------------------------------


def test_one_part_is_students_interval():
    assert reach([(0.04, 7.0)]) == pytest.approx(0.2 * stats.t.ppf(0.975, 7), rel=1e-9, abs=1e-12)
    assert p_value(0.3, [(0.04, 7.0)]) == pytest.approx(2 * stats.t.sf(1.5, 7), rel=1e-6, abs=1e-9)


def test_parts_keep_their_own_degrees_of_freedom():
    both = reach([(0.01, 1.0), (0.04, 20.0)])
    assert both == pytest.approx(np.hypot(0.1 * stats.t.ppf(0.975, 1), 0.2 * stats.t.ppf(0.975, 20)), rel=1e-9, abs=0)
    assert p_value(both, [(0.01, 1.0), (0.04, 20.0)]) == pytest.approx(0.05, rel=1e-5, abs=1e-7)


def test_an_unknown_variance_leaves_no_interval():
    assert np.isnan(reach([(np.nan, 2.0)])) and np.isnan(p_value(0.1, [(0.0, 2.0)]))


# ---- the typical task --------------------------------------------------------------------------------------------


def test_six_independent_tasks_have_their_range_and_five_have_nothing():
    gains = np.array([0.01, 0.05, 0.02, -0.5, 0.03, 0.04])
    found = typical_gain(gains, np.array(list("abcdef")), ALONE)
    assert found.median == pytest.approx(0.025, abs=1e-12, rel=0) and found.gaining == 5
    # Between the outermost order statistics, of which the level is 1 - 2 / 2^6 = 0.969.
    assert -0.5 <= found.low < -0.4 and 0.047 < found.high <= 0.05
    few = typical_gain(gains[:5], np.array(list("abcde")), ALONE)
    assert np.isnan([few.low, few.high, few.p]).all() and few.gaining == 4


def test_a_collapse_hardly_moves_the_typical_task():
    gains = np.linspace(0.01, 0.09, 9)
    fallen = np.r_[-0.5, gains[1:]]
    groups = np.arange(9).astype(str)
    whole, one = typical_gain(gains, groups, ALONE), typical_gain(fallen, groups, ALONE)
    assert one.median == whole.median and one.low > 0.01 and one.p <= 0.05


def test_limits_are_those_of_the_sign_test():
    """27 tasks: x(8) and x(20) enclose the median with a level of 0.981, x(9) and x(19) with 0.948."""
    gains = np.arange(27.0)
    found = typical_gain(gains, np.arange(27).astype(str), ALONE)
    assert 7.0 <= found.low <= 8.0 and 18.0 <= found.high <= 19.0


def test_p_reaches_five_per_cent_where_the_interval_reaches_zero():
    gains = np.linspace(-0.2, 0.8, 15)
    groups = np.arange(15).astype(str)
    low = typical_gain(gains, groups, ALONE).low
    assert typical_gain(gains - low, groups, ALONE).p == pytest.approx(0.05, rel=1e-3, abs=1e-6)


def test_tasks_of_alike_groups_count_as_fewer():
    gains = np.repeat([0.0, 1.0, 2.0, 3.0], 5) + np.linspace(0, 0.1, 20)
    assert effective_tasks(gains, np.repeat(list("abcd"), 5)) < 6
    assert effective_tasks(gains, np.arange(20).astype(str)) == 20


# ---- seeds and subjects in common --------------------------------------------------------------------------------


def test_seeds_of_a_full_table_scatter_as_their_means():
    random = np.random.default_rng(0)
    values = random.normal(size=(6, 4))
    cov, df = seed_covariance([each[:, None] for each in values], [range(4)] * 6)
    assert cov[0, 0] == pytest.approx(values.mean(0).var(ddof=1) / 4, rel=1e-9, abs=1e-12)
    assert df == pytest.approx(3, rel=1e-9, abs=1e-12)


def test_seeds_that_no_two_tasks_share_add_up_independently():
    random = np.random.default_rng(1)
    values = [random.normal(size=(3, 1)) for _ in range(5)]
    cov, df = seed_covariance(values, [range(3 * task, 3 * task + 3) for task in range(5)])
    expected = sum(own.var(ddof=1) / 3 for own in values) / 25
    assert cov[0, 0] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert df == pytest.approx(10, rel=1e-9, abs=0)  # each task's mean takes one degree of freedom away


def test_tasks_with_one_pair_lend_no_degrees_of_freedom():
    values = [np.array([[0.1], [0.12]]), *(np.array([[0.1 * task]]) for task in range(8))]
    cov, df = seed_covariance(values, [(0, 1), *((task + 2,) for task in range(8))])
    assert np.isfinite(cov[0, 0]) and df == pytest.approx(1, rel=1e-9, abs=0)


@pytest.mark.parametrize("rounding", [0.0, 1e-8])
def test_copies_of_one_run_tell_nothing_of_the_chance_of_training(rounding):
    simulated = simulate(Design(tasks=8, groups=4, seeds=1, subjects=30, levels={"AU": 0.2}), 3)
    study = simulated.tables()
    shift = pd.DataFrame({"seed": range(3), "shift": [0.0, rounding, -rounding]})
    copied = {
        name: rows.drop(columns="seed")
        .merge(shift, how="cross")
        .assign(value=lambda rows: rows["value"] + rows["shift"])
        for name, rows in (("scores", study.scores), ("cases", study.cases))
    }
    frames = analyse(replace(study, **copied), Settings(draws=100)).frames
    assert set(frames["gains"]["verdict"]) == {"undecided"} and set(frames["gains"]["basis"]) == {"cases only"}
    assert frames["pooled"][["low", "high", "p", "p_new"]].isna().all(axis=None)
    assert frames["across"][["low", "high", "p"]].isna().all(axis=None)
    assert frames["type_test"]["p"].isna().all() and set(frames["findings"]["verdict"]) == {"not testable"}
    assert set(frames["guidelines"]["advice"]) <= {"undecided"}


def test_subjects_that_serve_all_tasks_are_noticed():
    alone, shared = (
        case_parts(pairs_of(Design(levels={"AU": 0.0}, shared_cases=share, interaction_sd=0.1))).in_common[0]
        for share in (0.0, 1.0)
    )
    expected = 2 * 0.1**2 / 100  # of the joint model and of the base
    assert alone < 0.1 * expected and shared == pytest.approx(expected, rel=0.5, abs=0)


def test_missing_runs_leave_intervals():
    scores = simulate(Design(levels={"AU": 0.05}, seeds=4), 3).thinned(3).scores(100, 0)
    pairs = pair_all(scores, AU_TS, 1.0)
    value, low, high, p = these_tasks(pairs)
    assert low < 0.05 < high and low < value < high and p < 0.05
    assert tasks_of_this_kind(pairs).low > 0


# ---- one seed ----------------------------------------------------------------------------------------------------

ONE = Design(tasks=12, groups=4, seeds=1, fractions=(0.5, 1.0), levels={"CG": 0.2, "AU": 0.2}, slopes={"AU": 0.1})


@pytest.fixture(scope="module")
def one_seed():
    return simulate(ONE, 0).scores(100, 0)


def test_one_seed_claims_nothing_of_several_tasks(one_seed):
    row = pooled_row("overall", "all", pair_all(one_seed, AU_TS, 1.0))
    assert row["gain"] > 0.1 and row["gaining"] >= 10
    assert np.isnan([row[name] for name in ("low", "high", "p", "low_new", "high_new", "p_new")]).all()


def test_one_seed_names_no_crossover_and_no_slope_within_tasks(one_seed):
    by_fraction = [(share, pair_all(one_seed, AU_TS, share)) for share in ONE.fractions]
    across, _, _ = across_tasks(by_fraction[-1][1])
    within, _ = within_tasks(by_fraction)
    assert across["n_star"].isna().all() and within["n_star"].isna().all()
    assert within[["low", "high", "p"]].isna().all(axis=None)


def test_one_seed_gives_no_advice(one_seed):
    pairs = {AU_TS: [(share, pair_all(one_seed, AU_TS, share)) for share in ONE.fractions]}
    rule = fit_rule(rule_rows(pairs, {}))
    found = rule.recommend(float(np.prod(rule.sizes("segmentation")) ** 0.5), "segmentation")
    assert found.advice == UNDECIDED and "one seed only" in found.reason


def test_one_seed_supports_and_contradicts_nothing(one_seed):
    pairs = pair_all(one_seed, AU_TS, 1.0)
    empty = ("within", "across", "stability", "sensitivity", "pooled")
    frames = {name: frame(name, []) for name in empty} | {"gains": _gains(pairs)}
    verdicts = findings(frames, {(AU_TS, 1.0): pairs})["verdict"]
    assert set(verdicts) == {NOT_TESTABLE}


def _gains(pairs: list[PairedGain]) -> pd.DataFrame:
    columns = {"task": [each.task for each in pairs], "group": [each.group for each in pairs]}
    return pd.DataFrame(
        columns
        | {
            "contrast": "AU-TS",
            "fraction": 1.0,
            "seeds": 1,
            "basis": "cases only",
            "learned_nothing": False,
            "base_improving": False,
            "margin": 0.02,
        }
    )


# ---- advice ------------------------------------------------------------------------------------------------------


def test_confidence_is_that_of_the_noncentral_t():
    for value, se, sd, df in ((0.05, 0.008, 0.02, 12.0), (0.03, 0.01, 0.01, 4.0)):
        expected = stats.nct.cdf(value / se, df, stats.norm.ppf(0.9) * sd / se)
        assert _confidence(value, se, sd, df) == pytest.approx(expected, rel=0, abs=0.003)


# ---- conditions --------------------------------------------------------------------------------------------------

STUDIES = 15


def _short(scenario: Scenario) -> dict[str, tuple[float, float, float]]:
    """Mean, and bounds with three standard errors of room, of every figure that has bounds and was counted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        table = run_scenario(scenario, STUDIES)
    found = {}
    for name, (low, high) in scenario.bounds.items():
        values = table[name].dropna()
        room = 3 * max(0.25, float(values.std())) / np.sqrt(max(1, len(values))) if low < high else 0.0
        if len(values):
            found[name] = (float(values.mean()), low - room, high + room)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [*means.scenarios(), *advice.scenarios()], ids=lambda each: each.name)
def test_means_and_advice_hold(scenario):
    for name, (mean, low, high) in _short(scenario).items():
        assert low <= mean <= high, name


@pytest.mark.slow
def test_crossovers_of_a_weak_slope_hold():
    for name, (mean, low, high) in _short(crossover.scenarios()[4]).items():
        assert low <= mean <= high, name
