"""`agglab next`: what it prints, its JSON, and one line for every fault."""

import json
from pathlib import Path

import pytest

from tests.fake_groups import SMALL, group_tables, write_tables
from tests.runners.commands.test_group import agglab


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> Path:
    """A folder of tables of a simulated study."""
    return write_tables(tmp_path_factory.mktemp("tables"), group_tables())


def test_it_names_runs_their_hours_and_what_they_may_decide(tables, capsys):
    code, out, _ = agglab(capsys, "next", tables, "--hours", 6)
    lines = out.splitlines()
    assert code == 0 and " verdicts are undecided" in lines[0]
    step = next(line for line in lines if line.startswith("1. "))
    assert " at fraction 1: " in step and " worker hours, " in step and " verdicts expected, " in step and " s3" in step
    for said in ("   chance of a verdict then: ", "in all ", " of 6 worker hours", "to train them: add the seeds 3",
                 f"agglab run-grid STUDY --out {tables} --only '", "--until-decided", "another partition"):  # fmt: skip
        assert said in out, said


def test_json_holds_the_same_and_hours_bound_it(tables, capsys):
    code, out, _ = agglab(capsys, "next", tables, "--hours", 0.2, "--json")
    found = json.loads(out)
    assert code == 0 and found["undecided"] <= found["verdicts"] and found["hours"] == 0.2
    assert 0 < sum(step["worker_hours"] for step in found["steps"]) <= 0.2
    for step in found["steps"]:
        assert all(seed >= SMALL.seeds for run in step["runs"] for seed in run["seeds"])
        assert all(0 < row["chance"] <= 1 for row in step["chances"])
    assert set(found["partition"]["chance_over"]) == {"CG", "AU"}
    assert agglab(capsys, "next", tables, "--hours", 0.2, "--json")[1] == out, "the same tables give the same answer"


FAULTS = {
    "no hours": (("--hours", "0"), 2, "--hours 0: takes hours greater than 0"),
    "not a number": (("--hours", "nan"), 2, "--hours nan: takes hours greater than 0"),
    "no such arm": (("--arm", "wide"), 2, "--arm wide: the study has main"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_one_line(fault, tables, capsys):
    words, expected, said = FAULTS[fault]
    code, out, err = agglab(capsys, "next", tables, *words)
    assert code == expected and said in err and err.count("\n") == 1 and not out


def test_a_folder_without_tables_is_one_line(tmp_path, capsys):
    code, _, err = agglab(capsys, "next", tmp_path)
    assert code == 1 and "scores.parquet: does not exist; run the study first" in err and err.count("\n") == 1
