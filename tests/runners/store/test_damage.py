"""Every derived file of an output folder, damaged: healed from its source or told in one line, never silently used."""

import json
import os
import random
import shutil
from pathlib import Path

import pandas as pd
import pytest

from aggregation_lab import results
from aggregation_lab.errors import AgglabError, ResultsError
from aggregation_lab.manifest import read_manifest
from analysis.study import load_study
from runners.execution import grid as grids
from runners.execution.run_watch import Outcome
from runners.execution.worker_process import output_to
from runners.store.collect import collect
from runners.store.prepared_data import load_prepared
from runners.store.run_folder import State
from runners.store.study_folder import StudyFolder
from tests.fuzzing import flip, in_time
from tests.made_study import finish, make_finished
from tests.runners.commands.test_cli import agglab, refused
from tests.tiny import STUDY, write_study


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_original) -> Path:
    folder = tmp_path_factory.mktemp("made")
    make_finished(folder, tiny_original)
    return folder


@pytest.fixture
def out(made, tmp_path, monkeypatch) -> Path:
    """A finished study of which runs that are to be trained get the same made-up results again."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    folder = tmp_path / "out"

    def train(runs, config, watcher, **_):
        for run in runs:
            if StudyFolder(folder).runs.present([run])[run.id].state is not State.DONE:
                finish(folder, StudyFolder(folder).read_study(), run)
        return Outcome([run.id for run in runs])

    monkeypatch.setattr(grids, "run_pool", train)
    monkeypatch.setattr(grids, "check_models", lambda *_: None)
    return folder


def grid(out: Path, data: Path, *more: object) -> list[object]:
    return ["run-grid", out.parent / "study.yaml", "--data", data, "--out", out, "--device", "cpu", "--jobs", 1, *more]


def tables(out: Path) -> dict[str, pd.DataFrame]:
    return {name: results.read_table(out / f"{name}.parquet", table) for name, table in results.TABLES.items()}


def assert_same(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame]) -> None:
    for name, frame in one.items():
        pd.testing.assert_frame_equal(frame, other[name], check_exact=True)


HEALED = {
    "cache/images-*.npy": "images-* is damaged, caching images again",
    "cache/masks-*.npy": "masks-* is damaged, caching masks again",
    "cache/scan.parquet": "scan.parquet is damaged or of another agglab, reading images again",
    "cache/scan-pairs.parquet": "comparing images",
    "floor/*-scores.parquet": "-scores.parquet is damaged or of other data, scoring the floor",
    "floor/*-cases.parquet": "-cases.parquet is damaged or of other data, scoring the floor",
    "runs/*/scores.parquet": "scores.parquet: is damaged; kept in runs-set-aside",
    "runs/*/cases.parquet": "cases.parquet: is damaged; kept in runs-set-aside",
    "runs/*/curves.parquet": "curves.parquet: is damaged; kept in runs-set-aside",
    "runs/*/done.json": "its done.json is",
    "split.csv": "drawn again, equal to the one that was there",
    "prepared/*.parquet": "",
    "prepared/tasks.json": "",
    "plan.json": "",
    "splits_final.json": "",
    "study.yaml": "",
    "scores.parquet": "",
    "manifest.json": "",
}
"""The message when the same command finds a file damaged; empty where it writes the file each time, unread."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("pattern", HEALED)
def test_a_turned_bit_is_healed_by_the_same_command(out, tiny_original, capsys, pattern, seed):
    before = tables(out)
    file = random.Random(seed).choice(sorted(out.glob(pattern)))
    whole = file.read_bytes()
    flip(file, seed)
    code, text, errors = agglab(capsys, *grid(out, tiny_original))
    assert code == 0, errors
    message = HEALED[pattern].rpartition("*")[2]
    assert message in text
    assert_same(tables(out), before)
    if not pattern.startswith(("cache/scan", "manifest")):
        assert file.read_bytes() == whole or pattern.startswith(("floor", "runs"))


