"""Score tables as people and programs write them: what can mean one thing only is read and said, else one line."""

import gzip
import json
import os
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aggregation_lab.errors import AgglabError
from aggregation_lab.storage.spreadsheet_csv import csv_text, unguarded
from analysis.external import read_scores
from analysis.pipeline import analyse
from analysis.settings import Settings
from analysis.study import StudyTables
from analysis.validation.simulate import Design, simulate

ROWS = pd.DataFrame(
    [
        (task, arm, seed, 0.5 + place / 10 + 0.02 * (arm == "AU") + 0.001 * seed)
        for place, task in enumerate(("nodule", "plane", "femur"))
        for arm in ("TS", "AU")
        for seed in (1, 2)
    ],
    columns=["task", "aggregation", "seed", "value"],
).round(4)


def read(folder: Path, content: str | bytes, name: str = "own.csv", **how) -> StudyTables:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_scores(path, **how)


def values(study: StudyTables) -> list[float]:
    rows = study.scores[study.scores["metric"] != "score"].sort_values(["task", "aggregation", "seed"])
    return rows["value"].tolist()


PLAIN = ROWS.sort_values(["task", "aggregation", "seed"])["value"].tolist()
CSV = ROWS.to_csv(index=False)

SAME = {
    "capitals and blanks in headers": CSV.replace("task,aggregation", " Task,AGGREGATION "),
    "tabs": CSV.replace(",", "\t"),
    "semicolons and decimal commas": CSV.replace(",", ";").replace("0.", "0,"),
    "bars": CSV.replace(",", "|"),
    "a byte order mark": "\ufeff" + CSV,
    "UTF-16": CSV.encode("utf-16"),
    "old line ends": CSV.replace("\n", "\r"),
    "comments before the header": "# from: run 7, by me\n#\n" + CSV,
    "what tells Excel the delimiter": "sep=;\n" + CSV.replace(",", ";"),
    "blank lines and cells of nothing": CSV.replace("plane,TS,1", "\n,,,\nplane,TS,1"),
    "columns of nothing at the end": CSV.replace("\n", ",,\n"),
    "an index column": ROWS.to_csv(),
    "per cent signs": ROWS.assign(value=(100 * ROWS["value"]).map("{:.2f} %".format)).to_csv(index=False),
    "seeds with names": ROWS.assign(seed=ROWS["seed"].map("Fold-{}".format)).to_csv(index=False),
    "seeds as floats": ROWS.assign(seed=ROWS["seed"].astype(float)).to_csv(index=False),
    "rows in another order": ROWS.sample(frac=1, random_state=1).to_csv(index=False),
    "packed": gzip.compress(CSV.encode()),
    "JSON rows": ROWS.to_json(orient="records"),
    "JSON lines": ROWS.to_json(orient="records", lines=True),
    "JSON columns": json.dumps(ROWS.to_dict("list")),
    "another column": ROWS.assign(notes="x, y").to_csv(index=False),
}


@pytest.mark.parametrize("kind", SAME)
def test_other_ways_to_write_the_same_table(tmp_path, kind):
    study = read(tmp_path, SAME[kind])
    np.testing.assert_allclose(values(study), PLAIN, rtol=0, atol=1e-12)
    assert study.scores["seed"].isin([1, 2]).all()


@pytest.mark.parametrize(("name", "write"), [("x.parquet", "to_parquet"), ("x.feather", "to_feather")])
def test_typed_files_whatever_their_name(tmp_path, name, write):
    getattr(ROWS, write)(tmp_path / name)
    (tmp_path / name).rename(tmp_path / "other.dat")
    assert values(read_scores(tmp_path / "other.dat")) == PLAIN


def test_per_cent_of_a_named_metric_is_read_and_said(tmp_path):
    study = read(tmp_path, ROWS.assign(value=100 * ROWS["value"], metric="dsc").to_csv(index=False))
    np.testing.assert_allclose(values(study), PLAIN, rtol=0, atol=1e-12)
    assert "Values of DSC lie between 2 and 100 and are read as per cent." in study.notes


