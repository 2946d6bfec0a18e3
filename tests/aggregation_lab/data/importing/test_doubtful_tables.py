"""Tables, headers and text files that can be read in two ways, of which one gives wrong targets, subjects or greys."""

from pathlib import Path

import numpy as np
import pytest

from aggregation_lab.data.importing.receipt import read_receipts
from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import agglab, imported, read, refused
from tests.aggregation_lab.data.importing.sources import CASES, save, write, write_dicom
from tests.aggregation_lab.data.importing.test_dicom import RAMP, shown

BOX = ("x_min", "y_min", "x_max", "y_max")
FIRST = CASES[0].name


# ---- tables ----------------------------------------------------------------------------------------------------------


def boxes_of_kinds(root):
    return sources.table(
        root, lambda case: {"label": ("cyst", "nodule")[case.label], **dict(zip(BOX, case.box, strict=True))}
    )


def test_boxes_of_several_kinds_need_a_choice(capsys, tmp_path):
    file, options = boxes_of_kinds(tmp_path / "s"), ("--task", "t", "--type", "detection")
    line = refused(capsys, "import", "csv", file, tmp_path / "out", *options)
    assert "marks 2 kinds of objects (cyst, nodule), a task has one; give --classes cyst for one of them" in line
    imported(capsys, "csv", file, tmp_path / "out", *options, "--classes", "nodule")
    _, cases = read(tmp_path / "out")
    assert sorted(cases["box"]) == sorted(case.box for case in CASES if case.label)
    assert read_receipts(tmp_path / "out")["t"].skipped == {
        "marks nothing of the classes that count": [f"images/{case.name}.png" for case in CASES if not case.label]
    }


def test_classes_of_a_table_without_labels_are_refused(capsys, tmp_path):
    file = sources.table(tmp_path / "s", lambda case: dict(zip(BOX, case.box, strict=True)))
    line = refused(capsys, "import", "csv", file, tmp_path / "out", "--task", "t", "--classes", "nodule")
    assert "has no column of labels, so --classes names nothing; name it with --columns label=NAME" in line


@pytest.mark.parametrize("type", ["segmentation", "regression"])
def test_classes_name_nothing_of_masks_and_points(capsys, tmp_path, type):
    names = ("point_1_x", "point_1_y", "point_2_x", "point_2_y")
    columns = {
        "segmentation": lambda case: {"label": "x", "mask": f"masks/{case.name}.png"},
        "regression": lambda case: {"label": "x", **dict(zip(names, sum(case.points, ()), strict=True))},
    }
    file, options = sources.table(tmp_path / "s", columns[type]), ("--task", "t", "--type", type)
    line = refused(capsys, "import", "csv", file, tmp_path / "out", *options, "--classes", "x")
    assert f"--classes names nothing where the target is of {type}; leave it out" in line
    assert "10 cases" in imported(capsys, "csv", file, tmp_path / "out", *options)


def test_a_box_without_a_label_beside_labelled_ones_leaves_its_image_out(capsys, tmp_path):
    """It disappeared, and the image was taken as if it showed the other box alone."""
    file, options = boxes_of_kinds(tmp_path / "s"), ("--task", "t", "--type", "detection", "--classes", "cyst,nodule")
    write(file, f"{file.read_text()}images/{FIRST}.png,,1,1,9,9,{CASES[0].patient}\n")
    text = imported(capsys, "csv", file, tmp_path / "out", *options)
    assert "9 cases" in text and f"{FIRST}.png: line 12 holds a box without a label; write what it marks" in text


def test_boxes_in_a_table_whose_labels_are_empty_are_of_one_kind(capsys, tmp_path):
    file = sources.table(tmp_path / "s", lambda case: {"label": "", **dict(zip(BOX, case.box, strict=True))})
    text = imported(capsys, "csv", file, tmp_path / "out", "--task", "t", "--type", "detection")
    assert "10 cases" in text
    line = refused(
        capsys, "import", "csv", file, tmp_path / "more", "--task", "t", "--type", "detection", "--classes", "a"
    )
    assert "has no class 'a' (--classes)" in line


