"""Folders that may be classes, parts of the data, patients or masks: refused, left out, or said."""

import os
from pathlib import Path

import numpy as np
import pytest

from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import agglab, imported, refused
from tests.aggregation_lab.data.importing.sources import CASES, NAMES, save, write

SUBJECT = ("--subject", r"(p\d+)_")


def in_parts(root: Path, *parts: str) -> None:
    """A folder per class in each part, the images dealt out to the parts."""
    for number, case in enumerate(CASES):
        save(root / parts[number // 2 % len(parts)] / NAMES[case.label] / f"{case.name}.png", case.pixels)


@pytest.mark.parametrize("parts", [("Training", "Testing"), ("train_set", "test_set"), ("dev", "holdout")])
def test_parts_of_a_data_set_are_no_classes(capsys, tmp_path, parts):
    in_parts(tmp_path / "s", *parts)
    save(tmp_path / "s" / parts[0] / ".ipynb_checkpoints" / "a-checkpoint.png", CASES[0].pixels)
    save(tmp_path / "s" / parts[0] / "loose.png", CASES[0].pixels)
    text = imported(capsys, "folder", tmp_path / "s", tmp_path / "out", "--task", "t", *SUBJECT)
    assert "10 cases" in text and "classes  0 large, 1 small" in text and "the parts are taken together" in text
    assert f"{parts[0]}/loose.png: lies in no folder of a class" in text


def test_parts_beside_another_folder_are_refused(capsys, tmp_path):
    in_parts(tmp_path / "s", "train", "test", "extra")
    line = refused(capsys, "import", "folder", tmp_path / "s", tmp_path / "out", "--task", "t")
    assert "test, train are parts of the data, and extra is none; take extra out, or give test alone" in line


def test_a_class_may_be_called_test_and_a_folder_without_images_beside_parts_is_none(capsys, tmp_path):
    sources.folder(tmp_path / "a")
    os.rename(tmp_path / "a" / "small", tmp_path / "a" / "test")
    text = imported(capsys, "folder", tmp_path / "a", tmp_path / "out", "--task", "a", *SUBJECT)
    assert "classes  0 large, 1 test" in text
    in_parts(tmp_path / "b", "train", "test")
    write(tmp_path / "b" / "docs" / "readme.txt", "text")
    text = imported(capsys, "folder", tmp_path / "b", tmp_path / "out", "--task", "b", *SUBJECT)
    assert "classes  0 large, 1 small" in text and "docs: is a folder without images" in text


@pytest.mark.parametrize("name", ["{}_mask.png", "{}_mask_1.png", "masks/{}.png"])
def test_masks_beside_the_images_of_a_class_are_no_images(capsys, tmp_path, name):
    options = sources.folder(tmp_path / "s")
    for case in CASES:
        save(tmp_path / "s" / NAMES[case.label] / name.format(case.name), case.mask * 255)
    text = imported(capsys, "folder", tmp_path / "s", tmp_path / "out", "--task", "t", *options)
    assert "10 cases" in text and "and 9 more: is a mask by its name, and no image of the class" in text


def test_a_note_makes_no_masks_of_the_images_in_a_folder_gt(capsys, tmp_path):
    """`gt` is a site here; a text file beside it made all that lies in it masks."""
    for case in CASES:
        save(tmp_path / "s" / NAMES[case.label] / "gt" / f"{case.name}.png", case.pixels)
    write(tmp_path / "s" / NAMES[0] / "notes.txt", "text")
    text = imported(capsys, "folder", tmp_path / "s", tmp_path / "out", "--task", "t", *SUBJECT)
    assert "10 cases" in text and "is a mask by its name" not in text
    assert "notes.txt: is no file of the format, which takes images" in text


def test_the_images_of_a_class_are_not_asked_whether_they_are_folders(capsys, tmp_path, monkeypatch):
    asked, is_dir = [], Path.is_dir
    monkeypatch.setattr(Path, "is_dir", lambda path, **more: asked.append(path) or is_dir(path, **more))
    options = sources.folder(tmp_path / "s")
    imported(capsys, "folder", tmp_path / "s", tmp_path / "out", "--task", "t", *options)
    assert [path for path in asked if path.suffix == ".png" and path.is_relative_to(tmp_path / "s")] == []


def test_folders_that_hold_the_same_folders_are_said(capsys, tmp_path):
    in_parts(tmp_path / "s", "site_a", "site_b")
    _, text = agglab(capsys, "import", "folder", tmp_path / "s", tmp_path / "out", "--task", "t", *SUBJECT)
    assert "site_a, site_b: are the classes, and all hold large, small; where these are the classes, put them" in text


def test_names_that_are_numbers_stand_in_their_order(capsys, tmp_path):
    for number, case in enumerate(CASES * 2):
        save(tmp_path / "s" / str(number % 11) / f"{case.name}_{number}.png", case.pixels + np.uint8(number))
    _, text = agglab(capsys, "import", "folder", tmp_path / "s", tmp_path / "out", "--task", "t", *SUBJECT)
    assert "classes  0 0, 1 1, 2 2, 3 3" in text and "10 10" in text


def test_patients_in_folders_of_several_classes_are_said(capsys, tmp_path):
    for case in CASES:
        save(tmp_path / "s" / NAMES[case.label] / case.patient / f"{case.name}.png", case.pixels)
    save(tmp_path / "s" / NAMES[0] / "p9" / "x.png", 255 - CASES[0].pixels)
    text = imported(capsys, "folder", tmp_path / "s", tmp_path / "out", "--task", "t")
    assert "p0, p1, p2, p3: are names of folders in several classes; where they are patients, give --subject" in text
    text = imported(capsys, "folder", tmp_path / "s", tmp_path / "more", "--task", "t", "--subject", "/([^/]+)/")
    assert "in several classes" not in text
