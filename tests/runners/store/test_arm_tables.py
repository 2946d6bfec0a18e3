"""Arms in an output folder: a finished study that gets a reference, shared runs under both labels, older tables."""

from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from aggregation_lab import results
from aggregation_lab.files import file_digest
from aggregation_lab.run import DONE
from aggregation_lab.storage.sealed_json import read_sealed, write_sealed
from analysis.study import load_study
from runners.cli import main
from runners.planning.study_file import read_study_file
from runners.store.collect import collect
from runners.store.prepare import prepare
from runners.store.run_folder import State
from runners.store.study_folder import StudyFolder
from tests.made_study import finish, make_finished
from tests.tiny import STUDY, write_study

REFERENCE, TITLE = "resnet18", "ResNet18"


def tables(out: Path) -> dict[str, object]:
    return {name: results.read_table(out / f"{name}.parquet", table) for name, table in results.TABLES.items()}


def with_changes(out: Path, data: Path, **changes: object):
    """The output folder prepared again for its study with changes: the study, the folder, its runs and their states."""
    file, folder = write_study(out.parent / "study.yaml", **changes), StudyFolder(out)
    study = read_study_file(file, data=data)
    prepare(study, file, folder, lambda *_: None)
    runs = folder.read_plan()
    return study, folder, runs, folder.runs.statuses(runs)


