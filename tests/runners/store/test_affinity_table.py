"""The optional table: collected with its labels where runs have it, missed in one line where they should, checked."""

import io
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from aggregation_lab import results
from aggregation_lab.errors import ResultsError, StudyError
from aggregation_lab.files import file_digest
from aggregation_lab.run import DONE
from aggregation_lab.storage.sealed_json import read_sealed, write_sealed
from aggregation_lab.training.affinity.settings import AffinitySettings
from analysis.study import load_study
from runners.commands.plan_lines import print_recording
from runners.console.terminal import Terminal
from runners.planning.plan import PlannedRun
from runners.planning.study_file import parse_study
from runners.store.collect import DamagedResult, collect
from runners.store.run_folder import State, Status
from runners.store.run_store import unkept, unkept_line
from runners.store.study_folder import StudyFolder
from tests.made_study import make_finished
from tests.tiny import STUDY

NO_PREDICTIONS = {"predictions": "none"}  # the made runs have none


@pytest.fixture
def out(tiny_original: Path, tmp_path: Path) -> StudyFolder:
    """Six finished runs without the table, of which two have several tasks."""
    return StudyFolder(make_finished(tmp_path, tiny_original, affinity={"moments": 2}, keep=NO_PREDICTIONS))


def of_aggregation(out: StudyFolder, name: str) -> PlannedRun:
    return next(run for run in out.read_plan() if any(label.aggregation == name for label in run.labels))


def record(out: StudyFolder, run: PlannedRun) -> Path:
    """Give a finished run its table."""
    first, second = (task.name for task in run.spec.tasks[:2])
    about = {"run": run.id, "fraction": run.spec.fraction, "seed": run.spec.seed, "signal": "lookahead"}
    rows = [
        about | {"moment": moment, "step": 3 * moment, "task_i": one, "task_j": other, "value": value}
        for moment in (0, 1)
        for one, other, value in ((first, second, 0.25), (second, first, -0.5))
    ]
    folder = out.runs.folder(run)
    file = folder / "affinity.parquet"
    results.write_table(pd.DataFrame(rows)[names()], results.OPTIONAL_RUN_TABLES["affinity"], file)
    done = read_sealed(folder / DONE)
    done["digests"]["affinity"] = file_digest(file)
    write_sealed(folder / DONE, done)
    return file


def names() -> list[str]:
    return [column.name for column in results.OPTIONAL_RUN_TABLES["affinity"].columns]


def test_an_older_output_has_no_such_table_and_is_read(out):
    assert not out.table("affinity").exists()
    assert load_study(out.path).affinity is None


def test_rows_are_collected_with_labels(out):
    run = of_aggregation(out, "AU")
    record(out, run)
    collect(out)
    rows = load_study(out.path).affinity
    assert len(rows) == 4 and set(rows["run"]) == {run.id}
    assert set(rows["arm"]) == {results.ONLY_ARM} and set(rows["aggregation"]) == {"AU"}
    assert set(rows["unit"]) == {run.labels[0].unit} and set(rows["value"]) == {0.25, -0.5}


def test_a_table_that_no_run_has_any_more_is_taken_away(out):
    record(out, of_aggregation(out, "AU"))
    collect(out)
    assert out.table("affinity").exists()
    done = out.runs.folder(of_aggregation(out, "AU")) / DONE
    value = read_sealed(done)
    del value["digests"]["affinity"]
    write_sealed(done, value)
    collect(out)
    assert not out.table("affinity").exists()


def test_a_damaged_table_of_a_run_is_noticed(out):
    file = record(out, of_aggregation(out, "AU"))
    content = file.read_bytes()
    file.write_bytes(content[:200] + bytes([content[200] ^ 1]) + content[201:])
    with pytest.raises(DamagedResult, match=r"affinity\.parquet: is damaged"):
        collect(out)


def test_a_damaged_table_of_the_study_is_refused(out):
    record(out, of_aggregation(out, "AU"))
    collect(out)
    out.table("affinity").write_bytes(b"no table")
    with pytest.raises(ResultsError, match=r"affinity\.parquet"):
        load_study(out.path)


def test_finished_runs_of_several_tasks_that_lack_it_are_named_with_the_remedy(out):
    runs = out.read_plan()
    lacking = {run.id for run in unkept(runs, out.runs.statuses(runs))}
    assert lacking == {run.id for run in runs if len(run.spec.tasks) > 1} and len(lacking) == 2
    (line,) = unkept_line(runs, out.runs.statuses(runs))
    assert line.startswith("2 finished runs lack what affinity asks for (affinity.parquet); ") and "unkept" in line
    for run in runs:
        if len(run.spec.tasks) > 1:
            record(out, run)
    assert unkept_line(runs, out.runs.statuses(runs)) == []


def test_the_plan_says_what_recording_takes(out):
    runs, terminal = out.read_plan(), Terminal(file=io.StringIO(), width=300)
    print_recording(runs, terminal)
    shares = sorted(100 * run.recording for run in runs if run.affinity)
    assert isinstance(terminal.file, io.StringIO)
    said = " ".join(terminal.file.getvalue().split())
    assert said.startswith("affinity: 2 runs of several tasks record it, at 1 moment, for ")
    assert f"{shares[0]:.1f} to {shares[-1]:.1f} % more operations" in said
    long = replace(runs[-1], affinity=AffinitySettings(moments=1000), n_train=16_000)
    print_recording([long], terminal)
    assert "1000 would take short runs more than affinity.share, 5 %" in " ".join(terminal.file.getvalue().split())


def test_a_study_that_does_not_ask_lacks_nothing(tiny_original, tmp_path):
    plain = StudyFolder(make_finished(tmp_path, tiny_original, keep=NO_PREDICTIONS))
    runs = plain.read_plan()
    assert unkept(runs, {run.id: Status(State.DONE) for run in runs}) == []


def test_no_run_and_no_written_study_depends_on_it(tiny_original, tmp_path):
    for name in ("plain", "asked"):
        (tmp_path / name).mkdir()
    plain = StudyFolder(make_finished(tmp_path / "plain", tiny_original)).read_plan()
    asked = StudyFolder(make_finished(tmp_path / "asked", tiny_original, affinity={})).read_plan()
    assert [run.id for run in plain] == [run.id for run in asked]
    for one, other in zip(plain, asked, strict=True):
        several = len(one.spec.tasks) > 1
        assert "affinity" not in one.to_json() and ("affinity" in other.to_json()) == several
        assert other.affinity == (AffinitySettings() if several else None)
        assert other.flops == pytest.approx(one.flops * (1 + other.recording), rel=1e-9, abs=0)
        assert (other.moments > 0) == several
    assert "affinity" not in parse_study(STUDY, "a study").model_dump()


@pytest.mark.parametrize(
    ("value", "said"),
    [({"moments": 0}, "affinity.moments"), ({"images": 1}, "affinity.images"), ({"momments": 3}, "affinity.momments")],
)
def test_bad_settings_are_named(value, said):
    with pytest.raises(StudyError, match=said):
        parse_study(STUDY | {"affinity": value}, "a study")
