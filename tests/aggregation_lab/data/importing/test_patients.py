"""Which images are of one patient: ids of DICOM files and tables in one OUT, volumes and videos without a patient."""

import csv
from pathlib import Path

import numpy as np
import pytest

from aggregation_lab.data.importing.receipt import read_receipts, receipt_file
from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import agglab, imported, read, refused
from tests.aggregation_lab.data.importing.sources import CASES, save, write, write_dicom, write_nifti, write_video
from tests.aggregation_lab.data.importing.test_nifti import volume


def dicom(root: Path, table: str = "") -> list[str]:
    """The ten images of the patients p0..p4 in DICOM, and a table of them with the column `subject`."""
    rows = ["image,label,subject"]
    for number, case in enumerate(CASES):
        write_dicom(root / f"{case.name}.dcm", case.pixels, patient=case.patient.upper(), number=number)
        rows.append(f"{case.name}.dcm,{case.label},{table and number % 2 and table + case.patient or ''}")
    write(root.parent / f"{root.name}.csv", "\n".join(rows) + "\n")
    return ["--labels", str(root.parent / f"{root.name}.csv")]


def table(root: Path, patients: str = "{}") -> Path:
    """Ten other images of the same patients, with a table that names them."""
    rows = ["image,label,patient_id"]
    for number, case in enumerate(CASES):
        save(root / f"{case.name}.png", np.random.default_rng(100 + number).integers(0, 256, (32, 40)).astype(np.uint8))
        rows.append(f"{case.name}.png,{case.label},{patients.format(case.patient)}")
    write(root / "t.csv", "\n".join(rows) + "\n")
    return root / "t.csv"


def test_a_patient_of_dicom_files_and_of_a_table_is_one_subject(capsys, tmp_path):
    options, file, out = dicom(tmp_path / "dcm"), table(tmp_path / "png"), tmp_path / "out"
    imported(capsys, "dicom", tmp_path / "dcm", out, "--task", "d", *options)
    text = imported(capsys, "csv", file, out, "--task", "c")
    assert "5 subjects from the column patient_id; hashed with the secret of OUT" in text
    _, cases = read(out)
    assert cases["subject"].nunique() == 5 and cases.groupby("subject")["task"].nunique().eq(2).all()
    assert "is in" in imported(capsys, "csv", file, out, "--task", "c")  # a second time


def test_and_where_the_table_came_first_dicom_files_of_its_patients_are_refused(capsys, tmp_path):
    options, file, out = dicom(tmp_path / "dcm"), table(tmp_path / "png"), tmp_path / "out"
    imported(capsys, "csv", file, out, "--task", "c")
    line = refused(capsys, "import", "dicom", tmp_path / "dcm", out, "--task", "d", *options)
    assert "OUT holds the patient p0 by this plain id, and would by a hashed one, too" in line
    assert "import DICOM files first, then the others, into a new OUT" in line
    assert set(read_receipts(out)) == {"c"} and not (out / "train" / "dcm").exists()
    imported(capsys, "dicom", tmp_path / "dcm", out, "--task", "d", *options, "--subject-prefix", "b-")
    imported(capsys, "csv", file, out, "--task", "again", "--columns", "label=label")  # plain ids meet plain ones
    _, cases = read(out)
    assert cases["subject"].nunique() == 10
    assert set(cases.loc[cases["task"] == "c", "subject"]) == set(cases.loc[cases["task"] == "again", "subject"])


def test_a_table_that_names_some_files_of_a_patient_names_all(capsys, tmp_path):
    """By ids of its own: two files of each patient, of which it names one."""
    options = dicom(tmp_path / "dcm", table="Q-")
    imported(capsys, "dicom", tmp_path / "dcm", tmp_path / "out", *options)
    _, cases = read(tmp_path / "out")
    assert len(cases) == 10 and cases["subject"].nunique() == 5


def test_names_that_subject_finds_in_paths_of_dicom_files_are_hashed(capsys, tmp_path):
    for number, case in enumerate(CASES):
        path = tmp_path / "s" / sources.NAMES[case.label] / f"Doe_{case.patient}" / f"{number}.dcm"
        write_dicom(path, case.pixels, patient="", number=number)
    imported(capsys, "dicom", tmp_path / "s", tmp_path / "out", "--task", "t", "--subject", "(Doe_[^/]+)/")
    _, cases = read(tmp_path / "out")
    assert cases["subject"].nunique() == 5
    (written,) = (tmp_path / "out" / "train" / "csv_files").glob("*.csv")
    with open(written, encoding="utf-8", newline="") as stream:
        assert not any("Doe" in cell for row in csv.reader(stream) for cell in row)
    assert "Doe_p0" not in receipt_file(tmp_path / "out", "t").read_text()


def volumes(root: Path) -> None:
    """Two volumes of each of twelve patients, as CAMUS names them."""
    for number in range(12):
        for view in range(2):
            path = root / ("a", "b")[number % 2] / f"patient{number:04d}_{view + 2}CH.nii.gz"
            write_nifti(path, volume(2 * number + view)[0])


def videos(root: Path) -> None:
    for number in range(12):
        for clip in range(2):
            path = root / ("a", "b")[number % 2] / f"patient{number:04d}_{clip}.mp4"
            write_video(path, sources.moving(2 * number + clip, 6))


@pytest.mark.parametrize(
    ("form", "build", "unit", "options"),
    [("nifti", volumes, "volume", ["--slices", "middle"]), ("video", videos, "video", ["--step", "6"])],
)
def test_a_volume_and_a_video_are_no_patients(capsys, tmp_path, form, build, unit, options):
    build(tmp_path / "s")
    text = imported(capsys, form, tmp_path / "s", tmp_path / "out", "--task", "t", *options)
    assert f"24 subjects from the {unit}s, none of them named as a patient" in text
    said = f"and 23 more: names no patient, so its {unit} counts as the subject; where a patient has several, give"
    assert said in text
    expression = r"(?<![a-zA-Z])patient\d+"
    assert (
        f"the names hold 12 words such as patient0000; where these are patients, give --subject '{expression}'" in text
    )
    valid = agglab(capsys, "validate", tmp_path / "out")[1]
    assert "no patient (subject) is known of any image" in valid
    assert f"the {unit} stands for the patient of 24 images, as their import says" in valid
    known = imported(capsys, form, tmp_path / "s", tmp_path / "known", *options, "--subject", expression)
    assert "12 subjects from --subject" in known and "names no patient" not in known
    assert "the patient (subject) of every image is known" in agglab(capsys, "validate", tmp_path / "known")[1]


def test_a_damaged_receipt_does_not_keep_a_folder_from_being_validated(capsys, tmp_path):
    imported(capsys, "csv", table(tmp_path / "png"), tmp_path / "out", "--task", "c")
    write(receipt_file(tmp_path / "out", "c"), "{}")
    code, text = agglab(capsys, "validate", tmp_path / "out")
    assert code == 0 and "c.json: cannot be used" in text
