"""Run folders: states follow the files, whatever a crash has left; outdated runs name what changed."""

import errno
import json
import os
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from aggregation_lab.errors import AgglabError
from aggregation_lab.files import write_json
from aggregation_lab.storage.sealed_json import write_sealed
from runners.execution.grid import print_outcome
from runners.store.other_runs.difference import difference
from runners.store.run_folder import State, Status, claimed, record_failure
from runners.store.study_folder import StudyFolder
from tests.tiny import planned

RUN = planned("lung", seed=3)


@pytest.fixture
def store(tmp_path):
    return StudyFolder(tmp_path).runs


def status(store, run=RUN):
    return store.statuses([run])[run.id]


def finish(store, run):
    write_json(store.folder(run) / "spec.json", run.spec.to_json())
    write_sealed(store.folder(run) / "done.json", {"run": run.id, "seconds": 1.0})


def test_the_life_of_a_run(store):
    assert status(store).state is State.PENDING
    folder = store.folder(RUN)
    with claimed(folder, RUN):
        assert status(store).state is State.RUNNING
        assert str(os.getpid()) in status(store).reason
    (folder / "checkpoint.pt").touch()
    assert status(store).state is State.PENDING and "continues from its checkpoint" in status(store).reason
    record_failure(folder, "no memory", "line 1\nline 2")
    assert status(store).state is State.FAILED and status(store).reason == "no memory"
    with claimed(folder, RUN) as claim:
        assert claim is None  # a failed run is not to be had
    store.forget_failures([RUN])
    with claimed(folder, RUN):
        assert status(store).state is State.RUNNING
    finish(store, RUN)
    assert status(store).state is State.DONE


def test_a_finished_run_has_kept_what_it_says_and_what_is_still_there(store):
    folder = store.folder(RUN)
    finish(store, RUN)
    assert status(store).kept == frozenset()
    kept = {"model.json": "0" * 64, "model-last.safetensors": "0" * 64}
    write_sealed(folder / "done.json", {"run": RUN.id, "seconds": 1.0, "kept": kept})
    (folder / "model.json").touch()
    (folder / "model-best.safetensors").touch()  # of an earlier attempt
    assert status(store).kept == {"model.json"}


def test_a_claim_sweeps_what_a_killed_process_left_half_written(store):
    folder = store.folder(RUN)
    folder.mkdir(parents=True)
    (folder / ".checkpoint.pt.x1.part").touch()
    (folder / "checkpoint.pt").touch()
    with claimed(folder, RUN):
        assert {path.name for path in folder.iterdir()} == {"checkpoint.pt", "claim-1.json", "spec.json"}


def test_runs_to_be_trained_anew_leave_everything_behind(store):
    folder = store.folder(RUN)
    folder.mkdir(parents=True)
    (folder / "checkpoint.pt").touch()
    for number in (1, 2):
        store.set_aside([RUN, planned("never started")])
        assert status(store) == Status(State.PENDING)
        assert (store.root.with_name("runs-set-aside") / f"{folder.name}.{number}").is_dir()
        folder.mkdir()


def test_a_run_that_was_claimed_meanwhile_is_not_set_aside(store):
    with claimed(store.folder(RUN), RUN) as claim:
        assert store.set_aside([RUN]) == []
        claim.beat()
        assert not claim.lost and status(store).state is State.RUNNING
    assert len(store.set_aside([RUN])) == 1


def test_two_grids_that_set_a_run_aside_at_once_take_two_names(store, monkeypatch):
    finish(store, RUN)
    folder, kept = store.folder(RUN), store.root.with_name("runs-set-aside")
    other = kept / f"{folder.name}.1" / "done.json"
    other.parent.mkdir(parents=True)
    other.touch()
    seen = iter([False])  # what it saw before the other was there
    real = os.path.lexists
    monkeypatch.setattr(os.path, "lexists", lambda path: next(seen, None) is not False and real(path))
    assert store.set_aside([RUN]) == [kept / f"{folder.name}.2"]
    assert status(store).state is State.PENDING and other.is_file()
    monkeypatch.undo()
    finish(store, RUN)
    kept.chmod(0o500)
    if os.access(kept, os.W_OK):
        monkeypatch.setattr(Path, "rename", _refused)  # root may write anywhere
    with pytest.raises(AgglabError, match="cannot be written"):
        store.set_aside([RUN])
    kept.chmod(0o700)


def _refused(path, target):
    raise PermissionError(errno.EACCES, "Permission denied")


def test_folders_that_vanish_at_this_moment_count_for_nothing(store, monkeypatch):
    finish(store, RUN)
    other = planned("other")
    assert store.statuses([other])[other.id] == Status(State.PENDING)
    gone = {RUN.id: store.root / "gone"}
    monkeypatch.setattr("runners.store.run_store.run_folders", lambda root: gone)
    assert store.held_by(os.getpid(), [RUN]) == []
    assert store.statuses([other])[other.id] == Status(State.PENDING) and store.extensions([other]) == {}


def test_a_folder_that_cannot_be_swept_is_told(store):
    (store.folder(RUN) / ".a.b.part").mkdir(parents=True)
    with (
        pytest.raises(AgglabError, match=r"cannot be written \(.*\); move .*/\.a\.b\.part away or choose"),
        claimed(store.folder(RUN), RUN),
    ):
        pass


