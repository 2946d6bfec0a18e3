"""Properties of gains, intervals and verdicts, and agreement with independent calculations."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from aggregation_lab import results
from analysis.contrasts import Contrast, contrasts
from analysis.gains import TaskScores
from analysis.pairing import pair, pair_all
from analysis.pipeline import analyse
from analysis.questions.means import mean_over_tasks, these_tasks
from analysis.questions.task_gains import task_gains
from analysis.settings import Settings
from analysis.statistics.uncertainty import estimate, two_part_test
from analysis.statistics.verdicts import BENEFIT, HARM, NO_LOSS, UNDECIDED, judge, power
from analysis.study import StudyTables, resample, task_scores
from analysis.validation.simulate import Design, simulate

AU_TS = Contrast("AU", "TS")
SMALL = Design(tasks=6, groups=3, seeds=3, subjects=25, levels={"CG": -0.03, "AU": 0.04}, task_sd=0.03)
QUICK = Settings(draws=200)


@pytest.fixture(scope="module")
def study() -> StudyTables:
    return simulate(SMALL, 0).tables()


@pytest.fixture(scope="module")
def gains(study) -> pd.DataFrame:
    return analysed(study)


def analysed(study: StudyTables, **changes: pd.DataFrame) -> pd.DataFrame:
    """The frame `gains` of a study of which some tables are replaced, in the order of task and contrast."""
    tables = {name: changes.get(name, getattr(study, name)) for name in ("scores", "cases")}
    changed = StudyTables(study.manifest, **tables)
    resampled = resample(changed, QUICK.draws, QUICK.seed)
    scores = task_scores(changed, resampled)
    pairs = {(each, 1.0): pair_all(scores, each, 1.0) for each in contrasts(changed.aggregations)}
    found = task_gains(changed, resampled, pairs, QUICK)
    return found.sort_values(["contrast", "task"], ignore_index=True)


# Metrics under weights are products in single precision, whose last digits depend on the processor's order of adding;
# the tail of a t distribution multiplies such an error by ten or so.
RTOL, ATOL = 1e-4, 1e-6

NUMBERS = ["gain", "low", "high", "low_adjusted", "high_adjusted", "p", "p_adjusted", "p_loss", "supported_margin"]


def assert_same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    np.testing.assert_allclose(one[NUMBERS], other[NUMBERS], rtol=RTOL, atol=ATOL)
    assert list(one["verdict"]) == list(other["verdict"])


def test_contrasts():
    assert [each.name for each in contrasts(["TS", "CG", "AU", "mine"])] == ["CG-TS", "AU-TS", "mine-TS", "AU-CG"]
    assert [each.name for each in contrasts(["CG", "AU"])] == ["AU-CG"]


def test_gain_is_the_difference_of_the_very_same_runs(study):
    scores = study.scores[(study.scores["task"] == "task03") & (study.scores["metric"] == "score")]
    wide = scores.pivot(index="seed", columns="aggregation", values="value")
    found = {each.task: each for each in pair_all(task_scores(study, None), AU_TS, 1.0)}["task03"]
    np.testing.assert_allclose(found.by_seed, wide["AU"] - wide["TS"], rtol=1e-9, atol=1e-12)


def test_swapping_the_aggregations_flips_the_sign(study, gains):
    names = {"TS": "AU", "AU": "TS"}
    swapped = analysed(
        study,
        **{
            name: table.replace({"aggregation": names})
            for name, table in (("scores", study.scores), ("cases", study.cases))
        },
    )
    one = gains[gains["contrast"] == "AU-TS"].sort_values("task")
    other = swapped[swapped["contrast"] == "AU-TS"].sort_values("task")
    np.testing.assert_allclose(one["gain"], -other["gain"].to_numpy(), rtol=RTOL, atol=ATOL)
    np.testing.assert_allclose(one["low"], -other["high"].to_numpy(), rtol=RTOL, atol=ATOL)
    np.testing.assert_allclose(one["p"], other["p"].to_numpy(), rtol=RTOL, atol=ATOL)


def test_row_order_changes_nothing(study, gains):
    shuffled = {name: getattr(study, name).sample(frac=1, random_state=1) for name in ("scores", "cases")}
    assert_same(gains.sort_values(["contrast", "task"]), analysed(study, **shuffled))


def test_loading_twice_changes_nothing(study, gains):
    """Runs that are collected twice, as after an interruption, count once."""
    twice = {}
    for name in ("scores", "cases"):
        table = results.TABLES[name]
        rows = getattr(study, name)[[column.name for column in table.columns]]
        twice[name] = results.append([rows, rows], table)
    assert_same(gains, analysed(study, **twice))


def test_task_names_change_nothing(study, gains):
    names = {f"task{number:02d}": f"{'zyxwvu'[number]}_renamed" for number in range(6)}
    renamed = {name: getattr(study, name).replace({"task": names}) for name in ("scores", "cases")}
    found = analysed(study, **renamed)
    back = found.assign(task=found["task"].map({new: old for old, new in names.items()}))
    assert_same(gains.sort_values(["contrast", "task"]), back.sort_values(["contrast", "task"]))


def test_a_constant_on_both_arms_changes_nothing(study, gains):
    moved = {
        name: getattr(study, name).assign(value=getattr(study, name)["value"] + 0.05) for name in ("scores", "cases")
    }
    assert_same(gains.sort_values(["contrast", "task"]), analysed(study, **moved))


@given(scale=st.floats(0.01, 50), shift=st.floats(-5, 5))
@settings(max_examples=20, deadline=None)
def test_an_affine_change_of_metric_with_its_margin_changes_no_verdict(scale, shift):
    simulated = simulate(SMALL, 3)
    before, after = [], []
    for each in simulated.scores(100, 0):
        changed = TaskScores(
            each.task,
            each.type,
            each.group,
            "1",
            each.arms,
            each.values * scale + shift,
            each.draws * scale + shift,
            each.subjects,
        )
        before.append(pair(each, AU_TS, 1.0).estimate())
        after.append(pair(changed, AU_TS, 1.0).estimate())

    def verdicts(found, margin):
        columns = (np.array([getattr(one, name) for one in found]) for name in ("value", "se", "df"))
        return judge(*columns, np.full(len(found), margin))

    one, other = verdicts(before, 0.02), verdicts(after, 0.02 * scale)
    assert list(one["verdict"]) == list(other["verdict"])
    np.testing.assert_allclose(one["p_loss"], other["p_loss"], rtol=1e-5, atol=1e-9)


def test_the_same_study_gives_the_same_bytes(study):
    one, other = (analyse(study, QUICK).frames for _ in range(2))
    for name in one:
        pd.testing.assert_frame_equal(one[name], other[name], check_exact=True)


def test_units_shared_by_two_aggregations_are_no_gain(study):
    shared = study.scores["task"] == "task01"
    scores = study.scores.assign(run=study.scores["run"].mask(shared, "one-" + study.scores["seed"].astype(str)))
    found = analysed(study, scores=scores)
    own = found[found["task"] == "task01"]
    assert set(own["verdict"]) == {"same model"} and own["p"].isna().all()
    families = found[found["contrast"] == "AU-TS"]
    assert families["p"].notna().sum() == 5


def test_unpaired_seeds_are_counted(study):
    missing = (study.scores["aggregation"] == "AU") & (study.scores["seed"] == 2) & (study.scores["task"] == "task00")
    found = analyse(StudyTables(study.manifest, study.scores[~missing], study.cases), QUICK).frames
    own = found["gains"].query("task == 'task00' and contrast == 'AU-TS'").iloc[0]
    assert own["seeds"] == 2
    text = found["excluded"].set_index("reason")["rows"]
    assert text["AU-TS at fraction 1: seed on one side only"] == 1


# ---- intervals ---------------------------------------------------------------------------------------------------


def test_seeds_alone_are_a_paired_t_test():
    gains = np.array([0.01, 0.03, 0.02, 0.05])
    low, high = estimate(gains).interval()
    expected = stats.ttest_1samp(gains, 0).confidence_interval()
    np.testing.assert_allclose([low, high], expected, rtol=1e-8, atol=1e-12)


def test_cases_alone_match_the_paired_difference_of_means():
    """One seed: the bootstrap's standard error is that of the mean of per-subject differences."""
    design = Design(tasks=1, groups=1, seeds=1, subjects=400)
    simulated = simulate(design, 4)
    found = pair(simulated.scores(4000, 1)[0], AU_TS, 1.0).estimate()
    values = simulated.tasks[0].quantities["value"][:, :, 0]
    names = simulated.tasks[0].arms["aggregation"].to_numpy()
    differences = values[names == "AU"][0] - values[names == "TS"][0]
    assert found.basis == "cases only"
    assert found.se == pytest.approx(stats.sem(differences), rel=0.05, abs=0)


