"""What happens before the first worker: checks of folder, data and model, warnings, and what a plan tells."""

import errno
import json
import os
import shutil
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from rich.console import Console

from aggregation_lab.data.splits.split import draw_split
from aggregation_lab.errors import AgglabError, StudyError
from aggregation_lab.storage.sealed_json import write_sealed
from runners.commands.scoreboard import on_screen
from runners.execution import grid as grids
from runners.execution.progress import say_warnings
from runners.execution.run_watch import Outcome
from runners.planning.study_file import parse_study, read_study_file
from runners.planning.study_schema import Study
from runners.store.identity import Identity
from runners.store.ownership import check_owner
from runners.store.prepare import prepare as prepare_study
from runners.store.prepared_data import load_prepared
from runners.store.study_folder import StudyFolder
from tests.runners.commands.test_cli import agglab, refused
from tests.tiny import STUDY, write_study


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_original) -> Path:
    """A folder with a prepared study of which no run has started; tests work on copies."""
    folder = tmp_path_factory.mktemp("prepared")
    study = write_study(folder / "study.yaml")
    prepare(study, tiny_original, folder / "out")
    return folder


def prepare(study: Path, data: Path, out: Path) -> None:
    prepare_study(read_study_file(study, data=data), study, StudyFolder(out), lambda *_: None)


@pytest.fixture
def prepared(made, tmp_path) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def grid(prepared: Path, data: Path, *more: str, command: str = "run-grid") -> list[object]:
    return [command, prepared / "study.yaml", "--data", data, "--out", prepared / "out", "--device", "cpu", *more]


def test_a_folder_in_which_no_run_can_be_claimed_is_refused_before_anything_is_written(
    tiny_original, tmp_path, monkeypatch
):
    def refused(*_):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refused)
    with pytest.raises(AgglabError, match=f"^{tmp_path / 'out'}: its file system has no hard links"):
        prepare(write_study(tmp_path / "study.yaml"), tiny_original, tmp_path / "out")
    assert not os.listdir(tmp_path / "out")


def test_a_worker_of_a_study_that_another_grid_has_changed_says_so(prepared, tiny_original):
    study = prepared / "study.yaml"
    (run, *_) = StudyFolder(prepared / "out").read_plan()
    size = run.spec.training.image_size
    assert load_prepared(StudyFolder(prepared / "out")).cache_of(size).images.shape[1] == size
    fields = yaml.safe_load(study.read_text())
    fields["training"]["image_size"] = 2 * size
    study.write_text(yaml.safe_dump(fields))
    prepare(study, tiny_original, prepared / "out")
    with pytest.raises(
        StudyError, match=f"training.image_size: {size} is that of no arm any more; another run-grid has"
    ):
        load_prepared(StudyFolder(prepared / "out")).cache_of(size)


def test_structures_that_are_too_small_for_the_image_size_are_said_with_the_plan(tiny_original, tmp_path, monkeypatch):
    monkeypatch.setattr("aggregation_lab.data.lost_classes.MOST_LOST", -1)  # so that none lost is too many
    file = write_study(tmp_path / "study.yaml")
    study = read_study_file(file, data=tiny_original)
    plan = prepare_study(study, file, StudyFolder(tmp_path / "out"), lambda *_: None)
    (line,) = (note for note in plan.notes if "too small" in note)
    assert line.startswith("task tiny_head: masks of 32 px have lost class 1 in 0 of ")


def test_pending_runs_that_were_not_asked_for_give_exit_code_1(prepared, tiny_original, capsys):
    code, text, _ = agglab(capsys, *grid(prepared, tiny_original, "--rerun", "failed"))
    assert code == 1 and "0 to do" in text and "6 pending; tables in" in text


def test_interrupted_advice_does_not_repeat_what_is_done_already(prepared, tiny_original, capsys, monkeypatch):
    monkeypatch.setattr(grids, "run_pool", lambda *_, **options: Outcome(interrupted=True))
    code, text, _ = agglab(capsys, *grid(prepared, tiny_original, "--rerun", "all"))
    assert code == 130 and "interrupted; the same command without --rerun all continues" in text


def test_a_model_that_cannot_be_built_is_told_before_any_worker_starts(prepared, tiny_original, capsys, monkeypatch):
    monkeypatch.delattr(grids, "run_pool")
    for change, message in (({"encoder": "vit_minute"}, "unknown encoder"), ({"moe": {"blocks": 99}}, "has 12 blocks")):
        write_study(prepared / "study.yaml", model=STUDY["model"] | change)
        code, error = refused(capsys, *grid(prepared, tiny_original))
        assert code == 2 and message in error
    assert not (prepared / "out" / "runs").exists()


