"""CSV files as other systems and programs write them: read where the meaning is certain, else one line that says so."""

import os
import re
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from aggregation_lab.data.challenge import Dataset, read_dataset
from aggregation_lab.data.rows.problems import lines
from aggregation_lab.errors import DataError
from tests.changes import (
    DET,
    FIRST,
    KINDS,
    REG,
    SECOND,
    SEG,
    Change,
    both,
    cells,
    column,
    delimited,
    rename,
    tables,
    text,
)

READ: dict[str, Change] = {
    "semicolon": delimited(FIRST, ";"),
    "tab": delimited(SEG, "\t"),
    "bar": delimited(REG, "|"),
    "decimal commas": cells(DET, lambda n, cell: cell.replace(".", ","), "x_min", delimiter=";"),
    "whole numbers with a fraction": cells(SECOND, lambda n, cell: f" {cell}.0 ", "mask"),
    "Excel's first line": text(FIRST, lambda text: f"sep=,\n{text}"),
    "comments before the header": text(FIRST, lambda text: f"# exported, by hand\n\n{text}"),
    "header behind a hash": text(FIRST, lambda text: f"#{text}"),
    "UTF-16": text(FIRST, lambda text: text, "utf-16"),
    "UTF-32": text(FIRST, lambda text: text, "utf-32"),
    "byte order mark": text(FIRST, lambda text: text, "utf-8-sig"),
    "old line ends": text(FIRST, lambda text: text.replace("\n", "\r")),
    "blanks in the header": text(FIRST, lambda text: text.replace("task_name,num", " task_name ,\u00a0num", 1)),
    "capitals in the header": text(
        DET, lambda text: text.replace("task_id", "Task_ID", 1).replace("x_min", "X-Min", 1)
    ),
    "words of the header apart": text(REG, lambda text: text.replace("point_1_xy", "Point 1 XY", 1)),
    "quotes in the header": text(FIRST, lambda text: text.replace("task_id", "'task_id'", 1)),
    "blank rows": text(FIRST, lambda text: f"{text}\n,,,,\n , ,,,\n\n"),
    "delimiters after the rows": text(FIRST, lambda text: text.replace("\n", ",,\n")),
    "index of a table": text(FIRST, lambda text: "\n".join(f"{n},{line}" for n, line in enumerate(text.splitlines()))),
    "blanks around the task": cells(FIRST, lambda n, cell: f"\u00a0{cell} ", "task_id"),
    "short types": both(
        cells(SEG, lambda n, c: "seg", "task_name"), cells(REG, lambda n, c: "REGRESSION", "task_name")
    ),
    "blank before the cell": cells(DET, lambda n, cell: f" {cell}"),
    "upper-case ending": lambda root: os.rename(tables(root) / SECOND, tables(root) / SECOND.replace(".csv", ".CSV")),
}
"""Changes that say the same in another way: nothing needs to be told."""


@pytest.mark.parametrize("name", READ)
def test_what_is_certain_is_read(tiny_data: Path, tiny_dataset: Dataset, name: str) -> None:
    READ[name](tiny_data)
    dataset = read_dataset(tiny_data)
    pd.testing.assert_frame_equal(dataset.cases, tiny_dataset.cases, check_exact=True)
    assert dataset.warnings == ()


def spelled(change: Callable[[str], str]) -> Callable[[int, str], str]:
    return lambda number, cell: change(cell) if number >= 3 else cell