def test_large_values_without_a_metric_are_left_and_the_remedy_is_said(tmp_path):
    study = read(tmp_path, ROWS.assign(value=100 * ROWS["value"]).to_csv(index=False))
    assert max(values(study)) > 50 and any("If such values are per cent" in note for note in study.notes)


def test_a_table_of_nothing_but_means_over_seeds_is_told_so(tmp_path):
    averaged = ROWS.drop_duplicates(["task", "aggregation"]).assign(seed="mean").to_csv(index=False)
    notes = read(tmp_path, averaged).notes
    assert any(note.startswith("The seed is mean in every row") for note in notes)
    assert not any(note.startswith("The seed is") for note in read(tmp_path, CSV).notes)


def test_rows_that_repeat_one_another_are_told_by_the_column_they_differ_in(tmp_path):
    epochs = pd.concat([ROWS.assign(epoch=1), ROWS.assign(epoch=2)]).to_csv(index=False)
    with pytest.raises(AgglabError, match=r"repeats task .* of row 2, which differs in epoch; \d+ such row"):
        read(tmp_path, epochs)


def test_what_is_not_certain_is_said(tmp_path):
    notes = read(tmp_path, SAME["seeds with names"]).notes
    assert "Seeds are names, which count as numbers: Fold-1 is 1, Fold-2 is 2." in notes
    assert "Columns that are not used: notes." in read(tmp_path, SAME["another column"]).notes
    blanks = CSV.replace("plane,AU", "plane  ,AU")
    assert any(note.startswith("Names that differ in blanks") for note in read(tmp_path, blanks).notes)
    capitals = CSV.replace("femur", "Plane")
    assert any("Plane and plane" in note for note in read(tmp_path, capitals).notes)


def test_arms_of_any_name_with_a_baseline_and_columns_of_any_name(tmp_path):
    own = ROWS.replace({"TS": "single", "AU": "joint"}).rename(columns={"aggregation": "arm", "value": "Dice (%)"})
    with pytest.raises(AgglabError, match=r"misses column aggregation, value.*--map aggregation=arm --map value="):
        read(tmp_path, own.to_csv(index=False))
    mapped = {"aggregation": "arm", "value": "dice"}
    with pytest.raises(AgglabError, match="Say it with --base, one of joint, single"):
        read(tmp_path, own.to_csv(index=False), mapped=mapped | {"value": "Dice (%)"})
    study = read(tmp_path, own.to_csv(index=False), base="single", mapped=mapped)
    gains = analyse(study, Settings(draws=50)).frames["gains"]
    assert set(gains["base"]) == {"single"} and (gains["gain"] > 0.01).all()
    assert analyse(study, Settings(draws=50)).frames["scores"]["verdict"].ne("").any()


def test_any_name_is_a_name(tmp_path):
    names = ["NA", "null", "=1+1", "-", "#1", "a'b", "'=x", "0", "nan", "TRUE", "肺", "x" * 200, "$a$", "_", "[/b]"]
    rows = pd.concat([ROWS[ROWS["task"] == "plane"].assign(task=name, group=name) for name in names])
    study = read(tmp_path, csv_text(rows))
    assert set(study.scores["task"]) == set(names) == set(study.scores["group"])


@pytest.mark.parametrize("cell", ["=a", "+1", "-x", "@y", "'=a", "''+1", "a=b", "'a", "\t", "plain", ""])
def test_a_guarded_cell_reads_back_and_is_no_formula(cell):
    (shown,) = csv_text(pd.DataFrame({"name": [cell], "number": [-1.5]})).splitlines()[1:] or [""]
    first = shown.strip('"')[:1]
    assert first not in ("=", "+", "-", "@", "\t")
    read_back = pd.read_csv(
        StringIO(csv_text(pd.DataFrame({"name": [cell], "number": [-1.5]}))),
        dtype={"name": str},
        keep_default_na=False,
    )
    assert unguarded(read_back["name"][0]) == cell and read_back["number"][0] == -1.5


def test_the_scores_of_a_study_read_back_exactly(tmp_path):
    tables = simulate(Design(tasks=4, groups=2, seeds=2, subjects=6), 0).tables()
    own = tables.scores.replace({"task00": "=task", "task01": "'+x"})
    study = read(tmp_path, csv_text(own))
    order = ["metric", "task", "aggregation", "fraction", "seed"]
    own, mine = own.sort_values(order), study.scores[study.scores["metric"].isin(own["metric"])].sort_values(order)
    assert mine["value"].tolist() == own["value"].tolist() and mine["task"].tolist() == own["task"].tolist()


