"""Measured gains: of validation scores alone, each set once, and one line where there is nothing to start from."""

from dataclasses import replace

import pandas as pd
import pytest

from aggregation_lab import EXAMPLES
from aggregation_lab.errors import ResultsError
from analysis.context import prepare
from analysis.grouping.affinities import affinities
from analysis.grouping.grouping_frames import NAMES, grouping_frames
from analysis.grouping.measured_gains import measured_gains
from analysis.grouping.set_features import SAME_GROUP, SIMILAR_SIZE, SIZES, set_features
from analysis.grouping.unit_costs import unit_costs
from analysis.questions.study_quality import ledger
from analysis.settings import Settings
from analysis.study import load_study
from tests.fake_groups import group_tables

STUDY = group_tables()


def test_a_gain_is_the_last_validation_score_over_that_of_ts():
    measured, curves = measured_gains(STUDY), STUDY.curves
    last = curves[curves["step"] == 20].set_index(["aggregation", "task", "seed"])["score"].sort_index()
    for row in measured.sets.itertuples():
        expected = (last[row.aggregation, row.task] - last["TS", row.task]).mean()
        assert row.gain == pytest.approx(expected, abs=1e-12) and row.seeds == 3 and row.variance > 0
        assert measured.number[row.task] in row.members and len(row.members) > 1


def test_test_scores_have_no_part_in_it():
    tested = STUDY.scores.assign(value=1 - STUDY.scores["value"])
    pd.testing.assert_frame_equal(
        measured_gains(replace(STUDY, scores=tested)).sets, measured_gains(STUDY).sets, check_exact=True
    )


def test_a_set_of_two_aggregations_stands_once_and_counts_in_both():
    twice = [
        pd.concat([rows, rows[rows["aggregation"] == "CG"].assign(aggregation="mine")], ignore_index=True)
        for rows in (STUDY.curves, STUDY.scores)
    ]
    measured = measured_gains(replace(STUDY, curves=twice[0], scores=twice[1]))
    assert set(measured.sets["aggregation"]) == {"CG", "AU"} and len(measured.sets) == len(measured_gains(STUDY).sets)
    assert measured.partitions["mine"] == measured.partitions["CG"] != measured.partitions["AU"]


def test_second_stages_are_no_evidence_for_a_set():
    study = group_tables()
    named = {"CG": "AU>CG"}
    later = replace(
        study, scores=study.scores.replace({"aggregation": named}), curves=study.curves.replace({"aggregation": named})
    )
    assert measured_gains(study).aggregations == ["CG", "AU"]
    assert measured_gains(later).aggregations == ["AU"]


def test_an_undefined_last_score_leaves_out_its_seed_and_an_unfinished_partition_its_name():
    curves = STUDY.curves.copy()
    curves.loc[(curves["aggregation"] == "AU") & (curves["seed"] == 1) & (curves["step"] == 20), "score"] = float("nan")
    measured = measured_gains(replace(STUDY, curves=curves))
    assert {name: set(rows["seeds"]) for name, rows in measured.sets.groupby("aggregation")} == {"CG": {3}, "AU": {2}}
    first = STUDY.curves.loc[STUDY.curves["aggregation"] == "CG", "unit"].iloc[0]
    unfinished = STUDY.curves[~((STUDY.curves["aggregation"] == "CG") & (STUDY.curves["unit"] == first))]
    assert "CG" not in measured_gains(replace(STUDY, curves=unfinished)).partitions


def only(*names: str):
    rows = (table[table["aggregation"].isin(names)] for table in (STUDY.curves, STUDY.scores))
    return replace(STUDY, **dict(zip(("curves", "scores"), rows, strict=True)))


