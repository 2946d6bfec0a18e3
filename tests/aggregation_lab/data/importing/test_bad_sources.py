"""Sources and options that cannot be used: one line that names the file and the remedy, never a traceback; and single
faults in a source that can: left out, with the reason in the receipt."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aggregation_lab.data.importing.formats import FORMATS
from aggregation_lab.data.importing.receipt import read_receipts
from aggregation_lab.data.subjects import regular_expressions
from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import imported, refused
from tests.aggregation_lab.data.importing.sources import CASES, save, write


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


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    write(file, text.replace(old, new))


Change = Callable[[Path], object]
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
        "unlike numbers of keypoints",
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
        "of which a task cannot be made",
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
    "cells": ("image,label\na.png\n", "line 2 has 1 cells, the header 2"),
    "one class": ("image,label\na.png,1\nb.png,1\n", "has 1 class (1)"),
    "not there": ("image,label\na.png,0\nb.png,1\n", "2 are left out, as a.png: the file does not exist"),
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
    "counts": (npz(train_images=PIXELS, train_labels=np.zeros((3, 1), int)), "for 4 images"),
    "one class": (npz(train_images=PIXELS, train_labels=np.zeros((4, 1), int)), "has one class"),
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


# ---- single faults: left out, with a reason -------------------------------------------------------------------------

FIRST = CASES[0].name


def retouch(file: str, **fields: object) -> Change:
    """Other fields in the first annotation of a COCO file."""

    def spoil(source: Path) -> None:
        value = json.loads((source / file).read_text())
        value["annotations"][0] |= fields
        write(source / file, json.dumps(value))

    return spoil


COCO = "annotations/instances.json"
BOXES = ("--type", "detection")
LEFT_OUT: dict[str, tuple[str, Callable[[Path], object], Change, tuple[str, ...], str]] = {
    "coco image gone": (
        "coco",
        sources.coco,
        lambda s: os.unlink(s / f"images/{FIRST}.png"),
        (),
        "its image file does not exist",
    ),
    "coco no annotation": ("coco", sources.coco, retouch(COCO, image_id=1), BOXES, "has no annotation"),
    "coco no image": (
        "coco",
        sources.coco,
        retouch(COCO, image_id=77),
        BOXES,
        "is of an image that the file does not list",
    ),
    "coco category": (
        "coco",
        sources.coco,
        retouch(COCO, category_id=9),
        BOXES,
        "is of the category 9, which the file does not list",
    ),
    "coco list as id": ("coco", sources.coco, retouch(COCO, image_id=[1], category_id={}), BOXES, "names no image"),
    "coco box": ("coco", sources.coco, retouch(COCO, bbox=[1, 2, 3]), BOXES, "its bbox is no four numbers"),
    "coco box text": ("coco", sources.coco, retouch(COCO, bbox="none"), BOXES, "its bbox is no list of numbers"),
    "coco box outside": ("coco", sources.coco, retouch(COCO, bbox=[900, 900, 9, 9]), BOXES, "lies outside the image"),
    "coco flat box": ("coco", sources.coco, retouch(COCO, bbox=[5, 5, 0, 9]), BOXES, "is empty or lies outside"),
    "coco crowd": ("coco", sources.coco, retouch(COCO, iscrowd=1), BOXES, "marks a crowd (iscrowd)"),
    "coco unmarked": ("coco", sources.coco, retouch(COCO, keypoints=[0, 0, 0, 5, 5, 2]), (), "lacks 1 of 2 points"),
    "coco point outside": (
        "coco",
        sources.coco,
        retouch(COCO, keypoints=[0, 0, 2, 999, 5, 2]),
        (),
        "a point lies outside",
    ),
    "coco rle": (
        "coco",
        sources.coco,
        retouch(COCO, segmentation={"size": [32, 40], "counts": "abc"}),
        ("--type", "segmentation"),
        "compressed run length",
    ),
    "coco size": (
        "coco",
        sources.coco,
        lambda s: save(s / f"images/{FIRST}.png", CASES[0].pixels[:20, :20]),
        BOXES,
        "its image has 20 x 20 pixels, its annotation is for 40 x 32",
    ),
    "nnunet image": (
        "nnunet",
        sources.nnunet,
        lambda s: os.unlink(s / f"labelsTr/{FIRST}.png"),
        (),
        "has no labels in labelsTr",
    ),
    "nnunet label": (
        "nnunet",
        sources.nnunet,
        lambda s: os.unlink(s / f"imagesTr/{FIRST}_0000.png"),
        (),
        "has no image p0_0_0000.png",
    ),
    "nnunet size": (
        "nnunet",
        sources.nnunet,
        lambda s: save(s / f"labelsTr/{FIRST}.png", CASES[0].mask[:9]),
        (),
        "has another size than the image",
    ),
    "nnunet class": (
        "nnunet",
        sources.nnunet,
        lambda s: save(s / f"labelsTr/{FIRST}.png", CASES[0].mask * 7),
        (),
        "its mask holds the value 7",
    ),
    "nnunet photograph": (
        "nnunet",
        sources.nnunet,
        lambda s: write(s / f"imagesTr/{FIRST}_0000.png", "text"),
        (),
        "cannot be decoded",
    ),
    "yolo no label": (
        "yolo",
        sources.yolo,
        lambda s: os.unlink(s / f"labels/train/{FIRST}.txt"),
        (),
        "has no labels, or they cannot be read",
    ),
    "yolo no image": (
        "yolo",
        sources.yolo,
        lambda s: os.unlink(s / f"images/train/{FIRST}.png"),
        (),
        "are labels without an image",
    ),
    "yolo empty": ("yolo", sources.yolo, lambda s: write(s / f"labels/train/{FIRST}.txt", "\n"), (), "shows no object"),
    "yolo text": (
        "yolo",
        sources.yolo,
        lambda s: write(s / f"labels/train/{FIRST}.txt", "a b c d e"),
        (),
        "line 1 is no class with four numbers",
    ),
    "yolo pixels": (
        "yolo",
        sources.yolo,
        lambda s: write(s / f"labels/train/{FIRST}.txt", "0 20 20 9 9"),
        (),
        "holds numbers beyond 1",
    ),
    "yolo class": (
        "yolo",
        sources.yolo,
        lambda s: write(s / f"labels/train/{FIRST}.txt", "4 .5 .5 .1 .1"),
        (),
        "is of class 4, names has 1 classes",
    ),
    "yolo outside": (
        "yolo",
        sources.yolo,
        lambda s: write(s / f"labels/train/{FIRST}.txt", "0 1.4 1.4 .1 .1"),
        (),
        "lies outside the image",
    ),
    "voc broken": (
        "voc",
        sources.voc,
        lambda s: write(s / f"Annotations/{FIRST}.xml", "<annotation>"),
        (),
        "is no XML",
    ),
    "voc no object": (
        "voc",
        sources.voc,
        lambda s: write(s / f"Annotations/{FIRST}.xml", f"<annotation><filename>{FIRST}.png</filename></annotation>"),
        (),
        "marks no object",
    ),
    "voc image": (
        "voc",
        sources.voc,
        lambda s: os.unlink(s / f"JPEGImages/{FIRST}.png"),
        (),
        "its image file does not exist",
    ),
    "voc no box": (
        "voc",
        sources.voc,
        lambda s: change(s / f"Annotations/{FIRST}.xml", "<xmin>", "<left>1</left><xmin>x"),
        (),
        "no box of four numbers",
    ),
    "voc no annotation": (
        "voc",
        sources.voc,
        lambda s: os.unlink(s / f"Annotations/{FIRST}.xml"),
        (),
        "has no annotation",
    ),
    "masks image": (
        "masks",
        sources.masks,
        lambda s: os.unlink(s / f"images/{FIRST}.png"),
        (),
        "is a mask without an image of its name",
    ),
    "masks mask": ("masks", sources.masks, lambda s: os.unlink(s / f"masks/{FIRST}_mask.png"), (), "has no mask"),
    "masks two": (
        "masks",
        sources.masks,
        lambda s: save(s / f"masks/{FIRST}_mask_1.png", CASES[0].mask),
        (),
        "has 2 masks",
    ),
    "labelme points": (
        "labelme",
        lambda s: sources.labelme(s, kind="point"),
        lambda s: change(s / f"{FIRST}.json", '"a_left"', '"b_right"'),
        (),
        "marks the point b_right more than once",
    ),
    "labelme data": (
        "labelme",
        sources.labelme,
        lambda s: write(
            s / f"{FIRST}.json", json.dumps({**json.loads((s / f"{FIRST}.json").read_text()), "imageData": "%%"})
        ),
        (),
        "its imageData is damaged",
    ),
    "labelme list": (
        "labelme",
        sources.labelme,
        lambda s: write(s / f"{FIRST}.json", "[]"),
        (),
        "is no JSON file of LabelMe",
    ),
    "labelme nothing": (
        "labelme",
        sources.labelme,
        lambda s: write(
            s / f"{FIRST}.json", json.dumps({**json.loads((s / f"{FIRST}.json").read_text()), "shapes": []})
        ),
        (),
        "marks nothing",
    ),
    "cvat image": (
        "cvat",
        sources.cvat,
        lambda s: os.unlink(s / f"images/{FIRST}.png"),
        (),
        "its image file does not exist",
    ),
    "cvat size": (
        "cvat",
        sources.cvat,
        lambda s: save(s / f"images/{FIRST}.png", CASES[0].pixels[:9]),
        (),
        "its annotation is for 40 x 32",
    ),
    "cvat numbers": (
        "cvat",
        lambda s: sources.cvat(s, sources.cvat_box),
        lambda s: change(s / "annotations.xml", f'xtl="{CASES[0].box[0]}" ytl="{CASES[0].box[1]}"', 'ytl="x"'),
        (),
        "a box has no number xtl",
    ),
    "dicom noise": (
        "dicom",
        sources.dicom,
        lambda s: write(s / "large" / "noise.dcm", "noise"),
        (),
        "is no DICOM file",
    ),
    "nifti noise": ("nifti", sources.nifti, lambda s: write(s / f"{FIRST}.nii.gz", "noise"), (), "is no NIfTI file"),
    "nifti mask": (
        "nifti",
        sources.nifti,
        lambda s: sources.write_nifti(s / f"{FIRST}_seg.nii.gz", CASES[0].mask[:9, :, None]),
        (),
        "voxels, its mask",
    ),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_fault_of_one_image_leaves_it_out(capsys, tmp_path, name):
    form, build, spoil, more, message = LEFT_OUT[name]
    options = build(tmp_path / "s")
    spoil(tmp_path / "s")
    imported(capsys, form, tmp_path / "s", tmp_path / "out", "--task", "t", *(options or ()), *more)
    receipt = read_receipts(tmp_path / "out")["t"]
    assert any(message in reason for reason in receipt.skipped), receipt.skipped
    assert receipt.counts["cases"] >= 9
