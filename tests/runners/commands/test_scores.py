"""`agglab scores`: a metric or a fraction that leaves rows of some tasks, or of none."""

import pytest

from aggregation_lab.run import DONE
from tests.made_study import make_finished
from tests.runners.commands.test_cli import agglab


@pytest.fixture
def out(tmp_path, tiny_original):
    """Of a classification and a segmentation task, of which the classification alone is not finished."""
    folder = make_finished(tmp_path, tiny_original, data={"tasks": ["tiny_kind", "tiny_head"]}, aggregations=["TS"])
    (kind,) = (folder / "runs").glob("tiny_kind-*")
    (kind / DONE).unlink()
    return folder


def test_a_metric_that_no_task_has_is_refused_with_those_they_have(out, capsys):
    code, text, error = agglab(capsys, "scores", out, "--metric", "MRE")
    assert (code, text, error.count("\n")) == (2, "", 1)
    assert "--metric MRE: no task of the study has it; it takes score, " in error
    assert "AUC" in error and "DSC" in error and "MRE_relative" not in error


def test_a_table_without_a_finished_run_does_not_say_that_none_has_finished(out, capsys):
    code, text, _ = agglab(capsys, "scores", out, "--metric", "AUC")
    assert code == 0 and "tiny_kind" in text and "tiny_head" not in text
    assert "none of the runs of this table has finished yet" in text and "no run has finished yet" not in text
    code, text, _ = agglab(capsys, "scores", out, "--metric", "DSC")
    assert code == 0 and "tiny_head" in text and "tasks with a mean better than the floor: TS 0/1" in text


def test_a_study_with_a_reference_has_a_table_before_a_run_has_finished(tmp_path, tiny_original, capsys):
    data = {"tasks": ["tiny_kind", "tiny_head"]}
    out = make_finished(tmp_path, tiny_original, data=data, aggregations=["TS"], reference="resnet10t")
    for done in (out / "runs").glob(f"*/{DONE}"):
        done.unlink()
    code, text, error = agglab(capsys, "scores", out)
    assert (code, error) == (0, "") and "tiny_kind" in text
    assert "none of the runs of this table has finished yet" in text
