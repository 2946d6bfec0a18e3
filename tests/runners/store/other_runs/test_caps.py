"""Which finished runs with another cap a run takes over, from which it goes on, and which are none of its."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from aggregation_lab.files import file_digest, write_json
from aggregation_lab.run import BEFORE_COOLDOWN, CHECKPOINT, DONE, SPEC
from aggregation_lab.storage.sealed_json import write_sealed
from aggregation_lab.training.keep import Keep
from runners.planning.plan import PlannedRun
from runners.store.other_runs.caps import Extension, cap_line
from runners.store.run_folder import State
from runners.store.run_store import RunStore
from tests.tiny import planned

BATCH = 10
LATEST = {16.0: 80, 24.0: 120, 44.0: 220}
"""After which step the cooldown begins at the latest, by the cap in passes; a budget has 60 steps."""


def capped_at(cap: float | None, name: str = "lung", **changes) -> PlannedRun:
    """A run of a budget of 60 steps and the cap six times as many as it has passes."""
    settings = {"passes": 10.0, "batch_size": BATCH, "until": "converged", "most_passes": cap}
    return planned(name, **{"steps": 60, **settings, **changes})


def finish(
    root: Path, run: PlannedRun, start: int, capped: bool | None = None, kept: tuple[str, ...] = (), **changes
) -> Path:
    """The folder of a run that has ended with a cooldown after step `start`; kept files hold their names, or what was
    there."""
    folder = root / run.folder_name
    write_json(folder / SPEC, run.spec.to_json())
    for name in kept:
        if not (folder / name).exists():
            (folder / name).write_text(name)
    steps = start + -(-start // 5)
    digests = {name: file_digest(folder / name) for name in kept}
    known = {"run": run.id, "seconds": 9.0, "images_seen": BATCH * steps, "kept": digests}
    write_sealed(folder / DONE, {**known, **({} if capped is None else {"capped": capped}), **changes})
    return folder


def found(root: Path, run: PlannedRun) -> Extension | None:
    return RunStore(root).extensions([run]).get(run.id)


def test_the_caps_are_those_of_the_table():
    for cap, latest in LATEST.items():
        run = capped_at(cap)
        assert run.spec.training.span(run.n_train) == (72, latest + latest // 5)


@pytest.mark.parametrize(
    ("cap", "now", "start", "capped", "expected"),
    [
        (24.0, 44.0, 80, False, "whole"),
        (24.0, 44.0, 80, None, "whole"),  # of a version that did not say so: below the cap only the rule ends a run
        (24.0, 44.0, 120, False, "whole"),  # by the rule, at the very last moment
        (24.0, 44.0, 120, True, 120),
        (24.0, 44.0, 120, None, None),
        (24.0, None, 120, True, 120),  # the cap where a study names none: five times the passes
        (44.0, 24.0, 120, False, "whole"),
        (44.0, 24.0, 121, False, None),
        (44.0, 16.0, 80, None, "whole"),
        (44.0, 24.0, 220, True, None),
        (24.0, 24.05, 120, True, "whole"),  # caps of the same step
        (24.0, 44.0, 59, False, None),  # less than the budget: of no run of this one's kind
    ],
)
def test_what_is_taken_over_and_what_goes_on(tmp_path, cap, now, start, capped, expected):
    run = capped_at(now)
    folder = finish(tmp_path, capped_at(cap), start, capped, (BEFORE_COOLDOWN,) if capped else ())
    status = RunStore(tmp_path).statuses([run])[run.id]
    if expected is None:
        assert found(tmp_path, run) is None
        assert (status.state, status.reason) == (State.STALE, f"training.most_passes: {cap} -> {now}")
    elif expected == "whole":
        assert found(tmp_path, run) == Extension(folder)
        assert (status.state, status.reason) == (State.PENDING, f"takes over {folder.name}, which has another cap")
    else:
        assert found(tmp_path, run) == Extension(folder, expected)
        words = f"goes on from step {expected} of {folder.name}, which has another cap"
        assert (status.state, status.reason) == (State.PENDING, words)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1}, {"fraction": 0.5}, {"rise": 0.02}, {"patience": 0.2}, {"learning_rate": 1e-4}, {"passes": 9.0},
        {"until": "budget", "most_passes": None}, {"name": "liver"}, {"precision": "fp32"},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize(("start", "capped"), [(80, False), (120, True)])
def test_a_run_that_differs_in_more_is_another_one(tmp_path, changes, start, capped):
    settings = {"name": "lung", "cap": 24.0} | changes
    if settings.get("until") == "budget":
        other = planned("lung", steps=60, passes=10.0, batch_size=BATCH)
    else:
        other = capped_at(settings.pop("cap"), settings.pop("name"), **settings)
    finish(tmp_path, other, start, capped, (BEFORE_COOLDOWN,))
    assert found(tmp_path, capped_at(44.0)) is None


@pytest.mark.parametrize("part", ["data", "weights", "recipe"])
def test_other_data_other_weights_and_another_recipe_make_another_run(tmp_path, monkeypatch, part):
    earlier, run = capped_at(24.0), capped_at(44.0)
    if part == "recipe":
        monkeypatch.setattr("aggregation_lab.run.RECIPE", 0)
    else:
        earlier = replace(earlier, spec=replace(earlier.spec, **{part: "other"}))
    finish(tmp_path, earlier, 80)
    monkeypatch.undo()
    assert found(tmp_path, run) is None


def test_the_path_of_a_checkpoint_to_start_from_does_not_matter(tmp_path):
    def of(cap: float, path: str) -> PlannedRun:
        spec = capped_at(cap).spec
        model = spec.model.model_copy(update={"weights": path})
        return replace(capped_at(cap), spec=replace(spec, model=model, weights="digest"))

    folder = finish(tmp_path, of(24.0, "here.pt"), 80)
    assert found(tmp_path, of(44.0, "there.pt")) == Extension(folder)


def spoil(folder: Path, how: str) -> None:
    spec, done = folder / SPEC, folder / DONE
    if how == "not finished":
        done.unlink()
    elif how == "no result of it":
        done.write_bytes(done.read_bytes()[:-9])
    elif how == "of another run":
        write_sealed(done, json.loads(done.read_text()) | {"run": "0" * 12, "digest": None})
    elif how == "no images":
        write_sealed(done, {"run": capped_at(24.0).id})
    elif how == "spec of text":
        spec.write_text("half a fi")
    elif how == "spec of a run that it is not":
        write_json(spec, capped_at(30.0).spec.to_json())
    else:
        write_json(spec, json.loads(spec.read_text()) | {"model": 3})


@pytest.mark.parametrize(
    "how",
    [
        "not finished",
        "no result of it",
        "of another run",
        "no images",
        "spec of text",
        "spec of a run that it is not",
        "spec of no model",
    ],
)
@pytest.mark.parametrize(("start", "capped"), [(80, False), (120, True)])
def test_half_written_and_damaged_runs_are_not_taken_over(tmp_path, how, start, capped):
    spoil(finish(tmp_path, capped_at(24.0), start, capped, (BEFORE_COOLDOWN,)), how)
    assert found(tmp_path, capped_at(44.0)) is None


def test_a_checkpoint_that_was_deleted_is_missed_by_nobody(tmp_path):
    folder, run = finish(tmp_path, capped_at(24.0), 120, True, (BEFORE_COOLDOWN,)), capped_at(44.0)
    (folder / BEFORE_COOLDOWN).unlink()
    assert found(tmp_path, run) is None
    assert RunStore(tmp_path).statuses([run])[run.id].state is State.STALE


@pytest.mark.parametrize(
    ("asked", "had", "whole", "goes_on"),
    [
        (Keep(predictions=True), Keep(predictions=True), True, True),
        (Keep(), Keep(predictions=True, models=("best",)), True, True),
        (Keep(predictions=True, models=("last",)), Keep(), False, True),  # made at the end of the run
        (Keep(models=("best",)), Keep(models=("last",)), False, False),
    ],
)
def test_what_a_study_keeps_is_there_afterwards(tmp_path, asked, had, whole, goes_on):
    run, files = replace(capped_at(44.0), keep=asked), tuple(had.files)
    finish(tmp_path / "whole", capped_at(24.0), 80, False, files)
    finish(tmp_path / "goes_on", capped_at(24.0), 120, True, (BEFORE_COOLDOWN, *files))
    assert (found(tmp_path / "whole", run) is not None) is whole
    assert (found(tmp_path / "goes_on", run) is not None) is goes_on


def test_weights_that_others_start_from_are_asked_for_too(tmp_path):
    run = replace(capped_at(44.0), is_start=True)
    finish(tmp_path, capped_at(24.0), 80, False)
    assert found(tmp_path, run) is None
    finish(tmp_path, capped_at(24.0), 80, False, tuple(Keep(models=("last",)).files))
    assert found(tmp_path, run) is not None


def test_of_several_a_whole_one_is_taken_else_the_longest(tmp_path):
    run = capped_at(80.0)
    for cap in (24.0, 16.0):
        finish(tmp_path, capped_at(cap), LATEST[cap], True, (BEFORE_COOLDOWN,))
    assert getattr(found(tmp_path, run), "step", 0) == 120
    folder = finish(tmp_path, capped_at(44.0), 100, False)
    assert found(tmp_path, run) == Extension(folder)


def test_what_a_run_has_of_its_own_comes_first(tmp_path):
    """A checkpoint of its own is continued, and the run is as little stale as without one; a result that is there as a
    whole is taken over all the same."""
    run, store = capped_at(44.0), RunStore(tmp_path)
    finish(tmp_path, capped_at(24.0), 120, True, (BEFORE_COOLDOWN,))
    store.folder(run).mkdir()
    (store.folder(run) / CHECKPOINT).touch()
    assert store.extensions([run]) == {}
    status = store.statuses([run])[run.id]
    assert (status.state, status.reason) == (State.PENDING, "interrupted; continues from its checkpoint")
    finish(tmp_path, capped_at(30.0), 100, False)
    assert store.extensions([run])[run.id].is_whole
    finish(tmp_path, run, 100, False)
    assert store.extensions([run]) == {} and store.statuses([run])[run.id].state is State.DONE


def test_one_line_says_how_many(tmp_path):
    runs = [capped_at(44.0, name) for name in "abc"]
    assert cap_line(runs, {}) == []
    found_for = {run.id: Extension(tmp_path, step) for run, step in zip(runs, (None, None, 120), strict=True)}
    assert cap_line(runs, found_for) == [
        "training.most_passes: taken over from runs with another cap, as validation ended them: 2; continued from "
        "where another cap ended them: 1"
    ]
    assert cap_line(runs[2:], found_for) == ["training.most_passes: continued from where another cap ended them: 1"]


def test_what_is_left_of_a_run_that_goes_on():
    run = replace(capped_at(44.0), steps=264)
    assert Extension(Path("x"), 120).left(run) == pytest.approx((24 / 264, 144 / 264), rel=1e-12, abs=0)
    assert Extension(Path("x")).left(run) == (0.0, 0.0)
