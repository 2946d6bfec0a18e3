"""What a score table leaves open is asked for or said, where a guess would change gains or their intervals."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aggregation_lab.errors import AgglabError, StudyError
from analysis.external import read_scores
from analysis.study import StudyTables
from runners.commands.opened_scores import reading
from tests.analysis.external.test_score_files import CSV, ROWS, changed, read

CASES = pd.concat(
    [ROWS.assign(case=str(place), subject=str(place // 2), value=ROWS["value"] + place / 1000) for place in range(6)],
    ignore_index=True,
)
JOINT, JOINT_CASE = ROWS["aggregation"] == "AU", CASES["aggregation"] == "AU"


def table(folder: Path, rows: pd.DataFrame, **how) -> StudyTables:
    return read(folder, rows.to_csv(index=False), **how)


def refusal(folder: Path, rows: pd.DataFrame | str) -> str:
    with pytest.raises(AgglabError) as caught:
        read(folder, rows if isinstance(rows, str) else rows.to_csv(index=False))
    assert str(caught.value).isprintable()
    return str(caught.value)


# ---- metrics and their direction -----------------------------------------------------------------------------------


def test_that_higher_is_better_is_said_where_nothing_says_it(tmp_path):
    said = "No metric is named: higher values count as better."
    assert any(note.startswith(said) for note in read(tmp_path, CSV).notes)
    for named in (changed(metric="DSC"), changed(direction="lower")):
        assert not any(note.startswith(said) for note in read(tmp_path, named).notes)


@pytest.mark.parametrize(("header", "metric", "direction"), [("MRE", "MRE", "lower"), ("Dice (%)", "DSC", "higher")])
def test_a_column_called_by_a_metric_is_of_that_metric(tmp_path, header, metric, direction):
    own = ROWS.assign(value=100 * ROWS["value"]).rename(columns={"value": header})
    study = table(tmp_path, own, mapped={"value": header})
    rows = study.scores[study.scores["metric"] != "score"]
    assert set(rows["metric"]) == {metric} and set(rows["direction"]) == {direction}
    assert f"Values are of {metric}, as their column is called." in study.notes


def test_the_unit_of_a_distance_is_said(tmp_path):
    assert any("Values of HD count as pixels" in note for note in read(tmp_path, changed(metric="HD")).notes)


def test_errors_that_could_be_millimetres_are_said_to_count_as_shares(tmp_path):
    notes = read(tmp_path, changed(metric="ASSD", direction="lower")).notes
    assert any(note.startswith("Values of ASSD lie in [0, 1] and count as shares") for note in notes)


def test_relative_errors_in_per_cent_are_shares_of_it(tmp_path):
    study = read(tmp_path, changed(metric="MRE_relative", value=10 * ROWS["value"]))
    score = study.scores[study.scores["metric"] == "score"]["value"]
    assert score.between(0.9, 1).all()
    mostly = refusal(tmp_path, changed(metric="MRE_relative", value=2.5 * ROWS["value"]))
    assert "MRE_relative 1.805 lies outside [0, 1]; give shares of the diagonal, not per cent" in mostly
    some = read(tmp_path, changed(metric="MRE_relative", value=[1.5, *ROWS["value"][1:]]))
    assert any(note.startswith("MRE_relative reaches 1.5") for note in some.notes)


# ---- cells that are empty in some rows -----------------------------------------------------------------------------


@pytest.mark.parametrize(("column", "filled"), [("metric", "DSC"), ("fraction", "0.5")])
def test_a_column_that_is_filled_in_some_rows_is_asked_for_in_all(tmp_path, column, filled):
    message = refusal(tmp_path, ROWS.assign(**{column: np.where(JOINT, "", filled)}))
    assert f"row 4: {column} is empty, as in 6 of 12 rows; " in message
    empty = table(tmp_path, ROWS.assign(**{column: ""}))
    assert set(empty.scores["fraction"]) == {1.0} and set(empty.scores["metric"]) == {"value", "score"}


def test_sizes_are_those_of_other_rows_and_tasks_without_any_are_named(tmp_path):
    sizes = np.where(ROWS["task"] == "femur", "", np.where(ROWS["seed"] == 1, "", "40"))
    study = table(tmp_path, ROWS.assign(n_train=sizes))
    assert study.scores.groupby("task")["n_train"].unique().map(list).to_dict() | {"femur": 0} == {
        "nodule": [40.0],
        "plane": [40.0],
        "femur": 0,
    }
    assert "No n_train of femur: data scale and guidelines leave them out." in study.notes


@pytest.mark.parametrize("name", ["type", "group"])
def test_tasks_that_lack_what_others_have_are_named(tmp_path, name):
    some = ROWS.assign(**{name: np.where(ROWS["task"] == "femur", "", "own")})
    assert f"No {name} of femur: such tasks count as a {name} of their own, unknown." in table(tmp_path, some).notes
    assert not any(note.startswith(f"No {name} of") for note in read(tmp_path, CSV).notes)


def test_fractions_that_differ_in_rounding_are_one(tmp_path):
    assert table(tmp_path, ROWS.assign(fraction=np.where(JOINT, 0.1 * 3, 0.3))).fractions == [0.3]


# ---- cases and subjects --------------------------------------------------------------------------------------------


def test_cases_that_a_model_lacks_are_counted(tmp_path):
    gaps = CASES[~(JOINT_CASE & CASES["case"].isin(["1", "4"]) & (CASES["task"] != "femur"))]
    (note,) = (note for note in table(tmp_path, gaps).notes if "left out of every gain" in note)
    assert "2 of 6 of nodule, 2 of 6 of plane (first '1' under AU, fraction 1, seed 1)" in note
    assert not any("left out of every gain" in note for note in table(tmp_path, CASES).notes)


def test_seeds_with_test_cases_of_their_own_have_a_remedy(tmp_path):
    assert "every seed has test cases of its own, as in cross-validation" in refusal(
        tmp_path, CASES[(CASES["case"].astype(int) < 3) == (CASES["seed"] == 1)]
    )
    other = CASES.assign(case=CASES["case"] + CASES["aggregation"])
    assert "no test case has a score under every aggregation, fraction and seed" in refusal(tmp_path, other)


def test_a_case_has_one_subject(tmp_path):
    two = CASES.assign(subject=CASES["subject"].where(~JOINT_CASE, CASES["subject"] + "x"))
    assert "row 4: case '0' of task 'nodule' has the subjects '0' and '0x'; give it one" in refusal(tmp_path, two)


def test_subjects_are_those_of_the_case_elsewhere_and_gaps_are_said(tmp_path):
    known = table(tmp_path, CASES).cases
    filled = table(tmp_path, CASES.assign(subject=CASES["subject"].where(~JOINT_CASE, "")))
    pd.testing.assert_frame_equal(filled.cases, known, check_exact=True)
    some = table(tmp_path, CASES.assign(subject=CASES["subject"].where(CASES["case"] != "3", "")))
    assert set(some.cases.loc[some.cases["case"] == "3", "subject"]) == {"3"}
    assert any("subject is empty in 12 of 72 rows (first row 38)" in note for note in some.notes)


def test_cases_without_subjects_are_said_to_count_as_patients(tmp_path):
    said = ": each test case counts as a patient of its own, and intervals are too short"
    for why, unknown in {
        "No column subject": CASES.drop(columns="subject"),
        "The column subject is empty": CASES.assign(subject=""),
    }.items():
        assert sum(note.startswith(why + said) for note in table(tmp_path, unknown).notes) == 1
    assert not any(said in note for note in table(tmp_path, CASES).notes)


def test_a_case_without_a_subject_is_not_the_subject_of_its_name(tmp_path):
    some = table(tmp_path, CASES.assign(subject=CASES["subject"].where(CASES["case"] != "2", ""))).cases
    assert set(some.loc[some["case"] == "2", "subject"]) == {"case 2"}
    assert set(some.loc[some["case"] != "2", "subject"]) == {"0", "1", "2"}


def test_subjects_of_one_name_in_several_tasks_are_said_to_be_one_person(tmp_path):
    said = "have the same name in several tasks and count as one person there"
    (note,) = (note for note in table(tmp_path, CASES).notes if said in note)
    assert note.startswith("3 of 3 subjects ") and "(first '0', in nodule, plane, femur)" in note
    own = CASES.assign(subject=CASES["task"] + CASES["subject"])
    assert not any(said in note for note in table(tmp_path, own).notes)
    other = own.assign(split=np.where(CASES["task"] == "femur", "val", "test"), subject=CASES["subject"])
    (note,) = (note for note in table(tmp_path, other).notes if said in note)
    assert "in nodule, plane)" in note


def test_whole_numbers_are_the_same_names_with_and_without_a_point(tmp_path):
    floats = {name: CASES[name].where(~JOINT_CASE, CASES[name] + ".0") for name in ("case", "subject")}
    pd.testing.assert_frame_equal(
        table(tmp_path, CASES.assign(**floats)).cases, table(tmp_path, CASES).cases, check_exact=True
    )
    versions = CASES.assign(case=CASES["case"] + ".0", subject="v" + CASES["subject"] + ".0")
    assert set(table(tmp_path, versions).cases["subject"]) == {"v0.0", "v1.0", "v2.0"}


# ---- files and words -----------------------------------------------------------------------------------------------


def test_json_has_a_field_once(tmp_path):
    rows = ROWS.to_json(orient="records").replace('"seed":1', '"seed":1,"seed":7', 1)
    for text in (rows, rows.strip("[]").replace("},{", "}\n{")):
        assert "is JSON with seed twice in one row; keep one" in refusal(tmp_path, text)


@pytest.mark.parametrize("orient", ["columns", "split", "table"])
def test_other_json_of_pandas_is_told_how(tmp_path, orient):
    assert "with pandas, write it with to_json(orient='records')" in refusal(tmp_path, ROWS.to_json(orient=orient))


def test_thousands_with_a_point_are_no_ones(tmp_path):
    assert "row 2: n_train may be in ones or in thousands" in refusal(tmp_path, changed(n_train="2.000"))


def test_words_that_are_known_are_no_different_names(tmp_path):
    words = {"metric": ("dsc", "DSC"), "type": ("Segmentation", "segmentation"), "direction": ("Higher", "higher")}
    study = table(tmp_path, ROWS.assign(**{name: np.where(JOINT, *pair) for name, pair in words.items()}))
    assert set(study.scores["metric"]) == {"DSC", "score"} and set(study.scores["type"]) == {"segmentation"}
    assert not any("count as different ones" in note for note in study.notes)


def test_the_floor_of_rotating_folds_has_seeds(tmp_path):
    floor = ROWS[~JOINT].assign(aggregation="floor", value=0.3)
    for seeds in (floor["seed"], -1, "", "none"):
        rows = floor.assign(seed=seeds).drop_duplicates(["task", "seed"])
        study = table(tmp_path, pd.concat([ROWS, rows]))
        kept = study.scores[(study.scores["aggregation"] == "floor") & (study.scores["metric"] == "score")]
        assert len(kept) == len(rows) and set(kept["seed"]) == ({1, 2} if isinstance(seeds, pd.Series) else {-1})


# ---- aggregations and columns --------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("single", "CG"), ("single", "AU")])
def test_the_base_is_asked_for_where_a_name_of_ones_own_may_be_it(tmp_path, names):
    own = ROWS.replace({"TS": names[0], "AU": names[1]})
    assert "no aggregation is called TS, so which are gains over?" in refusal(tmp_path, own)
    assert table(tmp_path, own, base="single").aggregations == list(names)


def test_the_floor_in_capitals_is_no_model(tmp_path):
    assert "'Floor' differs in capitals alone from floor" in refusal(tmp_path, ROWS.replace({"TS": "Floor"}))


def test_a_column_is_mapped_once():
    with pytest.raises(StudyError, match="--map value=IoU: value is mapped twice; keep one"):
        reading(None, ["value=Dice", "value=IoU"])
    assert reading(None, ["value=Dice", "value=Dice"]).mapped == {"value": "Dice"}


def test_the_papers_numbers_need_nothing_more():
    from analysis.external import PAPER

    assert not any("No metric is named" in note for note in read_scores(PAPER).notes)


def test_a_point_that_parts_no_thousands_in_one_row_parts_none_in_others(tmp_path):
    text = ROWS.assign(n_train=np.where(ROWS["task"] == "femur", 1500.0, 120.0)).to_csv(
        index=False, float_format="%.3f"
    )
    assert set(read(tmp_path, text).scores["n_train"]) == {120.0, 1500.0}


def test_a_trivial_predictor_needs_no_fraction(tmp_path):
    floor = ROWS[~JOINT & (ROWS["seed"] == 1)].assign(aggregation="floor", seed="", fraction="")
    study = table(tmp_path, pd.concat([ROWS.assign(fraction="0.5"), floor]))
    trained = study.scores[study.scores["aggregation"] != "floor"]
    assert set(trained["fraction"]) == {0.5}


def test_ways_of_the_project_itself_need_no_base_to_be_named(tmp_path):
    for other in ("found", "CG>AU"):
        own = ROWS.assign(aggregation=np.where(JOINT, other, "CG"))
        assert set(table(tmp_path, own).scores["aggregation"]) == {"CG", other}
    with pytest.raises(AgglabError, match="Say it with --base"):
        table(tmp_path, ROWS.assign(aggregation=np.where(JOINT, "mine", "CG")))
