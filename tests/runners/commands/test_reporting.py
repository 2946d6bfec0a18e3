"""`agglab report`, `analyze`, `recommend` and `power`: what they write and say, and one line for every fault."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from aggregation_lab import results
from aggregation_lab.files import write_json
from aggregation_lab.manifest import Manifest
from analysis.validation.simulate import Design, simulate
from runners.cli import main

DESIGN = Design(
    tasks=6,
    groups=3,
    seeds=3,
    subjects=20,
    fractions=(0.5, 1.0),
    levels={"CG": -0.05, "AU": 0.03},
    slopes={"AU": 0.01},
    types=("segmentation", "detection"),
)


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of scores per task, with sizes, types and groups."""
    table = simulate(DESIGN, 0).tables().scores
    path = tmp_path_factory.mktemp("scores") / "mine.csv"
    keep = ["task", "type", "group", "aggregation", "fraction", "seed", "n_train", "value"]
    table[keep].to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tables as a study leaves it, without runs to trace."""
    simulated = simulate(DESIGN, 0).tables()
    path = tmp_path_factory.mktemp("study")
    for name, table in results.TABLES.items():
        columns = [column.name for column in table.columns]
        rows = getattr(simulated, name)
        empty = results.append([], table)
        results.write_table(empty if rows is None else rows[columns], table, path / f"{name}.parquet")
    Manifest("mine", margins={row: 0.02 for row in set(simulated.scores["task"])}).write(path)
    return path


def agglab(*words: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    return int(stopped.value.code or 0)


@pytest.mark.slow
@pytest.mark.usefixtures("one_figure")
def test_report_of_a_folder_of_tables(folder, tmp_path, capsys):
    assert agglab("report", folder, "--to", tmp_path / "report", "--draws", 200) == 0
    assert "AU-TS: " in capsys.readouterr().out
    claims = json.loads((tmp_path / "report" / "claims.json").read_text())
    assert claims
    for name in ("index.html", "methods.md", "citation.bib", "figures/gains_forest.pdf", "tables/gains.tex"):
        assert (tmp_path / "report" / name).stat().st_size > 0


@pytest.mark.slow
@pytest.mark.parametrize("source", ["paper", "four columns"])
@pytest.mark.usefixtures("one_figure", "one_choice")
def test_analyze_works_on_the_least_there_can_be(source, scores, tmp_path, capsys):
    if source == "four columns":
        bare = pd.read_csv(scores).query("fraction == 1")[["task", "aggregation", "seed", "value"]]
        source = tmp_path / "bare.csv"
        bare.to_csv(source, index=False)
    assert agglab("analyze", source, "--to", tmp_path / "report") == 0
    output = capsys.readouterr().out
    assert "no cases" in output.lower() and (tmp_path / "report" / "index.html").is_file()


@pytest.mark.usefixtures("one_choice")
def test_recommend_advises_or_abstains(scores, capsys):
    assert agglab("recommend", scores, "--n-train", 500, "--type", "segmentation") == 0
    output = capsys.readouterr().out
    assert "AU: a new task gains with a chance of " in output and "95 % interval" in output
    assert "loses more than the margin with " in output
    assert agglab("recommend", scores, "--n-train", 10_000_000, "--type", "segmentation") == 0
    output = " ".join(capsys.readouterr().out.split())
    assert output.startswith("undecided: segmentation was studied with ")
    assert "AU: nothing is expected: segmentation was seen with " in output


@pytest.mark.usefixtures("one_choice")
def test_recommend_says_that_a_group_is_a_new_one(scores, capsys):
    assert agglab("recommend", scores, "--n-train", 500, "--type", "segmentation", "--group", "group0x") == 0
    said = "note: --group group0x is in no score, so it counts as a new one; did you mean group"
    assert said in " ".join(capsys.readouterr().out.split())


@pytest.mark.usefixtures("one_choice")
def test_power_names_every_task(scores, capsys):
    assert agglab("power", scores) == 0
    output = capsys.readouterr().out
    assert all(f"task0{number}" in output for number in range(6))


def test_a_table_of_another_schema_is_one_line(folder, tmp_path, capsys):
    """One table of an older version among those of this one."""
    mixed = shutil.copytree(folder, tmp_path / "mixed")
    old = pq.read_table(mixed / "cases.parquet")
    pq.write_table(
        old.replace_schema_metadata({**old.schema.metadata, b"agglab_schema": b"0"}), mixed / "cases.parquet"
    )
    assert agglab("report", mixed) == 1
    output = capsys.readouterr().err
    assert "cases.parquet: has schema 0, this version reads 1, 2 and 3" in output and output.count("\n") == 1
    assert not (mixed / "report").exists()


def test_the_report_of_another_table_of_the_same_name_is_not_replaced(scores, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lab2").mkdir()
    shutil.copy(scores, tmp_path / "lab2" / "mine.csv")
    about = {"kind": "report", "source": "lab1/mine.csv", "arm": ""}
    write_json(tmp_path / "mine_report" / "report.json", {"agglab_report": 1, "of": about, "files": {}})
    assert agglab("analyze", "lab2/mine.csv") == 2
    output = capsys.readouterr().err
    assert "mine_report: holds the report of lab1/mine.csv, not the report of " in output and output.count("\n") == 1


FAULTS = {
    "absent": (("report", "nowhere"), "does not exist"),
    "no folder of a study": (("report", "."), "scores.parquet: does not exist; run the study first"),
    "odd scale": (("report", ".", "--scale", "log"), "--scale log: is unknown"),
    "odd correction": (("analyze", "paper", "--correction", "FDR"), "--correction FDR: is unknown"),
    "no such table": (("analyze", "nothing.csv"), "nothing.csv: does not exist"),
    "too little to advise": (
        ("recommend", "paper", "--n-train", "100", "--type", "detection"),
        "no rule could be fitted",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_one_line(fault, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words, expected = FAULTS[fault]
    assert agglab(*words) in (1, 2)
    output = capsys.readouterr().err
    assert expected in output and output.count("\n") == 1 and output.startswith("agglab: ")


@pytest.mark.parametrize("size", ["0", "-5", "nan"])
def test_a_size_that_is_none_is_refused_before_anything_is_analysed(size, scores, monkeypatch, capsys):
    monkeypatch.setattr("runners.commands.report_commands.analysed", lambda *_: pytest.fail("analysed"))
    assert agglab("recommend", scores, f"--n-train={size}", "--type", "segmentation") == 1
    assert f"n_train {size}: must be greater than 0" in capsys.readouterr().err
