"""Rotating folds: every replicate is a split that parts nothing, and together they test every case once."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.splits.fold_files import load_folds
from aggregation_lab.data.splits.folds import Folds, draw_folds, fold_sizes
from aggregation_lab.data.splits.split import EXPORT_FILE, draw_split
from aggregation_lab.errors import DataError
from tests.aggregation_lab.data.test_splits import FRACTIONS, datasets, make_dataset

SMALL = make_dataset(
    [("kind_0", image, image // 2, image % 3) for image in range(60)]
    + [("box_1", image, image // 2, 0) for image in range(20, 80)],
    [(3, 40)],
)
"""Two tasks that share images, two images a subject, and a near-duplicate across subjects."""


@settings(max_examples=25, deadline=None)
@given(datasets(), st.integers(3, 5), st.integers(0, 1000))
def test_every_case_is_tested_once_and_nothing_is_parted(dataset: Dataset, count: int, seed: int) -> None:
    """Checked without the components: equal bytes, equal subject and near-duplicates lie in one part of each split."""
    folds = draw_folds(dataset, count, seed=seed)
    tested = [case for fold in range(count) for case in folds.split(fold).cases("test")]
    assert sorted(tested) == sorted(dataset.cases["case"])
    for fold in range(count):
        split = folds.split(fold)
        frame = dataset.cases.merge(split.table, on="case", validate="one_to_one")
        for what in ("content", "subject"):
            assert (frame.groupby(what)["split"].nunique() == 1).all()
        part = frame.drop_duplicates("content").set_index("content")["split"]
        known = dataset.near_duplicates[dataset.near_duplicates[["first", "second"]].isin(part.index).all(axis=1)]
        assert (known["first"].map(part) == known["second"].map(part)).all()
        assert split.cases("val") == folds.split((fold + 1) % count).cases("test")


@settings(max_examples=25, deadline=None)
@given(datasets(), st.integers(0, 1000))
def test_fractions_nest_in_every_replicate(dataset: Dataset, seed: int) -> None:
    folds = draw_folds(dataset, 4, seed=seed)
    for split in folds.splits:
        kept = [set(split.cases("train", fraction=fraction)) for fraction in FRACTIONS]
        assert all(small <= large for small, large in zip(kept, kept[1:], strict=False))
        assert kept[-1] == set(split.table.loc[split.table["split"] == "train", "case"])
        rank = split.table[split.table["split"] == "train"].groupby("component")["rank"].nunique()
        assert (rank == 1).all()


def test_folds_are_of_one_size_for_every_task() -> None:
    sizes = fold_sizes(draw_folds(SMALL, 5), SMALL.cases)
    assert sizes.groupby("task")["images"].sum().to_dict() == {"box_1": 60, "kind_0": 60}
    spread = sizes.groupby("task")["images"].agg(lambda images: images.max() - images.min())
    assert (spread <= 4).all(), sizes


def test_folds_do_not_depend_on_the_order_of_rows() -> None:
    shuffled = make_dataset([], [])
    object.__setattr__(shuffled, "tasks", SMALL.tasks)
    object.__setattr__(shuffled, "cases", SMALL.cases.sample(frac=1, random_state=1).reset_index(drop=True))
    object.__setattr__(shuffled, "near_duplicates", SMALL.near_duplicates)
    assert draw_folds(shuffled, 3).digest == draw_folds(SMALL, 3).digest


def test_one_fold_is_the_one_split() -> None:
    one, split = draw_folds(SMALL, 1, seed=3), draw_split(SMALL, seed=3)
    assert one.digest == split.digest
    pd.testing.assert_frame_equal(one.parts, split.table, check_exact=True)
    pd.testing.assert_frame_equal(one.split(None).table, split.table, check_exact=True)


def test_a_task_that_a_replicate_leaves_without_cases_is_named_with_fold_and_remedy() -> None:
    few = make_dataset(
        [("box_0", image, image, 0) for image in range(40)] + [("box_1", 0, 0, 0), ("box_1", 1, 1, 0)], []
    )
    with pytest.raises(DataError) as caught:
        draw_folds(few, 4)
    lines = [str(problem) for problem in caught.value.problems]
    assert lines and all("folds, box_1: has no case in " in line for line in lines)
    assert any(" of fold 2: its 2 cases form 2 components; take fewer folds, or folds: 1" in line for line in lines)


def test_a_class_that_folds_lack_is_one_warning_of_its_task() -> None:
    rare = make_dataset([("kind_0", image, image, 2 if image == 0 else image % 2) for image in range(40)], [])
    (warning,) = draw_folds(rare, 4).warnings
    assert "kind_0: has no case of class 2 in " in str(warning)
    assert str(warning).endswith(": class 2 has 1 component(s)")
    assert str(warning).count("test of fold") == 3


# ---- files ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path) -> Folds:
    folds = draw_folds(SMALL, 3)
    folds.save(tmp_path)
    return folds


def test_a_saved_table_is_read_back(saved, tmp_path) -> None:
    assert load_folds(tmp_path, 3, SMALL).digest == saved.digest
    assert load_folds(tmp_path / "folds.csv", 3).digest == saved.digest


def test_the_file_for_nnunet_has_an_entry_per_fold_and_gives_the_same_folds(saved, tmp_path) -> None:
    entries = json.loads((tmp_path / EXPORT_FILE).read_text())
    assert [sorted(entry) for entry in entries] == [["test", "train", "val"]] * 3
    assert entries[1]["test"] == saved.split(1).cases("test")
    assert load_folds(tmp_path / EXPORT_FILE, 3, SMALL).digest == saved.digest


def test_nnunets_own_file_tests_what_it_validates(saved, tmp_path) -> None:
    file = tmp_path / "own.json"
    entries = [
        {"train": split.cases("train") + split.cases("val"), "val": split.cases("test")} for split in saved.splits
    ]
    file.write_text(json.dumps(entries))
    assert load_folds(file, 3, SMALL).digest == saved.digest


def _without_first(entries: list) -> None:
    first = entries[0]["test"][0]
    for entry in entries:
        for cases in entry.values():
            if first in cases:
                cases.remove(first)


FAULTS = {
    "has 2 folds, the study folds: 3": lambda entries: entries.pop(),
    "is no list of folds, each {train: [cases], val: [cases]}": lambda entries: entries[0].pop("val"),
    "in test of two folds": lambda entries: entries[0]["test"].append(entries[1]["test"][0]),
    "val of fold 0 is not what fold 1 tests": lambda entries: entries[0]["val"].pop(),
    "train of fold 2 is not all cases of the other folds": lambda entries: entries[2]["train"].pop(),
    "misses 1 case(s), first ": _without_first,
}


@pytest.mark.parametrize("message", FAULTS)
def test_faults_of_the_file_for_nnunet_are_one_line(saved, tmp_path, message) -> None:
    file = tmp_path / EXPORT_FILE
    entries = json.loads(file.read_text())
    FAULTS[message](entries)
    file.write_text(json.dumps(entries))
    with pytest.raises(DataError) as caught:
        load_folds(file, 3, SMALL)
    assert message in str(caught.value) and str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folds_that_part_a_component_are_refused(saved, tmp_path) -> None:
    file = tmp_path / "folds.csv"
    table = pd.read_csv(file)
    first = table.index[table["component"].duplicated(keep=False)][0]
    table.loc[first, "fold"] = (table.loc[first, "fold"] + 1) % 3
    table.to_csv(file, index=False)
    with pytest.raises(DataError, match="parts the component of case"):
        load_folds(file, 3, SMALL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.assign(fold=0), "is not 3 folds with each case once"),
        (lambda table: table.assign(rank_1=np.nan), "is not 3 folds with each case once"),
        (lambda table: table.drop(columns="rank_2"), "its columns are not those of 3 folds"),
    ],
)
def test_a_damaged_table_is_refused(saved, tmp_path, change, message) -> None:
    file = tmp_path / "folds.csv"
    change(pd.read_csv(file)).to_csv(file, index=False, na_rep="nan")
    with pytest.raises(DataError, match=message.replace("(", r"\(")):
        load_folds(file, 3, SMALL)


def test_one_split_is_refused_where_folds_are_asked_for(tmp_path) -> None:
    draw_split(SMALL).save(tmp_path)
    with pytest.raises(DataError, match=r"split\.csv: is one split, and the study has folds: 3"):
        load_folds(tmp_path / "split.csv", 3, SMALL)
    with pytest.raises(DataError, match=r"folds\.csv: does not exist"):
        load_folds(tmp_path, 3, SMALL)