def test_only_finished_runs_conclude_well(tmp_path):
    def concluded(state):
        screen = StringIO()
        states = {RUN.id: Status(state, "process 1 on elsewhere")}
        return print_outcome(
            StudyFolder(tmp_path), [RUN], states, {}, Console(file=screen, width=200)
        ), screen.getvalue()

    assert concluded(State.DONE)[0]
    assert not any(concluded(state)[0] for state in State if state is not State.DONE)
    assert "running  TS/lung f1 s3: process 1 on elsewhere" in concluded(State.RUNNING)[1]


FILES = ("spec.json", "claim-1.json", "error.json", "checkpoint.pt", "done.json")


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(contents=st.fixed_dictionaries({}, optional={file: st.sampled_from(["", "{", "[]", "{}"]) for file in FILES}))
def test_no_wreckage_makes_a_state_unreadable(tmp_path_factory, contents):
    store = StudyFolder(tmp_path_factory.mktemp("out")).runs
    folder = store.folder(RUN)
    folder.mkdir(parents=True)
    for file, text in contents.items():
        (folder / file).write_text(text)
    later = planned("lung", seed=3, learning_rate=1e-4)
    claim = contents.get("claim-1.json")  # a damaged one lives by its heartbeat, an empty one was let go
    assert status(store).state is (State.RUNNING if claim else State.PENDING)
    assert status(store, later).state in (State.PENDING, State.STALE)


def test_a_failure_that_names_a_path_of_no_text_is_recorded(store):
    record_failure(store.folder(RUN), "a\udcff.png: is damaged", "line\udcff")
    assert status(store) == Status(State.FAILED, "a\\udcff.png: is damaged")


@pytest.mark.parametrize("content", ["{", '{"message": 3}', "null", "[" * 100_000])
def test_a_damaged_error_does_not_keep_a_run_from_being_taken(store, content):
    """It says nothing, so the run is open: whoever looks and whoever claims must agree, or a worker waits for ever."""
    store.folder(RUN).mkdir(parents=True)
    (store.folder(RUN) / "error.json").write_text(content)
    assert status(store).state is State.PENDING
    with claimed(store.folder(RUN), RUN) as claim:
        assert claim is not None


@pytest.mark.parametrize(
    "claim",
    [
        {"process": "many"},
        {"process": 10**30},
        {"process": -1},
        {"process": True},
        {"host": []},
        {"birth": {}},
        {"progress": []},
        {"progress": {"step": "a", "steps": 0}},
        {"progress": {"step": 1, "steps": 2, "loss": None, "score": 0.5, "phase": "training"}},
    ],
)
def test_a_claim_of_other_types_is_read(store, claim):
    store.folder(RUN).mkdir(parents=True)
    mine = {"host": "", "namespace": "", "process": 1, "birth": "", "token": "", "job": "", "progress": {}}
    (store.folder(RUN) / "claim-1.json").write_text(json.dumps(mine | claim))
    assert status(store).state is State.RUNNING and status(store).progress is None
    assert store.held_by(1, [RUN]) == []


@pytest.mark.parametrize("name", ["claim-1.json", "done.json", "error.json", "spec.json", "checkpoint.pt"])
def test_a_folder_in_place_of_a_file_is_no_state(store, name):
    (store.folder(RUN) / name / "inside").mkdir(parents=True)
    assert status(store).state is State.PENDING


def test_what_a_run_took_is_a_number_of_seconds(store):
    for seconds in (None, "long", -1, True, 1e300, [2]):
        write_sealed(store.folder(RUN) / "done.json", {"run": RUN.id, "seconds": seconds})
        assert status(store) == Status(State.DONE, seconds=0.0)


def test_a_finished_run_with_other_settings_makes_it_stale(store):
    finish(store, RUN)
    later = planned("lung", seed=3, learning_rate=1e-4)
    found = status(store, later)
    assert found.state is State.STALE
    assert found.reason == "training.learning_rate: 0.0005 -> 0.0001"
    assert status(store, planned("lung", seed=4)).state is State.PENDING
    assert status(store, RUN).state is State.DONE  # the old settings brought back find their result


def test_a_stale_run_that_was_started_anew_is_no_longer_stale(store):
    finish(store, RUN)
    later = planned("lung", seed=3, learning_rate=1e-4)
    record_failure(store.folder(later), "nan")
    assert status(store, later).state is State.FAILED
    finish(store, later)
    assert status(store, later).state is State.DONE


def test_an_unfinished_run_with_other_settings_is_just_left(store):
    write_json(store.folder(RUN) / "spec.json", RUN.spec.to_json())
    assert status(store, planned("lung", seed=3, learning_rate=1e-4)).state is State.PENDING


def test_difference_names_fields():
    old, new = RUN.spec.to_json(), planned("lung", seed=3, image_size=96).spec.to_json()
    assert difference(old, new) == "training.image_size: 224 -> 96"
    assert difference(old, old | {"data": "x"}) == "data: its cases or their split changed"
    assert "agglab trains or scores differently" in difference(old, old | {"recipe": 99})
    weighted = json.loads(json.dumps(old))
    weighted["training"]["loss_weights"] = {"lung": 2.0}
    assert difference(old, weighted) == "training.loss_weights.lung: nothing -> 2.0"


def test_folder_is_found_by_id_whatever_its_unit_is_called(store):
    (store.root / f"renamed-f1-s3-{RUN.id}").mkdir(parents=True)
    assert store.folder(RUN).name.startswith("renamed")
