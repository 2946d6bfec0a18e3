"""A finished study that is changed: what tables, exit codes and the notes on readings say then. Nothing is trained."""

import shutil
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from aggregation_lab.aggregation import FLOOR
from aggregation_lab.manifest import read_manifest
from aggregation_lab.storage.sealed_json import write_sealed
from analysis.study import load_study
from runners.execution.grid import GridCall, run_study
from runners.execution.run_watch import Outcome
from runners.options import EngineName, GridOptions
from runners.planning.study_file import read_study_file
from runners.store.collect import collect
from runners.store.prepare import prepare
from runners.store.study_folder import StudyFolder
from runners.store.verdicts_seen import note_reading, read_seen
from tests.made_study import make_finished
from tests.runners.commands.test_cli import agglab
from tests.tiny import STUDY, write_study

TASKS = ["tiny_head", "tiny_kind"]
SMALL = {"aggregations": ["TS", "AU"], "seeds": 3, "data": {"tasks": TASKS}}


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_original) -> Path:
    """A finished study of two tasks and three seeds; tests work on copies."""
    folder = tmp_path_factory.mktemp("changed")
    make_finished(folder, tiny_original, **SMALL)
    return folder


@pytest.fixture
def out(made, tmp_path) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "out"


def changed(out: Path, data: Path, **changes: object) -> None:
    """The folder prepared again for its study with changes."""
    file = write_study(out.parent / "study.yaml", **SMALL | changes)
    prepare(read_study_file(file, data=data), file, StudyFolder(out), lambda *_: None)


def test_a_grid_whose_plan_was_replaced_writes_the_tables_of_the_new_one_and_says_so(out, tiny_original, monkeypatch):
    file, screen = out.parent / "study.yaml", StringIO()
    arms = {"big": {"training.passes": 0.3}, "small": {"training.passes": 0.1}}

    def meanwhile(call: GridCall, todo: object) -> Outcome:
        changed(out, tiny_original, arms=arms, seeds=2)
        return Outcome()

    monkeypatch.setattr(GridCall, "train", meanwhile)
    study, options = read_study_file(file, data=tiny_original), GridOptions(device="cpu", engine=EngineName.DEBUG)
    run_study(study, file, StudyFolder(out), options, Console(file=screen, width=300))
    scores, manifest = pd.read_parquet(out / "scores.parquet"), read_manifest(out)
    rows = scores[scores["aggregation"] != FLOOR]
    labels = {(run.id, label.arm) for run in StudyFolder(out).read_plan() for label in run.labels}
    assert set(rows[["run", "arm"]].itertuples(index=False, name=None)) <= labels
    assert set(rows["arm"]) == {"small"} and set(rows["seed"]) == {0, 1}, "the old settings, two seeds of three"
    assert (manifest.planned, manifest.finished) == (12, 6)
    said = (
        "another run-grid has changed the study meanwhile; the tables are those of its 12 runs and leave out 3 of the 9"
    )
    assert said in screen.getvalue()


def test_stale_runs_give_status_the_exit_code_of_the_grid(out, tiny_original, capsys):
    assert agglab(capsys, "status", out)[0] == 0
    changed(out, tiny_original, training=STUDY["training"] | {"learning_rate": 1e-5})
    code, text, _ = agglab(capsys, "status", out)
    assert code == 1 and "9 stale" in text
    assert agglab(capsys, "status", out, "--json")[0] == 1


def test_seeds_and_margins_of_the_first_reading_are_kept(out, tiny_original):
    folder = StudyFolder(out)
    note_reading(load_study(out))
    changed(out, tiny_original, seeds=2, margins={"default": 0.3})
    collect(folder)
    note_reading(load_study(out))
    collect(folder)
    seen, manifest = read_seen(folder), read_manifest(out)
    assert seen.seeds == manifest.verdicts_seen == ((0, 1, 2), (0, 1)) and seen.counts == [2, 3]
    assert manifest.margins_named == tuple(TASKS)
    assert manifest.margins_changed == dict.fromkeys(TASKS, (0.02, 0.3))


def test_notes_of_an_older_agglab_are_read(out):
    folder = StudyFolder(out)
    write_sealed(folder.seen_file, {"seeds": [2]})
    assert read_seen(folder).seeds == (2,) and read_seen(folder).margins is None
    note_reading(load_study(out))
    assert read_seen(folder).seeds == (2, (0, 1, 2)) and read_seen(folder).margins == dict.fromkeys(TASKS, 0.02)
