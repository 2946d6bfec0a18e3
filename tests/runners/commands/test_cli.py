"""The command line on real, tiny studies: exit codes, one line per error, resume, staleness, tables."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from aggregation_lab import results
from runners.cli import main
from runners.planning.study_file import read_study_file
from runners.store.identity import Identity
from runners.store.run_folder import State
from runners.store.study_folder import StudyFolder
from tests import ROOT
from tests.once import made_once
from tests.started import Started
from tests.tiny import STUDY, write_study
from tests.waiting import PATIENCE, wait_for

HERE = ("--device", "cpu", "--engine", "debug")
"""Trains in this process, where torch is loaded once for all tests; those of processes start their own."""


def agglab(capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command run in this process."""
    capsys.readouterr()
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_original) -> Path:
    """The folder of a finished tiny study, its study file beside it; tests work on copies."""

    def train(folder: Path) -> None:
        folder.mkdir()
        study = write_study(folder / "study.yaml")
        with pytest.raises(SystemExit) as end:
            main(list(map(str, ("run-grid", study, "--data", tiny_original, "--out", folder / "out", *HERE))))
        assert not end.value.code

    return made_once(tmp_path_factory, "finished-study", train)


@pytest.fixture
def unstarted(finished, tiny_original, tmp_path) -> Path:
    """An output folder of the same study that holds nothing but the number of threads of each run.

    The last bits of a score depend on it, and it depends on the workers of a folder's first grid.
    """
    out = tmp_path / "out"
    out.mkdir()
    Identity(read_study_file(finished / "study.yaml", data=tiny_original)).write(StudyFolder(out).identity_file)
    shutil.copy(finished / "out" / "threads.json", out)
    return out


@pytest.fixture
def copy(finished, tmp_path) -> Path:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path


def scores(out: Path) -> pd.DataFrame:
    return results.read_table(out / "scores.parquet", results.SCORES)


@pytest.mark.slow
def test_a_finished_study_has_all_tables_and_counts_shared_units_twice(finished):
    out = finished / "out"
    found = scores(out)
    tasks = {"tiny_head", "tiny_head_axis", "tiny_head_det", "tiny_kind"}
    assert {name: set(rows["task"]) for name, rows in found.groupby("aggregation")} == {
        name: tasks for name in ("TS", "CG", "AU", "floor")
    }
    shared = found[(found["task"] == "tiny_kind") & found["aggregation"].isin(["TS", "CG"])]
    assert shared["run"].nunique() == 1 and len(shared) % 2 == 0
    assert set(found.loc[found["task"] != "tiny_kind", "group"]) == {"head"}
    for name, table in results.TABLES.items():
        assert len(results.read_table(out / f"{name}.parquet", table)), name
    assert len(pd.read_csv(out / "scores.csv")) == len(found)


@pytest.mark.slow
def test_finished_runs_are_not_repeated(copy, tiny_original, capsys):
    out = copy / "out"
    before = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/*")}
    code, text, _ = agglab(capsys, "run-grid", copy / "study.yaml", "--data", tiny_original, "--out", out)
    assert code == 0 and "6 finished, 0 to do" in text
    assert {path: path.stat().st_mtime_ns for path in out.glob("runs/*/*")} == before


@pytest.mark.slow
def test_status_scores_and_plan_of_a_finished_study(copy, tiny_original, capsys):
    out = copy / "out"
    code, said = agglab(capsys, "status", out)[
        :2
    ]  # a training this short may answer alike for all, which is said first
    lines = [line for line in said.splitlines() if "every validation case gets the same answer" not in line]
    assert (code, lines) == (0, ["tiny: 6 runs: 6 done"])
    code, text, _ = agglab(capsys, "scores", out)
    assert code == 0 and re.search(r"task\s+metric\s+TS\s+CG\s+AU\s+floor", text)
    assert "tasks with a mean better than the floor: TS" in text
    board = pd.read_csv(out / "scoreboard.csv")
    assert len(board) == 4 * 4 and not board["mean"].isna().all()
    code, text, _ = agglab(capsys, "plan", copy / "study.yaml", "--data", tiny_original, "--out", out)
    assert code == 0 and "0 to do" in text and "by the pace of 6 runs finished on cpu" in text


