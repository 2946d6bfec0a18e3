"""One split over all tasks: nothing that belongs together is parted, shares and classes are kept, fractions nest."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregation_lab.data.challenge import Dataset, read_dataset
from aggregation_lab.data.splits.leakage import leakage
from aggregation_lab.data.splits.split import Split, draw_split, find_components
from aggregation_lab.errors import DataError
from aggregation_lab.tasks import Task, TaskType

FRACTIONS = (0.1, 0.25, 0.5, 0.75, 1.0)


def make_dataset(cases: list[tuple[str, int, int, int]], pairs: list[tuple[int, int]]) -> Dataset:
    """A data set without files, from (task, image, subject, label) and near-duplicate pairs of images."""
    types = {task: TaskType.CLASSIFICATION if task.startswith("kind") else TaskType.DETECTION for task, *_ in cases}
    records = [
        {
            "case": f"{task}/{number}",
            "task": task,
            "content": f"{image:04d}",
            "subject": f"s{subject}",
            "label": label if types[task] is TaskType.CLASSIFICATION else -1,
            "mask_content": "",
        }
        for number, (task, image, subject, label) in enumerate(cases)
    ]
    near = pd.DataFrame(
        [(f"{min(a, b):04d}", f"{max(a, b):04d}", False, 1.0) for a, b in pairs],
        columns=["first", "second", "mirrored", "correlation"],
    )
    return Dataset(
        root=Path("nowhere"),
        tasks={name: Task(name, kind, 3, name) for name, kind in sorted(types.items())},
        cases=pd.DataFrame(records),
        images=pd.DataFrame({"content": sorted({record["content"] for record in records})}),
        masks=pd.DataFrame({"mask_content": [], "mask": [], "values": []}),
        near_duplicates=near,
        warnings=(),
    )


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    """Random tasks that share random images of random subjects, and random near-duplicates."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    images = draw(st.integers(60, 150))
    subject = generator.integers(draw(st.integers(40, 400)), size=images)
    cases = []
    for number in range(draw(st.integers(1, 4))):
        task = f"{draw(st.sampled_from(['kind', 'box']))}_{number}"
        used = generator.choice(images, size=draw(st.integers(40, images)), replace=False)
        cases += [(task, int(image), int(subject[image]), int(generator.integers(3))) for image in used]
    pairs = generator.integers(images, size=(draw(st.integers(0, 25)), 2))
    return make_dataset(cases, [(int(a), int(b)) for a, b in pairs if a != b])


@settings(max_examples=60, deadline=None)
@given(datasets(), st.integers(0, 1000))
def test_no_component_crosses_splits(dataset: Dataset, seed: int) -> None:
    """Checked without the components: equal bytes, equal subject and each near-duplicate pair imply equal split."""
    split = draw_split(dataset, seed=seed)
    frame = dataset.cases.merge(split.table, on="case", validate="one_to_one")
    assert len(frame) == len(dataset.cases)
    assert (frame.groupby("content")["split"].nunique() == 1).all()
    assert (frame.groupby("subject")["split"].nunique() == 1).all()
    place = frame.drop_duplicates("content").set_index("content")["split"]
    known = dataset.near_duplicates[dataset.near_duplicates[["first", "second"]].isin(place.index).all(axis=1)]
    assert (known["first"].map(place) == known["second"].map(place)).all()


@settings(max_examples=40, deadline=None)
@given(datasets(), st.integers(0, 1000), st.randoms(use_true_random=False))
def test_row_order_does_not_matter(dataset: Dataset, seed: int, random) -> None:
    order = list(range(len(dataset.cases)))
    random.shuffle(order)
    shuffled = Dataset(**{**vars(dataset), "cases": dataset.cases.iloc[order].reset_index(drop=True)})
    assert draw_split(shuffled, seed=seed).digest == draw_split(dataset, seed=seed).digest


