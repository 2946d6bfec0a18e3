"""The contract of the score tables, aggregations, and the identity of a run."""

from dataclasses import replace

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregation_lab import results
from aggregation_lab.aggregation import (
    Aggregation,
    Unit,
    all_task_unified,
    clinically_grouped,
    task_specific,
    user_partition,
)
from aggregation_lab.config import ModelConfig, TrainingConfig
from aggregation_lab.errors import ResultsError, StudyError
from aggregation_lab.run import RunSpec
from aggregation_lab.tasks import CHALLENGE_TASKS, Task, TaskType
from aggregation_lab.training.convergence import still_improving
from tests import ROOT


def score_frame(**change) -> pd.DataFrame:
    row = {
        "run": "r",
        "arm": "main",
        "aggregation": "TS",
        "unit": "u",
        "task": "t",
        "type": "detection",
        "group": "g",
        "fraction": 1.0,
        "seed": 0,
        "n_train": 5,
        "split": "test",
        "metric": "IoU",
        "direction": "higher",
        "value": 0.5,
        "n_cases": 3,
        "n_undefined": 0,
    }
    return pd.DataFrame([{**row, **change}])


def test_a_table_comes_back_as_it_was_written(tmp_path):
    frame = pd.concat([score_frame(), score_frame(seed=1, value=float("nan"))], ignore_index=True)
    results.write_table(frame, results.SCORES, tmp_path / "scores.parquet")
    pd.testing.assert_frame_equal(
        results.read_table(tmp_path / "scores.parquet", results.SCORES), frame, check_exact=True
    )


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (score_frame().drop(columns="seed"), "misses column seed"),
        (score_frame(extra=1), "unknown column extra"),
        (score_frame(seed="one"), "column seed must be int64"),
        (score_frame(task=None), "column task is empty in row 0"),
        (pd.concat([score_frame(), score_frame(value=0.6)]), "1 repeated row"),
    ],
)
def test_a_broken_table_is_refused_by_column(frame, message):
    with pytest.raises(ResultsError, match=message):
        results.validate(frame, results.SCORES)


def test_reading_names_the_file_at_fault(tmp_path):
    with pytest.raises(ResultsError, match="does not exist"):
        results.read_table(tmp_path / "none.parquet", results.SCORES)
    (tmp_path / "bad.parquet").write_text("no parquet")
    with pytest.raises(ResultsError, match="bad.parquet: is not a readable Parquet file"):
        results.read_table(tmp_path / "bad.parquet", results.SCORES)
    results.write_table(score_frame(), results.SCORES, tmp_path / "scores.parquet")
    with pytest.raises(ResultsError, match="holds the table scores, not cases"):
        results.read_table(tmp_path / "scores.parquet", results.CASES)


def test_append_counts_a_repeated_row_once_and_refuses_a_contradiction():
    assert len(results.append([score_frame(), score_frame()], results.SCORES)) == 1
    with pytest.raises(ResultsError, match="repeated row"):
        results.append([score_frame(), score_frame(value=0.1)], results.SCORES)


def test_no_rows_still_make_a_table_of_the_schema(tmp_path):
    results.write_table(results.append([], results.ROUTING), results.ROUTING, tmp_path / "routing.parquet")
    assert results.read_table(tmp_path / "routing.parquet", results.ROUTING).empty


TASKS = [entry.task for entry in CHALLENGE_TASKS.values()]


@given(st.sets(st.sampled_from(TASKS), min_size=1))
def test_every_paradigm_is_a_partition(tasks):
    for paradigm in (task_specific, clinically_grouped, all_task_unified):
        assert paradigm(tasks).tasks == tuple(sorted(task.name for task in tasks))


def test_the_release_has_27_tasks_and_its_rows():
    assert len(CHALLENGE_TASKS) == 27
    # the release says 40,388 rows in all; the table's counts are derived to within a few per cent
    assert sum(entry.rows for entry in CHALLENGE_TASKS.values()) == pytest.approx(40_388, rel=0.03, abs=0)