DAMAGES = [
    ([], "was not written by agglab"),
    ({"name": "mine"}, "was not written by agglab"),
    ({"format": 9, "study": {}, "dataset": None, "split": None}, "has format 9, this agglab reads 1"),
    ({"format": 1, "study": [], "dataset": None, "split": None}, "its settings are not valid in this agglab"),
    ({"format": 1, "study": {"name": "x", "seeds": 0}, "dataset": None, "split": None}, "seeds: takes a number"),
]


@pytest.mark.parametrize(("content", "message"), DAMAGES, ids=["list", "keys", "format", "no study", "settings"])
def test_a_foreign_or_damaged_identity_is_one_line(prepared, tiny_original, capsys, content, message):
    file = prepared / "out" / "study.json"
    if isinstance(content, dict):
        write_sealed(file, content)
    else:
        file.write_text(json.dumps(content))
    for command in (["status", prepared / "out"], grid(prepared, tiny_original), grid(prepared, tiny_original)[:6]):
        code, error = refused(capsys, *command)
        assert code == 2 and str(file) in error and message in error and "choose another folder" in error


def test_planning_into_the_folder_of_other_data_is_refused(prepared, tiny_data, tiny_original, capsys):
    table = tiny_data / "train" / "csv_files" / "Cls-Two_1.kinds, first.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    error = refused(capsys, *grid(prepared, tiny_data, command="plan"))[1]
    assert "was made from another data set: 1 is gone (tiny_kind/" in error and "is new" not in error


def test_what_is_other_about_the_data_is_named(prepared, tiny_data, capsys):
    """A pixel of one image, which two tasks share, so two cases; the others are as they were."""
    image = tiny_data / "train" / "Segmentation" / "Three" / "HC18_tiny" / "images" / "001_HC.png"
    pixels = np.array(Image.open(image))
    pixels[0, 0] ^= 255
    Image.fromarray(pixels).save(image)
    error = refused(capsys, *grid(prepared, tiny_data, command="plan"))[1]
    assert "cases are changed (" in error and "001_HC.png (image)" in error
    assert " gone" not in error and " new" not in error


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"subset": 12}, "was made with data.subset none, the study now has 12; choose another --out"),
        (
            {"subjects": {"tiny_kind": "kind (..)"}},
            'with data.subjects none, the study now has {"tiny_kind": "kind (..)"}',
        ),
    ],
)
def test_a_field_that_makes_other_data_of_the_same_files_is_named(prepared, tiny_original, capsys, change, said):
    write_study(prepared / "study.yaml", data=STUDY["data"] | change)
    assert said in refused(capsys, *grid(prepared, tiny_original, command="plan"))[1]


@pytest.mark.parametrize("command", ["plan", "run-grid"])
def test_data_that_are_not_given_again_are_asked_for_before_phantoms_are_drawn(
    prepared, tiny_original, capsys, command
):
    words = [word for word in grid(prepared, tiny_original, command=command) if word not in ("--data", tiny_original)]
    assert f"was made from the data in {tiny_original}; give --data" in refused(capsys, *words)[1]
    assert not (prepared / "out" / "data").exists()


def test_data_in_place_of_phantoms_are_refused_and_the_phantoms_themselves_are_not(tmp_path, tiny_original):
    folder, phantoms = StudyFolder(tmp_path / "out"), parse_study({"name": "x"}, "x")
    Identity(phantoms, "digest").write(folder.identity_file)

    def of(root: Path) -> Study:
        return phantoms.model_copy(update={"data": phantoms.data.model_copy(update={"root": root})})

    check_owner(folder, of(folder.data))
    with pytest.raises(StudyError, match="was made from phantoms, the study now has the data in .*; leave --data"):
        check_owner(folder, of(tiny_original))


def test_planning_with_another_split_is_refused(prepared, tiny_dataset, tiny_original, capsys):
    draw_split(tiny_dataset, seed=7).save(prepared)
    write_study(prepared / "study.yaml", data=STUDY["data"] | {"split": "split.csv"})
    assert "was made from another split" in refused(capsys, *grid(prepared, tiny_original, command="plan"))[1]


def test_a_given_split_that_is_taken_out_of_the_study_is_not_described_as_drawn(
    tmp_path, tiny_dataset, tiny_original, capsys
):
    given = STUDY["data"] | {"split": "split.csv"}
    for seed, refusal in ((7, True), (0, False)):
        draw_split(tiny_dataset, seed=seed).save(tmp_path)
        study, out = write_study(tmp_path / "study.yaml", data=given), tmp_path / f"out{seed}"
        prepare(study, tiny_original, out)
        write_study(study)
        command = ["plan", study, "--data", tiny_original, "--out", out, "--device", "cpu"]
        if refusal:
            assert "was made with the split of data.split" in refused(capsys, *command)[1]
        else:
            assert agglab(capsys, *command)[0] == 0, "the study draws the very same one"


