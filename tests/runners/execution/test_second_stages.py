"""The grid with runs that start from other ones: in which order, once for all, and what becomes of a failed start."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from aggregation_lab.run import STARTS_FROM, weights_file
from runners.execution import grid as runners_grid
from runners.execution.engines import run_here
from runners.execution.grid import print_outcome
from runners.execution.progress import GridDisplay
from runners.execution.slurm.job import ArrayJob
from runners.execution.slurm.queue import write_orders
from runners.execution.time_estimate import TimeEstimate
from runners.options import GridOptions, Rerun
from runners.planning.study_schema import Study
from runners.store.prepare import PlannedStudy
from runners.store.run_folder import State, claimed
from runners.store.study_folder import StudyFolder
from tests import fake_engine
from tests.runners.execution.test_grid import Witness, grid, result, undisturbed
from tests.started import Started
from tests.tiny import after, first, planned
from tests.waiting import wait_for

WEIGHTS = weights_file(STARTS_FROM)

pytestmark = pytest.mark.usefixtures("workers_at_hand")


def states(out, runs):
    found = StudyFolder(out).runs.statuses(runs)
    return [found[run.id].state for run in runs]


def opened(out, runs, monkeypatch, **options):
    """What `run-grid` says and takes up with these runs as its plan."""
    screen = StringIO()
    monkeypatch.setattr(runners_grid, "prepare", lambda *_: PlannedStudy(runs, ()))
    monkeypatch.setattr(runners_grid, "check_models", lambda *_: None)
    call, todo = runners_grid._open(
        Study(name="mine"),
        out / "study.yaml",
        StudyFolder(out),
        GridOptions(1, device="cpu", **options),
        Console(file=screen, width=300),
    )
    return call, todo, screen.getvalue()


def test_a_run_is_taken_once_its_start_is_finished(tmp_path):
    joint = first(planned("joint", steps=6))
    later = [after(joint, planned(name, steps=3)) for name in "ab"]
    runs = [*later, joint, planned("c", steps=3)]
    outcome = grid(runs, tmp_path, jobs=2)
    assert sorted(outcome.done) == sorted(run.id for run in runs) and not outcome.failed
    lines = [line.split()[:2] for line in (tmp_path / "trace.txt").read_text().splitlines()]
    ended = lines.index(["end", joint.id])
    assert all(lines.index(["start", run.id]) > ended for run in later)
    assert sum(line == ["start", joint.id] for line in lines) == 1


def test_one_worker_in_this_process_trains_both_stages(tmp_path):
    joint = first(planned("joint", steps=3))
    later = after(joint, planned("a", steps=3))
    seen = []
    display = GridDisplay([later, joint], Console(file=StringIO()), lambda: seen.append("collected"))
    with display:
        outcome = run_here([later, joint], fake_engine.config(tmp_path), display)
    assert outcome.done == [later.id, joint.id] and seen


@pytest.mark.parametrize("name", ["raises", "doomed"])
def test_runs_whose_start_has_failed_are_blocked_and_count_as_failures(tmp_path, name):
    joint, free = first(planned(name, steps=9)), planned("free", steps=3)
    later = after(joint, planned("a", steps=3))
    runs = [joint, later, free]
    outcome = grid(runs, tmp_path, jobs=2)
    assert outcome.done == [free.id] and list(outcome.failed) == [joint.id]
    assert states(tmp_path, runs) == [State.FAILED, State.BLOCKED, State.DONE]
    screen, store = StringIO(), StudyFolder(tmp_path).runs
    arguments = (StudyFolder(tmp_path), runs, store.statuses(runs), outcome.failed, Console(file=screen, width=300))
    assert not print_outcome(*arguments)
    assert f"blocked  AU>TS/a f1 s0: starts from TS/{name} f1 s0, which has failed: " in screen.getvalue()
    assert "1 done, 1 failed, 1 blocked" in screen.getvalue()


def test_rerun_failed_takes_up_the_start_and_what_it_blocked(tmp_path, monkeypatch):
    joint = first(planned("raises", steps=6))
    later, free = after(joint, planned("a", steps=3)), planned("free", steps=3)
    grid([joint, later], tmp_path)
    _, todo, _ = opened(tmp_path, [joint, later, free], monkeypatch, rerun=Rerun.FAILED)
    assert [run.id for run in todo] == [joint.id, later.id]
    assert states(tmp_path, [joint, later]) == [State.PENDING, State.WAITING]


def test_fail_fast_leaves_what_waits(tmp_path):
    joint = first(planned("raises", steps=6))
    later = after(joint, planned("a", steps=3))
    outcome = grid([joint, later], tmp_path, fail_fast=True)
    assert list(outcome.failed) == [joint.id] and not outcome.done


def test_a_start_whose_worker_is_killed_goes_on_and_so_do_those_that_wait(tmp_path):
    joint = first(planned("killed", steps=8))
    later = after(joint, planned("a", steps=3))
    outcome = grid([joint, later], tmp_path)
    assert sorted(outcome.done) == sorted([joint.id, later.id])
    assert result(tmp_path, joint) == {"value": undisturbed(joint), "resumes": 1}
    assert (StudyFolder(tmp_path).runs.folder(joint) / WEIGHTS).read_text() == undisturbed(joint)


def share(out: Path, name: str, waits: bool) -> None:
    """A grid that leaves a file that grows with every look."""
    joint = first(planned("held", steps=6))
    runs = [joint, *(after(joint, planned(task, steps=3)) for task in "abcd")]

    def tick() -> None:
        with open(out / f"ticks-{name}", "a") as file:
            file.write(".")

    grid(runs, out, Witness(tick), wait_for_others=waits)


@pytest.mark.slow
@pytest.mark.parametrize("waits", [True, False])
def test_two_grids_share_one_start_and_the_other_waits_for_it(tmp_path, waits):
    """As jobs of a Slurm array do, with `wait_for_others=False`."""
    out = tmp_path / "out"
    out.mkdir()
    joint = first(planned("held", steps=6))
    later = [after(joint, planned(name, steps=3)) for name in "abcd"]
    store = StudyFolder(out).runs
    grids = [Started(share, out, "one", waits, output=tmp_path / "one")]
    wait_for(lambda: fake_engine.is_held(store.folder(joint)) or grids[0].poll() is not None)
    assert grids[0].poll() is None
    grids.append(Started(share, out, "other", waits, output=tmp_path / "other"))
    ticks = out / "ticks-other"
    wait_for(lambda: (ticks.is_file() and len(ticks.read_text()) >= 3) or grids[1].poll() is not None)
    assert grids[1].poll() is None  # nothing can be trained yet, and it does not end
    assert [status.state for status in store.statuses([joint, *later]).values()] == [
        State.RUNNING,
        *[State.WAITING] * 4,
    ]
    fake_engine.release(out)
    assert [process.wait() for process in grids] == [0, 0]
    assert states(out, [joint, *later]) == [State.DONE] * 5
    assert sorted(fake_engine.trace(out, "start")) == sorted(run.id for run in [joint, *later])


def test_a_job_waits_for_a_start_that_another_one_trains(tmp_path):
    joint, free = first(planned("joint")), planned("free")
    later, plan = after(joint, planned("a")), []
    folder = StudyFolder(tmp_path)
    plan = [joint, later, free]
    (tmp_path / "slurm").mkdir()
    write_orders(folder, {run.id for run in plan})
    job = ArrayJob(fake_engine.config(tmp_path))
    object.__setattr__(job, "config", _WithPlan(job.config, plan))

    def left() -> list[str]:
        return sorted(run.title for run in job._open_runs(folder.runs, set()))

    assert left() == ["AU>TS/a f1 s0", "TS/free f1 s0", "TS/joint f1 s0"]
    with claimed(folder.runs.folder(joint), joint):
        grid([free], tmp_path)
        assert left() == ["AU>TS/a f1 s0", "TS/joint f1 s0"]  # nothing to take, and the job goes on
    grid([joint], tmp_path)
    assert left() == ["AU>TS/a f1 s0"]
    with claimed(folder.runs.folder(later), later):
        assert left() == []
    grid([later], tmp_path)
    assert left() == []


class _WithPlan:
    """A worker's settings with a plan that is in memory."""

    def __init__(self, config, plan):
        self._config, self.folder = config, _Folder(config.folder.path)
        self.folder.__dict__["read_plan"] = lambda: plan

    def __getattr__(self, name):
        return getattr(self._config, name)