TOLD: dict[str, tuple[Change, tuple[str, ...]]] = {
    "backslashes": (cells(FIRST, spelled(lambda c: c.replace("/", "\\"))), (FIRST, "line 5", "7 paths", "backslashes")),
    "blanks around": (cells(FIRST, spelled(lambda c: f"{c}\u00a0 ")), (FIRST, "7 paths", "blanks")),
    "quotes within": (cells(FIRST, spelled(lambda c: f"'{c}'")), (FIRST, "7 paths", "quotes")),
    "no-break space as blank": (cells(FIRST, spelled(lambda c: c.replace("\u00a0", " "))), (FIRST, "blanks")),
    "capitals": (cells(SEG, spelled(str.upper), "mask_path"), (SEG, "25 paths", "capitals", "mask_path")),
    "% codes": (cells(FIRST, spelled(lambda c: c.replace(" ", "%20"))), (FIRST, "% codes")),
    "drive": (
        cells(FIRST, spelled(lambda c: "D:\\us\\train" + c[2:].replace("/", "\\"))),
        (FIRST, "the folders before"),
    ),
    "absolute": (cells(FIRST, spelled(lambda c: f"/home/anna/data{c[2:]}")), (FIRST, "the folders before it")),
    "from the train folder": (cells(FIRST, spelled(lambda c: c[3:])), (FIRST, "the folders before it")),
    "from the train folder's own": (cells(FIRST, spelled(lambda c: f"./{c[3:]}")), (FIRST, "the folders before it")),
    "perhaps a patient": (column(SECOND, "case_id", lambda n: "1"), (SECOND, "case_id", "not used", "subject_id")),
    "misspelt subject": (column(SECOND, "subjct_id", lambda n: "1"), (SECOND, "subjct_id", "not used", "subject_id")),
    "misspelt column": (column(SECOND, "mask_pth", lambda n: "1"), (SECOND, "mask_pth", "did you mean mask_path?")),
    "train column": (column(SECOND, "train", lambda n: "1"), (SECOND, "train", "is not used", "data.split")),
    "fold column": (column(SECOND, "Fold", lambda n: "1"), (SECOND, "Fold", "is not used", "data.split")),
    "val folder": (lambda root: (root / "val").mkdir(), ("../val", "is not used", "data.split")),
    "workbook": (lambda root: (tables(root) / "a.xlsx").write_bytes(b"PK"), ("a.xlsx", "not read", "CSV in UTF-8")),
    "copy": (lambda root: shutil.copy(tables(root) / FIRST, tables(root) / "x (1).csv"), ("is a copy", "x (1).csv")),
    "rows twice": (
        text(FIRST, lambda t: t + "".join(t.splitlines(True)[1:4])),
        (FIRST, "3 rows repeat", "lines 12-14"),
    ),
}
"""Changes that are read, or left aside, with one warning."""


@pytest.mark.parametrize("name", TOLD)
def test_what_is_less_certain_is_told_in_one_line(tiny_data: Path, tiny_dataset: Dataset, name: str) -> None:
    change, words = TOLD[name]
    change(tiny_data)
    dataset = read_dataset(tiny_data)
    (warning,) = map(str, dataset.warnings)
    assert all(word in warning for word in words), warning
    apart = [name for name in tiny_dataset.cases if name != "subject"]
    pd.testing.assert_frame_equal(dataset.cases[apart], tiny_dataset.cases[apart], check_exact=True)