@pytest.mark.parametrize("apart", [True, False])
def test_absolute_paths_keep_the_folders_that_name_the_patient(capsys, tmp_path, apart):
    """They were cut to the name of the file, in which --subject found nothing."""
    file = sources.table(tmp_path / "s", lambda case: {"label": case.label})
    rows = [f"{tmp_path}/s/patient_{case.patient[1:]}/{case.name[-1]}.png,{case.label}" for case in CASES]
    for case, row in zip(CASES, rows, strict=True):
        save(Path(row.partition(",")[0]), case.pixels)
    file = tmp_path / ("lists" if apart else "s") / "t.csv"
    write(file, "\n".join(["image,label", *rows]))
    options = ("--task", "t", "--subject", r"patient_(\d+)")
    text = imported(capsys, "csv", file, tmp_path / "out", *options)
    assert "5 subjects" in text and "finds nothing" not in text


@pytest.mark.parametrize(
    ("numbers", "odd"), [((0, 1), "point_0_x"), ((1, 3), "point_3_x"), ((1, 2), ""), ((1, 2, 2), "point_3_x")]
)
def test_points_are_counted_from_1_without_a_gap(capsys, tmp_path, numbers, odd):
    """A point 0 was left out, silently, and so was all behind a gap, or without its y."""
    names = [f"point_{number}_{axis}" for number in numbers[:2] for axis in "xy"]
    more = {"point_3_x": 1} if len(numbers) > 2 else {}
    file = sources.table(tmp_path / "s", lambda case: dict(zip(names, sum(case.points, ()), strict=True)) | more)
    code, text = agglab(capsys, "import", "csv", file, tmp_path / "out", "--task", "t")
    assert code == (1 if odd else 0), text
    assert not odd or f"has the column {odd}, of a point that is not taken; number points from 1" in text


def test_masks_behind_backslashes_are_read_by_their_values(capsys, tmp_path):
    """0 and 255 were taken as classes, of 256, since no file was looked at."""
    sources.csv_masks(tmp_path / "s")
    for case in CASES:
        save(tmp_path / "s/masks" / f"{case.name}.png", case.mask * 255)
    sources.change(tmp_path / "s/table.csv", "masks/", "masks\\")
    assert "num_classes 2" in imported(capsys, "csv", tmp_path / "s/table.csv", tmp_path / "out", "--task", "t")


COLUMNS = {
    "label": (
        lambda case: {"label": case.label, "Diagnosis": "x"},
        "has the columns label and Diagnosis, which differ; say which",
    ),
    "subject": (
        lambda case: {"label": case.label, "patient_id": case.name},
        "has the columns subject and patient_id, which differ; say which counts, as in --columns subject=subject",
    ),
}


@pytest.mark.parametrize("meaning", COLUMNS)
def test_two_columns_of_one_meaning_need_a_choice(capsys, tmp_path, meaning):
    columns, message = COLUMNS[meaning]
    file = sources.table(tmp_path / "s", columns)
    assert message in refused(capsys, "import", "csv", file, tmp_path / "out", "--task", "t")
    imported(capsys, "csv", file, tmp_path / "out", "--task", "t", "--columns", f"{meaning}={meaning}")
    assert read(tmp_path / "out")[1]["subject"].nunique() == 5


def test_two_columns_that_say_the_same_are_one_and_said(capsys, tmp_path):
    names = sources.NAMES
    columns = lambda case: {"label": case.label, "class_name": names[case.label], "patient_id": f"US-{case.patient}"}  # noqa: E731
    file = sources.table(tmp_path / "s", columns)
    text = imported(capsys, "csv", file, tmp_path / "out", "--task", "t")
    assert "columns: label and class_name part the rows alike, and label is taken" in text
    assert "columns: subject and patient_id part the rows alike, and subject is taken" in text
    assert "5 subjects from the column subject" in text and "classes  0 0, 1 1" in text
    write(file, file.read_text().replace(f",{names[1]},", ",,", 1))
    line = refused(capsys, "import", "csv", file, tmp_path / "more", "--task", "t")
    assert "has the columns label and class_name, which differ; say which counts" in line


