"""A grid whose study got another cap: what is trained is kept, whoever trains and whatever kills it."""

import json
from collections import Counter
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from aggregation_lab.run import BEFORE_COOLDOWN, CHECKPOINT, DONE
from aggregation_lab.training.evaluation import Evaluator, Validation
from aggregation_lab.training.trainer import Trainer
from runners.commands.study_commands import show_status
from runners.options import Rerun
from runners.store import run_folder
from runners.store.other_runs import take_over as taking
from runners.store.run_folder import State, claimed, record_failure
from runners.store.study_folder import StudyFolder
from tests.runners.commands.test_cli import HERE, agglab
from tests.runners.execution.test_grid import grid, result
from tests.runners.execution.test_second_stages import opened
from tests.runners.store.other_runs.test_caps import capped_at, finish
from tests.tiny import STUDY, write_study

SAID = (
    "training.most_passes: taken over from runs with another cap, as validation ended them: 1; continued from where "
    "another cap ended them: 1\n"
)


@pytest.fixture
def out(tmp_path) -> Path:
    """A folder with two finished runs with a cap of 24, `rule` and `cap` after what ended them."""
    finish(tmp_path / "runs", capped_at(24.0, "rule"), 80, False)
    ended = capped_at(24.0, "cap")
    folder = StudyFolder(tmp_path).runs.folder(ended)
    folder.mkdir()
    (folder / BEFORE_COOLDOWN).write_text(json.dumps({"step": 50, "value": "of the earlier run", "resumes": 0}))
    finish(tmp_path / "runs", ended, 120, True, (BEFORE_COOLDOWN,))
    return tmp_path


RUNS = [capped_at(44.0, "rule"), capped_at(44.0, "cap"), capped_at(44.0, "new")]


def states(out: Path) -> list[State]:
    found = StudyFolder(out).runs.statuses(RUNS)
    return [found[run.id].state for run in RUNS]


def checkpoint(out: Path) -> Path:
    return StudyFolder(out).runs.folder(RUNS[1]) / CHECKPOINT


def test_a_grid_takes_over_and_continues_and_says_so_first(out, monkeypatch):
    _, todo, said = opened(out, RUNS, monkeypatch)
    assert [run.labels[0].unit for run in todo] == ["cap", "new"]
    assert said.endswith(f"{SAID}{out}: 3 runs, 1 finished, 2 to do, 1 at a time\n")
    assert states(out) == [State.DONE, State.PENDING, State.PENDING]
    assert json.loads(checkpoint(out).read_text())["step"] == 50
    outcome = grid(todo, out, jobs=2)
    assert len(outcome.done) == 2 and result(out, RUNS[1])["resumes"] == 1, "it began where the earlier one was"
    _, todo, said = opened(out, RUNS, monkeypatch)
    assert not todo and "most_passes" not in said