@pytest.mark.parametrize("pattern", ["prepared/*.parquet", "prepared/tasks.json", "split.csv"])
def test_workers_refuse_what_was_damaged_after_the_preparation(out, pattern):
    file = next(iter(sorted(out.glob(pattern))))
    for seed in range(3):
        whole = file.read_bytes()
        flip(file, seed)
        with pytest.raises(AgglabError, match=f"{file.name}: .*the same run-grid command writes it again"):
            load_prepared(StudyFolder(out))
        file.write_bytes(whole)


@pytest.mark.parametrize("name", ["study.json", "plan.json", "manifest.json", "threads.json"])
def test_numbers_changed_in_state_files_are_refused(out, tiny_original, capsys, name):
    file = out / name
    text = file.read_text()
    digit = next(index for index, sign in enumerate(text) if sign in "12345" and index > text.index("digest") + 80)
    file.write_text(text[:digit] + "6" + text[digit + 1 :])
    assert json.loads(file.read_text()) != json.loads(text)
    if name == "manifest.json":
        with pytest.raises(ResultsError, match=r"manifest.json: cannot be read \(its content has changed"):
            load_study(out)
        return
    command = ["status", out] if name in ("study.json", "plan.json") else grid(out, tiny_original)
    code, error = refused(capsys, *command)
    assert code == 2 and str(file) in error


def test_a_damaged_collected_table_is_refused_by_the_analysis(out):
    whole = (out / "scores.parquet").read_bytes()
    for seed in range(20):
        (out / "scores.parquet").write_bytes(whole)
        flip(out / "scores.parquet", seed)
        try:
            found = load_study(out).scores
        except ResultsError as error:
            assert "scores.parquet" in str(error)
        else:  # a bit that means nothing, such as one of the statistics
            (out / "scores.parquet").write_bytes(whole)
            pd.testing.assert_frame_equal(found, load_study(out).scores, check_exact=True)


def test_results_of_another_run_are_named_set_aside_and_trained_again(out, tiny_original, capsys):
    before, store = tables(out), StudyFolder(out).runs
    mine, other = (run for run in StudyFolder(out).read_plan() if run.labels[0][1] in ("tiny_head", "tiny_kind"))
    shutil.rmtree(store.folder(mine))
    shutil.copytree(store.folder(other), store.root / mine.folder_name)
    status = store.present([mine])[mine.id]
    assert status.state is State.PENDING and f"its done.json is of another run, {other.id}" in status.reason
    code, text, _ = agglab(capsys, *grid(out, tiny_original))
    assert code == 0 and f"{mine.title}: its done.json is of another run, {other.id}; it is trained again" in text
    assert f"what is there is kept in runs-set-aside/{mine.folder_name}.1" in text
    assert_same(tables(out), before)


def test_a_table_of_another_run_is_damage(out, tiny_original, capsys):
    before, store = tables(out), StudyFolder(out).runs
    mine, other = (store.folder(run) for run in StudyFolder(out).read_plan()[:2])
    shutil.copy(other / "scores.parquet", mine / "scores.parquet")
    code, text, _ = agglab(capsys, *grid(out, tiny_original))
    assert code == 0 and f"{mine / 'scores.parquet'}: is damaged; kept in runs-set-aside" in text
    assert_same(tables(out), before)


def test_the_floor_of_other_data_is_scored_again(out, tiny_original, capsys, tmp_path):
    before = tables(out)
    (tmp_path / "other").mkdir()
    write_study(tmp_path / "other" / "study.yaml", data=STUDY["data"] | {"split_seed": 5})
    command = grid(tmp_path / "other" / "out", tiny_original, "--rerun", "failed")
    assert agglab(capsys, *command)[0] == 1
    for file in (tmp_path / "other" / "out" / "floor").iterdir():
        shutil.copy(file, out / "floor" / file.name)
    assert "the same run-grid command makes the floor again" in refused(capsys, "scores", out)[1]
    code, text, _ = agglab(capsys, *grid(out, tiny_original))
    assert code == 0 and "is damaged or of other data, scoring the floor" in text
    assert_same(tables(out), before)


