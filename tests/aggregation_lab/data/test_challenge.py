"""A folder in the challenge's layout becomes one validated case table."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance, ImageOps

from aggregation_lab.data.challenge import Dataset, read_dataset
from aggregation_lab.data.images.near_duplicates import near_duplicates
from aggregation_lab.data.subjects.subject_rules import CHALLENGE_RULES, source_folder
from aggregation_lab.tasks import CHALLENGE_TASKS, TaskType

CASE_COLUMNS = ["case", "task", "image", "mask", "label", "box", "points"]
CASE_COLUMNS += ["height", "width", "subject", "content", "mask_content"]
HEAD = "Segmentation/Three/HC18_tiny/images"


def test_case_table(tiny_dataset: Dataset) -> None:
    cases = tiny_dataset.cases.set_index("case")
    assert list(tiny_dataset.cases.columns) == CASE_COLUMNS
    assert cases.groupby("task").size().to_dict() == {
        "tiny_head": 28,
        "tiny_head_det": 20,
        "tiny_head_axis": 20,
        "tiny_kind": 25,
    }
    assert cases.index.is_unique
    assert (cases["height"] == 48).all() and (cases["width"] == 64).all()
    detection = cases.loc[f"tiny_head_det/{HEAD}/000_HC.png"]
    assert len(detection["box"]) == 4 and detection["mask"] == "" and detection["label"] == -1
    regression = cases.loc[f"tiny_head_axis/{HEAD}/005_HC.png"]
    assert len(regression["points"]) == 2 and len(regression["points"][0]) == 2 and regression["box"] is None
    assert cases.loc["tiny_kind/Classification/Two/Kinds, of\u00a0lesion (24)/kind 01.png", "label"] == 1


def test_tasks_are_described_by_their_rows(tiny_dataset: Dataset) -> None:
    task = tiny_dataset.tasks["tiny_head"]
    assert (task.type, task.classes, task.group) == (TaskType.SEGMENTATION, 3, "tiny_head")
    assert tiny_dataset.tasks["tiny_head_axis"].classes == 2
    assert tiny_dataset.tasks["tiny_head_det"].classes == 1


def test_groups_of_the_study_come_first(tiny_data: Path) -> None:
    path = tiny_data / "train/csv_files/Cls-Two_1.kinds, first.csv"
    for file in (path, path.with_name("Cls-Two_2.kinds, second.csv")):
        file.write_text(file.read_text().replace("tiny_kind", "breast_2cls"))
    dataset = read_dataset(tiny_data, groups={"tiny_head": "obstetrics"})
    assert dataset.tasks["breast_2cls"] == CHALLENGE_TASKS["breast_2cls"].task
    assert dataset.tasks["tiny_head"].group == "obstetrics"
    assert dataset.tasks["tiny_head_det"].group == "tiny_head_det"


def test_only_the_chosen_tasks_are_read(tiny_data: Path) -> None:
    dataset = read_dataset(tiny_data, tasks=["tiny_head_det"])
    assert set(dataset.cases["task"]) == set(dataset.tasks) == {"tiny_head_det"}
    assert len(dataset.images) == 20 and dataset.masks.empty


def test_tasks_that_tell_left_from_right_are_not_mirrored(tiny_data: Path) -> None:
    """The challenge's own are known; those of the user are named."""
    path = tiny_data / "train/csv_files/Seg-Three_1.HC18_tiny.csv"
    labels = "task_id,task_name,num_classes,image_path,mask\n"
    labels += "".join(f"fetal_head_pos_cls,classification,8,../{HEAD}/{n:03d}_HC.png,{n % 8}\n" for n in range(14))
    path.with_name("Cls-Eight_1.sides.csv").write_text(labels)
    tasks = read_dataset(tiny_data, laterality=["tiny_kind"]).tasks
    assert {name for name, task in tasks.items() if task.laterality} == {"tiny_kind", "fetal_head_pos_cls"}
    assert tasks["tiny_head"].flips and not tasks["tiny_kind"].flips


@pytest.mark.parametrize("place", ["", "train", "train/train"])
def test_train_folder_is_found_where_archives_put_it(tiny_data: Path, tmp_path: Path, place: str) -> None:
    root = tmp_path / "elsewhere"
    shutil.copytree(tiny_data / "train", root / place)
    dataset = read_dataset(root)
    assert dataset.root == root / place
    assert len(dataset.cases) == 93


def test_row_order_and_byte_order_mark_do_not_matter(tiny_data: Path, tiny_dataset: Dataset) -> None:
    for path in (tiny_data / "train/csv_files").iterdir():
        header, *rows = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join([header, *rows[::-1]]) + "\n", encoding="utf-8-sig")
    pd.testing.assert_frame_equal(read_dataset(tiny_data).cases, tiny_dataset.cases, check_exact=True)