def changed(**columns) -> str:
    return ROWS.assign(**columns).to_csv(index=False)


CASES = pd.concat([ROWS.assign(case=f"c{place}") for place in range(3)])

FAULTS = {
    "two columns of one name": (ROWS.assign(Value=1).to_csv(index=False), "columns 4 and 5 are both called value"),
    "a cell too many": (CSV.replace("plane,TS,1", "plane,TS,1,x"), "has 5 cells, the header 4"),
    "an open quote": (CSV.replace("plane,TS,1", '"plane,TS,1', 1), "a quote is misplaced or never closed"),
    "Windows letters": (CSV.replace("plane", "Fötus").encode("cp1252"), "probably Windows-1252 or Latin-1"),
    "Chinese letters": (CSV.replace("plane", "甲状腺").encode("gbk"), "probably GBK or GB18030"),
    "a workbook": (b"PK\x03\x04rest", "is a workbook"),
    "NUL bytes": (CSV.encode("utf-16-le"), "holds NUL bytes"),
    "nothing": (b"", "has no rows"),
    "a header only": (CSV.splitlines()[0], "has no rows"),
    "some cases without a name": (
        CASES.assign(case=["", *CASES["case"][1:]]).to_csv(index=False),
        "case is empty in 1 of 36 rows (rows 2; tasks nodule)",
    ),
    "a row twice": (CSV + CSV.splitlines()[3], "row 14: repeats task nodule, aggregation AU, fraction 1.0, seed 1"),
    "a line break in a name": (changed(task="a\nb"), r"task 'a\nb' holds a line break"),
    "a name without end": (changed(task="a" * 201), "has 201 characters"),
    "a word of the report": (changed(type="all"), "type 'all' is a word of the report"),
    "a type misspelt": (changed(type="Segmentaton"), "did you mean segmentation?"),
    "a type shortened": (changed(type="det"), "did you mean detection?"),
    "a group for some rows": (changed(group=["a", "b", *[""] * 10]), "task nodule has more than one group (a, b)"),
    "thousands": (changed(n_train="1,200"), "write a decimal point and no sign between thousands"),
    "per cent in some rows": (changed(value=["50%", *ROWS["value"][1:]]), "value is without %, which other rows have"),
    "huge": (changed(value=1e300), "is too large"),
    "not a number": (changed(value="1_000"), "value '1_000' is not a number"),
    "a fraction in per cent": (changed(fraction=25), "fraction must be in (0, 1]; a quarter is 0.25 or 25%"),
    "no fraction": (changed(fraction=0), "fraction must be in (0, 1]"),
    "the other direction": (changed(metric="DSC", direction="lower"), "metric DSC has the other direction"),
    "no test rows": (changed(split="val"), "no row has the split test, only val"),
    "an evaluation": (
        json.dumps({"segmentation": {"nodule": {"DSC": 0.7}}, "regression": {"femur": {"MRE": 9}}}),
        "it looks like the evaluation of one model, which names no aggregation",
    ),
    "nested rows": (json.dumps([{"task": "a", "value": [1, 2]}]), "more than one value in value"),
    "half a JSON": ('{"task": ', "begins like JSON and is none"),
    "half a gzip": (gzip.compress(CSV.encode())[:-20], "is a damaged gzip file"),
    "half a Parquet": (b"PAR1abcdPAR1", "is a damaged Parquet file"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_one_printable_line(tmp_path, fault):
    content, expected = FAULTS[fault]
    with pytest.raises(AgglabError) as caught:
        read(tmp_path, content)
    assert expected in str(caught.value) and str(caught.value).isprintable()


def test_a_folder_a_pipe_and_nothing_are_one_line(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "none.csv", tmp_path / ("x" * 300)):
        with pytest.raises(AgglabError):
            read_scores(path)


def test_rows_of_other_splits_are_left_out_and_said(tmp_path):
    both = pd.concat([ROWS.assign(split="test"), ROWS.assign(split="val", value=0.1)])
    study = read(tmp_path, both.to_csv(index=False))
    assert values(study) == PLAIN and "12 rows of other splits than test are left out." in study.notes


def test_an_arm_that_lacks_a_seed_and_one_task_give_a_result(tmp_path):
    gaps = ROWS[~((ROWS["task"] == "plane") & (ROWS["aggregation"] == "AU") & (ROWS["seed"] == 2))]
    found = analyse(read(tmp_path, gaps.to_csv(index=False)), Settings(draws=50))
    assert found.frames["gains"].set_index("task")["seeds"].to_dict() == {"nodule": 2, "plane": 1, "femur": 2}
    assert any("seed on one side only" in reason for reason in found.frames["excluded"]["reason"])
    one = analyse(read(tmp_path, ROWS[ROWS["task"] == "plane"].to_csv(index=False)), Settings(draws=50))
    assert len(one.frames["gains"]) == 1 and any(note.startswith("1 task only") for note in one.warnings)


def summed(column: str, name: str) -> str:
    mean = ROWS.groupby([n for n in ("task", "aggregation", "seed") if n != column], as_index=False)["value"].mean()
    return pd.concat([ROWS, mean.assign(**{column: name})]).to_csv(index=False)


@pytest.mark.parametrize(
    ("column", "name"), [("seed", "mean"), ("seed", "fold_std"), ("task", "Average"), ("task", "Macro avg")]
)
def test_rows_that_sum_up_others_are_no_results(tmp_path, column, name):
    study = read(tmp_path, summed(column, name))
    assert values(study) == PLAIN
    assert any(f"whose {column} is {name} sum up others and are left out" in note for note in study.notes)


def test_a_summary_among_cases_is_no_case(tmp_path):
    study = read(tmp_path, pd.concat([CASES, ROWS.assign(case="mean", value=0.9)]).to_csv(index=False))
    assert study.cases is not None and set(study.cases["case"]) == {"c0", "c1", "c2"} and values(study) == PLAIN


def test_a_word_that_names_all_rows_is_a_name(tmp_path):
    assert set(read(tmp_path, ROWS[ROWS["task"] == "plane"].replace("plane", "all").to_csv(index=False)).scores["task"])


@pytest.mark.parametrize("word", ["min", "lower is better", "Minimize", "↓"])
def test_directions_in_other_words(tmp_path, word):
    study = read(tmp_path, changed(metric="error of mine", direction=word))
    assert set(study.scores.loc[study.scores["metric"] == "error of mine", "direction"]) == {"lower"}


NOT_SURE = {
    "mean and sd": (changed(value=[f"{v} ± 0.01" for v in ROWS["value"]]), "write one row for each seed"),
    "mean (sd)": (changed(value=[f"{v} (0.01)" for v in ROWS["value"]]), "write one row for each seed"),
    "a star": (changed(value=[f"{v}*" for v in ROWS["value"]]), "value '0.501*' is not a number; write 0.501 alone"),
    "a unit": (changed(value=[f"{v} mm" for v in ROWS["value"]]), "'0.501 mm' is not a number; write 0.501 alone"),
    "points between thousands": (changed(n_train="1.200"), "n_train is a number of cases; write a whole number"),
    "an arm in per cent": (
        changed(value=ROWS["value"] * np.where(ROWS["aggregation"] == "AU", 100, 1)),
        "task nodule: value of AU looks like per cent (52.15), that of TS looks like a share (0.5015)",
    ),
    "a column for each arm": (
        ROWS.pivot(index=["task", "seed"], columns="aggregation", values="value").reset_index().to_csv(index=False),
        "has a column for each aggregation (AU, TS); write a row for each",
    ),
    "a column for each seed": (
        ROWS.pivot(index=["task", "aggregation"], columns="seed", values="value").reset_index().to_csv(index=False),
        "has a column for each seed (1, 2); write a row for each",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", NOT_SURE)
def test_what_nobody_can_be_sure_of_has_a_remedy(tmp_path, fault):
    content, expected = NOT_SURE[fault]
    with pytest.raises(AgglabError) as caught:
        read(tmp_path, content)
    assert expected in str(caught.value) and str(caught.value).isprintable()