def test_variance_shares_tell_seeds_from_cases():
    seeds = Design(tasks=5, groups=1, seeds=6, seed_sd=0.05, interaction_sd=0.001, noise_sd=0.001)
    cases = Design(tasks=5, groups=1, seeds=6, seed_sd=0.0005, interaction_sd=0.1, noise_sd=0.001)
    shares = []
    for design in (seeds, cases):
        found = [each.estimate() for each in pair_all(simulate(design, 1).scores(300, 0), AU_TS, 1.0)]
        shares.append(np.mean([each.v_seed / (each.v_seed + each.v_case) for each in found]))
    assert shares[0] > 0.95 and shares[1] < 0.05


def test_seeds_that_agree_by_chance_do_not_hide_the_cases():
    random = np.random.default_rng(0)
    found = estimate(np.array([0.1, 0.1 + 1e-9]), 0.1 + random.normal(0, 0.03, (2000, 2)), 50)
    assert found.v_seed < 1e-15
    assert found.se == pytest.approx(0.03 / np.sqrt(2), rel=0.1, abs=0)


def test_no_seeds_and_no_cases_give_no_interval():
    found = estimate(np.array([0.3]))
    assert found.basis == "none" and np.isnan(found.interval()).all()


def test_two_part_test_is_student_where_one_part_is_nothing_and_wider_than_either():
    limits = two_part_test(0.1, (0.04, 0.0), (2, 99))[:2]
    np.testing.assert_allclose(limits, stats.t.interval(0.95, 2, 0.1, 0.2), rtol=1e-8, atol=1e-12)
    low, high, p = two_part_test(0.0, (0.04, 0.01), (2, 99))
    assert high > stats.t.ppf(0.975, 2) * 0.2 and p == pytest.approx(1.0, abs=1e-6)
    draws = 0.2 * stats.t.rvs(2, size=400_000, random_state=1) + 0.1 * stats.t.rvs(99, size=400_000, random_state=2)
    assert (np.abs(draws) > high).mean() == pytest.approx(0.05, abs=0.003)


