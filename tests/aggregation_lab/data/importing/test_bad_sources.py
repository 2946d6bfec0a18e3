"""Sources and options that cannot be used: one line that names the file and the remedy, never a traceback."""

import io
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aggregation_lab.data.importing.formats import FORMATS
from aggregation_lab.data.subjects import regular_expressions
from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import refused
from tests.aggregation_lab.data.importing.sources import CASES, Change, change, save, write


@pytest.mark.parametrize("form", FORMATS)
def test_a_missing_source(capsys, tmp_path, form):
    assert "does not exist; give" in refused(capsys, "import", form, tmp_path / "none", tmp_path / "out")
    assert not (tmp_path / "out" / "train").exists()


@pytest.mark.parametrize("form", FORMATS)
def test_an_empty_folder(capsys, tmp_path, form):
    (tmp_path / "s").mkdir()
    line = refused(capsys, "import", form, tmp_path / "s", tmp_path / "out")
    assert "; give" in line and str(tmp_path / "s") in line


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_of_noise(capsys, tmp_path, form):
    save(tmp_path / "s.bin", np.random.default_rng(0).bytes(4000))
    refused(capsys, "import", form, tmp_path / "s.bin", tmp_path / "out")


@pytest.mark.parametrize("form", FORMATS)
def test_a_folder_of_noise(capsys, tmp_path, form):
    """Files of every ending that a reader looks for, none of which holds what it says."""
    noise = np.random.default_rng(0)
    names = "dataset.json a.json b.xml c.txt data.yaml t.csv a/x.png b/x.png a/x.dcm b/x.dcm a/x.nii b/x.nii.gz a/x.mp4"
    for name in (*names.split(), "b/x.avi", "labels/x.txt", "images/x.png", "masks/x.png", "JPEGImages/x.jpg"):
        save(tmp_path / "s" / name, noise.bytes(3000))
    refused(capsys, "import", form, tmp_path / "s", tmp_path / "out", "--task", "t")


OPTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "format": (("foldr",), "FORMAT: 'foldr' is no format; did you mean folder?"),
    "subject": (("folder", "--subject", "(p"), "--subject: '(p' is no regular expression"),
    "no meaning": (("folder", "--boxes", "each"), "--boxes means nothing for folder; it takes --classes"),
    "no crop": (("nifti", "--no-crop"), "--no-crop means nothing for nifti"),
    "boxes": (("yolo", "--boxes", "all"), "--boxes: is 'all'; it takes largest, each"),
    "type": (("coco", "--type", "detections"), "--type: is 'detections'; it takes segmentation"),
    "mask values": (("masks", "--mask-values", "0,255"), "--mask-values: '0' gives no class; write VALUE=CLASS"),
    "two values": (("masks", "--mask-values", "0-9=0,5=1"), "--mask-values: names 5 twice"),
    "mixed values": (("masks", "--mask-values", "0=0,#ff0000=1"), "--mask-values: mixes numbers and colours"),
    "group": (("folder", "--group", "a/b"), "--group: 'a/b' is no name; take out the slashes"),
    "classes": (("folder", "--classes", "a,a"), "--classes: takes different names"),
    "unknown class": (("folder", "--classes", "large,smal"), "has no class 'smal' (--classes); did you mean small?"),
    "columns": (("csv", "--columns", "image"), "--columns: is 'image'; write MEANING=COLUMN"),
    "one meaning": (("csv", "--columns", "image=a,image=b"), "--columns: gives two columns one meaning"),
    "no images": (("coco", "--images", "/no/such/folder"), "--images /no/such/folder: is no folder; give the one that"),
    "task": (("folder", "--task", "a/b"), "--task 'a/b': is no name; take out the '/'"),
    "challenge": (("folder", "--task", "fetal_head"), "is a name of the challenge (segmentation with 2 classes"),
    "endless": (("folder", "--subject", r"(k|kk)+\d$"), "--subject: searches"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_that_cannot_be_meant(capsys, tmp_path, monkeypatch, name):
    monkeypatch.setattr(regular_expressions, "SECONDS", 0.1)
    (form, *options), message = OPTIONS[name]
    sources.folder(tmp_path / "s")
    if name == "endless":
        save(tmp_path / "s" / "large" / f"{'k' * 120}!.png", CASES[0].pixels)
    assert message in refused(capsys, "import", form, tmp_path / "s", tmp_path / "out", *options)


@pytest.mark.parametrize("form", [form for form in FORMATS.values() if form.package], ids=lambda form: form.name)
def test_a_missing_package_is_one_line_that_says_how_to_get_it(capsys, tmp_path, monkeypatch, form):
    from aggregation_lab.data.importing import formats

    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    line = refused(capsys, "import", form.name, tmp_path / "s", tmp_path / "out")
    assert f"needs the package {form.package}, which is not installed; pip install -e '.[{form.extra}]'" in line


def test_out_inside_of_the_source(capsys, tmp_path):
    sources.folder(tmp_path / "s")
    assert "choose a folder apart" in refused(capsys, "import", "folder", tmp_path / "s", tmp_path / "s" / "out")


def test_out_that_cannot_be_written(capsys, tmp_path):
    sources.folder(tmp_path / "s")
    write(tmp_path / "out", "a file")
    assert "is no folder" in refused(capsys, "import", "folder", tmp_path / "s", tmp_path / "out")


# ---- documents that are broken -------------------------------------------------------------------------------------


REFUSED: dict[str, tuple[str, Callable[[Path], object], Change, str]] = {
    "coco no json": (
        "coco",
        sources.coco,
        lambda s: change(s / "annotations/instances.json", '"images"', '"images'),
        "is no JSON",
    ),
    "coco no lists": (
        "coco",
        sources.coco,
        lambda s: write(s / "annotations/instances.json", "[1]"),
        "no JSON file with images",
    ),
    "coco kinds": (
        "coco",
        sources.coco,
        lambda s: (
            change(
                s / "annotations/instances.json",
                '"categories": [',
                '"categories": [{"id": 1, "name": "cyst"}, ',
            )
            or change(
                s / "annotations/instances.json",
                '"id": 4, "image_id": 4, "category_id": 3',
                '"id": 4, "image_id": 4, "category_id": 1',
            )
        ),
        "marks 2 kinds of objects (cyst, lesion), a task has one; give --classes cyst for one of them",
    ),
    "coco points": (
        "coco",
        sources.coco,
        lambda s: change(s / "annotations/instances.json", '"keypoints": [', '"keypoints": [1, 1, '),
        "keypoints are x, y, visibility (0, 1 or 2)",
    ),
    "nnunet no labels": (
        "nnunet",
        sources.nnunet,
        lambda s: change(s / "dataset.json", '"labels"', '"other"'),
        "holds no labels",
    ),
    "nnunet channels": (
        "nnunet",
        sources.nnunet,
        lambda s: change(s / "dataset.json", '{"0": "US"}', '{"0": "US", "1": "Doppler"}'),
        "images have 2 channels (0: US, 1: Doppler); choose one with --channel",
    ),
    "nnunet ending": (
        "nnunet",
        sources.nnunet,
        lambda s: change(s / "dataset.json", ".png", ".mha"),
        "file_ending .mha is not read",
    ),
    "nnunet label": (
        "nnunet",
        sources.nnunet,
        lambda s: change(s / "dataset.json", '"lesion": 1', '"lesion": "1"'),
        "label 'lesion' is '1'",
    ),
    "nnunet no folder": (
        "nnunet",
        sources.nnunet,
        lambda s: os.rename(s / "imagesTr", s / "images"),
        "holds no folder imagesTr; a data set has dataset.json, imagesTr and labelsTr",
    ),
    "yolo numbers": ("yolo", sources.yolo, lambda s: write(s / "data.yaml", "names: {9999999999: a}"), "is no list"),
    "yolo names of lists": ("yolo", sources.yolo, lambda s: write(s / "data.yaml", "names: [[a], b]"), "is no list"),
    "yolo boxes and polygons": (
        "yolo",
        sources.yolo,
        lambda s: write(s / f"labels/train/{CASES[0].name}.txt", "0 .1 .1 .3 .1 .3 .3"),
        "hold 1 polygons and 9 boxes; choose --type detection",
    ),
    "voc masks are no images": (
        "voc",
        sources.voc,
        lambda s: shutil.rmtree(s / "JPEGImages"),
        "its image file does not exist",
    ),
    "masks in greys": (
        "masks",
        sources.masks,
        lambda s: [save(s / f"masks/{case.name}_mask.png", case.pixels) for case in CASES],
        "shows greys of every kind, as an image does, and is no mask",
    ),
    "yolo yaml": ("yolo", sources.yolo, lambda s: write(s / "data.yaml", "names: [a"), "is no YAML"),
    "yolo twice": (
        "yolo",
        sources.yolo,
        lambda s: write(s / "data.yaml", "names: [a, a]"),
        "two classes have one name",
    ),
    "yolo shape": (
        "yolo",
        sources.yolo,
        lambda s: write(s / "data.yaml", "names: [a]\nkpt_shape: 3"),
        "kpt_shape of data.yaml is 3",
    ),
    "voc entities": (
        "voc",
        sources.voc,
        lambda s: [write(file, f"<!DOCTYPE a [<!ENTITY x 'y'>]>{file.read_text()}") for file in s.rglob("*.xml")],
        "declares a document type or entities",
    ),
    "cvat no xml": ("cvat", sources.cvat, lambda s: change(s / "annotations.xml", "</annotations>", ""), "is no XML"),
    "cvat tracks": (
        "cvat",
        sources.cvat,
        lambda s: change(s / "annotations.xml", "<version>", "<track/><version>"),
        "tracks of a video",
    ),
    "labelme kinds": (
        "labelme",
        sources.labelme,
        lambda s: [change(file, '"polygon"', '"line"') for file in s.rglob("*.json")],
        "what is drawn is lines, of which a task cannot be made; draw polygons, rectangles or points, which are read",
    ),
    "one class": (
        "folder",
        sources.folder,
        lambda s: os.rename(s / "small", s / "large" / "more"),
        "has one class (large)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_documents_that_are_broken(capsys, tmp_path, name):
    form, build, spoil, message = REFUSED[name]
    build(tmp_path / "s")
    spoil(tmp_path / "s")
    assert message in refused(capsys, "import", form, tmp_path / "s", tmp_path / "out", "--task", "t")


TABLES = {
    "empty": ("", "is empty; fill it"),
    "no rows": ("image,label\n", "holds no row below its header"),
    "no image": ("picture_no,label\n1,2\n", "has no column of images among picture_no, label; name it with --columns"),
    "no target": (
        "image,note\na.png,b\n",
        "has no target among image, note; a target is one of: classification: label",
    ),
    "two targets": ("image,label,mask\na.png,1,a_m.png\n", "has targets of classification and segmentation"),
    "cells": ("image,label\na.png\n", "line 2 has 1 cells, the header 2; complete the row"),
    "a comma": ("image,label\na.png,solid, round\n", "line 2 has 3 cells, the header 2; put quotes around text"),
    "twice": ("image,label,label\na.png,1,2\n", "has the column 'label' twice; keep one, or rename it"),
    "one class": ("image,label\na.png,1\nb.png,1\n", "has 1 class (1)"),
    "not there": (
        "image,label\na.png,0\nb.png,1\n",
        "2 are left out, as a.png: the file does not exist, nor another of its name; paths",
    ),
    "latin": (b"image,label\n\xe9.png,0\n", "is not UTF-8"),
    "workbook": (b"PK\x03\x04aaaa", "is a workbook of Excel"),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_that_cannot_be_used(capsys, tmp_path, name):
    text, message = TABLES[name]
    (tmp_path / "t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert message in refused(capsys, "import", "csv", tmp_path / "t.csv", tmp_path / "out")


def npz(**arrays: object) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


PIXELS = np.zeros((4, 28, 28), np.uint8)
ARCHIVES = {
    "no zip": (b"noise", "is no npz file of plain arrays"),
    "no arrays": (npz(a=PIXELS), "holds no train_images"),
    "no labels": (npz(train_images=PIXELS), "holds train_images without train_labels"),
    "several labels": (npz(train_images=PIXELS, train_labels=np.zeros((4, 14), int)), "has 14 labels per image"),
    "volumes": (npz(train_images=np.zeros((4, 28, 28, 28), np.uint8), train_labels=np.zeros((4, 1), int)), "volumes"),
    "counts": (
        npz(train_images=PIXELS, train_labels=np.zeros((3, 1), int)),
        "has 4 train_images and 3 labels; give each",
    ),
    "fractions": (
        npz(train_images=PIXELS, train_labels=np.zeros((4, 1))),
        "train_labels are float64, and classes count from 0; save them as whole numbers from 0",
    ),
    "one class": (npz(train_images=PIXELS, train_labels=np.zeros((4, 1), int)), "has one class"),
    "a million": (
        npz(train_images=PIXELS, train_labels=np.full((4, 1), 10**6)),
        "has 1000001 classes; agglab takes 256",
    ),
    "no pixel": (
        npz(train_images=PIXELS[:, :0], train_labels=np.eye(4)[:, :1].astype(int)),
        "image without a pixel",
    ),
    "objects": (
        npz(train_images=PIXELS, train_labels=np.array([{}, 1, 2, 3], object)),
        "is no npz file of plain arrays",
    ),
    "truncated": (npz(train_images=PIXELS, train_labels=np.zeros((4, 1), int))[:-40], "is no npz file of plain arrays"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_that_are_none_of_medmnist(capsys, tmp_path, name):
    data, message = ARCHIVES[name]
    (tmp_path / "a.npz").write_bytes(data)
    assert message in refused(capsys, "import", "medmnist", tmp_path / "a.npz", tmp_path / "out")


def test_a_zip_archive_of_other_files_is_none_either(capsys, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("train_images.npy", "text")
        archive.writestr("train_labels.npy", "text")
    assert "is no npz file" in refused(capsys, "import", "medmnist", tmp_path / "a.npz", tmp_path / "out")