def test_faulty_partitions_are_named():
    with pytest.raises(StudyError, match="task a stands in x and in y"):
        Aggregation("mine", (Unit("x", ("a",)), Unit("y", ("a",))))
    tasks = TASKS[:3]
    names = [task.name for task in tasks]
    with pytest.raises(StudyError, match=f"misses task {names[2]}"):
        user_partition("mine", {"x": names[:2]}, tasks)
    with pytest.raises(StudyError, match="unknown task nothing"):
        user_partition("mine", {"x": [*names, "nothing"]}, tasks)
    with pytest.raises(StudyError, match="has no task"):
        user_partition("mine", {"x": names, "y": []}, tasks)


def spec(**change) -> RunSpec:
    task = Task("t", TaskType.DETECTION, 1, "g")
    fields = {"tasks": (task,), "fraction": 1.0, "seed": 0, "model": ModelConfig(), "training": TrainingConfig()}
    return RunSpec(**{**fields, "data": "d", **change})


def test_a_run_is_what_defines_its_result_and_nothing_else():
    base = spec().id
    assert spec(tasks=(Task("t", TaskType.DETECTION, 1, "another group"),)).id == base
    assert spec(training=TrainingConfig(loss_weights={"task of another unit": 2.0})).id == base
    for change in (
        {"seed": 1},
        {"fraction": 0.5},
        {"data": "other"},
        {"training": TrainingConfig(passes=3)},
        {"training": TrainingConfig(loss_weights={"t": 2.0})},
        {"model": ModelConfig(encoder="vit_base_patch16_dinov3")},
    ):
        assert spec(**change).id != base
    assert RunSpec.from_json(spec().to_json()).id == base


def test_a_local_checkpoint_counts_by_content_not_by_place():
    def with_weights(path: str, digest: str) -> str:
        return spec(model=ModelConfig(weights=path), weights=digest).id

    assert with_weights("here.pt", "1") == with_weights("there.pt", "1")
    assert with_weights("here.pt", "1") != with_weights("here.pt", "2")


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([0.1, 0.3, 0.5, 0.6, 0.7, 0.8], True),
        ([0.1, 0.5, 0.7, 0.7, 0.7, 0.705], False),
        ([0.1, 0.5, 0.8, 0.8, 0.6, 0.5], False),
        ([float("nan")] * 6, True),
    ],
)
def test_convergence_flag(curve, expected):
    assert still_improving(curve) is expected


def test_a_table_of_before_there_were_arms_is_read_as_one_arm():
    """The shipped example has the schema 1."""
    folder = ROOT / "analysis" / "examples" / "us_mini_scale"
    for name, table in results.TABLES.items():
        metadata = pq.read_schema(folder / f"{name}.parquet").metadata
        assert metadata[b"agglab_schema"] == b"1" and "arm" not in pq.read_schema(folder / f"{name}.parquet").names
        rows = results.read_table(folder / f"{name}.parquet", table)
        assert list(rows.columns) == [column.name for column in table.columns] and set(rows["arm"]) == {
            results.ONLY_ARM
        }


def test_the_schema_is_that_of_the_latest_column():
    """A column is added `since` a version that is the present one: without it, older tables would be refused."""
    columns = [column for table in (*results.TABLES.values(), results.AFFINITY) for column in table.columns]
    assert max(column.since for column in columns) == results.SCHEMA_VERSION
    assert all(column.before is not None or column.nullable for column in columns if column.since > 1)


@pytest.mark.parametrize(("type_", "before"), [(results.FLOAT, None), (results.INT, 0), (results.TEXT, "")])
def test_a_column_of_a_later_schema_is_filled_where_a_table_lacks_it(type_, before, monkeypatch):
    monkeypatch.setattr(results, "SCHEMA_VERSION", 4)
    added = results.Column("entropy", type_, "", nullable=before is None, since=4, before=before)
    table = replace(results.SCORES, columns=(*results.SCORES.columns, added))
    rows = results.read_table(ROOT / "analysis" / "examples" / "us_mini" / "scores.parquet", table)["entropy"]
    assert len(rows) and (rows.isna().all() and rows.dtype == float if before is None else (rows == before).all())