def test_mean_over_tasks_of_independent_tasks_is_a_t_test():
    means = np.array([0.01, 0.04, -0.02, 0.03, 0.05])
    value, se, df = mean_over_tasks(means, np.array(list("abcde")))
    assert (value, se, df) == pytest.approx((means.mean(), stats.sem(means), 4), rel=1e-8, abs=1e-12)


def test_groups_widen_the_mean_over_tasks():
    means = np.array([0.10, 0.11, 0.09, -0.10, -0.11, -0.09])
    together = mean_over_tasks(means, np.array(list("aaabbb")))
    apart = mean_over_tasks(means, np.array(list("abcdef")))
    assert together[1] > 1.5 * apart[1] and together[2] < 2


def test_pooled_over_these_tasks_keeps_a_seed_together():
    """What a seed does to all tasks alike does not average out over tasks."""
    shared = Design(tasks=20, groups=4, seeds=5, joint_seed_sd=0.03, subject_sd=0.01, interaction_sd=0.01)
    alone = shared.with_(joint_seed_sd=0.0)
    widths = []
    for design in (shared, alone):
        _, low, high, _ = these_tasks(pair_all(simulate(design, 0).scores(200, 0), AU_TS, 1.0))
        widths.append(high - low)
    assert widths[0] > 3 * widths[1]


# ---- verdicts ----------------------------------------------------------------------------------------------------


def judged(gain, se=0.01, margin=0.02, df=50.0, **options):
    gain = np.atleast_1d(np.asarray(gain, float))
    return judge(gain, np.broadcast_to(se, gain.shape), np.full(len(gain), df), np.full(len(gain), margin), **options)


def test_four_verdicts():
    found = judged([-0.1, 0.1, 0.0, -0.02], se=[0.01, 0.01, 0.005, 0.02])
    assert list(found["verdict"]) == [HARM, BENEFIT, NO_LOSS, UNDECIDED]


def test_a_sure_loss_within_the_margin_is_no_meaningful_loss():
    found = judged([-0.005], se=0.001).iloc[0]
    assert found["p"] < 0.001 and found["verdict"] == NO_LOSS