@pytest.mark.slow
def test_changed_settings_make_runs_stale_until_they_are_asked_for(copy, tiny_original, capsys):
    out = copy / "out"
    study = write_study(copy / "study.yaml", training=STUDY["training"] | {"loss_weights": {"tiny_head_det": 2.0}})
    grid = ["run-grid", study, "--data", tiny_original, "--out", out, *HERE]
    code, text, _ = agglab(capsys, *grid)
    assert code == 1
    assert "stale  TS/tiny_head_det f1 s0: training.loss_weights.tiny_head_det: nothing -> 2.0" in text
    assert "0 to do, 3 stale ones left (--rerun stale trains them again), 1 at a time" in text
    assert "3 done, 3 stale" in text
    assert "TS" not in set(scores(out).query("task == 'tiny_head_det'")["aggregation"])
    code, text, _ = agglab(capsys, *grid, "--rerun", "stale", "--only", "TS")
    assert code == 0 and "4 done" in text and "stale ones left" not in text
    assert len(list(out.glob("runs/*"))) == 7  # the old result is kept
    write_study(study)
    assert agglab(capsys, *grid)[0] == 0  # the old settings find their old results


@pytest.mark.slow
def test_rerun_all_repeats_and_keeps_the_old_result(copy, tiny_original, capsys):
    out = copy / "out"
    before = scores(out)
    grid = ["run-grid", copy / "study.yaml", "--data", tiny_original, "--out", out, *HERE]
    assert agglab(capsys, *grid, "--rerun", "all", "--only", "TS/tiny_kind")[0] == 0
    pd.testing.assert_frame_equal(scores(out), before, check_exact=True)
    assert (next((out / "runs-set-aside").iterdir()) / "done.json").is_file()


@pytest.mark.slow
def test_killed_grid_resumes_to_the_same_scores(finished, tiny_original, unstarted, tmp_path, capsys):
    out = unstarted
    arguments = ("run-grid", finished / "study.yaml", "--data", tiny_original, "--out", out, "--device", "cpu")
    process = Started(main, list(map(str, arguments)), output=tmp_path / "printed")
    wait_for(lambda: len(list(out.glob("runs/*/done.json"))) >= 2 or process.poll() is not None)
    process.kill()
    process.wait()
    wait_for(lambda: not any(status.state is State.RUNNING for status in states(out).values()))
    kept = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/done.json")}
    assert 2 <= len(kept) < 6
    code, text, errors = agglab(capsys, *arguments, "--engine", "debug")
    assert code == 0, text + errors
    assert all(path.stat().st_mtime_ns == time_of_change for path, time_of_change in kept.items())
    pd.testing.assert_frame_equal(scores(out), scores(finished / "out"), check_exact=True)