def test_repeated_row_counts_once_with_a_warning(tiny_data: Path, tiny_dataset: Dataset) -> None:
    path = tiny_data / "train/csv_files/Det-One_1.box.csv"
    first = path.read_text().splitlines()[1]
    path.write_text(path.read_text() + first + "\n")
    dataset = read_dataset(tiny_data)
    pd.testing.assert_frame_equal(dataset.cases, tiny_dataset.cases, check_exact=True)
    (warning,) = (str(problem) for problem in dataset.warnings)
    assert "line 22" in warning and f"same target in csv_files/{path.name} line 2" in warning


def test_the_same_target_in_another_file_is_a_case_of_its_own(tiny_data: Path) -> None:
    path = tiny_data / "train/csv_files/Seg-Three_1.HC18_tiny.csv"
    masks = tiny_data / "train/Segmentation/Three/HC18_tiny/masks"
    shutil.copy(masks / "000_HC.png", masks / "copy.png")
    first = path.read_text().splitlines()[1]
    path.write_text(path.read_text() + first.replace("masks/000_HC.png", "masks/copy.png") + "\n")
    dataset = read_dataset(tiny_data)
    cases = dataset.cases["case"]
    assert f"tiny_head/{HEAD}/000_HC.png#2" in set(cases) and cases.is_unique
    (warning,) = (str(problem) for problem in dataset.warnings)
    assert "line 30" in warning and f"same target in csv_files/{path.name} line 2 of task tiny_head" in warning


def test_second_box_of_an_image_is_a_warning(tiny_data: Path) -> None:
    path = tiny_data / "train/csv_files/Det-One_1.box.csv"
    first = path.read_text().splitlines()[1].split(",")
    path.write_text(path.read_text() + ",".join([*first[:5], "1", "2", "3", "4"]) + "\n")
    (warning,) = (str(problem) for problem in read_dataset(tiny_data).warnings)
    assert "line 22" in warning and "another box" in warning


def test_scan_is_remembered_and_renewed(tiny_data: Path, tmp_path: Path) -> None:
    memory, calls = tmp_path / "scan.parquet", []
    first = read_dataset(tiny_data, scan_file=memory, progress=lambda what, done, total: calls.append((what, total)))
    assert ("reading images", 81) in calls
    calls.clear()
    again = read_dataset(tiny_data, scan_file=memory, progress=lambda what, done, total: calls.append((what, total)))
    assert not calls
    pd.testing.assert_frame_equal(first.cases, again.cases, check_exact=True)
    image = tiny_data / "train" / HEAD / "000_HC.png"
    Image.fromarray(np.full((48, 64), 9, np.uint8)).save(image)
    changed = read_dataset(tiny_data, scan_file=memory, progress=lambda what, done, total: calls.append((what, total)))
    assert ("reading images", 1) in calls
    assert (changed.cases["content"] != first.cases["content"]).sum() == 2
    memory.write_bytes(b"damaged")
    pd.testing.assert_frame_equal(read_dataset(tiny_data, scan_file=memory).cases, changed.cases, check_exact=True)


def test_colour_and_deep_images_are_read(tiny_data: Path) -> None:
    folder = tiny_data / "train" / HEAD
    with Image.open(folder / "000_HC.png") as image:
        grey = np.asarray(image)
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(folder / "000_HC.png")
    Image.fromarray(np.stack([grey, grey, 255 - grey], axis=-1)).save(folder / "001_HC.png")
    Image.fromarray(grey.astype(np.uint16) * 256).save(folder / "002_HC.png")
    images = read_dataset(tiny_data).images.set_index("image")
    assert images.loc[f"{HEAD}/000_HC.png", "grey"] and images.loc[f"{HEAD}/002_HC.png", "grey"]
    assert not images.loc[f"{HEAD}/001_HC.png", "grey"]
    shallow, deep = (
        np.frombuffer(images.loc[f"{HEAD}/{name}_HC.png", "thumbnail"], np.uint8) for name in ("000", "002")
    )
    np.testing.assert_allclose(shallow.astype(int), deep.astype(int), rtol=0, atol=1)  # 255 * 256 is not quite 65535


def test_subjects_are_the_same_for_every_task(tiny_dataset: Dataset) -> None:
    cases = tiny_dataset.cases
    assert (cases.groupby("content")["subject"].nunique() == 1).all()
    heads = cases[cases["task"] == "tiny_head"]
    assert heads["subject"].nunique() == 14 and set(heads["subject"].value_counts()) == {2}
    assert cases.loc[cases["task"] == "tiny_kind", "subject"].nunique() == 25


