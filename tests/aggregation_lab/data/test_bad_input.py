"""Every fault of a data folder is refused with one line that names file, row and field, and all come at once."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aggregation_lab.data.challenge import read_dataset
from aggregation_lab.data.splits.split import draw_split
from aggregation_lab.errors import DataError

SEG, DET, REG = "Seg-Three_1.HC18_tiny.csv", "Det-One_1.box.csv", "Reg-Two_1.axis.csv"
CLS, CLS_2 = "Cls-Two_1.kinds, first.csv", "Cls-Two_2.kinds, second.csv"
IMAGE = "train/Segmentation/Three/HC18_tiny/images/003_HC.png"
MASK = "train/Segmentation/Three/HC18_tiny/masks/003_HC.png"

Rows = list[dict[str, str]]
Fault = Callable[[Path], object]


def rewrite(name: str, change: Callable[[Rows], Rows | None]) -> Fault:
    """A fault that changes the rows of one CSV."""

    def apply(root: Path) -> None:
        path = root / "train/csv_files" / name
        with open(path, newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        rows = change(rows) or rows
        with open(path, "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    return apply


def cell(name: str, line: int, **values: str) -> Fault:
    """A fault that sets cells of the row at a line of one CSV."""
    return rewrite(name, lambda rows: rows[line - 2].update(values))


def repeat(name: str, line: int, **values: str) -> Fault:
    """A fault that appends a changed copy of a row."""
    return rewrite(name, lambda rows: [*rows, {**rows[line - 2], **values}])


def without(name: str, column: str) -> Fault:
    return rewrite(name, lambda rows: [{key: row[key] for key in row if key != column} for row in rows])


def keep(name: str, count: int) -> Fault:
    return rewrite(name, lambda rows: rows[:count])


def text(name: str, change: Callable[[bytes], bytes]) -> Fault:
    def apply(root: Path) -> None:
        path = root / "train/csv_files" / name
        path.write_bytes(change(path.read_bytes()))

    return apply


def file(name: str, change: Callable[[bytes], bytes]) -> Fault:
    return lambda root: (root / name).write_bytes(change((root / name).read_bytes()))


def picture(name: str, pixels: np.ndarray) -> Fault:
    return lambda root: Image.fromarray(pixels.astype(np.uint8)).save(root / name)


FAULTS: dict[str, tuple[Fault, tuple[str, ...]]] = {
    "no csv_files": (lambda root: shutil.rmtree(root / "train/csv_files"), ("csv_files", "not there")),
    "no CSV": (
        lambda root: [path.unlink() for path in (root / "train/csv_files").iterdir()],
        ("csv_files", "holds no .csv file"),
    ),
    "empty CSV": (text(CLS, lambda data: b""), (CLS, "is empty")),
    "header only": (text(CLS, lambda data: data.splitlines(keepends=True)[0]), (CLS, "no row")),
    "common column": (without(SEG, "image_path"), (SEG, "line 1", "image_path", "is missing")),
    "mask column": (without(SEG, "mask_path"), (SEG, "line 1", "mask_path", "segmentation", "is missing")),
    "label column": (without(CLS, "mask"), (CLS, "mask", "is missing")),
    "box column": (without(DET, "x_max"), (DET, "x_max", "is missing")),
    "point column": (without(REG, "point_2_xy"), (REG, "point_2_xy", "is missing")),
    "classes column": (without(SEG, "num_classes"), (SEG, "num_classes", "is missing")),
    "column twice": (text(CLS, lambda data: data.replace(b"num_classes", b"task_id", 1)), (CLS, "task_id", "twice")),
    "unquoted comma": (
        text(CLS, lambda data: data.replace(b'"', b"", 2)),
        (CLS, "line 2", "6 cells, the header 5", "quotes"),
    ),
    "cut row": (text(DET, lambda data: data.rstrip()[:-8].rsplit(b",", 1)[0]), (DET, "line 21", "complete the row")),
    "not UTF-8": (text(CLS, lambda data: data.replace("\u00a0".encode(), b"\xa0", 1)), (CLS, "line 2", "UTF-8")),
    "zero bytes": (file(IMAGE, lambda data: b""), (DET, "line 8", "image_path", "003_HC.png", "empty (0 bytes)")),
    "truncated": (file(IMAGE, lambda data: data[: len(data) // 2]), (DET, "003_HC.png", "truncated")),
    "no image": (file(IMAGE, lambda data: b"<html>"), (DET, "003_HC.png", "cannot be decoded")),
    "image gone": (lambda root: (root / IMAGE).unlink(), (DET, "line 8", "003_HC.png", "does not exist")),
    "mask gone": (lambda root: (root / MASK).unlink(), (SEG, "line 8", "mask_path", "does not exist")),
    "mask cell": (cell(SEG, 8, mask_path=""), (SEG, "line 8", "mask_path", "is empty")),
    "mask size": (picture(MASK, np.ones((48, 63))), (SEG, "line 8", "mask_path", "63 x 48", "64 x 48")),
    "mask value": (picture(MASK, np.full((48, 64), 255)), (SEG, "line 8", "mask_path", "value 255", "0 to 2")),
    "colour mask": (picture(MASK, np.ones((48, 64, 3)) * (1, 2, 0)), (SEG, "line 8", "mask_path", "single-channel")),
    "label high": (cell(CLS, 4, mask="2"), (CLS, "line 4", "mask", "'2'", "0 to 1")),
    "label negative": (cell(CLS, 4, mask="-1"), (CLS, "line 4", "'-1'")),
    "label fraction": (cell(CLS, 4, mask="0.5"), (CLS, "line 4", "'0.5'", "whole number")),
    "label word": (cell(CLS, 4, mask="benign"), (CLS, "line 4", "'benign'")),
    "box outside": (cell(DET, 5, x_max="64.5"), (DET, "line 5", "x_max", "64.5", "64 x 48")),
    "box negative": (cell(DET, 5, y_min="-3"), (DET, "line 5", "y_min", "-3")),
    "box inverted": (cell(DET, 5, x_min="60", x_max="10"), (DET, "line 5", "inverted")),
    "box text": (cell(DET, 5, x_min="left"), (DET, "line 5", "x_min", "'left'")),
    "box infinite": (cell(DET, 5, x_min="inf"), (DET, "line 5", "x_min", "'inf'")),
    "box empty": (cell(DET, 5, x_min=""), (DET, "line 5", "x_min", "is empty")),
    "point text": (cell(REG, 3, point_1_xy="(3, 4]"), (REG, "line 3", "point_1_xy", "'(3, 4]'", "[x, y]")),
    "point short": (cell(REG, 3, point_1_xy="[3]"), (REG, "line 3", "point_1_xy")),
    "point nan": (cell(REG, 3, point_1_xy="[NaN, 3]"), (REG, "line 3", "point_1_xy")),
    "point huge": (cell(REG, 3, point_1_xy=f"[{'9' * 400}, 3]"), (REG, "line 3", "point_1_xy", "[x, y]")),
    "point nested": (cell(REG, 3, point_1_xy="[" * 5000), (REG, "line 3", "point_1_xy", "[x, y]")),
    "point missing": (cell(REG, 3, point_2_xy=""), (REG, "line 3", "point_2_xy", "is empty")),
    "point outside": (cell(REG, 3, point_2_xy="[3, 49]"), (REG, "line 3", "point_2_xy", "(3, 49)", "outside")),
    "label contradicts": (
        repeat(CLS, 2, mask="1"),
        (CLS, "line 12", "mask", "kind 00.png", "another target", "line 2"),
    ),
    "point contradicts": (repeat(REG, 2, point_1_xy="[1, 1]"), (REG, "line 22", "another target", "line 2")),
    "mask contradicts": (
        repeat(SEG, 2, mask_path="../Segmentation/Three/HC18_tiny/masks/000_2HC.png"),
        (SEG, "line 30", "another target"),
    ),
    "too few": (keep(DET, 4), ("task", "tiny_head_det", "4 usable", "2 subject", "3 subjects")),
    "one class": (
        lambda root: [rewrite(name, lambda rows: [row | {"mask": "0"} for row in rows])(root) for name in (CLS, CLS_2)],
        ("tiny_kind", "only class 0"),
    ),
    "path leaves": (cell(CLS, 4, image_path="../../../secret.png"), (CLS, "line 4", "image_path", "leaves")),
    "path absolute": (cell(CLS, 4, image_path="/etc/passwd"), (CLS, "line 4", "image_path", "leaves")),
    "mask leaves": (cell(SEG, 4, mask_path="../../a.png"), (SEG, "line 4", "mask_path", "leaves")),
    "type": (cell(CLS, 4, task_name="captioning"), (CLS, "line 4", "task_name", "'captioning'", "Regression")),
    "no task": (cell(CLS, 4, task_id=""), (CLS, "line 4", "task_id")),
    "classes differ": (cell(CLS_2, 4, num_classes="3"), (CLS_2, "line 4", "num_classes", "is 3", "has 2", CLS)),
    "types differ": (cell(CLS_2, 4, task_name="segmentation"), (CLS_2, "line 4", "task_name", "segmentation")),
    "classes unlike the challenge": (cell(SEG, 4, task_id="lung"), (SEG, "line 4", "num_classes", "the challenge")),
    "classes word": (cell(SEG, 4, num_classes="many"), (SEG, "line 4", "num_classes", "'many'")),
    "subjects contradict": (
        rewrite(SEG, lambda rows: [row | {"subject_id": str(n)} for n, row in enumerate([*rows, rows[0]])]),
        (SEG, "line 30", "subject_id", "another row"),
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_named(tiny_data: Path, name: str) -> None:
    fault, words = FAULTS[name]
    fault(tiny_data)
    with pytest.raises(DataError) as caught:
        read_dataset(tiny_data)
    lines = [str(problem) for problem in caught.value.problems if problem.level == "error"]
    assert any(all(word in line for word in words) for line in lines), "\n".join(lines)
    assert "\n" not in str(caught.value) and str(tiny_data) in str(caught.value)


def test_all_faults_come_at_once(tiny_data: Path) -> None:
    """Seven faults of seven kinds give seven lines, and nothing else is blamed."""
    for name in ("zero bytes", "mask value", "label high", "box outside", "point text", "types differ"):
        FAULTS[name][0](tiny_data)
    (tiny_data / "train/csv_files/empty.csv").touch()
    with pytest.raises(DataError) as caught:
        read_dataset(tiny_data)
    places = [
        (problem.file.removeprefix("csv_files/"), problem.row, problem.field) for problem in caught.value.problems
    ]
    assert set(places) == {
        ("empty.csv", None, None),
        (DET, 8, "image_path"),
        (SEG, 8, "mask_path"),
        (CLS, 4, "mask"),
        (DET, 5, "x_max"),
        (REG, 3, "point_1_xy"),
        (CLS_2, 4, "task_name"),
    }
    assert len(caught.value.problems) == 7 and "and 6 more" in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tasks": ["tiny_head", "nothing"]}, ("tasks", "nothing", "tiny_kind")),
        ({"groups": {"nothing": "x"}}, ("groups", "nothing", "tiny_kind")),
        ({"laterality": ["nothing"]}, ("laterality", "nothing", "tiny_kind")),
        ({"subjects": {"HC18*": "("}}, ("subjects", "HC18*", "no regular expression")),
        ({"subjects": {"Nowhere": "(.*)"}}, ("subjects", "Nowhere", "fits nothing")),
    ],
)
def test_unknown_names_in_settings(tiny_original: Path, settings: dict, words: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as caught:
        read_dataset(tiny_original, **settings)
    assert all(word in str(caught.value) for word in words)


def test_folder_without_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"csv_files: is not there; give a folder"):
        read_dataset(tmp_path)
    with pytest.raises(DataError, match="csv_files"):
        read_dataset(tmp_path / "absent")


def test_near_duplicates_that_contradict_are_a_warning(tiny_data: Path) -> None:
    rewrite(CLS_2, lambda rows: rows[-1].update(mask="1"))(tiny_data)
    (warning,) = read_dataset(tiny_data).warnings
    assert warning.level == "warning" and (warning.file, warning.row) in {
        (f"csv_files/{CLS}", 2),
        (f"csv_files/{CLS_2}", 16),
    }
    assert all(word in str(warning) for word in ("copy.png", "kind 00.png", "near-duplicate", "has label"))


def test_copies_that_contradict_are_a_warning(tiny_data: Path) -> None:
    folder = tiny_data / "train/Classification/Two/Kinds, of\u00a0lesion (24)"
    shutil.copy(folder / "kind 02.png", folder / "kind 03.png")
    (warning,) = read_dataset(tiny_data).warnings
    assert "copy" in str(warning) and "kind 03.png" in str(warning)


def test_contradicting_copies_are_listed_with_the_errors(tiny_data: Path) -> None:
    folder = tiny_data / "train/Classification/Two/Kinds, of\u00a0lesion (24)"
    shutil.copy(folder / "kind 02.png", folder / "kind 03.png")
    for number in (5, 6):  # files that are gone are no copies of each other
        (folder / f"kind 0{number}.png").unlink()
    with pytest.raises(DataError) as caught:
        read_dataset(tiny_data)
    (error,), (warning,) = caught.value.problems[:-1], caught.value.problems[-1:]
    assert error.row == 7 and "and 1 more such row: line 8" in str(error)
    assert "kind 03.png has label 1 but its copy" in str(warning)


def test_structure_absent_from_all_masks_is_a_warning(tiny_data: Path) -> None:
    rewrite(SEG, lambda rows: [row | {"num_classes": "4"} for row in rows])(tiny_data)
    (warning,) = read_dataset(tiny_data).warnings
    assert "tiny_head: has no case of class 3, of 4 classes" in str(warning)


def test_structure_absent_from_a_part_is_a_warning(tiny_data: Path) -> None:
    """One patient shows the third class, so two of the three parts lack it."""
    rewrite(SEG, lambda rows: [row | {"num_classes": "4"} for row in rows])(tiny_data)
    picture(MASK, np.full((48, 64), 3))(tiny_data)
    warnings = [str(warning) for warning in draw_split(read_dataset(tiny_data)).warnings]
    assert len(warnings) == 2
    assert all("tiny_head: has no case of class 3 in" in line and "1 component(s)" in line for line in warnings)


def test_one_overwhelming_subject_is_a_warning(tiny_data: Path) -> None:
    dataset = read_dataset(tiny_data, subjects={"Kinds*": r"(kind 0)"})
    assert any("10 of 25 images in subject Kinds*/kind 0" in str(warning) for warning in dataset.warnings)


def test_class_absent_from_test_is_a_warning(tiny_data: Path) -> None:
    """A third class with one image can only be in one part."""
    for name in (CLS, CLS_2):
        rewrite(name, lambda rows: [row | {"num_classes": "3"} for row in rows])(tiny_data)
    cell(CLS, 5, mask="2")(tiny_data)
    warnings = [str(warning) for warning in draw_split(read_dataset(tiny_data)).warnings]
    assert any("tiny_kind" in line and "no case of class 2" in line for line in warnings), warnings


def test_single_class_in_test_is_refused(tiny_data: Path) -> None:
    for name in (CLS, CLS_2):
        rewrite(name, lambda rows: [row | {"mask": "0"} for row in rows])(tiny_data)
    cell(CLS, 5, mask="1")(tiny_data)
    with pytest.raises(DataError, match=r"tiny_kind: has only class \d in test; add cases of class"):
        draw_split(read_dataset(tiny_data))


def test_components_too_few_for_a_split_are_refused(tiny_data: Path) -> None:
    """Three subjects pass the reading, but two of them share an image: two components cannot fill three parts."""
    keep(DET, 6)(tiny_data)
    images = tiny_data / "train/Segmentation/Three/HC18_tiny/images"
    shutil.copy(images / "000_HC.png", images / "001_HC.png")
    with pytest.raises(DataError, match=r"tiny_head_det: has no case in .*: its 6 cases form 2 components"):
        draw_split(read_dataset(tiny_data))
