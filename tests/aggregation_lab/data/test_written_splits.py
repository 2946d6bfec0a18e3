"""Splits that somebody else wrote or changed: read where they are certain, else refused with the remedy."""

from pathlib import Path

import pytest

from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.splits.leakage import sharing
from aggregation_lab.data.splits.split import Split, draw_split
from aggregation_lab.errors import DataError
from tests.aggregation_lab.data.test_splits import make_dataset


def pairs(count: int) -> Dataset:
    """Two images of each subject."""
    return make_dataset([("box", image, image // 2, 0) for image in range(2 * count)], [])


@pytest.mark.parametrize("rank", ["nan", "1", "-0.1", "inf", "7"])
def test_a_rank_at_which_no_fraction_trains_on_its_case_is_named(tmp_path: Path, rank: str) -> None:
    draw_split(pairs(20)).save(tmp_path)
    first, second, *rest = (tmp_path / "split.csv").read_text().splitlines()
    (tmp_path / "split.csv").write_text("\n".join([first, f"{second.rpartition(',')[0]},{rank}", *rest]))
    with pytest.raises(DataError, match=rf"split\.csv: rank of box/0 is {rank}; a rank is 0 or more and less than 1"):
        Split.load(tmp_path)


def test_a_split_that_a_spreadsheet_has_saved_is_read(tmp_path: Path) -> None:
    """`CSV UTF-8` begins with a byte order mark."""
    split = draw_split(pairs(20))
    split.save(tmp_path)
    file = tmp_path / "split.csv"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert Split.load(tmp_path).digest == split.digest
    file.write_bytes(file.read_bytes().replace(b",rank", b",order"))
    with pytest.raises(DataError, match="columns are case, component, split, order, not case, component, split, rank"):
        Split.load(tmp_path)


def test_components_are_those_of_the_data_whatever_the_file_says(tmp_path: Path) -> None:
    """A split made by hand knows no components; those of the file would be counted as leaks."""
    dataset, split = pairs(20), draw_split(pairs(20))
    Split(split.table.assign(component=0)).save(tmp_path)
    loaded = Split.load(tmp_path, dataset)
    assert loaded.digest == split.digest
    assert sharing(dataset.cases, dataset.near_duplicates, loaded.table)["crossing_components"] == 0
    other_numbers = split.table.assign(component=split.table["component"] + 5)
    Split(other_numbers).save(tmp_path)
    assert Split.load(tmp_path, dataset).table["component"].tolist() == other_numbers["component"].tolist()


def test_a_file_of_folds_is_no_split(tmp_path: Path) -> None:
    draw_split(pairs(20)).save(tmp_path)
    with pytest.raises(DataError, match=r"splits_final\.json: holds folds, and the study has folds: 1"):
        Split.load(tmp_path / "splits_final.json")
