"""What runs will take, learnt from finished ones; where workers compute."""

import re
from io import StringIO

import numpy as np
import pytest
import torch
from rich.console import Console

from aggregation_lab.run import CHECKPOINT
from aggregation_lab.storage.sealed_json import write_sealed
from runners.execution import device_slots
from runners.execution.progress import GridDisplay
from runners.execution.time_estimate import Place, learn, learn_or_guess
from runners.options import EngineName, GridOptions
from runners.planning import cost
from runners.planning.plan import Label
from runners.planning.study_schema import Study
from runners.store.run_files import RunProgress
from runners.store.run_folder import State, Status, claimed
from runners.store.study_folder import StudyFolder
from tests.tiny import planned


def finish(store, run, seconds, device="cpu"):
    write_sealed(store.folder(run) / "done.json", {"run": run.id, "seconds": seconds, "device": device})


def near(value: float):
    """A least-squares line has lost a few of its digits."""
    return pytest.approx(value, rel=1e-6, abs=1e-9)


def test_finished_runs_teach_overhead_and_rate(tmp_path):
    store = StudyFolder(tmp_path).runs
    runs = [planned(name, steps=steps) for name, steps in zip("abcd", (10, 20, 40, 80), strict=True)]
    assert learn(store, runs, "cpu", guess=4.0).cost(runs[0]) == 2.5
    for run in runs[:3]:
        finish(store, run, 3.0 + run.flops / 5)
    estimate = learn(store, runs, "cpu")
    assert (estimate.finished, estimate.overhead, estimate.rate) == (3, near(3.0), near(5.0))
    assert estimate.cost(runs[3]) == near(19.0)


def test_runs_teach_the_time_on_the_device_that_they_ran_on(tmp_path):
    store = StudyFolder(tmp_path).runs
    runs = [planned(name, steps=100) for name in "abcd"]
    for run, seconds, device in zip(runs, (100.0, 4.0, 4.0), ("cpu", "cuda", "cuda"), strict=False):
        finish(store, run, seconds, device)
    write_sealed(store.folder(runs[3]) / "done.json", {"run": runs[3].id, "seconds": 1.0})  # does not say on which
    assert learn(store, runs, "cpu").cost(runs[0]) == near(100.0)
    on_card = learn(store, runs, "cuda")
    assert on_card.finished == 2 and on_card.cost(runs[0]) == near(4.0)
    assert learn(store, runs, "mps").finished == 0
    elsewhere = Place("cuda", 4, 4.0, 1, "cpu", "", is_elsewhere=True)
    assert learn_or_guess(store, runs, elsewhere, "fp32")[1] == "by the pace of 2 runs finished on cuda"


def test_a_guess_holds_what_every_worker_and_run_takes(tmp_path, monkeypatch):
    """A smoke study of six runs was said to take a second, which was that of its steps alone."""
    monkeypatch.setattr(cost, "training_rate", lambda *_: 1e30)
    store, place = StudyFolder(tmp_path).runs, Place("cpu", 2, 1.0, 1, "cpu", "")
    runs = [planned(name, steps=10) for name in "abcdef"]
    estimate, basis = learn_or_guess(store, runs, place, "fp32")
    assert basis.startswith("a rough guess")
    assert estimate.makespan(runs, 2) == near(cost.START_SECONDS + 3 * cost.RUN_SECONDS)
    assert estimate.makespan([], 2) == 0
    fitting = estimate.fitting(runs, 2, cost.START_SECONDS + 1.5 * cost.RUN_SECONDS)
    assert len(fitting) == 2 and not estimate.fitting(runs, 2, cost.START_SECONDS)


def test_finished_runs_tell_all_but_the_start_of_a_worker(tmp_path):
    store, place = StudyFolder(tmp_path).runs, Place("cpu", 1, 1.0, 1, "cpu", "")
    runs = [planned(name, steps=steps) for name, steps in zip("abc", (10, 20, 40), strict=True)]
    for run in runs[:2]:
        finish(store, run, 3.0 + run.flops / 5)
    estimate, _ = learn_or_guess(store, runs, place, "fp32")
    assert estimate.cost(runs[2]) == near(3.0 + runs[2].flops / 5)
    assert estimate.makespan(runs[2:], 1) == near(cost.START_SECONDS + estimate.cost(runs[2]))