REFUSED: dict[str, tuple[Change, tuple[str, ...]]] = {
    "GBK": (text(FIRST, lambda t: t.replace("\u00a0", "良性结节"), "gbk"), (FIRST, "not UTF-8", "GBK", "save")),
    "Shift-JIS": (text(SEG, lambda t: t + "よい,,,,,\n", "cp932"), (SEG, "line 30", "Shift-JIS", "save")),
    "Latin-1": (
        text(FIRST, lambda t: t.replace("of\u00a0", "Läsion "), "latin-1"),
        (FIRST, "line 2", "Latin-1", "save"),
    ),
    "Cyrillic": (text(FIRST, lambda t: t.replace("\u00a0", "узел"), "cp1251"), (FIRST, "Windows-1251", "save")),
    "UTF-16 without a mark": (text(FIRST, lambda t: t, "utf-16-le"), (FIRST, "UTF-16 without", "save")),
    "NUL": (text(FIRST, lambda t: t.replace("02.png", "02\0.png")), (FIRST, "line 4", "NUL")),
    "workbook named .csv": (lambda root: (tables(root) / FIRST).write_bytes(b"PK\x03\x04..."), (FIRST, "Excel", "CSV")),
    "pipe": (lambda root: os.mkfifo(tables(root) / "pipe.csv"), ("pipe.csv", "no regular file")),
    "device": (lambda root: os.symlink("/dev/zero", tables(root) / "zero.csv"), ("zero.csv", "no regular file")),
    "link to nothing": (lambda root: os.symlink("nowhere", tables(root) / "gone.csv"), ("gone.csv", "link to nothing")),
    "folder named .csv": (lambda root: (tables(root) / "more.csv").mkdir(), ("more.csv", "is a folder")),
    "image that is a pipe": (
        both(
            lambda root: os.mkfifo(root / "train" / KINDS / "pipe.png"),
            cells(FIRST, lambda n, cell: cell if n else cell.replace("kind 00", "pipe")),
        ),
        (FIRST, "line 2", "pipe.png", "no regular file"),
    ),
    "open quote": (text(SEG, lambda t: t.replace("\n", '\n"', 1)), (SEG, "line 2", "never closed")),
    "open quote in the last cell": (text(FIRST, lambda t: t.rstrip()[:-1] + '"0'), (FIRST, "line 11", "never closed")),
    "huge cell": (text(FIRST, lambda t: t.replace("02.png", "2" * 200_000)), (FIRST, "field larger", "line")),
    "huge path": (text(FIRST, lambda t: t.replace("02.png", "2" * 100_000)), (FIRST, "line 4", "100,0", "at most")),
    "another table": (
        lambda root: (tables(root) / "readme.csv").write_text("a,b\n1,2\n"),
        ("readme.csv", "no table", "'a, b'"),
    ),
    "image column by another name": (
        text(FIRST, lambda t: t.replace("image_path", "img", 1)),
        (FIRST, "did you mean 'img'?"),
    ),
    "label column by another name": (
        text(FIRST, lambda t: t.replace(",mask", ",label", 1)),
        (FIRST, "mask", "did you mean 'label'?"),
    ),
    "a point in two columns": (
        text(REG, lambda t: t.replace("point_1_xy", "point_1_x", 1).replace("point_2_xy", "point_1_y", 1)),
        (REG, "point_1_xy", "write 'point_1_x' and 'point_1_y' as one column"),
    ),
    "a box in one column": (
        text(DET, lambda t: t.replace("x_min", "bbox", 1)),
        (DET, "x_min", "write the four numbers of 'bbox' as x_min, y_min, x_max, y_max"),
    ),
    "column twice in other letters": (
        text(FIRST, lambda t: t.replace("num_classes", "MASK", 1)),
        (FIRST, "mask", "twice"),
    ),
    "type misspelt": (
        cells(FIRST, lambda n, c: "clasification", "task_name"),
        (FIRST, "line 2", "did you mean classification?", "lines 3-11"),
    ),
    "file misspelt": (
        cells(FIRST, lambda n, c: c if n else c.replace("kind 00.png", "kid 00.png")),
        (FIRST, "line 2", "did you mean", "kind 00.png"),
    ),
    "file of another kind": (
        cells(FIRST, lambda n, c: c if n else c.replace("00.png", "00.jpg")),
        (FIRST, "line 2", "did you mean", "kind 00.png"),
    ),
    "two files alike": (
        both(
            rename(f"{KINDS}/kind 03.png", f"{KINDS}/KIND 02.PNG"), cells(FIRST, lambda n, c: c.replace("d 02", "D 02"))
        ),
        (FIRST, "line 4", "2 are alike"),
    ),
    "path to the val folder": (
        cells(FIRST, lambda n, c: c if n else c.replace("..", "../../val")),
        (FIRST, "line 2", "leaves the data folder"),
    ),
    "absolute path to a val folder": (
        cells(FIRST, lambda n, c: c if n else c.replace("..", "D:/us/val")),
        (FIRST, "line 2", "kind 00.png", "does not exist"),
    ),
    "path to another copy of the data": (
        both(
            lambda root: shutil.copytree(root / "train", root / "train-2"),
            cells(FIRST, lambda n, c: c if n else c.replace("..", "../../train-2")),
        ),
        (FIRST, "line 2", "leaves the data folder"),
    ),
    "DICOM": (
        both(
            rename(f"{KINDS}/kind 02.png", f"{KINDS}/02.dcm"),
            cells(FIRST, lambda n, c: c.replace("kind 02.png", "02.dcm")),
        ),
        (FIRST, "line 4", "DICOM", "PNG"),
    ),
    "a title before the header": (
        text(FIRST, lambda text: f"Export of 2024\n{text}"),
        (FIRST, "line 1", "no table of"),
    ),
    "quotes around whole lines": (
        text(FIRST, lambda text: "\n".join(f'"{line}"' for line in text.replace('"', "").splitlines())),
        (FIRST, "the whole line is one cell in quotes"),
    ),
    "task with a slash": (cells(FIRST, lambda n, c: "T/N", "task_id"), (FIRST, "'T/N'", "without '/'", "lines 3-11")),
    "task with a direction mark": (cells(FIRST, lambda n, c: "a\u202eb", "task_id"), (FIRST, "a\\u202eb", "U+202E")),
    "task with an escape": (cells(FIRST, lambda n, c: "\x1b[31mred", "task_id"), (FIRST, "\\x1b[31mred", "U+001B")),
    "task with a line break": (cells(FIRST, lambda n, c: "a\nb", "task_id"), (FIRST, "a\\nb", "U+000A")),
    "task of many letters": (cells(FIRST, lambda n, c: "a" * 201, "task_id"), (FIRST, "at most 200")),
}
"""Changes that are errors: one line each, which says what to do."""


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_one_line(tiny_data: Path, name: str) -> None:
    change, words = REFUSED[name]
    change(tiny_data)
    with pytest.raises(DataError) as caught:
        read_dataset(tiny_data)
    errors = [str(problem) for problem in caught.value.problems if problem.level == "error"]
    assert sum(all(word in line for word in words) for line in errors) == 1, "\n".join(errors)
    assert all(line.isprintable() for line in errors)


