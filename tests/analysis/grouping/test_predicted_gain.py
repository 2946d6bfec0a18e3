"""Predicted gains: a signal that tells is used, one that does not is not, and a proposal parts what contradicts."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from aggregation_lab.errors import ResultsError
from analysis.frames import FRAMES
from analysis.grouping.affinities import affinities
from analysis.grouping.gain_model import GainModel
from analysis.grouping.grouping_frames import NAMES, found_groups, grouping_frames
from analysis.grouping.in_words import NO_BETTER, comparisons, groups, headline, worth
from analysis.grouping.local_search import members_of
from analysis.grouping.measured_gains import measured_gains
from analysis.grouping.predicted_gain import ALL_SIGNALS, MODEL, affinity_matrices, predict_gains
from analysis.grouping.proposal import propose, unit_names
from analysis.grouping.set_features import NAIVE
from analysis.grouping.unit_costs import unit_costs
from analysis.study import task_scores
from analysis.validation.grouping.scenarios import separated
from analysis.validation.grouping.simulate_groups import GroupDesign, simulate_groups
from tests.fake_groups import SMALL, group_tables

CLEAR = GroupDesign(seed_sd=0.002, own_sd=0.002, lack_sd=0.0, signals={"true": 1.0, "noise": 0.0}, drawn=2)
"""Ten tasks, little noise, a signal that is the affinity itself and one that is none of it."""


@pytest.fixture(scope="module")
def clear():
    study = simulate_groups(CLEAR, 0)
    return study, predict_gains(study.measured, study.signals)


def test_a_true_signal_is_used_with_the_others_and_every_predictor_has_its_row(clear):
    _, prediction = clear
    errors = prediction.errors.set_index("predictor")
    assert list(errors.index) == [*NAIVE, "true", "noise", ALL_SIGNALS, MODEL]
    assert errors.loc[["true", "noise", ALL_SIGNALS], "used"].all() and not errors.loc[list(NAIVE), "used"].any()
    assert prediction.model.families == ("true", "noise")
    assert errors.at[ALL_SIGNALS, "error_new_set"] < errors.loc[list(NAIVE), "error_new_set"].min()
    assert errors.at["no information", "skill"] == 0 and errors.at[MODEL, "skill"] > 0.3
    assert errors.at[ALL_SIGNALS, "reason"] == "better on sets left out than no information"
    assert "the prediction uses true, noise" in worth(prediction.errors) and NO_BETTER not in worth(prediction.errors)


def test_affinities_that_are_no_better_than_nothing_on_sets_left_out_are_not_used():
    study = simulate_groups(CLEAR.with_(signals={"noise": 0.0, "more": 0.0}), 2)
    prediction = predict_gains(study.measured, study.signals)
    errors = prediction.errors.set_index("predictor")
    assert errors.at[ALL_SIGNALS, "error_new_set"] >= errors.at["no information", "error_new_set"]
    assert not prediction.informed and errors.index[errors["used"]].tolist() == ["no information", MODEL]
    text = "\n".join(worth(prediction.errors))
    assert "affinities are not used, for all together they are no better on sets left out than no information" in text
    nothing = predict_gains(study.measured, {})
    members = members_of([(0, 1), (2, 3, 4)], 10)
    np.testing.assert_allclose(
        prediction.model.predict(members), nothing.model.predict(members), rtol=1e-12, atol=1e-12, equal_nan=True
    )


def test_the_errors_are_those_of_models_that_have_not_seen_the_set(clear):
    """Each set taken out of the tables by hand, and predicted from the rest."""
    study, prediction = clear
    sets, number = study.measured.sets, study.measured.number
    unseen = np.empty(len(sets))
    for unit in set(sets["members"]):
        out = (sets["members"] == unit).to_numpy()
        rest = replace(study.measured, sets=sets[~out].reset_index(drop=True))
        model = GainModel(rest, prediction.model.features, prediction.model.families)
        places = [number[task] for task in sets.loc[out, "task"]]
        unseen[out] = model.predict(members_of([unit], 10))[0, places]
    np.testing.assert_allclose(prediction.model.without_set, unseen, rtol=0, atol=0.001)  # features are scaled anew


def test_with_one_trained_set_tasks_are_left_out_instead():
    study = simulate_groups(CLEAR.with_(drawn=0), 3)
    prediction = predict_gains(_only_au(study.measured), study.signals)
    assert prediction.errors["error_new_set"].isna().all() and prediction.errors["error_new_task"].notna().all()
    assert prediction.model.without_set.shape == (10,) and np.isnan(prediction.model.without_set).all()
    assert any("on tasks left out" in line for line in worth(prediction.errors))


def test_a_prediction_that_is_no_better_than_none_is_called_a_guess(clear):
    errors = clear[1].errors.set_index("predictor")
    errors.loc[MODEL, "skill"] = -0.01
    assert NO_BETTER in worth(errors.reset_index())


def test_a_proposal_parts_what_contradicts_and_is_nearly_the_best(clear):
    study, prediction = clear
    found = propose(prediction, None, units=4)
    assert separated(study, found.best.units) == 1.0
    assert study.mean_gain(found.best.units) > max(study.mean_gain(units) for units in found.trained.values())
    assert min(found.chances.values()) > 0.9 and found.interval[0] < found.gain < found.interval[1]
    text = "\n".join([headline(found), *groups(found_groups(found)), *comparisons(found)])
    assert "4 units" in text and "unit_1: " in text and all(task in text for task in study.measured.tasks.index)
    assert f"of its {len(found.search.best) - 1} runners-up" in text or not found.rivals


def test_predictions_of_known_sets_lean_on_what_was_measured_and_tasks_alone_gain_nothing(clear):
    study, prediction = clear
    sets = study.measured.sets
    members = members_of([*sets["members"].head(3), (0,)], 10)
    gains = prediction.model.predict(members)
    assert gains[3, 0] == 0.0 and np.isnan(gains[3, 1:]).all()
    for row in range(3):
        own = sets.iloc[row]
        assert abs(gains[row, study.measured.number[own["task"]]] - own["gain"]) < 0.006


def test_limits_and_draws_agree_with_predictions(clear):
    study, prediction = clear
    members = members_of([(0, 1, 2), (3, 4), (5,)], 10)
    gains, (low, high) = prediction.model.predict(members), prediction.model.limits(members)
    joint = members & (members.sum(1, keepdims=True) > 1)
    assert (low[joint] < gains[joint]).all() and (gains[joint] < high[joint]).all()
    assert low[2, 5] == high[2, 5] == 0.0
    drawn = prediction.model.draw(members, 4000, 0)
    np.testing.assert_allclose(drawn.mean(0)[joint], gains[joint], rtol=0, atol=0.002)
    assert not drawn[:, ~joint].any()


def test_the_same_study_gives_the_same_proposal_and_another_seed_nearly_the_same_chances(clear):
    _, prediction = clear
    first, again, other = (propose(prediction, None, units=3, seed=seed) for seed in (0, 0, 1))
    assert first.chances == again.chances and first.best == again.best == other.best
    assert other.chances["AU"] == pytest.approx(first.chances["AU"], abs=0.05)


def test_without_any_affinity_equal_predictions_are_said_to_be_equal():
    study = simulate_groups(SMALL.with_(signals={}, contradicting=0, related=0, pair_sd=0.0, own_sd=0.05), 2)
    prediction = predict_gains(_only_au(study.measured), {})
    gains = prediction.model.predict(members_of([(0, 3), (0, 4)], 6))
    assert gains[0, 0] == pytest.approx(gains[1, 0], abs=1e-12)
    found = propose(prediction, None, units=2)
    assert found.ties > 0 and "with the same prediction" in "\n".join(comparisons(found))
    assert any("arbitrary" in line for line in worth(prediction.errors))


def _only_au(measured):
    sets = measured.sets[measured.sets["aggregation"] == "AU"].reset_index(drop=True)
    return replace(measured, sets=sets, partitions={"AU": measured.partitions["AU"]})


def test_affinities_are_means_over_moments_then_runs_and_keep_their_direction():
    rows = pd.DataFrame(
        [
            (0, 0, "a", "b", 1.0), (0, 1, "a", "b", 3.0), (1, 0, "a", "b", 8.0), (0, 0, "b", "a", -1.0),
            (0, 0, "a", "a", 9.0),
        ],
        columns=["seed", "moment", "task_i", "task_j", "value"],
    ).assign(aggregation="AU", signal="lookahead", fraction=1.0)  # fmt: skip
    found = affinity_matrices(affinities(replace(group_tables(), affinity=rows)), ["a", "b", "c"])["lookahead"]
    assert found[0, 1] == pytest.approx(5.0, abs=1e-12) and found[1, 0] == -1.0
    assert np.isnan(found[0, 0]) and np.isnan(found[2]).all()
    assert affinity_matrices(affinities(group_tables()), ["a"]) == {}


def test_limits_beside_measured_gains_are_those_of_tasks_that_were_not_seen():
    study = group_tables()
    rows = grouping_frames(study, task_scores(study, None), affinities(study))[1]
    model, number = predict_gains(measured_gains(study), {}).model, measured_gains(study).number
    for row, unit in zip(rows.itertuples(), model.measured.sets["members"], strict=True):
        limits = model.limits(members_of([unit], len(number)), measured=False)
        expected = [limit[0, number[row.task]] for limit in limits]
        np.testing.assert_allclose([row.low, row.high], expected, rtol=1e-9, atol=1e-12)


def test_hours_limit_what_is_trained_anew():
    study = group_tables()
    measured = measured_gains(study)
    prediction, costs = predict_gains(measured, {}), unit_costs(study, measured)
    free, limited = (propose(prediction, costs, within=hours) for hours in (None, 1e-6))
    assert limited.missing_hours == 0.0 and limited.gain <= free.gain + 1e-9
    with pytest.raises(ResultsError, match="hours cannot be kept to"):
        propose(prediction, None, within=1.0)


def test_frames_of_a_study_and_none_of_one_with_a_single_aggregation():
    study = group_tables()
    frames = dict(zip(NAMES, grouping_frames(study, task_scores(study, None), affinities(study)), strict=True))
    assert all(list(frames[name].columns) == list(FRAMES[name]) for name in NAMES)
    predicted, partitions = frames["predicted_gains"], frames["partitions"]
    measured = measured_gains(study)
    assert predicted["gain"].tolist() == measured.sets["gain"].tolist() and predicted["test_gain"].notna().all()
    assert predicted["predicted_set"].notna().all()
    expected = stats.spearmanr(predicted["gain"], predicted["predicted_set"]).statistic
    assert predicted["rank_correlation_set"].to_numpy() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    # No affinity is used, so a task left out is given the mean of the others: its correlation would be arithmetic.
    assert predicted["rank_correlation"].isna().all()
    assert set(frames["found_groups"]["task"]) == set(measured.tasks.index)
    assert set(partitions.loc[partitions["trained"], "partition"]) == {"TS", "CG", "AU"}
    assert not partitions["tasks"].duplicated().any() and partitions["pareto"].any()
    trained = partitions[partitions["trained"]]
    assert not trained["hours_guessed"].any() and not partitions.loc[~partitions["trained"], "pareto"].any()
    for row in partitions[partitions["pareto"]].itertuples():
        rest = trained[(trained["hours"] <= row.hours) & (trained["score"] > row.score)]
        assert rest.empty, row.partition
    alone = group_tables(aggregations=("AU",))
    assert all(rows.empty for rows in grouping_frames(alone, task_scores(alone, None), affinities(alone)))


def test_units_are_named_those_of_several_tasks_first():
    assert unit_names([("z",), ("b", "a"), ("c", "d")]) == {
        "unit_1": ("a", "b"),
        "unit_2": ("c", "d"),
        "unit_3": ("z",),
    }


@pytest.mark.parametrize("seed", range(3))
def test_what_is_the_same_in_every_set_is_never_used(seed):
    study = simulate_groups(CLEAR.with_(signals={"constant": 0.0}), seed)
    tasks = study.measured.tasks.assign(type="classification")
    prediction = predict_gains(replace(study.measured, tasks=tasks), {"constant": np.ones((10, 10))})
    assert not prediction.informed
