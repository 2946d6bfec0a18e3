"""The real images of us-mini, where they lie beside the checkout (or where AGGLAB_US_MINI says)."""

import os
from pathlib import Path

import pytest

from aggregation_lab.data.challenge import Dataset, read_dataset
from aggregation_lab.data.splits.leakage import leakage
from aggregation_lab.data.splits.split import Split, draw_split
from tests import ROOT

BESIDE = ROOT.resolve().parent / "shared/data/us-mini"

ROWS = {
    "fetal_head": 999,
    "fetal_head_det": 204,
    "fetal_head_axis": 288,
    "breast_lesion": 647,
    "breast_3cls": 780,
    "breast_lesion_det": 220,
    "breast_lesion_caliper": 220,
    "lung_disease_3cls": 503,
    "gallbladder_ba_2cls": 421,
    "hip_plane_2cls": 51,
}


@pytest.fixture(scope="module")
def us_mini() -> Dataset:
    root = Path(os.environ.get("AGGLAB_US_MINI") or BESIDE)
    if not root.is_dir():
        reason = "us-mini is not beside the checkout; set AGGLAB_US_MINI to its folder"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return read_dataset(root)


@pytest.fixture(scope="module")
def split(us_mini: Dataset) -> Split:
    return draw_split(us_mini)


def test_tasks_and_rows(us_mini: Dataset) -> None:
    assert us_mini.cases["task"].value_counts().to_dict() == ROWS
    assert set(us_mini.tasks) == set(ROWS)


def test_patients_from_file_names(us_mini: Dataset) -> None:
    subject = us_mini.cases.set_index("case")["subject"]
    heads = "Segmentation/Two/HC18_fetal_head_999/images"
    assert subject[f"fetal_head/{heads}/010_HC.jpg"] == subject[f"fetal_head/{heads}/010_2HC.jpg"] == "hc18/010"
    assert us_mini.cases.groupby("task")["subject"].nunique()["breast_3cls"] == 780


def test_known_pair_is_one_component(us_mini: Dataset, split: Split) -> None:
    """benign (433) and malignant (145) are one file under two labels: reported, kept together, not refused."""
    folder = "Segmentation/Two/BUSI_Dataset_780"
    names = [f"breast_3cls/{folder}/{name}.jpg" for name in ("benign/benign (433)", "malignant/malignant (145)")]
    place = split.table.set_index("case").loc[names]
    assert place["component"].nunique() == 1
    assert any("benign (433)" in str(problem) and "malignant (145)" in str(problem) for problem in us_mini.warnings)


def test_near_duplicates_do_not_chain(us_mini: Dataset) -> None:
    found = leakage(us_mini, draws=2)
    assert 400 <= found.near_duplicates <= 700
    assert found.largest_component <= 30
    assert found.shared_images == 1099


def test_nothing_crosses_splits(us_mini: Dataset, split: Split) -> None:
    frame = us_mini.cases.merge(split.table, on="case")
    for column in ("content", "subject", "component"):
        assert (frame.groupby(column)["split"].nunique() == 1).all()
    place = frame.drop_duplicates("content").set_index("content")["split"]
    pairs = us_mini.near_duplicates
    assert (pairs["first"].map(place) == pairs["second"].map(place)).all()


def test_tasks_keep_their_shares_and_classes(us_mini: Dataset, split: Split) -> None:
    assert not split.warnings
    for task, rows in ROWS.items():
        assert len(split.cases("test", task)) == pytest.approx(0.15 * rows, abs=2)
        assert len(split.cases("train", task, 0.25)) == pytest.approx(0.25 * 0.7 * rows, rel=0.15, abs=0)


def test_independent_splits_would_leak(us_mini: Dataset) -> None:
    table = leakage(us_mini).table.set_index("task")
    assert table.loc["breast_lesion_det", "copies_share"] > 0.8
    assert table.loc["lung_disease_3cls", "copies"] == 0 and table.loc["lung_disease_3cls", "related_share"] > 0.8
