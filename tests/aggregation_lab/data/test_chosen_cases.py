"""data.tasks with other names, data.subset and the column clinical_group: what they select, and what runs are of it."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from aggregation_lab.data.challenge import read_dataset
from aggregation_lab.data.splits.folds import draw_folds
from aggregation_lab.errors import DataError, StudyError
from runners.planning.data_digests import dataset_digest
from runners.planning.plan import plan_runs
from runners.planning.study_file import parse_study
from tests.tiny import STUDY

NAMES = {"tiny_head": "skull", "tiny_head_det": "tiny_head"}


def ids(dataset) -> set[str]:
    study = parse_study({**STUDY, "data": {}}, "s")
    return {run.id for run in plan_runs(study, dataset, draw_folds(dataset, 1))}


# ---- names --------------------------------------------------------------------------------------------------------


def test_tasks_are_chosen_and_renamed_also_to_the_name_of_another(tiny_original, tiny_dataset):
    dataset = read_dataset(tiny_original, tasks=NAMES, groups={"skull": "g"})
    assert {name: str(task.type) for name, task in dataset.tasks.items()} == {
        "skull": "segmentation",
        "tiny_head": "detection",
    }
    assert dataset.tasks["skull"].group == "g"
    for old, new in NAMES.items():
        before = tiny_dataset.cases[tiny_dataset.cases["task"] == old].reset_index(drop=True)
        after = dataset.cases[dataset.cases["task"] == new].reset_index(drop=True)
        pd.testing.assert_frame_equal(
            before.drop(columns=["case", "task"]), after.drop(columns=["case", "task"]), check_exact=True
        )


def test_a_list_gives_what_the_same_names_give(tiny_original):
    one = read_dataset(tiny_original, tasks=["tiny_head", "tiny_kind"])
    other = read_dataset(tiny_original, tasks={"tiny_head": "tiny_head", "tiny_kind": "tiny_kind"})
    assert dataset_digest(one) == dataset_digest(other) and ids(one) == ids(other)


def test_other_names_make_other_runs(tiny_original, tiny_dataset):
    assert not ids(read_dataset(tiny_original, tasks={"tiny_kind": "kind"})) & ids(tiny_dataset)


def rewrite(root: Path, old: str, new: str) -> None:
    for file in (root / "train" / "csv_files").glob("*.csv"):
        file.write_text(file.read_text().replace(old, new))


def test_what_the_challenge_knows_of_a_task_stays_under_another_name(tiny_data):
    """A left-right task that is renamed must not be mirrored."""
    rewrite(tiny_data, "tiny_kind,classification,2", "fetal_head_pos_cls,classification,8")
    task = read_dataset(tiny_data, tasks={"fetal_head_pos_cls": "position"}).tasks["position"]
    assert task.laterality and not task.flips and task.group == "obstetrics"


def test_subject_rules_find_a_task_by_both_names(tiny_original):
    for name in ("tiny_kind", "kind"):
        dataset = read_dataset(tiny_original, tasks={"tiny_kind": "kind"}, subjects={name: r"(\d)\d?\.png"})
        assert set(dataset.cases["subject"].str.startswith(f"{name}/")) == {True, False}


FAULTS = {
    "not there": ({"tiny_kin": "k"}, r"tasks, tiny_kin: is no task of the data; did you mean 'tiny_kind'\?"),
    "one name": ({"tiny_head": "k", "tiny_kind": "k"}, "tasks, k: is the new name of 2 tasks; give each its own"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_names_that_cannot_be_meant(tiny_original, name):
    tasks, message = FAULTS[name]
    with pytest.raises(DataError, match=message):
        read_dataset(tiny_original, tasks=tasks)


STUDY_FAULTS = {
    "{a: b, c: b}": "data.tasks: has the same value twice (b)",
    "{a: x/y}": "data.tasks: 'x/y' is no name; take out the '/'",
    "{}": "data.tasks: got {}, it takes at least one entry",
    "{a: 1}": "data.tasks.a: got 1, it takes text",
    "[a, a]": "data.tasks: has the same value twice (a)",
    "3": "data.tasks: got 3, it takes a list",
}


@pytest.mark.parametrize("text", STUDY_FAULTS)
def test_faults_of_a_study_are_one_line(tmp_path, text):
    from runners.planning.study_file import read_study_file

    (tmp_path / "s.yaml").write_text(f"name: s\ndata: {{tasks: {text}}}\n")
    with pytest.raises(StudyError) as caught:
        read_study_file(tmp_path / "s.yaml")
    assert STUDY_FAULTS[text] in str(caught.value) and len(str(caught.value).splitlines()) == 1


# ---- subset -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [3, 6, 9, 16])
def test_a_subset_keeps_subjects_whole_and_is_drawn_the_same_again(tiny_original, tiny_dataset, most):
    dataset = read_dataset(tiny_original, subset=most)
    again = read_dataset(tiny_original, subset=most)
    pd.testing.assert_frame_equal(dataset.cases, again.cases, check_exact=True)
    for task, cases in dataset.cases.groupby("task"):
        whole = tiny_dataset.cases[tiny_dataset.cases["task"] == task]
        sizes = Counter(whole["subject"])
        assert Counter(cases["subject"]) == {subject: sizes[subject] for subject in set(cases["subject"])}
        least = 3 * 2  # three subjects of two images, or of each of two classes
        assert min(len(whole), 3) <= len(cases) <= max(most, least)
        if task == "tiny_kind":
            assert min(Counter(cases["label"]).values()) >= 3
    assert any(
        "subset, tiny_kind" in str(warning) and "not for a result" in str(warning) for warning in dataset.warnings
    )


def test_a_larger_subset_holds_the_smaller_one(tiny_original):
    parts = [set(read_dataset(tiny_original, subset=most).cases["case"]) for most in (6, 12, 18, 1000)]
    assert parts[0] < parts[1] < parts[2] < parts[3]


def test_tasks_on_the_same_images_keep_the_same_subjects(tiny_original):
    cases = read_dataset(tiny_original, subset=8).cases
    subjects = {task: set(part["subject"]) for task, part in cases.groupby("task")}
    assert len(subjects["tiny_head"] & subjects["tiny_head_det"]) >= 2


def test_a_subset_is_other_data_and_no_subset_is_the_same(tiny_original, tiny_dataset):
    part, whole = read_dataset(tiny_original, subset=12), read_dataset(tiny_original, subset=10_000)
    assert dataset_digest(part) != dataset_digest(tiny_dataset) and not ids(part) & ids(tiny_dataset)
    assert dataset_digest(whole) == dataset_digest(tiny_dataset) and ids(whole) == ids(tiny_dataset)
    assert whole.warnings == tiny_dataset.warnings


@pytest.mark.parametrize("value", ["2", "0", "half", "0.5", "true"])
def test_a_subset_is_a_number_of_cases(value):
    with pytest.raises(StudyError, match="data.subset: got"):
        import yaml

        parse_study({"name": "s", "data": {"subset": yaml.safe_load(value)}}, "s")


# ---- groups -------------------------------------------------------------------------------------------------------


def with_group(root: Path, name: str, groups: list[str]) -> None:
    file = root / "train" / "csv_files" / name
    header, *rows = file.read_text().splitlines()
    rows = [f"{row},{groups[number % len(groups)]}" for number, row in enumerate(rows)]
    file.write_text("\n".join([f"{header},clinical_group", *rows]) + "\n")


def test_a_csv_may_name_the_group_of_its_task(tiny_data, tiny_dataset):
    with_group(tiny_data, "Det-One_1.box.csv", ["obstetrics", ""])
    dataset = read_dataset(tiny_data)
    assert dataset.tasks["tiny_head_det"].group == "obstetrics" and dataset.tasks["tiny_head"].group == "tiny_head"
    assert not dataset.notes and dataset_digest(dataset) == dataset_digest(tiny_dataset)
    assert read_dataset(tiny_data, groups={"tiny_head_det": "mine"}).tasks["tiny_head_det"].group == "mine"


@pytest.mark.parametrize(
    ("groups", "message"), [(["a", "b"], "is 'b' but task tiny_head_det has 'a'"), (["a/b"], "slashes")]
)
def test_groups_that_cannot_be_meant(tiny_data, groups, message):
    with_group(tiny_data, "Det-One_1.box.csv", groups)
    with pytest.raises(DataError, match=message):
        read_dataset(tiny_data)