@pytest.mark.parametrize("taken", ["folder", "file", "dangling"])
def test_a_name_that_is_taken_in_the_set_aside_folder_does_not_stop_a_grid(out, tiny_original, capsys, taken):
    before, store, run = tables(out), StudyFolder(out).runs, StudyFolder(out).read_plan()[0]
    folder = store.folder(run)
    names = [out / "runs-set-aside" / f"{folder.name}.{number}" for number in (1, 2)]
    names[0].parent.mkdir()
    for name in names:
        if taken == "folder":
            (name / "inside").mkdir(parents=True)
        elif taken == "file":
            name.touch()
        else:
            name.symlink_to("nowhere")
    flip(folder / "scores.parquet")
    code, text, _ = agglab(capsys, *grid(out, tiny_original))
    assert code == 0 and f"kept in runs-set-aside/{folder.name}.3" in text
    code, text, _ = agglab(capsys, *grid(out, tiny_original, "--rerun", "all", "--only", run.id))
    assert code == 0 and (out / "runs-set-aside" / f"{folder.name}.4" / "done.json").is_file()
    assert_same(tables(out), before)


def test_a_disk_that_damages_a_table_again_and_again_ends_the_grid(out, tiny_original, capsys, monkeypatch):
    run, trained = StudyFolder(out).read_plan()[0], []

    def train(runs, config, watcher, **_):
        trained.extend(runs)
        for each in runs:
            flip(finish(out, StudyFolder(out).read_study(), each) / "scores.parquet")
        return Outcome([each.id for each in runs])

    monkeypatch.setattr(grids, "run_pool", train)
    flip(StudyFolder(out).runs.folder(run) / "scores.parquet")
    code, error = refused(capsys, *grid(out, tiny_original))
    assert code == 1 and "scores.parquet: is damaged" in error
    assert len(trained) == grids.MOST_REPEATS


@pytest.mark.parametrize("deed", ["gone", "empty", "other", "folder"])
def test_a_lost_split_is_drawn_again(out, tiny_original, capsys, deed):
    before, file = tables(out), out / "split.csv"
    whole = file.read_bytes()
    if deed in ("gone", "folder"):
        file.unlink()
    if deed == "empty":
        file.write_bytes(b"")
    if deed == "other":
        file.write_bytes(whole.replace(b",train,", b",val,", 1))
    if deed == "folder":
        file.mkdir()
    with pytest.raises(AgglabError, match="the same run-grid command writes it again"):
        collect(StudyFolder(out))
    if deed == "folder":
        assert "split.csv: cannot be written" in refused(capsys, *grid(out, tiny_original))[1]
        return
    code, text, _ = agglab(capsys, *grid(out, tiny_original))
    assert code == 0 and f"{file}: " in text and "drawn again, equal to the one that was there" in text
    assert file.read_bytes() == whole
    assert_same(tables(out), before)


def test_a_lost_split_of_the_users_own_is_not_replaced(out, tiny_original, capsys, tmp_path):
    study = write_study(tmp_path / "drawn.yaml", data=STUDY["data"] | {"split_seed": 5})
    command = ["--data", tiny_original, "--out", tmp_path / "new", "--device", "cpu", "--rerun", "failed"]
    assert agglab(capsys, "run-grid", study, *command)[0] == 1
    shutil.copy(tmp_path / "new" / "split.csv", tmp_path / "own.csv")
    shutil.rmtree(tmp_path / "new")
    study = write_study(tmp_path / "own.yaml", data=STUDY["data"] | {"split": "own.csv"})
    assert agglab(capsys, "run-grid", study, *command)[0] == 1
    about = read_manifest(tmp_path / "new").settings["data"]
    assert about["split_given"] and not {"shares", "split_seed"} & about.keys()
    (tmp_path / "new" / "split.csv").unlink()
    study = write_study(tmp_path / "own.yaml")
    code, error = refused(capsys, "run-grid", study, *command)
    assert code == 2 and "was made with the split of data.split" in error and "put data.split back" in error


