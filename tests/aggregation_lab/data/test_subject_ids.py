"""Patients: what the column `subject_id` and its like say, and what is reported where no patient is known."""

import io
import re
from pathlib import Path

import pandas as pd
import pytest

from aggregation_lab.data.challenge import Dataset, read_dataset
from aggregation_lab.naming import squashed
from runners.commands.validate_data import validate_data
from runners.console.terminal import Terminal
from tests.changes import DET, FIRST, KINDS, REG, SECOND, SEG, both, column, tables


@pytest.mark.parametrize(
    "title", ["Patient ID", "patient", "PatientID", "Subject", "subject id", "SUBJECT_ID", " subject_id "]
)
def test_a_column_that_surely_tells_the_patient_is_read(tiny_data: Path, title: str) -> None:
    both(*(column(name, title, lambda n: f"p{n // 2}") for name in (FIRST, SECOND)))(tiny_data)
    dataset = read_dataset(tiny_data)
    kinds = dataset.cases[dataset.cases["task"] == "tiny_kind"]
    assert set(kinds["subject"]) == {f"subject_id/p{number}" for number in range(8)}
    report = [str(warning) for warning in dataset.warnings]
    assert len(report) == (0 if squashed(title) == "subjectid" else 2)
    assert all("is read as subject_id" in line for line in report)


UNKNOWN = ["", "nan", "NA", "n/a", "None", "null", "unknown", "Unknown ", "-", "?", "\u2014"]


def test_a_cell_that_names_no_subject_makes_none(tiny_data: Path, tiny_dataset: Dataset) -> None:
    """Twenty-eight images would be one patient, or one per word, if such words were ids."""
    column(FIRST, "subject_id", lambda n: UNKNOWN[n])(tiny_data)
    column(SECOND, "subject_id", lambda n: UNKNOWN[-1])(tiny_data)
    dataset = read_dataset(tiny_data)
    pd.testing.assert_frame_equal(dataset.cases, tiny_dataset.cases, check_exact=True)
    first, second = map(str, dataset.warnings)
    assert FIRST in first and "10 of 10 rows name no subject" in first and "'NA'" in first and "empty" in first
    assert SECOND in second and "15 of 15 rows" in second


def test_spellings_of_one_id(tiny_data: Path) -> None:
    """Whole numbers with a fraction or zeros before them, capitals and blanks: one subject, reported once."""
    ids = ["3", "3.0", "003", " 3 ", "P1", "p1", "P1\u00a0", "x-7", "x-7", "8.50"]
    column(FIRST, "subject_id", lambda n: ids[n])(tiny_data)
    column(SECOND, "subject_id", lambda n: f"{n + 100}.0")(tiny_data)
    dataset = read_dataset(tiny_data)
    kinds = dataset.cases[dataset.cases["task"] == "tiny_kind"].set_index("image")["subject"]
    assert [kinds[f"{KINDS}/kind {n:02d}.png"].partition("/")[2] for n in range(10)] == [
        *["3"] * 4,
        *["P1"] * 3,
        *["x-7"] * 2,
        "8.50",
    ]
    assert kinds[f"{KINDS}/kind 10.png"] == "subject_id/100"
    (warning,) = map(str, dataset.warnings)
    assert "003 and 3 and 1 more such are read as one subject" in warning


def test_numbers_that_a_spreadsheet_has_cut_are_told(tiny_data: Path) -> None:
    both(*(column(name, "subject_id", lambda n: f"{n}.2E+11") for name in (FIRST, SECOND)))(tiny_data)
    report = list(map(str, read_dataset(tiny_data).warnings))
    assert len(report) == 2 and all("cut long numbers" in line for line in report)


def test_one_id_in_two_source_folders_is_one_patient_and_told(tiny_data: Path) -> None:
    both(*(column(name, "subject_id", lambda n: str(n // 2)) for name in (FIRST, SECOND, SEG)))(tiny_data)
    dataset = read_dataset(tiny_data)
    subjects = dataset.cases.groupby("task")["subject"].agg(set)
    assert subjects["tiny_kind"] <= subjects["tiny_head"]
    (warning,) = map(str, dataset.warnings)
    assert "8 ids stand in more than one source folder (HC18_tiny, Kinds" in warning


def test_images_without_an_id_beside_images_with_one_are_told(tiny_data: Path) -> None:
    column(FIRST, "subject_id", str)(tiny_data)
    (warning,) = map(str, read_dataset(tiny_data).warnings)
    assert "15 images of Kinds" in warning and "give each CSV of these images the column subject_id" in warning


def validated(root: Path, study: str | None = None) -> str:
    terminal = Terminal(file=io.StringIO(), width=140)
    assert validate_data(root, study, terminal) == 0
    return terminal.file.getvalue()  # type: ignore[attr-defined]


def test_validate_never_says_that_nothing_leaks_where_no_patient_is_known(tiny_data: Path) -> None:
    for name in (SEG, DET, REG):
        (tables(tiny_data) / name).unlink()
    report = validated(tiny_data)
    assert "no patient (subject) is known of any image: leakage by patient cannot be excluded" in report
    assert "leak nothing" not in report and "give a subject_id column" in report
    both(*(column(name, "subject_id", lambda n, name=name: f"{name[:9]} {n}") for name in (FIRST, SECOND)))(tiny_data)
    assert "the patient (subject) of every image is known" in validated(tiny_data)


def test_validate_names_the_tasks_whose_patients_are_not_known(tiny_data: Path) -> None:
    """The file names of the heads tell the patient, those of the kinds do not."""
    assert "no patient (subject) is known of images of tiny_kind (25): leakage by patient" in validated(tiny_data)


def test_validate_shows_notes_and_counts_warnings(tiny_data: Path) -> None:
    both(column(FIRST, "comment", str), column(DET, "fold", str))(tiny_data)
    report = validated(tiny_data)
    assert re.search(r"^note     .*column comment is not used$", report, flags=re.M)
    assert re.search(r"^warning  .*fold: is not used", report, flags=re.M) and "1 warnings" in report


def test_ids_that_may_be_one_are_told_and_stay_apart(tiny_data: Path) -> None:
    ids = ["P1", "P01", "P001", "p 2", "P-2", "1.10", "1.1", "P10", "P100", "a-1-1"]
    column(FIRST, "subject_id", lambda n: ids[n])(tiny_data)
    column(SECOND, "subject_id", lambda n: f"q{n}")(tiny_data)
    dataset = read_dataset(tiny_data)
    assert dataset.cases.loc[dataset.cases["task"] == "tiny_kind", "subject"].nunique() >= len(ids)
    (warning,) = map(str, dataset.warnings)
    assert "p 2, P-2 and 1 more such differ only in zeros, blanks or dashes" in warning


def test_warnings_are_shown_where_no_split_can_be_drawn(tiny_data: Path) -> None:
    """One file copied over all images of a task: why they are one component stands in the warnings."""
    for path in (tiny_data / "train" / KINDS).glob("*.png"):
        path.write_bytes((tiny_data / "train" / KINDS / "kind 00.png").read_bytes())
    screen = io.StringIO()
    assert validate_data(tiny_data, None, Terminal(file=screen, width=400)) == 1
    assert "1 components" in screen.getvalue() and "its copy" in screen.getvalue()
