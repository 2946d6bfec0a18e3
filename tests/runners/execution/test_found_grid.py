"""A grid that finds its groups: searched once, from finished runs alone, whatever kills it, and said where outdated."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from aggregation_lab import results
from aggregation_lab.errors import ResultsError, StudyError
from aggregation_lab.files import file_digest
from aggregation_lab.manifest import read_manifest
from aggregation_lab.run import DONE
from aggregation_lab.storage.sealed_json import write_sealed
from runners.commands.study_commands import show_status
from runners.execution import engines, search_groups
from runners.execution import grid as runners_grid
from runners.execution.grid import run_study
from runners.execution.groups import why_anew
from runners.execution.run_watch import Outcome
from runners.execution.slurm import job as slurm_job
from runners.execution.slurm import queue, submit
from runners.execution.slurm.job import ArrayJob
from runners.execution.slurm.queue import Search, read_orders, read_search, write_orders
from runners.execution.worker import WorkerConfig
from runners.options import EngineName, GridOptions, Rerun
from runners.planning.study_file import read_study_file
from runners.store.collect import collect, manifest
from runners.store.found_partition import FoundPartition
from runners.store.prepare import PlannedStudy, plan_again
from runners.store.run_folder import State, claimed, record_failure
from runners.store.study_folder import StudyFolder
from tests.made_study import finish, make_finished
from tests.runners.store.test_affinity_table import record
from tests.tiny import STUDY, write_study

SOUGHT = {"aggregations": ["TS", "CG", "AU", "found"], "found": {"units": 3}, "keep": {"predictions": "none"}}
"""Of four tasks two are together, which no other aggregation has: all made-up scores are equal, so any two."""


class Killed(BaseException):
    pass


class Grid:
    """`run-grid` on a folder, with made-up results in place of training.

    Unless it is `whole`, data that are prepared already are not prepared again, and no tables are collected.
    """

    def __init__(self, folder: Path, data: Path, monkeypatch, *, whole: bool):
        self.folder, self.data, self.out = folder, data, StudyFolder(folder / "out")
        self.trained: list[str] = []
        self.said = ""
        self.refused: Callable[[str], bool] = lambda title: False
        self.killed_at = 0
        self.changes = dict(SOUGHT)
        monkeypatch.setattr(runners_grid, "check_models", lambda *_: None)
        monkeypatch.setattr(runners_grid.GridCall, "train", lambda call, todo: self._train(todo))
        if not whole:
            monkeypatch.setattr(runners_grid, "prepare", self._prepare)
            monkeypatch.setattr(runners_grid.GridCall, "collect", lambda call: [])

    def _prepare(self, study, *_) -> PlannedStudy:
        replace(self.out.read_identity(), study=study).write(self.out.identity_file)
        return PlannedStudy(plan_again(self.out), ())

    def _train(self, todo) -> Outcome:
        outcome = Outcome()
        for run in todo:
            if self.killed_at and len(self.trained) == self.killed_at:
                raise Killed
            with claimed(self.out.runs.folder(run), run) as claim:
                assert claim is not None, run.title
                if self.refused(run.title):
                    record_failure(self.out.runs.folder(run), "nan")
                    outcome.failed[run.id] = "nan"
                else:
                    finish(self.out.path, self.out.read_study(), run)
                    self.trained.append(run.title)
        return outcome

    def __call__(self, *only: str, rerun: Rerun = Rerun.MISSING, **changes) -> int:
        """The exit code; `trained` are the runs of this call."""
        self.changes |= changes
        file = write_study(self.folder / "study.yaml", **self.changes)
        screen, self.trained = StringIO(), []
        options = GridOptions(1, only=only, rerun=rerun, device="cpu", engine=EngineName.DEBUG)
        try:
            study = read_study_file(file, data=self.data)
            return run_study(study, file, self.out, options, Console(file=screen, width=400))
        finally:
            self.said = screen.getvalue()

    @property
    def found(self) -> dict:
        return json.loads((self.out.path / "found.json").read_text())

    def states(self, aggregation: str = "found") -> list[State]:
        runs = self.out.read_plan()
        states = self.out.runs.statuses(runs)
        return [states[run.id].state for run in runs if any(label.aggregation == aggregation for label in run.labels)]


@pytest.fixture(scope="module")
def original(tmp_path_factory, tiny_original) -> Path:
    """A folder whose six runs of TS, CG and AU are finished, and whose groups are not sought yet."""
    folder = tmp_path_factory.mktemp("found")
    make_finished(folder, tiny_original, **SOUGHT)
    return folder


@pytest.fixture
def grid(original, tmp_path, tiny_original, monkeypatch) -> Grid:
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    return Grid(tmp_path, tiny_original, monkeypatch, whole=False)


@pytest.fixture
def no_search(monkeypatch) -> Callable[[], None]:
    """From its call on, a search fails the test."""

    def fail(*_, **__):
        raise AssertionError("searched again")

    return lambda: monkeypatch.setattr(search_groups, "find_groups", fail)


def test_groups_are_found_once_others_are_finished_and_then_trained(tiny_original, tmp_path, monkeypatch, no_search):
    grid = Grid(tmp_path, tiny_original, monkeypatch, whole=True)
    assert grid() == 0
    (title,) = grid.trained[6:]
    assert title == "found/unit_1 f1 s0" and not any("found" in title for title in grid.trained[:6])
    assert "found: its groups are sought once the 6 runs that they are found from are finished" in grid.said
    assert "found: 3 units, 1 of several tasks: predicted mean gain over TS" in grid.said
    assert "found: 1 run more, 1 to do" in grid.said and "7 done" in grid.said
    found, units = grid.found, grid.found["units"]
    assert sorted(map(len, units.values())) == [1, 1, 2] and found["options"] == {"units": 3, "within": None}
    assert (found["seed"], found["seeds"], found["arm"]) == (0, [0], "main")
    evidence = {run.id for run in grid.out.read_plan() if run.is_evidence}
    assert found["runs"].keys() == evidence and len(evidence) == 6 and found["tables"].keys() == {"curves", "runs"}
    about = read_manifest(grid.out.path).found
    assert about is not None and about["units"] == units and about["outdated"] == "" and "runs" not in about
    assert about["tables"] == found["tables"] and about["why"][0].startswith("3 units, 1 of several tasks")
    scores = pd.read_parquet(grid.out.path / "scores.parquet")
    assert set(scores.loc[scores["aggregation"] == "found", "task"]) == {
        task for unit in units.values() for task in unit
    }
    no_search()
    before = (grid.out.path / "found.json").read_bytes()
    assert grid() == 0 and grid.trained == [] and "found:" not in grid.said
    assert (grid.out.path / "found.json").read_bytes() == before


def test_a_kill_before_the_training_of_the_groups_loses_nothing(grid, no_search):
    grid.killed_at = 1
    with pytest.raises(Killed):
        grid(seeds=2)
    assert len(grid.trained) == 1 and not grid.out.found_file.exists()
    grid.killed_at = 5 + 1
    with pytest.raises(Killed):
        grid()
    partition = grid.found["units"]
    assert len(grid.trained) == 6 and sum("found" in title for title in grid.trained) == 1
    no_search()
    grid.killed_at = 0
    assert grid() == 0 and len(grid.trained) == 1 and grid.trained[0].startswith("found/unit_1")
    assert grid.found["units"] == partition and set(grid.states()) == {State.DONE} and len(grid.states()) == 6


@pytest.mark.parametrize("moment", ["searching", "writing", "planning"])
def test_a_kill_in_the_search_leaves_it_as_it_was_or_done(grid, monkeypatch, moment):
    def kill(*_, **__):
        raise Killed

    with monkeypatch.context() as broken:
        if moment == "searching":
            broken.setattr(search_groups, "find_groups", kill)
        elif moment == "writing":
            broken.setattr(FoundPartition, "write", kill)
        else:
            broken.setattr(search_groups, "plan_again", kill)
        with pytest.raises(Killed):
            grid()
    assert grid.out.found_file.exists() == (moment == "planning") and grid.states() == []
    assert grid() == 0 and grid.trained == ["found/unit_1 f1 s0"]


def test_another_grid_may_have_found_the_groups_meanwhile(grid, no_search):
    study, runs = read_study_file(grid.folder / "study.yaml", data=grid.data), grid.out.read_plan()
    call = runners_grid.GridCall(
        study, runs, runs, WorkerConfig(grid.out, 1), ["cpu"], GridOptions(1), Console(file=StringIO()), "cpu",
        seeks=True,
    )  # fmt: skip
    assert grid() == 0
    no_search()
    after, todo = runners_grid._with_groups(call)
    assert todo == [] and len(after.runs) == 7 and not after.seeks


@pytest.mark.parametrize("change", [{"aggregations": ["TS", "AU"], "found": None}, {"seeds": 2}])
def test_a_folder_that_another_grid_has_given_another_study_is_left_to_it(grid, no_search, change):
    study, runs = read_study_file(grid.folder / "study.yaml", data=grid.data), grid.out.read_plan()
    call = runners_grid.GridCall(
        study,
        runs,
        runs,
        WorkerConfig(grid.out, 1),
        ["cpu"],
        GridOptions(1),
        Console(file=StringIO()),
        "cpu",
        seeks=True,
    )
    other = read_study_file(write_study(grid.folder / "other.yaml", **SOUGHT | change), data=grid.data)
    grid._prepare(other)
    no_search()
    assert runners_grid._with_groups(call) == (call, []) and not grid.out.found_file.exists()


def test_changed_settings_make_the_groups_stale_and_stale_ones_are_found_anew(grid):
    assert grid() == 0
    assert grid(training=STUDY["training"] | {"min_steps": 5}, seeds=2) == 1
    line = (
        "found: 6 of the 6 runs that it rests on are the study's no more; 12 runs of the study are not among those "
        "that it rests on; the partition that was found before stands, `agglab run-grid STUDY --rerun stale` searches "
        "anew"
    )
    assert line in grid.said and not any(title.startswith("found/") for title in grid.trained)
    assert State.PENDING not in grid.states() and "stale  found/unit_1 f1 s1: its groups were found from" in grid.said
    old = grid.found["runs"]
    assert grid(rerun=Rerun.STALE) == 0
    assert "found: is searched for anew (6 of the 6 runs" in grid.said
    assert "what was found before is kept in runs-set-aside/found.json.1" in grid.said
    assert grid.found["runs"].keys().isdisjoint(old) and len(grid.found["runs"]) == 12
    assert set(grid.states()) == {State.DONE}
    assert manifest(grid.out, grid.out.read_plan(), finished=14).found["outdated"] == ""


def test_more_seeds_train_the_same_groups_and_say_what_they_rest_on(grid, no_search):
    assert grid() == 0
    no_search()
    assert grid(seeds=2) == 0
    assert "found/unit_1 f1 s1" in grid.trained and len(grid.trained) == 7
    said = "6 runs of the study are not among those that it rests on"
    assert f"found: {said}; the partition that was found before stands, `agglab run-grid" in grid.said
    assert manifest(grid.out, grid.out.read_plan(), finished=14).found["outdated"] == said and grid.found["seeds"] == [
        0
    ]


def test_other_options_change_nothing_until_they_are_asked_for(grid):
    assert grid() == 0
    assert grid(found={"units": 2, "within": 4.5}) == 0 and grid.trained == []
    assert "found: found.units: 3 -> 2; found.within: any -> 4.5; the partition that was found before" in grid.said
    study = read_study_file(grid.folder / "study.yaml", data=grid.data)
    options = GridOptions(1, rerun=Rerun.STALE)
    assert why_anew(grid.out, study, grid.out.read_plan(), options) == "found.units: 3 -> 2; found.within: any -> 4.5"
    assert why_anew(grid.out, study, grid.out.read_plan(), replace(options, only=("TS",))) is None
    assert why_anew(grid.out, study, grid.out.read_plan(), replace(options, rerun=Rerun.MISSING)) is None
    assert grid(rerun=Rerun.STALE) == 0
    assert len(grid.found["units"]) == 2 and all(title.startswith("found/") for title in grid.trained)
    assert grid(rerun=Rerun.STALE) == 0 and grid.trained == [], "nothing is outdated any more"


def test_all_is_all(grid):
    assert grid() == 0
    assert grid(rerun=Rerun.ALL) == 0
    assert len(grid.trained) == 7 and grid.trained[-1] == "found/unit_1 f1 s0"
    assert "found: is searched for anew; what was found" in grid.said


def test_a_run_trained_again_to_other_scores_is_said(grid):
    assert grid() == 0
    run = next(run for run in grid.out.read_plan() if run.is_evidence)
    done = grid.out.runs.folder(run) / DONE
    content = json.loads(done.read_text())
    shutil.rmtree(done.parent)
    folder = finish(grid.out.path, grid.out.read_study(), run)
    curves = pd.read_parquet(folder / "curves.parquet").assign(score=0.75)
    results.write_table(curves, results.RUN_TABLES["curves"], folder / "curves.parquet")
    content["digests"]["curves"] = file_digest(folder / "curves.parquet")
    write_sealed(done, {name: value for name, value in content.items() if name != "digest"})
    assert grid() == 0 and grid.trained == []
    assert "found: 1 of the runs that it rests on have other results now; the partition" in grid.said


def test_a_finished_study_can_record_affinities_before_its_groups_are_found(grid):
    assert grid(rerun=Rerun.UNKEPT) == 0
    assert grid.trained == ["CG/head f1 s0", "AU/all f1 s0", "found/unit_1 f1 s0"]


def test_only_found_brings_along_what_it_is_found_from(grid, tiny_original):
    runs = grid.out.read_plan()
    joint = next(run for run in runs if run.title.startswith("AU/"))
    shutil.rmtree(grid.out.runs.folder(joint))
    assert grid("TS") == 0 and grid.trained == [] and not grid.out.found_file.exists()
    assert grid("found/*") == 0 and grid.trained == ["AU/all f1 s0", "found/unit_1 f1 s0"]
    assert "trained besides, as found is found from them: AU/all f1 s0" in grid.said
    with pytest.raises(StudyError, match="--only found/unit_9: fits no run"):
        grid("found/unit_9")


def test_what_fails_keeps_the_groups_from_being_found(grid, capsys):
    shutil.rmtree(next(grid.out.path.glob("runs/all-*")))
    grid.refused = lambda title: title.startswith("AU/")
    assert grid() == 1
    assert "blocked  found: is found from AU/all f1 s0, which has failed: nan" in grid.said
    screen = StringIO()
    assert show_status(grid.out.path, Console(file=screen, width=300)) == 1
    assert "blocked  found  (is found from AU/all f1 s0, which has failed: nan)" in screen.getvalue()
    assert "6 runs: 5 done, 1 failed; those of found are not known yet" in screen.getvalue()
    grid.refused = lambda title: False
    assert grid(rerun=Rerun.FAILED) == 0 and grid.trained == ["AU/all f1 s0", "found/unit_1 f1 s0"]


def test_no_partition_within_the_hours_is_one_line_and_can_be_mended(grid):
    with pytest.raises(ResultsError) as refused:
        grid(found={"units": 3, "within": 1e-9})
    assert "\n" not in str(refused.value) and not grid.out.found_file.exists()
    assert grid(found={"units": 3}) == 0 and len(grid.trained) == 1


def test_damage_is_one_line_and_is_not_searched_over(grid):
    assert grid() == 0
    text = grid.out.found_file.read_text()
    grid.out.found_file.write_text(text.replace('"unit_1"', '"unit_9"'))
    with pytest.raises(StudyError, match="found.json: cannot be used .its content has changed.*move it away to search"):
        grid()
    grid.out.found_file.write_text(text)
    assert grid() == 0 and grid.trained == []


def test_the_search_cannot_see_test_scores(grid):
    study, runs = read_study_file(grid.folder / "study.yaml", data=grid.data), grid.out.read_plan()
    tables = search_groups.evidence_tables(grid.out, study, runs)
    assert len(tables.scores) and tables.scores["value"].isna().all() and tables.cases is None
    assert set(tables.scores["aggregation"]) == {"TS", "CG", "AU"} == set(tables.curves["aggregation"])
    assert tables.affinity is None


def test_recorded_affinities_are_part_of_what_groups_rest_on(grid):
    joint = next(run for run in grid.out.read_plan() if run.title.startswith("AU/"))
    record(grid.out, joint)
    study, runs = read_study_file(grid.folder / "study.yaml", data=grid.data), grid.out.read_plan()
    rows = search_groups.evidence_tables(grid.out, study, runs).affinity
    assert rows is not None and len(rows) == 4 and set(rows["aggregation"]) == {"AU"}
    assert grid() == 0 and grid.found["tables"].keys() == {"affinity", "curves", "runs"}
    assert "affinity" in grid.found["runs"][joint.id] and "affinity" not in grid.found["runs"][runs[0].id]


def test_groups_that_another_aggregation_has_share_its_runs(grid):
    """Of equal gains the partition that takes no training, and of these the one of fewest units."""
    assert grid(found={}) == 0 and grid.trained == []
    assert "found: this partition is AU: its runs are shared, and there is nothing to compare the two by" in grid.said
    assert "found: 0 runs more, 0 to do" in grid.said and grid.found["about"]["same_as"] == "AU"
    (run,) = (run for run in grid.out.read_plan() if run.holds_found)
    assert run.title == "AU/all = found/unit_1 f1 s0" and not run.rests_on_found
    collect(grid.out)
    assert grid.states() == [State.DONE]


def array_job(grid: Grid, monkeypatch) -> ArrayJob:
    """A job of the folder that finishes what it takes, with all that is ordered and the search."""
    job = ArrayJob(WorkerConfig(grid.out, 1, "cpu"), 1)

    monkeypatch.setattr(ArrayJob, "_train", lambda self, todo, *_: grid._train(todo))
    monkeypatch.setattr(slurm_job, "worker_devices", lambda *_: ["cpu"])
    return job


def test_jobs_of_a_cluster_wait_find_the_groups_and_go_on_with_them(grid, monkeypatch, no_search):
    """Nobody watches, and one of two jobs has the last run that groups are found from."""
    plan = grid.out.read_plan()
    joint = next(run for run in plan if run.title.startswith("AU/"))
    shutil.rmtree(grid.out.runs.folder(joint))
    (grid.out.path / "slurm").mkdir()
    write_orders(grid.out, {joint.id}, Search())
    job, store = array_job(grid, monkeypatch), grid.out.runs
    with claimed(store.folder(joint), joint) as claim:
        assert claim is not None and job._open_runs(store, set()) == [joint], "waits, so as to train groups afterwards"
        assert not job._find_groups(store, Console(file=StringIO())) and read_search(grid.out) == Search()

    assert not job._work([])
    assert grid.trained == ["AU/all f1 s0", "found/unit_1 f1 s0"] and set(grid.states()) == {State.DONE}
    assert read_search(grid.out) is None and len(read_orders(grid.out)) > 1
    no_search()
    write_orders(grid.out, read_orders(grid.out), Search(("found/unit_1/*",)))  # ended before it could order
    assert job._find_groups(store, Console(file=StringIO())) and not job._find_groups(store, Console(file=StringIO()))


def test_a_grid_on_a_cluster_orders_the_search_with_the_runs(grid, monkeypatch):
    asked = []
    monkeypatch.undo()
    monkeypatch.setattr(runners_grid, "check_models", lambda *_: None)
    monkeypatch.setattr(submit, "check_available", lambda: None)
    monkeypatch.setattr(queue, "jobs_left", lambda folder: queue.Queue())
    monkeypatch.setattr(submit, "jobs_left", lambda folder: queue.Queue())
    monkeypatch.setattr(submit, "submit", lambda study, job, width: asked.append((width, read_search(job.folder))))
    shutil.rmtree(next(grid.out.path.glob("runs/all-*")))
    file = write_study(grid.folder / "study.yaml", **SOUGHT)
    study = read_study_file(file, data=grid.data)
    monkeypatch.setattr(engines, "ASK_EVERY", 0.0)
    options = GridOptions(1, engine=EngineName.SLURM, only=("found",))
    assert run_study(study, file, grid.out, options, Console(file=StringIO())) == 1
    assert asked == [(1, Search(("found",)))] and len(read_orders(grid.out)) == 1
