"""A study with rotating folds from run-grid to report: prepared, resumed, extended, collected, analysed."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from aggregation_lab.data.splits.split import draw_split
from aggregation_lab.results import SEEDLESS
from analysis.pipeline import analyse
from analysis.study import load_study
from runners.planning.study_file import read_study_file
from runners.store.collect import collect
from runners.store.prepare import prepare, read_folder
from runners.store.study_folder import StudyFolder
from tests.made_study import finish, make_finished
from tests.runners.commands.test_cli import agglab, refused
from tests.tiny import STUDY, write_study

FOLDS = {"data": STUDY["data"] | {"folds": 3}, "aggregations": ["TS", "AU"], "seeds": 3}


@pytest.fixture(scope="module")
def original(tmp_path_factory, tiny_original) -> Path:
    folder = tmp_path_factory.mktemp("folds")
    make_finished(folder, tiny_original, **FOLDS)
    return folder


@pytest.fixture
def made(original, tmp_path) -> Path:
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    return tmp_path


def extended(made: Path, data: Path, **changes) -> StudyFolder:
    """The folder prepared again for a changed study, its new runs finished."""
    file, out = write_study(made / "study.yaml", **FOLDS | changes), StudyFolder(made / "out")
    study = read_study_file(file, data=data)
    prepare(study, file, out, lambda *_: None)
    for run in out.read_plan():
        if not (out.runs.folder(run) / "done.json").is_file():
            finish(out.path, study, run)
    collect(out)
    return out


def test_every_case_is_tested_once_and_the_floor_with_it(made):
    study = load_study(made / "out")
    assert study.manifest.folds == 3
    assert study.manifest.leakage is not None and study.manifest.leakage["crossing_components"] == 0
    cases = study.cases.drop_duplicates(["aggregation", "task", "seed", "case"])
    assert set(cases["aggregation"]) == {"TS", "AU", "floor"}
    every = set(pd.read_parquet(made / "out" / "prepared" / "cases.parquet")["case"])
    for _, rows in cases.groupby("aggregation"):
        assert sorted(rows["case"]) == sorted(every)
        assert set(rows["seed"]) == {0, 1, 2}
    by_arm = cases.groupby(["task", "seed", "aggregation"])["case"].agg(frozenset).groupby(["task", "seed"])
    assert (by_arm.nunique() == 1).all()
    assert (study.scores.groupby(["aggregation", "task"])["seed"].nunique() == 3).all()


@pytest.mark.usefixtures("one_choice")
def test_seeds_that_are_added_keep_runs_and_scores(made, tiny_original):
    before = load_study(made / "out")
    done = {path.parent.name: path.read_bytes() for path in (made / "out" / "runs").glob("*/done.json")}
    out = extended(made, tiny_original, seeds=[0, 1, 2, 4])
    assert {name: (out.path / "runs" / name / "done.json").read_bytes() for name in done} == done
    after = load_study(out.path)
    kept = after.scores[after.scores["seed"] != 4].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before.scores, check_exact=True)
    same_fold = [frozenset(after.cases.loc[after.cases["seed"] == seed, "case"]) for seed in (1, 4)]
    assert same_fold[0] == same_fold[1]
    result = analyse(after)
    assert (result.frames["gains"]["seeds"] == 4).all()
    assert any("4 seeds test 3 folds" in caveat for caveat in result.warnings)


def test_folds_of_the_folder_are_fixed(made, tiny_original, capsys):
    file, out = write_study(made / "study.yaml", **FOLDS | {"data": STUDY["data"] | {"folds": 4}}), made / "out"
    code, error = refused(capsys, "plan", file, "--data", tiny_original, "--out", out)
    assert code == 2
    assert "was made with data.folds 3, the study now has 4; choose another --out" in error


def test_lost_folds_are_drawn_again(made, tiny_original):
    file = made / "out" / "folds.csv"
    whole = file.read_bytes()
    file.unlink()
    study = read_study_file(made / "study.yaml", data=tiny_original)
    plan = prepare(study, made / "study.yaml", StudyFolder(made / "out"), lambda *_: None)
    assert file.read_bytes() == whole
    assert any("folds.csv: does not exist; drawn again" in note for note in plan.notes)


def test_a_users_folds_are_those_of_the_study(made, tiny_original, tmp_path, capsys):
    """What one study wrote for nnU-Net gives the runs of another the same ids; a file of one split is refused."""
    split = made / "out" / "splits_final.json"
    assert len(json.loads(split.read_text())) == 3
    changes = FOLDS | {"data": FOLDS["data"] | {"split": str(split)}}
    file, out = write_study(tmp_path / "again.yaml", **changes), StudyFolder(tmp_path / "again")
    prepare(read_study_file(file, data=tiny_original), file, out, lambda *_: None)
    assert [run.id for run in out.read_plan()] == [run.id for run in StudyFolder(made / "out").read_plan()]
    study = read_study_file(file, data=tiny_original)
    folder = tmp_path / "one"
    folder.mkdir()
    draw_split(read_folder(tiny_original, study.data, lambda *_: None)).save(folder)
    file = write_study(tmp_path / "one.yaml", **FOLDS | {"data": FOLDS["data"] | {"split": str(folder / "split.csv")}})
    code, error = refused(capsys, "plan", file, "--data", tiny_original, "--out", tmp_path / "new")
    assert code == 1
    assert "split.csv: is one split, and the study has folds: 3" in error


def test_validate_and_plan_speak_of_folds(made, tiny_original, capsys):
    code, text, _ = agglab(capsys, "validate", tiny_original, "--study", made / "study.yaml")
    assert code == 0 and "test images (subjects) of each fold" in text
    assert "3 folds, the seed s tests fold s mod 3: every image is tested once" in text
    code, text, _ = agglab(capsys, "plan", made / "study.yaml", "--data", tiny_original, "--out", made / "out")
    assert code == 0 and "(fold 2)" in text and "smallest fold: " in text


@pytest.mark.slow
@pytest.mark.usefixtures("one_figure", "one_choice")
def test_a_study_is_trained_resumed_and_reported(tiny_original, tmp_path, capsys):
    changes = FOLDS | {"data": {"folds": 3, "tasks": ["tiny_head_det", "tiny_kind"]}}
    file, out = write_study(tmp_path / "study.yaml", **changes), tmp_path / "out"
    grid = ["run-grid", file, "--data", tiny_original, "--out", out, "--device", "cpu", "--engine", "debug"]
    code, text, _ = agglab(capsys, *grid, "--only", "s0")
    assert code == 0 and "3 done" in text
    first = {path: path.read_bytes() for path in (out / "runs").glob("*/done.json")}
    code, text, _ = agglab(capsys, *grid)
    assert code == 0 and "9 done" in text
    assert all(path.read_bytes() == content for path, content in first.items())
    study = load_study(out)
    assert SEEDLESS not in set(study.scores["seed"])
    tested = study.cases[study.cases["aggregation"] == "AU"].drop_duplicates("case")
    assert len(tested) == len(pd.read_parquet(out / "prepared" / "cases.parquet"))
    gains = analyse(study).frames["gains"]
    assert set(gains["task"]) == {"tiny_head_det", "tiny_kind"} and (gains["seeds"] == 3).all()
    assert gains["low"].notna().all() and (gains["case_share"] + gains["seed_share"] - 1 < 1e-9).all()
    assert agglab(capsys, "report", out)[0] == 0
    methods = (out / "report" / "methods.md").read_text()
    assert "3 folds over all tasks rotate with the seeds" in methods and "Nadeau and Bengio 2003. " in methods