def test_a_column_that_may_tell_the_patient_is_named(capsys, tmp_path):
    file = sources.table(tmp_path / "s", lambda case: {"label": case.label, "Patient_num": case.patient})
    file.write_text(file.read_text().replace(",subject", ",note"))
    text = imported(capsys, "csv", file, tmp_path / "out", "--task", "t")
    assert "Patient_num may tell the patient, and is not used; give --columns subject=Patient_num if it does" in text
    text = imported(capsys, "csv", file, tmp_path / "more", "--task", "t", "--columns", "subject=Patient_num")
    assert "5 subjects from the column Patient_num" in text and "may tell" not in text


def test_spellings_of_a_number_are_one_class(capsys, tmp_path):
    texts = iter(("1", "2", "01", "2.0", "1.0", "02", "1", "2", "01", "2"))
    file = sources.table(tmp_path / "s", lambda case: {"label": next(texts)})
    assert "classes  0 1, 1 2" in imported(capsys, "csv", file, tmp_path / "out", "--task", "t")
    assert sorted(read(tmp_path / "out")[1]["label"]) == [0] * 5 + [1] * 5


def test_a_class_called_none_is_said_to_be_no_label(capsys, tmp_path):
    texts = iter(("benign", "malignant") * 4 + ("none", "None"))
    file = sources.table(tmp_path / "s", lambda case: {"label": next(texts)})
    text = imported(capsys, "csv", file, tmp_path / "out", "--task", "t")
    assert "its label is none, which means a missing value; write another word where it is a class" in text


# ---- DICOM -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("empty", [{"WindowCenter": "", "WindowWidth": ""}, {"VOILUTSequence": []}])
def test_an_empty_window_is_none(tmp_path, empty):
    """It made every pixel the same grey."""
    write_dicom(tmp_path / "a.dcm", RAMP, **empty)
    np.testing.assert_array_equal(shown(tmp_path / "a.dcm"), RAMP)


def test_a_patient_is_one_subject_however_the_id_is_written(capsys, tmp_path):
    written = {"p0": (" 0012", "12"), "p1": ("Ab-1", "AB-1 "), "p2": ("7", "7"), "p3": ("", "unknown")}
    for case in CASES[:8]:
        first = case.name.endswith("_0")
        issuer = {"IssuerOfPatientID": "CLINIC"} if first else {}
        path = tmp_path / "s" / sources.NAMES[case.label] / f"{case.name}.dcm"
        write_dicom(path, case.pixels, patient=written[case.patient][not first], **issuer)
    text = imported(capsys, "dicom", tmp_path / "s", tmp_path / "out", "--task", "t")
    assert "3 subjects from PatientID" in text
    assert ", and 2 images without one count as subjects of their own; hashed with" in text


# ---- YOLO, COCO ------------------------------------------------------------------------------------------------------


def test_a_blank_line_of_classes_txt_is_a_class(capsys, tmp_path):
    options = sources.yolo(tmp_path / "s", lambda case: sources.yolo_box(case).replace("0 ", "2 ", 1))
    (tmp_path / "s/data.yaml").unlink()
    write(tmp_path / "s/classes.txt", "cyst\n\nlesion\n")
    write(tmp_path / "s/labels/train/classes.txt", "cyst\n\nlesion\n")
    text = imported(capsys, "yolo", tmp_path / "s", tmp_path / "out", "--task", "t", *options)
    assert "2 lesion" in text and "skipped" not in text


def test_a_part_of_a_data_set_has_the_description_above(capsys, tmp_path):
    """Without kpt_shape, which stands there, boxes and keypoints were read as polygons."""

    def line(case):
        points = " ".join(f"{x / case.size[0]:.8f} {y / case.size[1]:.8f}" for x, y in case.points)
        return f"{sources.yolo_box(case)} {points}"

    options = sources.yolo(tmp_path / "s" / "train", line, "kpt_shape: [2, 2]\n")
    file = tmp_path / "s/train/data.yaml"
    file.rename(tmp_path / "s/data.yaml")
    sources.change(tmp_path / "s/data.yaml", "train: images/train", "train: ../train/images")
    imported(capsys, "yolo", tmp_path / "s" / "train", tmp_path / "out", "--task", "t", *options)
    _, cases = read(tmp_path / "out")
    assert sorted(cases["points"]) == sorted(case.points for case in CASES)
    sources.change(tmp_path / "s/data.yaml", "train: ../train/images", "train: ..\\train\\images")
    imported(capsys, "yolo", tmp_path / "s" / "train", tmp_path / "more", "--task", "t", *options)
    assert sorted(read(tmp_path / "more")[1]["points"]) == sorted(case.points for case in CASES)


