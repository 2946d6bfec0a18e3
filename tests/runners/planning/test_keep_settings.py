"""`keep` in study file and plan: what each run keeps, ids that do not move, plans and folders from before it."""

from dataclasses import replace

import pytest

from aggregation_lab.errors import StudyError
from aggregation_lab.run import MODEL
from aggregation_lab.training.keep import NOTHING, Keep
from runners.planning.plan import PlannedRun, plan_runs
from runners.planning.study_file import parse_study
from runners.planning.study_schema import Study
from runners.store.identity import Identity, read_identity
from runners.store.run_folder import State, Status
from runners.store.run_store import unkept, unkept_line
from tests.runners.planning.test_fold_plan import draw_folds, small
from tests.tiny import planned


def study_of(**changes) -> Study:
    return parse_study({"name": "kept", "fractions": [0.5, 1.0]} | changes, "s")


def plan(**changes) -> list[PlannedRun]:
    dataset = small()
    return plan_runs(study_of(**changes), dataset, draw_folds(dataset, 1))


@pytest.mark.parametrize(
    ("keep", "half", "whole"),
    [
        ({}, NOTHING, Keep(predictions=True)),
        ({"predictions": "all"}, Keep(predictions=True), Keep(predictions=True)),
        ({"predictions": "none", "models": "best"}, Keep(models=("best",)), Keep(models=("best",))),
        ({"models": "last"}, Keep(models=("last",)), Keep(predictions=True, models=("last",))),
    ],
)
def test_what_a_run_keeps_and_that_it_moves_no_id(keep, half, whole):
    runs = plan(keep=keep)
    assert {run.spec.fraction: run.keep for run in runs} == {0.5: half, 1.0: whole}
    assert [run.id for run in runs] == [run.id for run in plan()]
    assert [PlannedRun.from_json(run.to_json()) for run in runs] == runs


def test_a_run_can_be_asked_to_keep_weights_for_another():
    assert NOTHING.with_weights("last") == Keep(models=("last",))
    best = Keep(models=("best",))
    assert best.with_weights("best") is best
    assert best.with_weights("last").files == {"model-best.safetensors", "model-last.safetensors", MODEL}


def test_plans_from_before_it_are_read():
    run = plan()[0]
    assert run.keep == NOTHING and "keep" not in run.to_json()
    assert PlannedRun.from_json(run.to_json()) == run


def test_a_study_that_keeps_what_all_keep_is_written_as_before(tmp_path):
    assert "keep" not in study_of(keep={"models": "none"}).model_dump(mode="json")
    kept = study_of(keep={"models": "best"})
    Identity(kept).write(tmp_path / "study.json")
    found = read_identity(tmp_path / "study.json")
    assert found is not None and found.study == kept


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ({"models": "all"}, "keep.models: got 'all'"),
        ({"weights": "last"}, "keep.weights"),
        ({"predictions": True}, "keep.predictions: got True"),
    ],
)
def test_faults_name_the_field(keep, message):
    with pytest.raises(StudyError, match=message):
        study_of(keep=keep)


def test_finished_runs_that_lack_a_file_are_told_with_the_remedy():
    keeping = [replace(planned(name), keep=Keep(models=("best",))) for name in ("whole", "deleted", "early", "open")]
    runs = [*keeping, planned("asked for nothing")]
    files = keeping[0].keep.files
    kept = (files, files - {MODEL}, frozenset())
    states = {run.id: Status(State.DONE, kept=held) for run, held in zip(runs, kept, strict=False)}
    states |= {runs[3].id: Status(State.PENDING), runs[4].id: Status(State.DONE)}
    assert unkept(runs, states) == runs[1:3]
    (line,) = unkept_line(runs, states)
    assert line.startswith("2 finished runs lack what keep asks for (model-best.safetensors, model.json); ")
    assert "--rerun unkept" in line
    assert unkept_line(runs[3:], states) == []