@settings(max_examples=40, deadline=None)
@given(datasets(), st.integers(0, 1000))
def test_fractions_nest_and_keep_components_whole(dataset: Dataset, seed: int) -> None:
    split = draw_split(dataset, seed=seed)
    kept = [set(split.cases("train", fraction=fraction)) for fraction in FRACTIONS]
    assert all(small <= large for small, large in zip(kept, kept[1:], strict=False))
    assert kept[-1] == set(split.table.loc[split.table["split"] == "train", "case"])
    assert (split.table.groupby("component")["rank"].nunique() == 1).all()
    assert split.table["rank"].between(0, 1, inclusive="left").all()
    for part in ("val", "test"):
        assert split.cases(part, fraction=0.1) == split.cases(part)


def single_images(count: int, classes: tuple[float, ...]) -> Dataset:
    labels = np.random.default_rng(0).choice(len(classes), size=count, p=classes)
    cases = [("kind", image, image, int(labels[image])) for image in range(count)]
    return make_dataset(cases + [("box", image, image, 0) for image in range(0, count, 3)], [])


def test_tasks_and_classes_keep_their_shares() -> None:
    dataset = single_images(600, (0.6, 0.35, 0.05))
    frame = dataset.cases.merge(draw_split(dataset).table, on="case")
    for _, rows in frame.groupby(["task", "label"]):
        shares = rows["split"].value_counts() / len(rows)
        assert shares["train"] == pytest.approx(0.7, abs=0.03)
        assert shares["test"] == pytest.approx(0.15, abs=0.03)


def test_fraction_keeps_about_its_share_of_every_class() -> None:
    dataset = single_images(600, (0.6, 0.35, 0.05))
    split = draw_split(dataset)
    frame = dataset.cases.merge(split.table[split.table["split"] == "train"], on="case")
    for fraction in (0.25, 0.5):
        for _, rows in frame.groupby(["task", "label"]):
            assert (rows["rank"] < fraction).sum() == pytest.approx(fraction * len(rows), abs=4)


def test_rare_class_of_three_images_is_in_every_part() -> None:
    cases = [("kind", image, image, 2 if image < 3 else image % 2) for image in range(100)]
    for seed in range(10):
        frame = make_dataset(cases, []).cases
        frame = frame.merge(draw_split(make_dataset(cases, []), seed=seed).table, on="case")
        assert set(frame.loc[frame["label"] == 2, "split"]) == {"train", "val", "test"}


def test_seeds_draw_different_splits() -> None:
    dataset = single_images(100, (0.5, 0.5))
    assert draw_split(dataset, seed=0).digest == draw_split(dataset, seed=0).digest
    assert draw_split(dataset, seed=0).digest != draw_split(dataset, seed=1).digest


def test_components_follow_chains() -> None:
    """0 and 1 share a subject, 1 and 2 are near-duplicates, 3 stands alone."""
    dataset = make_dataset([("box", 0, 0, 0), ("box", 1, 0, 0), ("box", 2, 1, 0), ("box", 3, 2, 0)], [(1, 2)])
    assert find_components(dataset) == {"0000": 0, "0001": 0, "0002": 0, "0003": 1}


@pytest.mark.parametrize("shares", [(0.7, 0.3), (0.7, 0.3, 0.0), (0.5, 0.5, 0.5)])
def test_shares_are_checked(tiny_dataset: Dataset, shares: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match="three numbers above 0 that sum to 1"):
        draw_split(tiny_dataset, shares=shares)


def test_case_lists(tiny_dataset: Dataset) -> None:
    split = draw_split(tiny_dataset)
    listed = [case for part in ("train", "val", "test") for case in split.cases(part)]
    assert sorted(listed) == sorted(tiny_dataset.cases["case"])
    assert all(case.startswith("tiny_head/") for case in split.cases("train", "tiny_head"))
    with pytest.raises(DataError, match=r"fraction 1e-06: leaves task tiny_head no training case; take more than 0\."):
        split.cases("train", "tiny_head", 1e-6)


def test_saved_split_loads_as_it_was(tiny_dataset: Dataset, tmp_path: Path) -> None:
    split = draw_split(tiny_dataset)
    split.save(tmp_path)
    for path in (tmp_path, tmp_path / "split.csv"):
        loaded = Split.load(path, tiny_dataset)
        assert loaded.digest == split.digest
        pd.testing.assert_frame_equal(loaded.table, split.table, check_dtype=False, check_exact=True)
    (fold,) = json.loads((tmp_path / "splits_final.json").read_text())
    assert fold == {part: split.cases(part) for part in ("train", "val", "test")}