@pytest.mark.parametrize(
    ("study", "said"),
    [
        (only("CG", "AU"), "has no finished run of TS, which gains are over"),
        (only("TS"), "has finished runs of TS only, so no set of several tasks is known; train AU"),
        (replace(STUDY, curves=None), "has no validation curves, and groups are found on validation scores alone"),
        (
            replace(STUDY, curves=STUDY.curves[STUDY.curves["task"].isin(["task00", "task01", "task02"])]),
            "TS is finished in 3 tasks; to group them takes 4 or more",
        ),
    ],
)
def test_nothing_to_start_from_is_one_line(study, said):
    with pytest.raises(ResultsError) as fault:
        measured_gains(study)
    assert said in str(fault.value) and "\n" not in str(fault.value)


def test_features_are_means_over_partners_and_unknown_outside_a_set():
    tasks = pd.DataFrame(
        {"type": ["a", "a", "b", "b"], "group": ["x", "y", "x", "x"], "n_train": [100.0, 200.0, 400.0, 100.0]},
        index=["t0", "t1", "t2", "t3"],
    )
    members = pd.DataFrame([[1, 1, 1, 0], [0, 0, 0, 1]]).to_numpy(bool)
    features = set_features(tasks, {})
    group, sizes = features.of(SAME_GROUP, members), features.of("log_partners", members)
    assert group[0, :3].tolist() == [0.5, 0.0, 0.5]
    assert sizes[0, :3] == pytest.approx([9.2288, 8.9658, 8.2288], abs=1e-3)
    assert features.of(SIMILAR_SIZE, members)[0, :3] == pytest.approx([-1.5, -1.0, -1.5], abs=1e-12)
    assert pd.isna(group[0, 3]) and pd.isna(group[1]).all()
    assert SIZES not in set_features(tasks.assign(n_train=[0.0, 1, 2, 3]), {}).families


def test_costs_are_those_of_the_runs_and_the_pace_of_joint_runs_elsewhere():
    measured = measured_gains(STUDY)
    costs = unit_costs(STUDY, measured)
    members = pd.DataFrame([[1] * 6, [1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0]]).to_numpy(bool)
    trained = {tuple(unit) for units in measured.partitions.values() for unit in units}
    hours = costs.hours(members)
    assert hours[:2] == pytest.approx([6 / 60, 1 / 60], rel=1e-9, abs=1e-12)
    assert costs.missing(members)[:2].tolist() == [0.0, 0.0]
    if (0, 1) not in trained:
        assert costs.missing(members)[2] == pytest.approx(3 * hours[2], rel=1e-9, abs=1e-12) and hours[2] > 0
    assert costs.measured(members).tolist() == [True, True, (0, 1) in trained]
    assert unit_costs(replace(STUDY, runs=None), measured) is None


def test_second_stages_are_no_cost_of_the_units_that_they_go_on_with():
    """A second stage of ten minutes on every task by itself leaves what TS costs, and the pace of joint runs."""
    measured = measured_gains(STUDY)
    later = [
        rows[rows["aggregation"].isin(["TS", "AU"])].assign(
            run=lambda each: "later " + each["run"], aggregation=lambda each: each["aggregation"] + ">TS"
        )
        for rows in (STUDY.scores, STUDY.runs)
    ]
    later[1]["seconds"] = 600.0
    both = [pd.concat(each, ignore_index=True) for each in zip((STUDY.scores, STUDY.runs), later, strict=True)]
    own, staged = unit_costs(STUDY, measured), unit_costs(replace(STUDY, scores=both[0], runs=both[1]), measured)
    assert own.trained == staged.trained and own.pace == staged.pace


def test_costs_in_the_table_of_partitions_are_those_of_the_ledger():
    context = prepare(load_study(EXAMPLES / "us_mini_arms"), Settings(draws=10))
    study = context.study
    frames = dict(zip(NAMES, grouping_frames(study, context.scores, affinities(study)), strict=True))
    trained = frames["partitions"].query("trained").set_index("partition")["hours"]
    spent = ledger(study).query("fraction == 1").set_index("aggregation")["hours"]
    assert set(trained.index) == {"TS", "CG", "AU"}
    for name, hours in trained.items():
        assert hours == pytest.approx(spent[name], rel=1e-6, abs=0), name
