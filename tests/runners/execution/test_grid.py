"""The grid with a stand-in for training: failures, deaths, interruption, resume."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from aggregation_lab.errors import AgglabError, TrainingError
from aggregation_lab.storage.sealed_json import write_sealed
from aggregation_lab.training.keep import Keep
from runners.execution import grid as runners_grid
from runners.execution.engines import run_here
from runners.execution.pool import run_pool
from runners.execution.progress import GridDisplay
from runners.execution.worker import End, Worker
from runners.options import GridOptions, Rerun
from runners.planning.study_schema import Study
from runners.store.prepare import PlannedStudy
from runners.store.run_folder import State, Status, claimed
from runners.store.run_store import RunStore
from runners.store.study_folder import StudyFolder
from tests import ROOT, fake_engine
from tests.tiny import planned
from tests.waiting import wait_for

pytestmark = pytest.mark.usefixtures("workers_at_hand")  # those of a grid in a process of its own start from nothing


class Witness:
    """Notes what the grid tells it; `on_tick` is called at every look."""

    def __init__(self, on_tick=None):
        self.events, self.notes, self.on_tick = [], [], on_tick

    def started(self, run):
        self.events.append(("started", run.id))

    def progressed(self, run, progress):
        self.events.append(("progressed", run.id))

    def paused(self, run):
        self.events.append(("paused", run.id))

    def finished(self, run, status):
        self.events.append(("finished", run.id))

    def failed(self, run, message):
        self.events.append(("failed", run.id))

    def blocked(self, run):
        self.events.append(("blocked", run.id))

    def noted(self, message):
        self.notes.append(message)

    def ticked(self):
        if self.on_tick:
            self.on_tick()

    def order(self, kind):
        return [run for event, run in self.events if event == kind]


def grid(runs, out, witness=None, jobs=1, fail_fast=False, **changes):
    config = fake_engine.config(out, fail_fast=fail_fast)
    return run_pool(runs, config, witness or Witness(), devices=[None] * jobs, **changes)


def result(out, run):
    return json.loads((StudyFolder(out).runs.folder(run) / "result.json").read_text())


def test_in_the_order_given_and_all_done(tmp_path):
    runs = [planned("b", steps=6), planned("c", steps=4), planned("a", steps=2)]
    witness = Witness()
    outcome = grid(runs, tmp_path, witness)
    assert fake_engine.trace(tmp_path, "start") == [run.id for run in runs]
    assert sorted(witness.order("finished")) == sorted(outcome.done) == sorted(run.id for run in runs)
    assert not outcome.failed and not outcome.interrupted
    assert {status.state for status in StudyFolder(tmp_path).runs.statuses(runs).values()} == {State.DONE}


def test_debug_engine_trains_in_this_process(tmp_path):
    runs, witness = [planned("raises", steps=9), planned("b", steps=6), planned("a", steps=2)], Witness()
    outcome = run_here(runs, fake_engine.config(tmp_path), witness)
    assert sorted(outcome.done) == sorted(run.id for run in runs[1:]) == sorted(witness.order("finished"))
    assert list(outcome.failed) == [runs[0].id] == witness.order("failed")
    trace = (tmp_path / "trace.txt").read_text().splitlines()
    assert {int(line.split()[2]) for line in trace} == {os.getpid()}


def test_failing_runs_do_not_stop_the_others(tmp_path):
    raises, crashes, good = planned("raises"), planned("crashes"), planned("good")
    outcome = grid([raises, crashes, good], tmp_path)
    assert outcome.done == [good.id]
    assert outcome.failed[raises.id].startswith("step 3: the loss of task raises is nan")
    assert outcome.failed[crashes.id] == "ValueError: a bug"
    states = StudyFolder(tmp_path).runs.statuses([raises, crashes, good])
    assert states[crashes.id].state is State.FAILED and states[crashes.id].reason == "ValueError: a bug"
    folder = StudyFolder(tmp_path).runs.folder(crashes)
    assert "in fail_or_wait" in "".join(json.loads((folder / "error.json").read_text())["traceback"])
    assert "in fail_or_wait" in (folder / "log.txt").read_text()


def test_tables_that_cannot_be_written_do_not_stop_the_grid(tmp_path):
    def collect():
        raise AgglabError("scores.parquet: is damaged")

    runs, screen = [planned("a"), planned("b")], StringIO()
    with GridDisplay(runs, Console(file=screen, width=200), collect) as progress:
        outcome = grid(runs, tmp_path, progress)
    assert len(outcome.done) == 2
    assert "tables not updated: scores.parquet: is damaged\n" in screen.getvalue()


def test_killed_worker_is_named_and_replaced_and_its_run_continues(tmp_path):
    killed, others = planned("killed", steps=8), [planned(name) for name in "abc"]
    witness = Witness()
    outcome = grid([killed, *others], tmp_path, witness)
    assert len(outcome.done) == 4 and not outcome.failed
    assert len(witness.notes) == 1 and "TS/killed f1 s0: its worker process was killed by SIGKILL" in witness.notes[0]
    assert result(tmp_path, killed) == {"value": undisturbed(killed), "resumes": 1}


def test_a_run_whose_workers_always_die_fails_and_the_others_go_on(tmp_path):
    doomed, good = planned("doomed", steps=9), planned("good")
    outcome = grid([doomed, good], tmp_path)
    assert outcome.done == [good.id]
    assert "killed by SIGKILL" in outcome.failed[doomed.id] and "3 times" in outcome.failed[doomed.id]
    assert StudyFolder(tmp_path).runs.present([doomed])[doomed.id].state is State.FAILED


def undisturbed(run):
    import hashlib

    value = run.id
    for _ in range(run.steps):
        value = hashlib.sha256(value.encode()).hexdigest()
    return value


def test_fail_fast_leaves_the_rest(tmp_path):
    runs = [planned("raises", steps=9), planned("a"), planned("b")]
    outcome = grid(runs, tmp_path, fail_fast=True)
    assert list(outcome.failed) == [runs[0].id] and not outcome.done and not outcome.interrupted


def once_held(out, run, number):
    """What sends this process a signal, once, when the run stays at its step."""
    sent = []

    def interrupt():
        if not sent and fake_engine.is_held(StudyFolder(out).runs.folder(run)):
            sent.append(number)
            os.kill(os.getpid(), number)

    return interrupt


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_signal_ends_cleanly_and_resume_equals(tmp_path, number):
    before = signal.getsignal(number)
    runs = [planned("held"), planned("waits", steps=3)]
    outcome = grid(runs, tmp_path, Witness(once_held(tmp_path, runs[0], number)))
    assert outcome.interrupted and not outcome.done and not outcome.failed
    states = StudyFolder(tmp_path).runs.statuses(runs)
    assert states[runs[0].id].state is State.PENDING and "checkpoint" in states[runs[0].id].reason
    assert states[runs[1].id].state is State.PENDING
    assert signal.getsignal(number) == before
    fake_engine.release(tmp_path)
    grid(runs, tmp_path)
    assert result(tmp_path, runs[0]) == {"value": undisturbed(runs[0]), "resumes": 1}


def test_a_worker_that_ignores_the_stop_is_killed_after_the_grace(tmp_path):
    run = planned("deaf")
    outcome = grid([run], tmp_path, Witness(once_held(tmp_path, run, signal.SIGINT)), grace=0.0)
    assert outcome.interrupted and not outcome.failed
    assert StudyFolder(tmp_path).runs.statuses([run])[run.id].state is State.PENDING


def test_workers_that_cannot_start_end_the_grid(tmp_path):
    for load, message in (("load_broken", "the data are gone"), ("load_killed", "SIGKILL"), ("no_such", "no_such")):
        config = fake_engine.config(tmp_path, load=f"tests.fake_engine:{load}")
        with pytest.raises(AgglabError, match=message):
            run_pool([planned("a")], config, Witness(), devices=[None])


def load_unlucky(out):
    """The worker that loads this dies as soon as it looks for a run."""
    RunStore.present = lambda self, runs: os._exit(7)


def train_robbed(spec, dataset, split, cache, folder, **_):
    folder.rename(folder.parents[1] / "aside")
    raise TrainingError("the folder is gone")


def test_workers_that_always_die_without_a_run_end_the_grid(tmp_path):
    config, witness = fake_engine.config(tmp_path, load="tests.runners.execution.test_grid:load_unlucky"), Witness()
    with pytest.raises(AgglabError, match="3 workers in a row ended with exit code 7 without a run"):
        run_pool([planned("a")], config, witness, devices=[None])
    assert witness.notes == ["a worker process ended with exit code 7 without a run"] * 2


def test_a_run_whose_folder_was_taken_away_has_not_failed(tmp_path):
    run, store = planned("a"), StudyFolder(tmp_path).runs
    config = fake_engine.config(tmp_path, train="tests.runners.execution.test_grid:train_robbed")
    worker = Worker(config, [run], lambda: (tmp_path / "aside").exists(), unrecorded=None)
    assert worker.work() is End.STOPPED
    assert store.present([run])[run.id] == Status(State.PENDING) and not store.folder(run).exists()


def test_rerun_all_leaves_a_run_that_was_claimed_meanwhile_to_its_holder(tmp_path, monkeypatch):
    runs, store, screen = [planned("a"), planned("b")], StudyFolder(tmp_path).runs, StringIO()
    held = claimed(store.folder(runs[0]), runs[0])
    monkeypatch.setattr(runners_grid, "prepare", lambda *_: PlannedStudy(runs, ()))
    monkeypatch.setattr(runners_grid, "check_models", lambda *_: held.__enter__())  # after the look at the states
    options = GridOptions(1, rerun=Rerun.ALL, device="cpu")
    arguments = (
        Study(name="mine"),
        tmp_path / "study.yaml",
        StudyFolder(tmp_path),
        options,
        Console(file=screen, width=200),
    )
    todo = runners_grid._open(*arguments)[1]
    assert [run.id for run in todo] == [runs[1].id, runs[0].id]
    assert "2 runs, 0 finished, 1 to do, 1 claimed by others" in screen.getvalue()
    assert store.present(runs)[runs[0].id].state is State.RUNNING
    held.__exit__(None, None, None)


def test_rerun_unkept_trains_again_what_has_finished_without_its_weights(tmp_path, monkeypatch):
    keep, store, screen = Keep(models=("last",)), StudyFolder(tmp_path).runs, StringIO()
    lacking, whole, new, free = (planned(name) for name in ("lacking", "whole", "new", "free"))
    runs = [*(replace(run, keep=keep) for run in (lacking, whole, new)), free]
    for run, files in ((lacking, ()), (whole, keep.files), (free, ())):
        store.folder(run).mkdir(parents=True)
        kept = {name: "0" * 64 for name in files}
        write_sealed(store.folder(run) / "done.json", {"run": run.id, "seconds": 1.0, "kept": kept})
        for name in files:
            (store.folder(run) / name).touch()
    monkeypatch.setattr(runners_grid, "prepare", lambda *_: PlannedStudy(runs, ()))
    monkeypatch.setattr(runners_grid, "check_models", lambda *_: None)
    options, console = GridOptions(1, rerun=Rerun.UNKEPT, device="cpu"), Console(file=screen, width=200)
    todo = runners_grid._open(Study(name="mine"), tmp_path / "study.yaml", StudyFolder(tmp_path), options, console)[1]
    assert {run.id for run in todo} == {lacking.id, new.id}
    assert "4 runs, 2 finished, 2 to do" in screen.getvalue()
    assert [path.name for path in (tmp_path / "runs-set-aside").iterdir()] == [f"{lacking.folder_name}.1"]


def test_a_folder_that_cannot_be_written_is_told_and_ends_the_grid(tmp_path):
    runs = [planned("a"), planned("b")]
    StudyFolder(tmp_path).runs.root.mkdir()
    StudyFolder(tmp_path).runs.folder(runs[0]).touch()  # a file where the run's folder should be
    witness = Witness()
    outcome = grid(runs, tmp_path, witness)
    assert outcome.done == [runs[1].id] and list(outcome.failed) == [runs[0].id] == witness.order("failed")
    assert "cannot be written" in outcome.failed[runs[0].id]


GRID_IN_A_PROCESS = """
import sys
from pathlib import Path
sys.path.insert(0, {project!r})
if __name__ == "__main__":
    from tests.runners.execution import test_grid
    from tests.tiny import planned
    test_grid.grid([planned("held"), planned("held2")], Path({out!r}), jobs=2)
"""


def test_sigkill_of_the_grid_ends_its_workers_and_resume_equals(tmp_path):
    runs = [planned("held"), planned("held2")]
    out, script = tmp_path / "out", tmp_path / "script.py"
    script.write_text(GRID_IN_A_PROCESS.format(project=str(ROOT), out=str(out)))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, script], env=environment)
    store = StudyFolder(out).runs
    wait_for(lambda: all(fake_engine.is_held(store.folder(run)) for run in runs))
    assert {status.state for status in store.statuses(runs).values()} == {State.RUNNING}
    process.kill()
    process.wait()
    wait_for(lambda: all(status.state is State.PENDING for status in store.statuses(runs).values()))
    fake_engine.release(out)
    outcome = grid(runs, out, jobs=2)
    assert len(outcome.done) == 2
    assert [result(out, run) for run in runs] == [{"value": undisturbed(run), "resumes": 1} for run in runs]