def to_schema_1(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every table of the folder as it was written before there were arms."""
    kept = {path: results.read_table(path, results.TABLES[path.stem]) for path in out.glob("*.parquet")}
    floor = {
        path: table
        for path in out.glob("floor/*.parquet")
        for table in results.TABLES.values()
        if table.name in path.stem
    }
    frames = {path: results.read_table(path, table) for path, table in floor.items()}
    own = {path: results.read_table(path, results.RUN_TABLES[path.stem]) for path in out.glob("runs/*/*.parquet")}
    study = StudyFolder(out).read_identity()
    with monkeypatch.context() as patch:
        patch.setattr(results, "SCHEMA_VERSION", 1)
        for path, frame in kept.items():
            later = [name for name in ("arm", "start", "passes_before", "flops_before") if name in frame]
            results.write_table(frame.drop(columns=later), results.TABLES[path.stem].without(*later), path)
        for path, frame in frames.items():
            label = f"floor of {study.dataset} split {study.split}"
            results.write_table(frame.drop(columns="arm"), floor[path].without("arm"), path, label)
        for path, frame in own.items():
            results.write_table(frame, results.RUN_TABLES[path.stem].without(), path)
    for done in out.glob(f"runs/*/{DONE}"):
        digests = {path.stem: file_digest(path) for path in done.parent.glob("*.parquet")}
        write_sealed(done, read_sealed(done) | {"digests": digests})


def test_a_finished_study_continues_with_a_reference(tmp_path, tiny_original, monkeypatch):
    """Made before there were arms: what is finished stays as it is, and the reference alone is trained."""
    out = make_finished(tmp_path, tiny_original)
    to_schema_1(out, monkeypatch)
    before, plain = tables(out), {run.id: run for run in StudyFolder(out).read_plan()}
    written = {path: path.read_bytes() for path in out.glob("runs/*/*")}
    study, folder, runs, states = with_changes(out, tiny_original, reference=REFERENCE)
    new = [run for run in runs if run.id not in plain]
    assert {name for name, status in states.items() if status.state is State.DONE} == plain.keys()
    assert {states[run.id].state for run in new} == {State.PENDING} and len(new) == 4
    assert {label for run in new for label in run.labels} == {("TS", name, REFERENCE) for name in _tasks(new)}
    for run in new:
        finish(out, study, run)
    collect(folder)
    assert {path: path.read_bytes() for path in written} == written
    after = tables(out)
    for name, table in after.items():
        assert_frame_equal(table[table["arm"] == "main"].reset_index(drop=True), before[name], check_exact=True)
        rows = table[table["arm"] == REFERENCE]
        assert set(rows["aggregation"]) <= {"TS", "floor"} and len(rows)


def _tasks(runs) -> set[str]:
    return {task.name for run in runs for task in run.spec.tasks}


def test_an_arm_that_is_added_after_another_change_was_never_trained(tmp_path, tiny_original):
    """The earlier results are of the arm that they differ least from."""
    out = make_finished(tmp_path, tiny_original)
    training = STUDY["training"] | {"learning_rate": 1e-4}
    _, _, runs, states = with_changes(out, tiny_original, reference=REFERENCE, training=training)
    by_arm = {(run.labels[0].arm, states[run.id].state) for run in runs}
    assert by_arm == {("main", State.STALE), (REFERENCE, State.PENDING)}
    reasons = {status.reason for status in states.values() if status.reason}
    assert reasons == {"training.learning_rate: 0.0005 -> 0.0001"}


def test_a_run_of_two_arms_has_a_row_for_each(tmp_path, tiny_original):
    weighted = {"training.loss_weights": {"tiny_kind": 2.0}}
    out = make_finished(tmp_path, tiny_original, arms={"main": {}, "weighted": weighted})
    scores = results.read_table(out / "scores.parquet", results.SCORES)
    rows = scores[(scores["task"] == "tiny_head") & (scores["aggregation"] == "TS")]
    assert set(rows["arm"]) == {"main", "weighted"} and rows["run"].nunique() == 1
    assert scores[(scores["task"] == "tiny_kind") & (scores["aggregation"] == "TS")]["run"].nunique() == 2
    floor = scores[scores["aggregation"] == "floor"]
    assert floor.groupby("arm").size().nunique() == 1 and set(floor["arm"]) == {"main", "weighted"}


def test_an_analysis_is_of_one_arm(tmp_path, tiny_original):
    arms = {"plain": {"model.moe.experts": 0}, "split4": {}}
    out = make_finished(tmp_path, tiny_original, arms=arms, compare={"base": {"aggregation": "AU", "arm": "split4"}})
    whole = load_study(out)
    assert whole.arms == ["plain", "split4"] and whole.arm is None
    base, plain = whole.of_arm(), whole.of_arm("plain")
    assert base.arm == "split4" and base.aggregations[0] == "AU" and base.every_arm is plain.every_arm is whole
    for name in results.TABLES:
        both = [set(getattr(study, name)["arm"]) for study in (base, plain)]
        assert both == [{"split4"}, {"plain"}]
    experts = [study.manifest.settings["model"]["moe"]["experts"] for study in (base, plain)]
    assert experts == [4, 0]
    assert base.of_arm("plain").scores.equals(plain.scores)


def test_images_of_two_sizes_have_a_cache_and_a_floor_each(tmp_path, tiny_original):
    out = make_finished(tmp_path, tiny_original, arms={"main": {}, "fine": {"training.image_size": 64}})
    assert {path.name.split("-")[1] for path in (out / "cache").glob("images-*.npy")} == {"32", "64"}
    scores = results.read_table(out / "scores.parquet", results.SCORES)
    floor = scores[scores["aggregation"] == "floor"]
    assert floor.groupby("arm").size().nunique() == 1


def agglab(capsys, *words: object) -> str:
    """What a command prints."""
    with pytest.raises(SystemExit):
        main([str(word) for word in words])
    return capsys.readouterr().out


def test_commands_name_the_arm_where_there_are_several(tmp_path, tiny_original, capsys):
    arms = {"main": {}, "plain": {"model.moe.experts": 0}}
    out = make_finished(tmp_path, tiny_original, arms=arms)
    for folder in out.glob("runs/all-*"):
        (folder / DONE).unlink()
    status = agglab(capsys, "status", out)
    assert "main/AU/all f1 s0" in status and "plain/AU/all f1 s0" in status
    scores = agglab(capsys, "scores", out)
    assert "tiny, arm main: test scores" in scores and "tiny, arm plain: test scores" in scores
    board = pd.read_csv(out / "scoreboard.csv")
    assert set(board["arm"]) == {"main", "plain"} and not board.duplicated(["arm", "aggregation", "task"]).any()
    plan = agglab(capsys, "plan", tmp_path / "study.yaml", "--data", tiny_original, "--out", out, "--only", "plain/AU")
    assert "1 runs" in plan and "plain/AU" in plan and "main/" not in plan


@pytest.mark.slow
@pytest.mark.usefixtures("one_figure")
def test_the_reference_stands_beside_ts(tmp_path, tiny_original, capsys):
    """In scoreboard and report; its scores are the floor's, as all of a study that is made up."""
    out = make_finished(tmp_path, tiny_original, reference=REFERENCE, seeds=2)
    scores = agglab(capsys, "scores", out)
    assert f"{TITLE}, TS" in scores and f"TS minus {TITLE}" in scores and "arm main" not in scores
    board = pd.read_csv(out / "scoreboard.csv")
    assert set(board.loc[board["arm"] == REFERENCE, "aggregation"]) == {"TS"}
    assert set(board.loc[board["arm"] == "main", "aggregation"]) == {"TS", "CG", "AU", "floor"}
    printed = agglab(capsys, "report", out, "--draws", 100)
    page = (out / "report" / "index.html").read_text(encoding="utf-8")
    assert f"TS beside {TITLE}" in page and f"As a reference, {TITLE} (timm&#39;s {REFERENCE}" in page
    runs = [run.id for run in StudyFolder(out).read_plan()]
    assert len(runs) == 20 and all(f'id="run-{run}"' in page for run in runs)
    assert "--arm" not in printed  # a reference is no other arm to take
    table = pd.read_csv(out / "report" / "tables" / "reference.csv")
    assert len(table) == 4 and (table["difference"].abs() < 1e-9).all() and not table["weak_base"].any()


@pytest.mark.slow
@pytest.mark.usefixtures("one_figure")
def test_a_report_is_of_the_arm_that_is_asked_for(tmp_path, tiny_original, capsys):
    arms = {"main": {}, "plain": {"model.moe.experts": 0}}
    out = make_finished(tmp_path, tiny_original, arms=arms, seeds=2)
    printed = agglab(capsys, "report", out, "--draws", 100, "--arm", "plain")
    assert "arm: plain; --arm takes another one (main)" in printed
    page = (out / "report" / "index.html").read_text(encoding="utf-8")
    assert "arm plain of main and plain" in page and "this is of plain" in page and "experts (split)" not in page
    with pytest.raises(SystemExit) as end:
        main(["report", str(out), "--arm", "wide"])
    assert end.value.code == 2 and "--arm wide: the study has main, plain" in capsys.readouterr().err


def test_one_arm_with_a_name_is_a_study_like_any_other(tmp_path, tiny_original):
    """Its changes are among the settings, and the analysis is of it."""
    out = make_finished(tmp_path, tiny_original, arms={"slow": {"training.learning_rate": 1e-4}})
    study = load_study(out)
    assert list(study.manifest.arms) == study.arms == ["slow"] and study.manifest.base_arm == "slow"
    assert study.manifest.arms["slow"]["training"]["learning_rate"] == 1e-4
    assert set(study.of_arm().scores["aggregation"]) == {"TS", "CG", "AU", "floor"}
