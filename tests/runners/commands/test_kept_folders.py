"""Analyses of folders that may only be read, that are not finished, or whose images are sought where none are."""

import errno
import os
from pathlib import Path

import filelock
import pytest

from aggregation_lab import files
from aggregation_lab.run import DONE
from tests.made_study import make_finished
from tests.runners.commands.test_cli import agglab, refused


@pytest.fixture
def out(tmp_path, tiny_original) -> Path:
    """Of a finished study with its tables: two tasks under TS and AU, two seeds."""
    tasks = {"tasks": ["tiny_kind", "tiny_head"]}
    return make_finished(tmp_path, tiny_original, data=tasks, aggregations=["TS", "AU"], seeds=2)


@pytest.fixture
def read_only(out, monkeypatch) -> None:
    """From now on every place may only be read, whoever runs the tests."""

    def refusing(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(files, "temporary_file", refusing)
    monkeypatch.setattr(filelock.FileLock, "acquire", refusing)


@pytest.mark.usefixtures("read_only")
def test_tables_that_lie_in_a_read_only_folder_are_analysed(out, capsys):
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    for command in ("power", "next"):
        code, text, error = agglab(capsys, command, out, "--draws", 100)
        assert (code, error, text.count("Read-only file system")) == (0, "", 1)
        assert "the tables are read as they were last written" in text
    code, text, error = agglab(capsys, "scores", out)
    assert (code, error) == (0, "") and "tiny_head" in text
    assert "scoreboard.csv: cannot be written (Read-only file system); what is shown is written nowhere" in text
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before


@pytest.mark.usefixtures("read_only")
def test_a_read_only_folder_without_tables_is_told_with_what_to_do(out, capsys):
    (out / "scores.parquet").unlink()
    code, error = refused(capsys, "power", out)
    assert code == 2 and "(Read-only file system)" in error and "work on a copy" in error and "--out" not in error


def test_a_report_that_may_not_be_written_is_refused_before_the_analysis(out, monkeypatch, capsys):
    monkeypatch.setattr("runners.commands.report_commands.analysed", None)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    code, error = refused(capsys, "report", out)
    assert code == 2 and f"report: cannot be written ({out} may only be read); choose another folder with --to" in error


def test_an_unfinished_study_says_so_beside_what_it_shows(out, capsys):
    next(out.glob(f"runs/tiny_kind-f1-s1-*/{DONE}")).unlink()
    said = f"{out}: 5 of 6 runs are finished; `agglab status {out}` says what is left, `agglab run-grid` trains it"
    assert f"note: {said}" in agglab(capsys, "power", out, "--draws", 100)[1]
    for done in out.glob(f"runs/*/{DONE}"):
        done.unlink()
    for words in (("power", out), ("next", out), ("report", out), ("group", out)):
        code, error = refused(capsys, *words)
        assert code == 1 and f"; {said.replace('5 of', '0 of')}" in error, words


@pytest.mark.parametrize("command", ["gallery", "report"])
def test_images_are_not_sought_where_there_is_no_folder(out, tmp_path, capsys, command):
    code, error = refused(capsys, command, out, "--data", tmp_path / "nosuch")
    assert code == 2 and f"--data: {tmp_path / 'nosuch'} is no folder; give the one that holds" in error
    assert not (out / command).exists()