def test_a_grid_that_is_killed_while_it_takes_over_does_so_again(out, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(taking, "write_as", kill)
        with pytest.raises(Killed):
            opened(out, RUNS, patched)
    assert states(out) == [State.PENDING] * 3 and not checkpoint(out).exists()
    with monkeypatch.context() as patched:
        patched.setattr(taking, "_link_checkpoint", kill)
        with pytest.raises(Killed):
            opened(out, RUNS, patched)
    assert states(out) == [State.DONE, State.PENDING, State.PENDING]
    _, todo, said = opened(out, RUNS, monkeypatch)
    assert len(todo) == 2 and "continued from where another cap ended them: 1\n" in said and "taken over" not in said


def test_an_interrupted_run_that_goes_on_is_not_stale(out, monkeypatch):
    opened(out, RUNS, monkeypatch)
    checkpoint(out).write_text(json.dumps({"step": 52, "value": "", "resumes": 1}))
    _, todo, said = opened(out, RUNS, monkeypatch)
    assert len(todo) == 2 and "most_passes" not in said
    assert json.loads(checkpoint(out).read_text())["step"] == 52


def test_a_failed_run_goes_on_when_it_is_tried_again(out, monkeypatch):
    with claimed(StudyFolder(out).runs.folder(RUNS[1]), RUNS[1]):
        record_failure(StudyFolder(out).runs.folder(RUNS[1]), "out of memory")
    opened(out, RUNS[:2], monkeypatch, rerun=Rerun.FAILED)
    assert checkpoint(out).is_file() and states(out)[0] is State.PENDING


def test_a_run_that_another_grid_has_is_left_to_it(out, monkeypatch):
    with claimed(StudyFolder(out).runs.folder(RUNS[0]), RUNS[0]), monkeypatch.context() as patched:
        patched.setattr(run_folder.claims, "BEAT_EVERY", 60.0)
        _, todo, said = opened(out, RUNS, monkeypatch)
    assert "1 claimed by others" in said and len(todo) == 3
    assert not (StudyFolder(out).runs.folder(RUNS[0]) / DONE).exists()


def test_rerun_all_trains_everything_anew(out, monkeypatch):
    _, todo, said = opened(out, RUNS, monkeypatch, rerun=Rerun.ALL)
    assert len(todo) == 3 and "most_passes" not in said and not checkpoint(out).exists()


def test_what_is_damaged_is_named_and_trained_anew(out, monkeypatch):
    finish(out / "runs", capped_at(24.0, "rule"), 80, False, digests={"scores": "0" * 64})
    folders = [StudyFolder(out).runs.folder(capped_at(24.0, name)) for name in ("rule", "cap")]
    (folders[1] / BEFORE_COOLDOWN).write_text("damaged")
    _, todo, said = opened(out, RUNS, monkeypatch)
    assert len(todo) == 3 and not checkpoint(out).exists()
    assert (
        f"TS/rule f1 s0: is trained anew, since {folders[0] / 'scores.parquet'}: cannot be read (No such file" in said
    )
    what = f"{folders[1] / BEFORE_COOLDOWN}: its content has changed since it was written"
    assert f"TS/cap f1 s0: is trained anew, since {what}\n" in said
    assert len(grid(todo, out).done) == 3


# ---- trained for real ------------------------------------------------------------------------------------------------


@pytest.fixture
def trained_steps(monkeypatch) -> Counter[str]:
    """Steps that are trained, by id; validation says that tiny_kind rises no more, and that tiny_head always rises."""
    steps, at = Counter[str](), {"step": 0}
    evaluate, train_step = Trainer.evaluate, Trainer.train_step

    def evaluated(trainer: Trainer) -> None:
        at["step"] = trainer.step
        evaluate(trainer)

    def stepped(trainer: Trainer) -> None:
        steps[trainer.spec.id] += 1
        train_step(trainer)

    def told(_: Evaluator, cases) -> Validation:
        return Validation(at["step"] / 20 if cases.task.name == "tiny_head" else 0.5, None)

    monkeypatch.setattr(Trainer, "evaluate", evaluated)
    monkeypatch.setattr(Trainer, "train_step", stepped)
    monkeypatch.setattr(Evaluator, "validate", told)
    return steps


@pytest.mark.slow
def test_a_study_with_a_larger_cap_is_what_it_would_have_been_from_scratch(
    tmp_path, tiny_original, trained_steps, capsys
):
    def grid_of(cap: float, out: str) -> str:
        training = STUDY["training"] | {"until": "converged", "evaluations": 3, "most_passes": cap}
        changes = {"aggregations": ["TS"], "data": {"tasks": ["tiny_head", "tiny_kind"]}, "training": training}
        study = write_study(tmp_path / "study.yaml", **changes)
        where = (study, "--data", tiny_original, "--out", tmp_path / out)
        texts = [agglab(capsys, "plan", *where)[1], agglab(capsys, "run-grid", *where, *HERE)[1]]
        return "".join(texts)

    said = grid_of(0.2, "out")
    assert "checkpoints of 2 runs" in said and "if the cap ends all of them" in said and "most_passes" not in said
    first = dict(trained_steps)
    assert sorted(first.values()) == [4, 6]
    said = grid_of(0.4, "out")
    numbers = "taken over from runs with another cap, as validation ended them: 1; continued from where another cap"
    assert said.count(f"training.most_passes: {numbers} ended them: 1\n") == 2
    assert "2 runs, 1 finished, 1 to do" in said and "1 to do: 4 to 28 images" in said
    more = {run: count for run, count in trained_steps.items() if run not in first}
    assert list(more.values()) == [7], "12 steps in all, of which the first 5 were there"
    grid_of(0.4, "scratch")
    shown = StringIO()
    show_status(tmp_path / "out", Console(file=shown, width=300))
    assert "2 done" in shown.getvalue() and "most_passes" not in shown.getvalue()
    for name in ("scores", "cases", "curves", "routing"):
        one, other = (pd.read_parquet(tmp_path / folder / f"{name}.parquet") for folder in ("out", "scratch"))
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    ledgers = [pd.read_parquet(tmp_path / folder / "runs.parquet") for folder in ("out", "scratch")]
    counted = ["run", "aggregation", "unit", "steps", "images_seen", "passes", "flops", "converged"]
    pd.testing.assert_frame_equal(*(ledger[counted] for ledger in ledgers), check_exact=True)
    assert sorted(ledgers[0]["resumes"]) == [0, 1]