def test_split_of_other_data_is_refused(tiny_dataset: Dataset, tiny_original: Path, tmp_path: Path) -> None:
    draw_split(tiny_dataset).save(tmp_path)
    fewer = read_dataset(tiny_original, tasks=["tiny_head"])
    with pytest.raises(DataError, match=r"split\.csv: knows 65 case\(s\) that the data do not have, first"):
        Split.load(tmp_path, fewer)
    draw_split(fewer).save(tmp_path)
    with pytest.raises(DataError, match=r"split\.csv: misses 65 case\(s\), first"):
        Split.load(tmp_path, tiny_dataset)


def test_split_that_parts_a_component_is_refused(tiny_dataset: Dataset, tmp_path: Path) -> None:
    split = draw_split(tiny_dataset)
    split.save(tmp_path)
    case = split.cases("test", "tiny_head")[0]
    text = (tmp_path / "split.csv").read_text()
    line = next(line for line in text.splitlines() if line.startswith(f"{case},"))
    (tmp_path / "split.csv").write_text(text.replace(line, line.replace(",test,", ",train,")))
    with pytest.raises(DataError, match="parts the component of case tiny_head"):
        Split.load(tmp_path, tiny_dataset)


@pytest.mark.parametrize("part", ["val", "test"])
def test_split_file_without_a_part_of_a_task_is_refused(tiny_dataset: Dataset, tmp_path: Path, part: str) -> None:
    table = draw_split(tiny_dataset).table
    kinds = table["case"].str.startswith("tiny_kind/")
    Split(table.assign(split=table["split"].mask(kinds & (table["split"] == part), "train"))).save(tmp_path)
    with pytest.raises(DataError, match=rf"split\.csv: split, tiny_kind: has no case in {part}: .*; give it some"):
        Split.load(tmp_path, tiny_dataset)


def test_loaded_split_keeps_its_warnings(tmp_path: Path) -> None:
    dataset = make_dataset([("kind", image, image, 2 if image == 0 else image % 2) for image in range(60)], [])
    split = draw_split(dataset)
    split.save(tmp_path)
    assert len(split.warnings) == 2 and Split.load(tmp_path, dataset).warnings == split.warnings


@pytest.mark.parametrize("content", [b"", b"case\na\n", b"\xff\xfe", b"case,component,split,rank\na,0,holdout,0.1\n"])
def test_damaged_split_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match=r"split\.csv: does not exist; draw a split first"):
        Split.load(tmp_path / "split.csv")
    (tmp_path / "split.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"split\.csv: is not a .*draw the split again"):
        Split.load(tmp_path)


def test_leakage_of_shared_and_of_separate_images() -> None:
    """Two tasks on the same images leak about the training share; a task on its own images leaks none."""
    cases = [(task, image, image, 0) for task in ("a", "b") for image in range(200)]
    cases += [("c", image, image, 0) for image in range(300, 400)]
    found = leakage(make_dataset(cases, []), draws=50)
    table = found.table.set_index("task")
    assert found.images == 300 and found.shared_images == 200 and found.components == 300
    assert table.loc["a", "copies_share"] == pytest.approx(0.7, abs=0.05)
    assert table.loc["a", "copies"] == pytest.approx(0.7 * 30, abs=2)
    assert table.loc["c", ["copies", "related", "shared"]].sum() == 0


def test_leakage_counts_related_images_of_the_same_task() -> None:
    """Two frames per patient in one task: the other frame is in training with probability of about 0.7."""
    cases = [("a", image, image // 2, 0) for image in range(400)]
    found = leakage(make_dataset(cases, [(0, 1)]), draws=50)
    row = found.table.iloc[0]
    assert row["copies"] == 0 and row["related_share"] == pytest.approx(0.7, abs=0.03)
    assert (found.near_duplicates, found.mirrored, found.largest_component) == (1, 0, 2)