def test_files_of_another_output_folder_are_not_taken(out, tiny_original, capsys, tmp_path):
    """They are whole, but were made from other data."""
    other = tmp_path / "other" / "out"
    other.parent.mkdir()
    fewer = {"tasks": ["tiny_kind", "tiny_head"], "groups": {"tiny_head": "head"}}
    write_study(other.parent / "study.yaml", data=fewer)
    assert agglab(capsys, *grid(other, tiny_original, "--rerun", "failed"))[0] == 1
    for name in ("prepared/cases.parquet", "prepared/tasks.json", "split.csv"):
        whole = (out / name).read_bytes()
        shutil.copy(other / name, out / name)
        with pytest.raises(AgglabError, match="the same run-grid command writes it again"):
            load_prepared(StudyFolder(out))
        (out / name).write_bytes(whole)


def test_files_and_folders_are_as_private_as_the_umask_asks(tiny_original, tmp_path, capsys):
    for number, umask in enumerate([0o077, 0o002]):
        before = os.umask(umask)
        try:
            folder = tmp_path / str(number)
            folder.mkdir()
            out = make_finished(folder, tiny_original)
            StudyFolder(out).runs.set_aside(StudyFolder(out).read_plan()[:1])
        finally:
            os.umask(before)
        modes = {path: path.stat().st_mode & 0o777 for path in out.rglob("*")}
        for path, mode in modes.items():
            wanted = 0o777 & ~umask if path.is_dir() else 0o666 & ~umask
            assert mode == wanted, (path, oct(mode))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("pattern", [*HEALED, "study.json", "threads.json", "scores.csv"])
def test_what_is_no_file_is_neither_waited_for_nor_read_without_end(out, tiny_original, capsys, pattern, kind):
    file = min(out.glob(pattern))
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to("/dev/zero")
    for command in (["status", out], ["scores", out], grid(out, tiny_original)):
        with in_time():
            code, _, errors = agglab(capsys, *command)
        assert code in (0, 1, 2)
        assert len(errors.splitlines()) <= (code > 0)


def test_a_log_that_is_a_pipe_is_told(tmp_path):
    os.mkfifo(tmp_path / "log.txt")
    with in_time(), pytest.raises(OSError), output_to(tmp_path / "log.txt"):
        raise AssertionError("the log was opened")


def test_a_log_has_no_traceback_of_an_interruption(tmp_path):
    with pytest.raises(LookupError), output_to(tmp_path / "planned.txt", (LookupError,)):
        raise LookupError
    with pytest.raises(ValueError), output_to(tmp_path / "failed.txt", (LookupError,)):
        raise ValueError("no number")
    assert (tmp_path / "planned.txt").read_text() == ""
    assert "ValueError: no number" in (tmp_path / "failed.txt").read_text()


def test_the_scoreboard_says_that_runs_are_missing(out, capsys):
    assert "have a result" not in agglab(capsys, "scores", out)[1]
    min(out.glob("runs/*/done.json")).write_text("{")
    assert (
        "5 of 6 runs have a result, the table lacks the others; see `agglab status`" in agglab(capsys, "scores", out)[1]
    )


@pytest.mark.parametrize("lock", [".preparing.lock", ".collecting.lock"])
def test_a_lock_that_cannot_be_one_is_named(out, tiny_original, capsys, lock):
    (out / lock).unlink(missing_ok=True)
    (out / lock).symlink_to("nowhere")
    code, errors = refused(capsys, *grid(out, tiny_original))
    assert code == 2 and f"{out / lock}: cannot be used" in errors and "delete it" in errors