def test_a_first_preparation_that_failed_binds_nobody(tmp_path, tiny_original, capsys):
    study, out = (
        write_study(tmp_path / "study.yaml", data=STUDY["data"] | {"shares": [0.98, 0.01, 0.01]}),
        tmp_path / "out",
    )
    command = ["run-grid", study, "--data", tiny_original, "--out", out, "--device", "cpu", "--rerun", "failed"]
    assert "split, tiny_head_det: has no case in test" in refused(capsys, *command)[1] and (out / "study.json").exists()
    code, error = refused(capsys, "status", out)
    assert code == 2 and "is not planned yet; `agglab run-grid` is preparing it, or was stopped" in error
    write_study(study, name="other", data=STUDY["data"] | {"split_seed": 3})
    assert "0 to do" in agglab(capsys, *command)[1]
    write_study(study, name="third", data=STUDY["data"] | {"split_seed": 3})
    assert "belongs to the study other, not third" in refused(capsys, *command)[1]


def test_another_image_size_gets_its_own_floor_and_cache(prepared, tiny_original, capsys):
    command = grid(prepared, tiny_original, command="plan")
    assert "images cached at 32 px" in agglab(capsys, *command)[1]
    write_study(prepared / "study.yaml", training=STUDY["training"] | {"image_size": 48})
    assert "images not cached yet at 48 px" in agglab(capsys, *command)[1]
    prepare(prepared / "study.yaml", tiny_original, prepared / "out")
    floors = [pd.read_parquet(file) for file in sorted(prepared.glob("out/floor/*px*-scores.parquet"))]
    assert len(floors) == 2 and not floors[0]["value"].equals(floors[1]["value"])


def test_plan_tells_passes_and_what_min_steps_lifts(prepared, tiny_original, capsys):
    _, text, _ = agglab(capsys, *grid(prepared, tiny_original, command="plan"))
    assert "min_steps gives 6 of 6 units more passes than the study's 0.1: TS/tiny_head f1" in text
    assert text.count(" passes ") == 6 + 1


def test_warnings_on_the_data_are_shown(tmp_path, tiny_original, capsys):
    study = write_study(tmp_path / "study.yaml", data=STUDY["data"] | {"subjects": {"tiny_kind": "^(nobody)"}})
    code, text, _ = agglab(capsys, "plan", study, "--data", tiny_original, "--out", tmp_path / "out")
    assert code == 0 and "warning  subjects, tiny_kind: finds nothing in" in text


def test_many_warnings_are_cut_short():
    screen = StringIO()
    say_warnings(Console(file=screen, width=200), [f"number {number}" for number in range(7)])
    lines = screen.getvalue().splitlines()
    assert lines[0] == "warning  number 0" and lines[5:] == ["and 2 more; `agglab validate` lists all"]


def test_validate_checks_the_split_file_of_the_study(tmp_path, tiny_dataset, tiny_original, capsys):
    draw_split(tiny_dataset).save(tmp_path)
    study = write_study(tmp_path / "study.yaml", data=STUDY["data"] | {"split": "split.csv"})
    assert agglab(capsys, "validate", tiny_original, "--study", study)[0] == 0
    file = tmp_path / "split.csv"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    code, text, _ = agglab(capsys, "validate", tiny_original, "--study", study)
    assert code == 1 and "misses 1 case" in text


def test_ctrl_c_before_the_workers_start_is_one_line(tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(grids, "prepare", interrupted)
    study = write_study(tmp_path / "study.yaml")
    code, _, errors = agglab(capsys, "run-grid", study, "--out", tmp_path / "out", "--device", "cpu")
    assert (code, errors) == (130, "interrupted\n")


@pytest.mark.parametrize(("seeds", "shown"), [((3, 3), False), ((3, 2), True)])
def test_uneven_numbers_of_seeds_are_shown(seeds, shown):
    names = ["TS", "AU", "floor"]
    board = pd.DataFrame({"aggregation": names, "seeds": [*seeds, 1], "mean": [0.812, 0.8, 0.5]}).assign(
        group="g", task="t", metric="DSC", direction="higher", sd=0.01, beats_floor=[True, True, False]
    )
    screen = StringIO()
    Console(file=screen, width=200).print(on_screen(board, names[:2], "x"))
    assert ("0.812 ± 0.010 (3 seeds) *" in screen.getvalue()) is shown
    assert "(1 seed)" not in screen.getvalue()