class _Folder(StudyFolder):
    pass


def test_only_the_second_stage_brings_its_first_stage_along(tmp_path, monkeypatch):
    joint, free = first(planned("joint", steps=3)), planned("free", steps=3)
    later = after(joint, planned("a", steps=3))
    plan = [joint, later, free]
    call, todo, said = opened(tmp_path, plan, monkeypatch, only=("AU>TS/*",))
    assert [run.id for run in todo] == [joint.id, later.id] == [run.id for run in call.chosen]
    assert "trained besides, as others start from it: TS/joint f1 s0\n" in said
    grid(todo, tmp_path)
    _, todo, said = opened(tmp_path, plan, monkeypatch, only=("AU>TS/*",))
    assert todo == [] and "besides" not in said


@pytest.mark.parametrize("how", ["never kept", "gone", "damaged"])
def test_a_finished_start_without_weights_is_trained_again(tmp_path, monkeypatch, how):
    joint = first(planned("joint", steps=3))
    later = after(joint, planned("a", steps=3))
    grid([planned("joint", steps=3) if how == "never kept" else joint], tmp_path)
    file = StudyFolder(tmp_path).runs.folder(joint) / WEIGHTS
    if how == "gone":
        file.unlink()
    elif how == "damaged":
        file.write_text("other")
    _, todo, said = opened(tmp_path, [joint, later], monkeypatch)
    assert [run.id for run in todo] == [joint.id, later.id]
    line = (
        "finished without weights that others can start from, trained again: TS/joint f1 s0; what is there is kept in"
    )
    assert f"{line} runs-set-aside\n" in said
    assert [path.name for path in (tmp_path / "runs-set-aside").iterdir()] == [f"{joint.folder_name}.1"]
    outcome = grid(todo, tmp_path)
    assert len(outcome.done) == 2
    file.unlink()  # of no use any more
    assert opened(tmp_path, [joint, later], monkeypatch)[1] == []