def test_user_rule_for_one_task_holds_for_the_folder(tiny_data: Path) -> None:
    dataset = read_dataset(tiny_data, subjects={"tiny_head_det": r"/\d\d(\d)_"})
    heads = dataset.cases[dataset.cases["task"] != "tiny_kind"]
    assert set(heads["subject"]) == {f"tiny_head_det/{digit}" for digit in range(10)}


def test_rule_may_name_a_csv_and_misses_are_a_warning(tiny_data: Path) -> None:
    dataset = read_dataset(tiny_data, subjects={"Cls-Two_1*": r"kind (\d)"})
    kinds = dataset.cases[dataset.cases["task"] == "tiny_kind"]
    assert kinds["subject"].nunique() == 4  # three tens, and copy.png
    assert any("1 of 25 file names" in str(warning) for warning in dataset.warnings)


def test_subject_column_wins_and_holds_in_every_folder(tiny_data: Path) -> None:
    for name in ("Seg-Three_1.HC18_tiny.csv", "Cls-Two_1.kinds, first.csv"):
        path = tiny_data / "train/csv_files" / name
        header, *rows = path.read_text(encoding="utf-8").splitlines()
        lines = [f"{header},subject_id", *(f"{row},{number // 4}" for number, row in enumerate(rows))]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    cases = read_dataset(tiny_data).cases
    heads, kinds = cases[cases["task"] == "tiny_head_det"], cases[cases["task"] == "tiny_kind"]
    assert set(heads["subject"]) == {f"subject_id/{number}" for number in range(5)}
    assert set(heads["subject"]) & set(kinds["subject"]) == {f"subject_id/{number}" for number in range(3)}


@pytest.mark.parametrize(
    ("path", "folder", "subject"),
    [
        ("Classification/Eight/pos/clip 7.zhc_0031.png", "pos", "video/clip 7"),
        (
            "Classification/Six/PLANES_12,400/Patient00168_Plane3_1_of_2.png",
            "PLANES_12,400",
            "fetal-planes/Patient00168",
        ),
        ("Regression/fetal_femur/Patient00168_Plane5_1_of_1.png", "fetal_femur", "fetal-planes/Patient00168"),
        ("Segmentation/Two/HC18_fetal_head_999/images/010_2HC.jpg", "HC18_fetal_head_999", "hc18/010"),
        ("Segmentation/Two/BUSI_Dataset_780/benign/benign (1).jpg", "BUSI_Dataset_780", None),
    ],
)
def test_known_file_names(path: str, folder: str, subject: str | None) -> None:
    assert source_folder(path) == folder
    texts = (rule.subject(path) for rule in CHALLENGE_RULES if rule.fits([folder]))
    assert next((text for text in texts if text), None) == subject


def test_mirrored_copy_is_found(tiny_dataset: Dataset) -> None:
    image = tiny_dataset.images.set_index("content")["image"]
    pairs = tiny_dataset.near_duplicates
    (pair,) = pairs[pairs["mirrored"]].itertuples()
    assert {re.sub(".*/", "", image[pair.first]), re.sub(".*/", "", image[pair.second])} == {"copy.png", "kind 00.png"}


def _altered(image: Image.Image) -> dict[str, Image.Image]:
    width, height = image.size
    small = image.resize((width * 3 // 4, height * 3 // 4))
    return {
        "same": image,
        "mirrored": ImageOps.mirror(image),
        "rescaled": small.resize(image.size),
        "brighter": ImageEnhance.Brightness(image).enhance(1.2),
        "less contrast": ImageEnhance.Contrast(image).enhance(0.7),
        "cropped": image.crop((1, 1, width - 1, height - 1)),
    }


def test_altered_copies_are_found_and_others_are_not(tiny_original: Path) -> None:
    rows = []
    for path in sorted((tiny_original / "train" / HEAD).iterdir())[:6]:
        with Image.open(path) as image:
            for name, altered in _altered(image).items():
                rows.append((f"{path.name} {name}", altered.resize((32, 32), Image.Resampling.BOX).tobytes()))
    pairs = near_duplicates(pd.DataFrame(rows, columns=["content", "thumbnail"]))
    found = {frozenset(pair) for pair in zip(pairs["first"], pairs["second"], strict=True)}
    sources = {path.split()[0] for path, _ in rows}
    copies = [name for name in _altered(image) if name != "same"]
    assert {frozenset((f"{source} same", f"{source} {name}")) for source in sources for name in copies} <= found
    assert all(len({name.split()[0] for name in pair}) == 1 for pair in found)


def test_blank_images_are_no_duplicates() -> None:
    blank = pd.DataFrame({"content": ["a", "b"], "thumbnail": [bytes(1024), bytes([7]) * 1024]})
    assert near_duplicates(blank).empty
