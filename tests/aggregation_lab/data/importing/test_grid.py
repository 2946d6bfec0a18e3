"""Four tasks of four types from four formats, on the same images, through a whole grid of seconds."""

from pathlib import Path

import pytest

from aggregation_lab import results
from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import agglab, imported, read
from tests.tiny import write_study

PATIENT = ("--subject", r"(p\d+)_")


@pytest.mark.slow
def test_four_imported_tasks_are_trained_together(capsys, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(sources, "CASES", sources.draw(24))
    out = tmp_path / "data"
    for form, build in (
        ("nnunet", sources.nnunet),
        ("yolo", sources.yolo),
        ("coco", sources.coco),
        ("folder", sources.folder),
    ):
        build(tmp_path / form)
        imported(capsys, form, tmp_path / form, out, *PATIENT, "--task", f"by_{form}", "--group", "lesion")
    dataset, cases = read(out)
    assert cases["image"].nunique() == 24 and len(cases) == 96
    assert {str(task.type) for task in dataset.tasks.values()} == {
        "segmentation",
        "detection",
        "regression",
        "classification",
    }
    study = write_study(tmp_path / "study.yaml", data={"subset": 20}, aggregations=["AU"])
    here = ("--device", "cpu", "--engine", "debug")
    code, text = agglab(capsys, "run-grid", study, "--data", out, "--out", tmp_path / "runs", *here)
    assert code == 0, text
    scores = results.read_table(tmp_path / "runs" / "scores.parquet", results.SCORES)
    assert set(scores.loc[scores["aggregation"] == "AU", "task"]) == set(dataset.tasks)