@given(
    gains=st.lists(st.floats(-0.1, 0.1), min_size=1, max_size=12),
    errors=st.lists(st.floats(0.001, 0.05), min_size=12, max_size=12),
    correction=st.sampled_from(["BH", "Holm", "none"]),
)
@settings(max_examples=200, deadline=None)
def test_adjusted_intervals_say_what_adjusted_tests_say(gains, errors, correction):
    found = judged(gains, se=np.array(errors[: len(gains)]), correction=correction)
    excluded = (found["low_adjusted"] > 0) | (found["high_adjusted"] < 0)
    clear = (found["p_adjusted"] - 0.05).abs() > 1e-6
    assert (excluded == (found["p_adjusted"] <= 0.05))[clear].all()
    supported = found["supported_margin"] <= 0.02
    near = (found["p_loss_adjusted"] - 0.025).abs() < 1e-6
    assert (supported == (found["p_loss_adjusted"] <= 0.025))[~near].all()


def test_corrections_order():
    gains = np.linspace(0.01, 0.035, 12)
    counts = {name: (judged(gains, correction=name)["p_adjusted"] <= 0.05).sum() for name in ("none", "BH", "Holm")}
    assert counts["none"] > counts["BH"] > counts["Holm"]


def test_scores_without_scatter_decide_nothing():
    found = judged([0.3, 0.1], se=[0.0, 0.01])
    assert list(found["verdict"]) == [UNDECIDED, BENEFIT]
    assert np.isnan(found["p"].iloc[0])


def test_power_against_the_noncentral_t():
    effect, se, df = 0.02, 0.008, 4.0
    limit = stats.t.ppf(0.975, df)
    expected = stats.nct.sf(limit, df, effect / se) + stats.nct.cdf(-limit, df, effect / se)
    assert power(effect, se, df, 0.05) == pytest.approx(expected, abs=2e-3)


def test_resamples_come_with_the_subject_and_stay_when_a_task_goes(study):
    whole = resample(study, 50, 7)
    kept = StudyTables(study.manifest, study.scores, study.cases[study.cases["task"] == "task02"])
    part = resample(kept, 50, 7)
    subjects = whole.tasks["task02"].subjects
    assert set(part.weights.column) == set(subjects)
    assert whole.weights.counts.mean() == pytest.approx(1.0, abs=0.05)


# ---- gains relative to scores near 0 ---------------------------------------------------------------------------------


def near_zero(base: list[float], unit: str = "1") -> TaskScores:
    """One task whose TS has these scores, and AU 0.05 more."""
    rows = [(name, 1.0, seed, f"{name}/{seed}", 100.0) for name in ("TS", "AU") for seed in range(len(base))]
    arms = pd.DataFrame(rows, columns=["aggregation", "fraction", "seed", "run", "n_train"])
    values = np.array([*base, *(score + 0.05 for score in base)])
    return TaskScores("mcc", "classification", "one", unit, arms, values, margin=0.02 if unit == "1" else np.nan)


@pytest.mark.parametrize(
    "base",
    [
        [0.03, -0.02, 0.01, -0.03, 0.009],  # of both signs: a mean near 0 made the margin tens of thousands
        [0.3, 0.01, 0.4, 0.35, 0.3],  # one seed within the margin of 0
        [0.025, 0.4, 0.03, 0.025, 0.03],  # scatters more than it is
        [0.0, 0.0, 0.0, 0.0, 0.0],
    ],
)
def test_no_share_is_taken_of_scores_near_zero(base):
    found = pair(near_zero(base), AU_TS, 1.0, "relative")
    assert np.isnan(found.by_seed).all() and np.isnan(found.margin)
    assert pair_all([near_zero(base)], AU_TS, 1.0, "relative") == []
    assert pair(near_zero(base), AU_TS, 1.0).margin == 0.02, "in its own unit it is judged as ever"


def test_without_a_defined_seed_there_is_no_share_either():
    found = pair(near_zero([np.nan, np.nan]), AU_TS, 1.0, "relative")
    assert found.seeds == () and np.isnan(found.margin)


def test_scores_that_are_all_on_one_side_have_a_share():
    found = pair(near_zero([0.4, 0.5, 0.45]), AU_TS, 1.0, "relative")
    np.testing.assert_allclose(found.by_seed, [0.05 / 0.4, 0.05 / 0.5, 0.05 / 0.45], rtol=1e-12, atol=1e-15)
    assert found.margin == pytest.approx(0.02 / 0.45, rel=1e-12, abs=0)
    pixels = pair(near_zero([-8.0, -9.0, -7.5], "px"), AU_TS, 1.0, "relative")
    assert np.isfinite(pixels.by_seed).all(), "errors in pixels are negative scores"