def test_a_run_that_ended_before_its_cap_teaches_what_it_did(tmp_path):
    store = StudyFolder(tmp_path).runs
    short, long = (planned(name, steps=100, until="converged") for name in "ab")
    done = {"run": short.id, "seconds": 20.0, "images_seen": short.images // 5, "device": "cpu"}
    write_sealed(store.folder(short) / "done.json", done)
    estimate = learn(store, [short, long], "cpu")
    assert estimate.cost(long) == near(100.0) and estimate.least(long) == near(100.0 * long.least)


def progress_of(runs, begun=(), elapsed=100.0):
    display = GridDisplay(runs, Console(file=StringIO(), width=200), lambda: None, begun)
    display._start -= elapsed  # seconds ago
    return display


def left(display) -> tuple[bool, float]:
    """Whether the time left is an upper bound, and its seconds."""
    found = re.fullmatch(r"(at most )?(?:(\d+) h )?(\d+) (s|min) left", display._eta())
    return bool(found[1]), 3600 * float(found[2] or 0) + float(found[3]) * (60 if found[4] == "min" else 1)


def test_the_time_left_is_a_bound_while_an_end_is_open():
    runs = [planned(name, steps=100, until="converged") for name in "abc"]
    display = progress_of(runs)
    display.started(runs[0])
    display.progressed(runs[0], RunProgress(step=20, steps=100, loss=1, score=1, phase="training", at_most=True))
    assert left(display) == (True, pytest.approx(1400, rel=0.05, abs=0))  # 280 of 300 steps at 0.2 a second
    display.progressed(runs[0], RunProgress(step=40, steps=48, loss=1, score=1, phase="training"))
    assert left(display) == (True, pytest.approx(520, rel=0.15, abs=0))
    display.finished(runs[0], Status(State.DONE, seconds=100, images=480))
    for run in runs[1:]:
        display.started(run)
        display.progressed(run, RunProgress(step=45, steps=50, loss=1, score=1, phase="training"))
    assert left(display) == (False, pytest.approx(100 * 10 / 138, rel=0.15, abs=0))


def test_the_time_left_of_budgets_is_what_it_was():
    runs = [planned(name, steps=100) for name in "ab"]
    display = progress_of(runs)
    display.finished(runs[0], Status(State.DONE, seconds=100, images=1000))
    display.started(runs[1])
    display.progressed(runs[1], RunProgress(step=50, steps=100, loss=1, score=1, phase="training"))
    assert left(display) == (False, pytest.approx(33, rel=0.05, abs=0))


def test_steps_from_before_this_grid_are_no_pace_of_it():
    """Twenty equal runs, the first resumed at 900 of 1000 steps: 400 s for its last 100 are 76000 s for the others."""
    runs = [planned(name, steps=1000) for name in "abcdefghijklmnopqrst"]
    display = progress_of(runs, begun={runs[0].id}, elapsed=400.0)
    at = {"steps": 1000, "loss": 1, "score": 1}
    for step, phase in ((0, "frozen trunk, image 3/9"), (900, "training"), (950, "training")):
        display.progressed(runs[0], RunProgress(step=step, phase=phase, **at))
    assert left(display) == (False, pytest.approx(400 / 50 * 19_050, rel=0.05, abs=0))
    display.progressed(runs[0], RunProgress(step=1000, phase="scoring", **at))
    assert left(display) == (False, pytest.approx(76_000, rel=0.05, abs=0))
    display.finished(runs[0], Status(State.DONE, seconds=1000, images=10_000))
    assert left(display) == (False, pytest.approx(76_000, rel=0.05, abs=0))


@pytest.mark.parametrize(("steps", "elapsed", "known"), [(3, 60, False), (30, 60, True), (3, 600, True)])
def test_the_first_steps_of_a_grid_are_no_pace(steps, elapsed, known):
    runs = [planned(name, steps=100) for name in "abcd"]
    display = progress_of(runs, elapsed=elapsed)
    display.started(runs[0])
    display.progressed(runs[0], RunProgress(step=steps, steps=100, loss=1, score=1, phase="training"))
    assert (display._eta() != "time left unknown yet; `agglab plan` estimates it") is known


def test_a_run_with_a_checkpoint_or_a_worker_is_begun(tmp_path):
    store, run = StudyFolder(tmp_path).runs, planned("a")
    folder = store.folder(run)
    folder.mkdir(parents=True)
    assert store.begun([run]) == set()
    (folder / CHECKPOINT).write_bytes(b"x")
    assert store.begun([run]) == {run.id}
    (folder / CHECKPOINT).unlink()
    with claimed(folder, run):
        assert store.begun([run]) == {run.id}


def test_where_a_run_stands_says_what_is_a_bound():
    at = {"step": 7, "steps": 40, "loss": 0.5, "score": 0.5, "phase": "training"}
    assert RunProgress(**at).where == "step 7/40"
    assert RunProgress(**at, at_most=True).where == "step 7 of at most 40"


def test_by_aggregation_counts_a_shared_run_for_both(tmp_path):
    store, run = StudyFolder(tmp_path).runs, planned("a", steps=10)
    shared = type(run)(run.spec, (Label("TS", "a"), Label("CG", "b")), *list(vars(run).values())[2:6])
    assert learn(store, [], "cpu", guess=1.0).by_model([run, shared]) == {"TS": 20.0, "CG": 10.0}


@pytest.mark.parametrize("points", [[(4.0, 8.0)], [(4.0, 8.0), (4.0, 8.0)], [(1.0, 2.0), (2.0, 3.0), (10.0, 1.0)]])
def test_points_that_tell_no_overhead_give_a_line_through_the_origin(points):
    intercept, slope = cost.line(points)
    assert intercept == 0 or slope > 0
    assert np.isfinite([intercept, slope]).all() and slope > 0


def test_largest_first_keeps_the_last_worker_short():
    assert cost.makespan([1, 1, 1, 1, 4], jobs=2) == 4


def where(options, device="cpu", threads=None, **study):
    console = Console(file=StringIO(), width=400)
    found = device_slots.worker_devices(Study(name="x", **study), device, options, console, threads)
    return found, console.file.getvalue()


def test_one_worker_per_core_as_memory_allows(monkeypatch):
    monkeypatch.setattr(cost, "cores", lambda: 8)
    monkeypatch.setattr(cost, "available_bytes", lambda: 1e15)
    assert where(GridOptions())[0] == [None] * 8
    assert where(GridOptions(jobs=3, device="cpu"))[0] == ["cpu"] * 3
    assert where(GridOptions(engine=EngineName.DEBUG))[0] == [None]
    monkeypatch.setattr(cost, "available_bytes", lambda: 1.0)
    assert where(GridOptions()) == ([None], "memory is enough for 1 runs at a time, not 8\n")


@pytest.mark.parametrize(
    ("jobs", "threads", "workers", "line"),
    [
        (None, 1, 8, ""),
        (None, 2, 4, ""),
        (None, 3, 2, ""),
        (4, 2, 4, ""),
        (8, 1, 8, ""),
        (16, 1, 16, ""),
        (5, 2, 5, "each run has 2 threads, .* so 5 at a time want more than the 8 cores: --jobs 4 is faster\n"),
        (None, 16, 1, "each run has 16 threads, .* so 1 at a time want more .* 8 cores: a new folder is faster\n"),
    ],
)
def test_workers_leave_room_for_the_threads_that_a_folder_has_fixed(monkeypatch, jobs, threads, workers, line):
    monkeypatch.setattr(cost, "cores", lambda: 8)
    monkeypatch.setattr(cost, "available_bytes", lambda: 1e15)
    found, text = where(GridOptions(jobs=jobs), threads=threads)
    assert len(found) == workers
    assert re.fullmatch(line, text)


def test_accelerators_are_shared_as_their_memory_allows(monkeypatch):
    monkeypatch.setattr(cost, "cores", lambda: 16)
    free = {"cuda:0": 80e9, "cuda:1": 1.0}
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[str(device)], 80e9))
    found, _ = where(GridOptions(), "cuda")
    assert found == ["cuda:0", "cuda:1", "cuda:0", "cuda:0", "cuda:0"]
    assert where(GridOptions(jobs=2), "cuda")[0] == ["cuda:0", "cuda:1"]
    assert where(GridOptions(device="cuda:0"), "cuda")[0] == ["cuda:0"] * 4
    assert where(GridOptions(device="cuda:1", jobs=3), "cuda")[0] == ["cuda:1"] * 3
    assert where(GridOptions(), "mps")[0] == [None]