def test_a_changed_first_stage_makes_the_second_one_stale(tmp_path):
    def stages(**training):
        joint = first(planned("joint", steps=3, **training))
        return joint, after(joint, planned("a", steps=3))

    grid(stages(), tmp_path)
    changed = stages(learning_rate=1e-4)
    found = StudyFolder(tmp_path).runs.statuses(changed)
    assert [found[run.id].state for run in changed] == [State.STALE, State.STALE]
    reason = found[changed[1].id].reason
    assert reason == "the run that it starts from changed: training.learning_rate: 0.0005 -> 0.0001"
    old = stages()[0]
    (StudyFolder(tmp_path).runs.folder(old) / "spec.json").unlink()
    again = StudyFolder(tmp_path).runs.statuses(changed)[changed[1].id]
    assert again.reason == "the run that it starts from changed: what it was is not known any more"


def test_a_run_and_the_second_stage_of_its_unit_do_not_stand_for_each_other(tmp_path):
    alone = first(planned("a", steps=3))
    twice = after(alone, planned("a", steps=3))
    grid([alone], tmp_path)
    assert states(tmp_path, [alone, twice]) == [State.DONE, State.PENDING]
    assert alone.key != twice.key


def test_the_longest_way_comes_first():
    joint, big = first(planned("joint", steps=6)), planned("big", steps=7)
    later = [after(joint, planned(name, steps=3)) for name in "ab"]
    ordered = TimeEstimate(0.0, 1.0, 0).largest_first([big, *later, joint])
    assert [run.title for run in ordered[:2]] == ["TS/joint f1 s0", "TS/big f1 s0"]
    assert TimeEstimate(0.0, 1.0, 0).makespan([big, *later, joint], 2) == 7 + 3


def test_a_start_is_named_in_the_spec_of_its_run(tmp_path):
    joint = first(planned("joint", steps=3))
    later = after(joint, planned("a", steps=3))
    grid([joint, later], tmp_path)
    spec = json.loads((StudyFolder(tmp_path).runs.folder(later) / "spec.json").read_text())
    assert spec["start"] == {"run": joint.id, "tasks": ["joint"]}
