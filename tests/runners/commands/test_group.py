"""`agglab group`: what it prints and writes, one line for every fault, and a grid that trains only what is missing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from runners.cli import main
from runners.planning.study_file import read_study_file
from runners.store.prepare import prepare
from runners.store.run_folder import State
from runners.store.study_folder import StudyFolder
from tests.fake_groups import group_tables, write_tables
from tests.made_study import make_finished


def agglab(capsys, *words: object) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    printed = capsys.readouterr()
    return int(stopped.value.code or 0), printed.out, printed.err


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> Path:
    """A folder of tables of a simulated study."""
    return write_tables(tmp_path_factory.mktemp("tables"), group_tables())


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_original) -> Path:
    """The output folder of a tiny study of four tasks, as if it had been trained."""
    return make_finished(tmp_path_factory.mktemp("finished"), tiny_original)


def test_it_says_who_is_with_whom_and_what_that_is_worth(tables, capsys):
    code, out, _ = agglab(capsys, "group", tables, "--units", 3)
    assert code == 0 and out.startswith("3 units, ")
    for part in ("unit_1: ", "unit_3: ", "80% interval", "chance that its mean gain is larger than that of CG ",
                 "error of the gain on sets left out: ", "error on tasks left out: ", "no information ",
                 "same clinical group ",
                 "no affinities were recorded", "to train what is missing of it: about "):  # fmt: skip
        assert part in out, part


def test_json_holds_the_same(tables, capsys):
    code, out, _ = agglab(capsys, "group", tables, "--units", 3, "--json")
    found = json.loads(out)
    assert code == 0 and len(found["partition"]) == 3 and found["proven"] and found["level"] == 0.8
    assert sorted(task for unit in found["partition"].values() for task in unit) == [f"task{k:02d}" for k in range(6)]
    assert found["low"] < found["gain"] < found["high"] and set(found["chance_over"]) == {"CG", "AU"}
    assert {row["predictor"] for row in found["errors"]} >= {"no information", "same clinical group", "model"}
    assert {row["task"] for row in found["tasks"]} == {f"task{k:02d}" for k in range(6)}
    assert agglab(capsys, "group", tables, "--units", 3, "--json")[1] == out, "the same tables give the same answer"


@pytest.mark.parametrize("command", ["group", "next", "status", "plan", "run-grid"])
def test_json_is_all_that_is_printed_where_colour_is_forced(
    tables, finished, tiny_original, monkeypatch, capsys, command
):
    monkeypatch.setenv("FORCE_COLOR", "1")
    study = [finished.parent / "study.yaml", "--data", tiny_original, "--out", finished, "--device", "cpu"]
    given = {"group": [tables, "--units", 3], "next": [tables, "--draws", 100], "status": [finished]}
    code, out, _ = agglab(capsys, command, *given.get(command, study), "--json")
    assert code == 0 and json.loads(out)["study"]


def test_the_study_it_writes_trains_only_what_is_missing(finished, tiny_original, tmp_path, capsys):
    file = tmp_path / "elsewhere" / "study2.yaml"
    code, out, err = agglab(capsys, "group", finished, "--units", 3, "--write", file)
    assert code == 0, err
    assert "the study with the partition found" in out and f"agglab run-grid {file} --out {finished}: about " in out
    text = file.read_text()
    assert text.startswith("# Written by `agglab group`: tiny with the partition found.")
    assert "curves.parquet sha256 " in text and "seed 0." in text and "data set " in text
    units = yaml.safe_load(text)["aggregations"][-1]["found"]
    tasks = {"tiny_head", "tiny_head_axis", "tiny_head_det", "tiny_kind"}
    assert len(units) == 3 and {task for unit in units.values() for task in unit} == tasks
    folder, study = StudyFolder(finished), read_study_file(file)
    assert study.data.root == tiny_original and list(study.aggregations) == ["TS", "CG", "AU", "found"]
    before = {run.id: status.state for run, status in _states(folder)}
    assert len(before) == 6 and set(before.values()) == {State.DONE}
    prepare(study, file, folder, lambda *_: None)
    after = {run.id: (status.state, {label.aggregation for label in run.labels}) for run, status in _states(folder)}
    assert {name for name, (state, _) in after.items() if state is State.DONE} == set(before)
    assert all(labels == {"found"} for name, (_, labels) in after.items() if name not in before)
    code, _, err = agglab(capsys, "group", finished, "--units", 3, "--write", file)
    assert code == 2 and "tiny has this partition already, as found; train it" in err and err.count("\n") == 1


def _states(folder: StudyFolder):
    runs = folder.read_plan()
    states = folder.runs.statuses(runs)
    return [(run, states[run.id]) for run in runs]


def test_nothing_else_is_replaced(finished, tmp_path, capsys):
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\n")
    code, _, err = agglab(capsys, "group", finished, "--write", file)
    assert code == 2 and "is there and was not written by `agglab group`; choose another name" in err
    assert file.read_text() == "name: mine\n" and err.count("\n") == 1


FAULTS = {
    "more units than tasks": (("--units", "7"), 2, "--units 7: the study has 6 tasks; it takes 1 to 6"),
    "no unit": (("--units", "0"), 2, "--units"),
    "no hours": (("--within", "0"), 2, "--within 0: takes hours greater than 0"),
    "no study to write": (("--write", "study2.yaml"), 2, "is not the output of a study"),
    "no such home": (("--write", "~nobody-of-this-name/study2.yaml"), 2, "--write: ~nobody-of-this-name"),
    "no such arm": (("--arm", "wide"), 2, "--arm wide: the study has main"),
    "what is trained": (("--units", "6"), 0, ""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_one_line(fault, tables, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words, expected, said = FAULTS[fault]
    code, out, err = agglab(capsys, "group", tables, *words)
    assert code == expected and said in err and err.count("\n") == (expected > 0)
    if fault == "what is trained":
        assert "note: this partition is TS, which is trained already" in out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("aggregations", "said"),
    [((), "has finished runs of TS only, so no set of several tasks is known"), (("AU",), "")],
)
def test_too_few_aggregations(aggregations, said, tmp_path, capsys):
    folder = write_tables(tmp_path, group_tables(aggregations=aggregations))
    code, out, err = agglab(capsys, "group", folder)
    assert (code, err.count("\n")) == ((1, 1) if said else (0, 0)) and said in err
    if not said:
        assert "AU is the only trained aggregation with units of several tasks" in out


def test_no_ts_no_curves_and_an_unfinished_task_are_one_line(tmp_path, capsys):
    study = group_tables()
    joint = replace(study, **{name: table[table["aggregation"] != "TS"]
                              for name, table in (("curves", study.curves), ("scores", study.scores))})  # fmt: skip
    part = study.curves[~((study.curves["task"] == "task05") & (study.curves["aggregation"] == "TS"))]
    for k, (case, said) in enumerate(
        [
            (joint, "has no finished run of TS"),
            (replace(study, curves=study.curves.iloc[:0]), "has no validation curves"),
            (replace(study, curves=part), "TS is not finished in task05, and every trained unit"),
        ]
    ):
        folder = tmp_path / str(k)
        folder.mkdir()
        code, _, err = agglab(capsys, "group", write_tables(folder, case))
        assert code == 1 and said in err and err.count("\n") == 1


def test_a_second_partition_has_a_name_of_its_own_and_replaces_its_own_file(tmp_path, tiny_original, capsys):
    mine = {"both": ["tiny_head", "tiny_kind"], "rest": ["tiny_head_axis", "tiny_head_det"]}
    out = make_finished(tmp_path, tiny_original, aggregations={"TS": None, "AU": None, "found": mine})
    file = tmp_path / "study2.yaml"
    for _ in range(2):
        assert agglab(capsys, "group", out, "--units", 3, "--write", file)[0] == 0
    found = yaml.safe_load(file.read_text())["aggregations"]
    assert sorted(found) == ["AU", "TS", "found", "found2"] and found["found"] == mine