def test_a_file_without_a_header_is_blamed_for_nothing_else(tiny_data: Path) -> None:
    text(FIRST, lambda text: f"Export of 2024\n{text}")(tiny_data)
    with pytest.raises(DataError) as caught:
        read_dataset(tiny_data)
    assert [problem.row for problem in caught.value.problems if problem.file.endswith(FIRST)] == [1]


def test_a_folder_whose_path_is_no_text_is_refused(tiny_original: Path, tmp_path: Path) -> None:
    root = tmp_path / os.fsdecode(b"d\xff\x1b[31m")
    root.symlink_to(tiny_original)
    with pytest.raises(DataError, match="rename the folder") as caught:
        read_dataset(root)
    assert str(caught.value).isprintable() and r"d\udcff\x1b[31m" in str(caught.value)


def test_a_huge_file_is_not_opened(tiny_data: Path) -> None:
    with open(tables(tiny_data) / "huge.csv", "wb") as stream:
        stream.truncate(3 * 2**30)  # a hole: it takes no place on the disk
    with pytest.raises(DataError, match=r"huge\.csv: has 3072 MiB"):
        read_dataset(tiny_data)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_in_another_unicode_form(tiny_data: Path, tiny_dataset: Dataset, form: str) -> None:
    other = "NFD" if form == "NFC" else "NFC"
    names = [unicodedata.normalize(each, "Läsion é.png") for each in (form, other)]
    rename(f"{KINDS}/kind 02.png", f"{KINDS}/{names[0]}")(tiny_data)
    cells(FIRST, lambda n, cell: cell.replace("kind 02.png", names[1]))(tiny_data)
    dataset = read_dataset(tiny_data)
    (warning,) = map(str, dataset.warnings)
    assert "Unicode form" in warning and len(dataset.cases) == len(tiny_dataset.cases)


def test_a_task_in_two_unicode_forms_is_one(tiny_data: Path) -> None:
    for name, form in ((FIRST, "NFC"), (SECOND, "NFD")):
        cells(name, lambda n, cell, form=form: unicodedata.normalize(form, "Drüse"), "task_id")(tiny_data)
    tasks = read_dataset(tiny_data).tasks
    assert "Drüse" in tasks and len(tasks) == 4


def test_tasks_that_differ_in_capitals_or_blanks_are_told(tiny_data: Path) -> None:
    cells(FIRST, lambda n, cell: "Tiny Kind", "task_id")(tiny_data)
    (warning,) = map(str, read_dataset(tiny_data).warnings)
    assert "'Tiny Kind' and 'tiny_kind' differ only in capitals" in warning


def test_columns_without_use_are_named_once_per_file(tiny_data: Path) -> None:
    both(column(FIRST, "comment", str), column(FIRST, "vendor [A]", str), column(DET, "", str))(tiny_data)
    dataset = read_dataset(tiny_data)
    assert dataset.warnings == ()
    (note,) = map(str, dataset.notes)
    assert FIRST in note and "columns comment, vendor [A] are not used" in note


def test_leftovers_of_other_programs_are_named_and_not_read(tiny_data: Path, tiny_dataset: Dataset) -> None:
    for name in ("._Seg.csv", "~$Seg.csv", ".~lock.Seg.csv#"):
        (tables(tiny_data) / name).write_bytes(b"\0\5\x16\7")
    dataset = read_dataset(tiny_data)
    assert len(dataset.notes) == 3 and all("another program left" in str(note) for note in dataset.notes)
    pd.testing.assert_frame_equal(dataset.cases, tiny_dataset.cases, check_exact=True)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["csv/a.csv", "images/a.png"], ("CSV files lie in csv", "move them there")),
        (["imagesTr/a_0000.nii.gz", "dataset.json"], ("nnU-Net", "agglab import nnunet")),
        (["annotations/a.json", "images/a.jpg"], ("JSON annotations", "agglab import coco")),
        (["study/a.dcm"], ("DICOM files", "agglab import dicom")),
        (["study/a.nrrd"], ("NRRD files are not read", "PNG")),
        (["benign/a.png"], ("train/csv_files", "task_id")),
        ([], ("train/csv_files",)),
    ],
)
def test_another_layout_is_one_line_that_says_what_to_do(tmp_path: Path, files: list[str], words: tuple) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(DataError) as caught:
        read_dataset(tmp_path)
    (problem,) = map(str, caught.value.problems)
    assert all(word in problem for word in words), problem


def test_lines_in_short() -> None:
    assert lines([7]) == "line 7"
    assert lines([9, 3, 4, 5]) == "lines 3-5, 9"
    assert re.fullmatch(r"lines 2, 4, .*, 20, \.\.\.", lines(range(2, 60, 2)))
