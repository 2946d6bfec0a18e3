"""Rows of a challenge folder: where it wants its masks, however the CSV writes the path."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from aggregation_lab.errors import DataError
from aggregation_lab.inference.val_rows import read_val_rows


@pytest.fixture
def table(tiny_original: Path, tmp_path: Path) -> Path:
    """The CSV of a segmentation task in a folder without any other."""
    shutil.copytree(tiny_original / "train", tmp_path / "val")
    (wanted,) = (tmp_path / "val" / "csv_files").glob("Seg-*.csv")
    for other in (tmp_path / "val" / "csv_files").iterdir():
        if other != wanted:
            other.unlink()
    return wanted


def write(table: Path, masks: list[str]) -> None:
    pd.read_csv(table).iloc[: len(masks)].assign(mask_path=masks).to_csv(table, index=False)


@pytest.mark.parametrize("written", ["../masks/a.png", "./masks//a.png", "../masks/b/../a.png"])
def test_a_mask_has_the_place_that_its_path_means(table, written):
    write(table, [written])
    (row,) = read_val_rows(table.parents[2])
    assert row.mask == ("masks/b/a.png" if "b" in written else "masks/a.png")


def test_two_ways_to_write_one_place_are_one_place(table):
    write(table, ["../masks/a.png", "../masks//a.png"])
    with pytest.raises(DataError, match="mask_path: is that of .*, too, whose image is another"):
        read_val_rows(table.parents[2])


def test_a_mask_of_two_tasks_is_refused(table):
    """The second task's mask would be written over the first's."""
    write(table, ["../masks/a.png", "../masks/a.png"])
    rows = pd.read_csv(table)
    rows.assign(image_path=rows["image_path"][0], task_id=["one", "two"]).to_csv(table, index=False)
    with pytest.raises(DataError, match="mask_path: is that of .*, too, whose task is another"):
        read_val_rows(table.parents[2])