@pytest.mark.parametrize("above", [b"names: [a\n: b", b"\xff\xfe\x00", b"names: 2024-99-99", b"other: 1"])
def test_a_foreign_file_above_stops_nothing(capsys, tmp_path, above):
    options = sources.yolo(tmp_path / "s")
    (tmp_path / "s/data.yaml").unlink()
    (tmp_path / "data.yaml").write_bytes(above)
    text = imported(capsys, "yolo", tmp_path / "s", tmp_path / "out", "--task", "t", *options)
    assert "10 cases" in text and ("../data.yaml: lies above SOURCE" in text) == (above != b"other: 1")


def test_labels_that_a_model_predicted_are_said(capsys, tmp_path):
    options = sources.yolo(tmp_path / "s", lambda case: f"{sources.yolo_box(case)} 0.93")
    text = imported(capsys, "yolo", tmp_path / "s", tmp_path / "out", "--task", "t", *options)
    assert "has a number behind a box, as predictions of a model have; it is not used" in text


def test_an_id_of_two_classes_is_refused(capsys, tmp_path):
    sources.coco(tmp_path / "s")
    file = tmp_path / "s/annotations/instances.json"
    sources.change(file, '[{"id": 3, "name": "lesion"}]', '[{"id": 3, "name": "lesion"}, {"id": 3, "name": "cyst"}]')
    line = refused(capsys, "import", "coco", tmp_path / "s", tmp_path / "out", "--task", "t")
    assert "gives the id 3 to lesion and to cyst; correct one" in line


def test_two_files_of_unlike_labels_leave_their_image_out(capsys, tmp_path):
    options = sources.yolo(tmp_path / "s")
    write(tmp_path / "s/images/train" / f"{CASES[0].name}.txt", "0 .5 .5 .1 .1")
    text = imported(capsys, "yolo", tmp_path / "s", tmp_path / "out", "--task", "t", *options)
    assert "9 cases" in text and f"{CASES[0].name}.png: has 2 files of unlike labels; take the wrong ones out" in text


def test_a_report_or_a_copy_beside_the_labels_leaves_no_image_out(capsys, tmp_path):
    options = sources.yolo(tmp_path / "s")
    write(tmp_path / "s/images/train" / f"{CASES[0].name}.txt", "Lesion of 12 mm, left.")
    write(tmp_path / "s/images/train" / f"{CASES[1].name}.txt", sources.yolo_box(CASES[1]))
    text = imported(capsys, "yolo", tmp_path / "s", tmp_path / "out", "--task", "t", *options)
    assert "10 cases" in text and f"images/train/{CASES[0].name}.txt: line 1 is no class with four numbers" in text
    assert sorted(read(tmp_path / "out")[1]["box"]) == sorted(case.box for case in CASES)


def test_versions_of_one_image_are_said_where_no_subject_keeps_them_together(capsys, tmp_path):
    for number, case in enumerate(CASES * 2):
        name = f"{case.name}_png.rf.{number:032x}.png"
        save(tmp_path / "s" / sources.NAMES[case.label] / name, case.pixels + np.uint8(number))
    text = imported(capsys, "folder", tmp_path / "s", tmp_path / "out", "--task", "t")
    assert r"20 images are versions of others by their names" in text and r"give --subject '([^/]+)\.rf\.'" in text
    text = imported(capsys, "folder", tmp_path / "s", tmp_path / "more", "--task", "t", "--subject", r"([^/]+)\.rf\.")
    assert "versions of others" not in text and "10 subjects" in text


def test_subjects_that_keep_nothing_together_are_said(capsys, tmp_path):
    """A greedy expression finds a subject in every image, another one each time."""
    sources.folder(tmp_path / "s")
    text = imported(capsys, "folder", tmp_path / "s", tmp_path / "out", "--task", "t", "--subject", "([^/]+)[.]png")
    assert "10 subjects from --subject ([^/]+)[.]png, each of one image; see that they are patients" in text
