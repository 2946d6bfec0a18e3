"""`agglab plan` and `--dry-run`: what looks leave to be trained, and where a cluster would train it."""

import json
from pathlib import Path

import pytest

from analysis.deciding.plan import planned_looks
from runners.execution.slurm import submit
from runners.planning.study_file import read_study_file
from runners.store.look_record import LookRecord, write_looks
from runners.store.prepare import prepare
from runners.store.study_folder import StudyFolder
from tests.runners.commands.test_cli import agglab
from tests.tiny import write_study


@pytest.fixture
def asked(tmp_path, tiny_original) -> list[object]:
    """A study of four seeds under TS and AU, five runs a seed, whose looks are after 2, 3 and 4 of them."""
    study = write_study(tmp_path / "study.yaml", aggregations=["TS", "AU"], seeds=4)
    return [study, "--data", tiny_original, "--out", tmp_path / "out", "--device", "cpu"]


@pytest.fixture
def prepared(asked) -> StudyFolder:
    file, _, data, _, out, *_ = asked
    folder = StudyFolder(Path(str(out)))
    prepare(read_study_file(Path(str(file)), data=data), Path(str(file)), folder, lambda *_: None)
    return folder


def record(made: int, still_open: int | None) -> LookRecord:
    looks = planned_looks((0, 1, 2, 3))
    return LookRecord(type(looks)(looks.seeds, looks.planned, looks.planned[:made]), open=still_open)


def test_only_what_the_next_look_needs_is_to_do(asked, prepared, capsys):
    write_looks(prepared, record(0, None))
    code, text, _ = agglab(capsys, "plan", *asked)
    assert code == 0 and "0 of 3 looks at the verdicts are made" in text and "10 to do" in text
    assert "after that look: 10 runs and " in text
    code, text, _ = agglab(capsys, "plan", *asked, "--json")
    found = json.loads(text)
    assert len(found["to_do"]) == 10 and len(found["after_the_next_look"]["runs"]) == 10
    assert found["looks"]["planned"] == [2, 3, 4]
    write_looks(prepared, record(2, 0))
    code, text, _ = agglab(capsys, "plan", *asked)
    assert code == 0 and "nothing more is to be trained" in text and "0 to do" in text and "after that" not in text


def test_a_dry_run_is_refused_where_the_run_would_be(asked, prepared, capsys):
    write_looks(prepared, record(0, None))
    code, text, error = agglab(capsys, "run-grid", *asked, "--dry-run")
    assert (code, text) == (2, "") and "looks.json: looks at the verdicts decide" in error
    changed = [write_study(prepared.path.parent / "more.yaml", aggregations=["TS", "AU"], seeds=5), *asked[1:]]
    code, _, error = agglab(capsys, "run-grid", *changed, "--dry-run", "--until-decided")
    assert code == 2 and "looks are planned for 4 seeds" in error


def test_a_dry_run_until_decided_plans_looks_and_counts_hours(asked, capsys):
    code, text, _ = agglab(capsys, "run-grid", *asked, "--dry-run", "--until-decided", "--hours", "1000")
    assert code == 0 and "--hours 1000: 10 of 10 runs to do before the next look fit" in text and "10 to do" in text
    code, text, _ = agglab(capsys, "run-grid", *asked, "--dry-run", "--until-decided", "--hours", "1e-12", "--json")
    assert code == 0 and json.loads(text)["to_do"] == []
    assert not Path(str(asked[4])).exists()


def test_a_dry_run_for_a_cluster_counts_its_workers(asked, tmp_path, monkeypatch, capsys):
    grid = ["run-grid", *asked[:-2], "--dry-run", "--engine", "slurm"]
    monkeypatch.setenv("PATH", str(tmp_path))
    code, text, error = agglab(capsys, *grid)
    assert (code, text) == (2, "") and "--engine slurm: " in error
    monkeypatch.setattr(submit, "check_available", lambda: None)
    section = ["--slurm", "tasks=3", "--slurm", "gpus=2", "--slurm", "cpus=8"]
    code, text, _ = agglab(capsys, *grid, *section)
    assert code == 0 and "up to 24 at a time on cuda in a Slurm array of 3 jobs (a rough guess from" in text
    assert "of this machine, on " in text and "not of the cluster's nodes" in text
    code, text, _ = agglab(capsys, *grid, *section, "--jobs", "2", "--json")
    found = json.loads(text)
    assert (found["at_a_time"], found["device"]) == (6, "cuda") and "not of the cluster's nodes" in found["basis"]