@pytest.mark.slow
def test_ctrl_c_ends_with_130_and_leaves_no_process(finished, tiny_original, tmp_path):
    out = tmp_path / "out"
    arguments = ("run-grid", finished / "study.yaml", "--data", tiny_original, "--out", out, "--device", "cpu")
    process = subprocess.Popen(
        [sys.executable, "-m", "runners.cli", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for(lambda: list(out.glob("runs/*/claim-*.json")) or process.poll() is not None)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to the grid and its workers
    text, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, text + errors
    assert "interrupted; the same command continues" in text and not errors
    assert {status.state for status in states(out).values()} <= {State.PENDING, State.DONE}


def states(out: Path):
    return StudyFolder(out).runs.statuses(StudyFolder(out).read_plan())


@pytest.mark.slow
def test_damaged_results_are_named_set_aside_and_trained_again(copy, tiny_original, capsys):
    out = copy / "out"
    before = scores(out)
    cut = next(out.glob("runs/tiny_head_det-*/scores.parquet"))
    cut.write_bytes(cut.read_bytes()[:-20])
    flipped = next(out.glob("runs/tiny_kind-*/cases.parquet"))
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 1  # still a readable Parquet file, perhaps
    flipped.write_bytes(content)
    next(out.glob("runs/all-*/done.json")).write_text("{")
    assert str(cut) in refused(capsys, "scores", out)[1]
    grid = ["run-grid", copy / "study.yaml", "--data", tiny_original, "--out", out, *HERE]
    code, text, _ = agglab(capsys, *grid)
    assert code == 0 and "5 finished, 1 to do" in text
    for damaged in (cut, flipped):
        kept = f"{damaged}: is damaged; kept in runs-set-aside/{damaged.parent.name}.1, its run is trained again"
        assert kept in text
    pd.testing.assert_frame_equal(scores(out), before, check_exact=True)
    assert (out / "runs-set-aside" / f"{cut.parent.name}.1" / "scores.parquet").is_file()


@pytest.mark.slow
@pytest.mark.usefixtures("workers_at_hand")
def test_two_grids_share_the_work(finished, tiny_original, unstarted, tmp_path, capsys):
    """One in a process of its own, and one that joins it as soon as it trains."""
    out = unstarted
    grid = ("run-grid", finished / "study.yaml", "--data", tiny_original, "--out", out, "--device", "cpu", "--jobs", 1)
    other = Started(main, list(map(str, grid)), output=tmp_path / "printed")
    wait_for(lambda: list(out.glob("runs/*/claim-1.json")) or other.poll() is not None)
    code, text, errors = agglab(capsys, *grid)
    printed = other.communicate(timeout=PATIENCE)[0]
    assert (code, other.returncode) == (0, 0), text + errors + printed
    # every attempt at a run numbers its claim: a second one would have left the number 2
    assert sorted(path.name for path in out.glob("runs/*/claim-*")) == ["claim-1.json"] * 6
    assert set(results.read_table(out / "runs.parquet", results.RUNS)["resumes"]) == {0}
    pd.testing.assert_frame_equal(scores(out), scores(finished / "out"), check_exact=True)


def refused(capsys, *arguments: object) -> tuple[int, str]:
    """Exit code and the one line of an error."""
    code, _, errors = agglab(capsys, *arguments)
    assert errors.startswith("agglab: ") and len(errors.splitlines()) == 1, errors
    return code, errors


@pytest.mark.slow
def test_folders_of_another_study_split_or_data_are_refused(copy, tiny_data, tiny_original, capsys):
    grid = ["run-grid", copy / "study.yaml", "--data", tiny_original, "--out", copy / "out"]
    before = (copy / "out" / "study.json").read_bytes()
    write_study(copy / "study.yaml", name="other")
    assert "belongs to the study tiny, not other" in refused(capsys, *grid)[1]
    write_study(copy / "study.yaml", data=STUDY["data"] | {"split_seed": 7})
    assert "was made with data.split_seed 0, the study now has 7" in refused(capsys, *grid)[1]
    write_study(copy / "study.yaml", data=STUDY["data"] | {"tasks": ["tiny_head", "tiny_head_det", "tiny_head_axis"]})
    error = refused(capsys, *grid)[1]
    assert 'with data.tasks none, the study now has ["tiny_head", "tiny_head_det", "tiny_head_axis"]; choose' in error
    write_study(copy / "study.yaml")
    table = tiny_data / "train" / "csv_files" / "Cls-Two_1.kinds, first.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    code, error = refused(capsys, *grid[:2], "--data", tiny_data, *grid[4:])
    assert code == 2 and "was made from another data set: 1 is gone (tiny_kind/" in error
    assert (copy / "out" / "study.json").read_bytes() == before


def test_folders_that_cannot_be_used_are_refused(tmp_path, tiny_original, capsys):
    study = write_study(tmp_path / "study.yaml")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("mine")
    grid = ["run-grid", study, "--data", tiny_original, "--out"]
    assert "file: cannot be written" in refused(capsys, *grid, tmp_path / "file")[1]
    assert "holds letter.txt but no study" in refused(capsys, *grid, tmp_path / "home")[1]
    assert "is not the output of a study" in refused(capsys, "status", tmp_path / "home")[1]
    assert "is not the output of a study" in refused(capsys, "scores", tmp_path / "nowhere")[1]


def test_errors_are_one_line_and_have_their_exit_codes(tmp_path, tiny_original, capsys):
    study = write_study(tmp_path / "study.yaml")
    out = tmp_path / "out"
    assert refused(capsys, "run-grid", "us-mini")[0] == 2
    code, error = refused(capsys, "run-grid", study, "--data", tmp_path / "none", "--out", out)
    assert code == 1 and "csv_files" in error
    code, error = refused(capsys, "plan", study, "--data", tiny_original, "--out", out, "--only", "XX")
    assert code == 2 and "--only XX: fits no run" in error
    assert refused(capsys, "plan", study, "--data", tiny_original, "--out", out, "--device", "abacus")[0] == 2
    assert agglab(capsys, "run-grid", study, "--rerun", "sometimes")[0] == 2
    write_study(study, seedz=3)
    assert refused(capsys, "plan", study)[0] == 2


def test_dry_run_and_plan_leave_nothing_behind(tmp_path, tiny_original, capsys):
    study, out = write_study(tmp_path / "study.yaml"), tmp_path / "out"
    for command in (["plan", study], ["run-grid", study, "--dry-run"]):
        code, text, _ = agglab(capsys, *command, "--data", tiny_original, "--out", out)
        assert code == 0 and "6 runs (1 units shared" in text and "TS/tiny_kind = CG/tiny_kind f1 s0" in text
    assert not out.exists()


def test_a_plan_says_between_which_ends_runs_may_take(tmp_path, tiny_original, capsys):
    settings = STUDY["training"] | {"passes": 2, "until": "converged", "most_passes": 8}
    study = write_study(tmp_path / "study.yaml", training=settings)
    code, text, _ = agglab(capsys, "plan", study, "--data", tiny_original, "--out", tmp_path / "out")
    assert code == 0 and re.search(r"63 cases +39 to 126 steps +2\.5 to 8\.0 passes", text)
    assert "until: converged, so runs end between 2.4 passes (passes and cooldown) and 8 (the cap)" in text
    images = re.search(r"6 to do: (\d+) to (\d+) images, about .+ to .+ with", text)
    assert images is not None and 2.4 * 172 <= int(images[1]) < int(images[2]) <= 8 * 172 + 6 * 4


@pytest.mark.slow
def test_a_failing_run_is_told_at_once_and_gives_exit_code_1(copy, tiny_original, capsys):
    out = copy / "out"
    shutil.rmtree(next(out.glob("runs/tiny_head_det-*")))
    run = next(run for run in StudyFolder(out).read_plan() if run.labels[0][:2] == ("TS", "tiny_head_det"))
    folder = out / "runs" / run.folder_name
    (folder / "scores.parquet").mkdir(parents=True)  # in the way of the real trainer's table
    grid = ["run-grid", copy / "study.yaml", "--data", tiny_original, "--out", out, *HERE]
    code, text, errors = agglab(capsys, *grid)
    assert code == 1 and not errors
    assert f"FAILED  1/1  TS/tiny_head_det f1 s0: {folder / 'scores.parquet'}: cannot be written" in text
    assert "5 done, 1 failed" in text
    assert "Traceback" in json.loads((folder / "error.json").read_text())["traceback"][0]
    assert agglab(capsys, "status", out)[0] == 1
    assert "1 to do" in agglab(capsys, *grid, "--rerun", "failed", "--dry-run")[1]


def test_validate_lists_tasks_sharing_and_leaks(tiny_original, capsys):
    code, text, _ = agglab(capsys, "validate", tiny_original)
    assert code == 0 and "usable, 4 tasks" in text
    assert "28 of them shared by two or more tasks" in text and "1 of them mirrored" in text
    assert "would leak" in text


def test_validate_lists_all_problems(tiny_data, tmp_path, capsys):
    next(tiny_data.rglob("000_HC.png")).write_bytes(b"")
    next(tiny_data.rglob("kind 03.png")).unlink()
    code, text, _ = agglab(capsys, "validate", tiny_data, "--study", write_study(tmp_path / "study.yaml"))
    assert code == 1 and "not usable" in text
    assert "000_HC.png" in text and "kind 03.png" in text


def test_phantoms_make_a_usable_folder(tmp_path, capsys):
    code, text, _ = agglab(capsys, "phantoms", tmp_path / "p", "--tasks", "fetal_femur,lung", "--scale", "0.001")
    assert code == 0, text
    assert agglab(capsys, "validate", tmp_path / "p")[0] == 0
    assert "unknown_task" in refused(capsys, "phantoms", tmp_path / "q", "--tasks", "unknown_task")[1]
