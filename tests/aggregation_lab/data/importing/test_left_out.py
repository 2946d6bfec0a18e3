"""Single faults in a source that can be used: left out, with the reason in the receipt; and names, links and copies."""

import json
import os
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aggregation_lab.data.importing.receipt import read_receipts
from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import imported, refused
from tests.aggregation_lab.data.importing.sources import CASES, Change, change, save, write

FIRST = CASES[0].name


def retouch(file: str, **fields: object) -> Change:
    """Other fields in the first annotation of a COCO file."""

    def spoil(source: Path) -> None:
        value = json.loads((source / file).read_text())
        value["annotations"][0] |= fields
        write(source / file, json.dumps(value))

    return spoil


COCO = "annotations/instances.json"


def reshape(**fields: object) -> Change:
    """Other fields of the first shape of a LabelMe file."""

    def spoil(source: Path) -> None:
        value = json.loads((source / f"{FIRST}.json").read_text())
        value["shapes"][0] |= fields
        write(source / f"{FIRST}.json", json.dumps(value))

    return spoil


def relist(place: int, **fields: object) -> Change:
    """Other fields of an image of a COCO file."""

    def spoil(source: Path) -> None:
        value = json.loads((source / COCO).read_text())
        value["images"][place] |= fields
        write(source / COCO, json.dumps(value))

    return spoil


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
    "coco box outside": ("coco", sources.coco, retouch(COCO, bbox=[900, 900, 9, 9]), BOXES, "far beyond the right"),
    "coco flat box": ("coco", sources.coco, retouch(COCO, bbox=[5, 5, 0, 9]), BOXES, "is empty or lies outside"),
    "coco crowd": ("coco", sources.coco, retouch(COCO, iscrowd=1), BOXES, "marks a crowd (iscrowd)"),
    "coco unmarked": ("coco", sources.coco, retouch(COCO, keypoints=[0, 0, 0, 5, 5, 2]), (), "lacks 1 of 2 points"),
    "coco point outside": (
        "coco",
        sources.coco,
        retouch(COCO, keypoints=[0, 0, 2, 5, -1, 2]),
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
    "coco rle size": (
        "coco",
        sources.coco,
        retouch(COCO, segmentation={"size": [None, 40], "counts": [1]}),
        ("--type", "segmentation"),
        "has run lengths without a size",
    ),
    "coco rle text": (
        "coco",
        sources.coco,
        retouch(COCO, segmentation={"size": [32, 40], "counts": [None, 10**30]}),
        ("--type", "segmentation"),
        "its run lengths are no whole numbers",
    ),
    "coco area outside": (
        "coco",
        sources.coco,
        retouch(COCO, segmentation=[[900, 900, 950, 900, 1e300, 950]]),
        ("--type", "segmentation"),
        "a polygon reaches far beyond the right or lower edge",
    ),
    "coco speck": (
        "coco",
        sources.coco,
        retouch(COCO, segmentation=[[5, 5, 5.1, 5, 5, 5.1]]),
        ("--type", "segmentation"),
        "covers no pixel: it is too small, or lies outside the image",
    ),
    "coco image without id": ("coco", sources.coco, relist(0, id=None), BOXES, "is an image without an id"),
    "coco no name": ("coco", sources.coco, relist(0, file_name=None), BOXES, "names no file"),
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
    "yolo great class": (
        "yolo",
        sources.yolo,
        lambda s: write(s / f"labels/train/{FIRST}.txt", "999999999 .5 .5 .1 .1"),
        (),
        "line 1 is no class with four numbers",
    ),
    "yolo outside": (
        "yolo",
        sources.yolo,
        lambda s: write(s / f"labels/train/{FIRST}.txt", "0 1.04 1.04 .06 .06"),
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
    "labelme number": ("labelme", sources.labelme, reshape(points=3), (), "a polygon has 0 points"),
    "labelme list": ("labelme", sources.labelme, reshape(shape_type=["x"], points=[]), (), "a ['x'] has 0 points"),
    "labelme no label": ("labelme", sources.labelme, reshape(label=None), (), "a shape has no label"),
    "labelme line": (
        "labelme",
        sources.labelme,
        reshape(shape_type="line"),
        (),
        "marks nothing that a segmentation task takes",
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
    "labelme no object": (
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
    "cvat run lengths": (
        "cvat",
        lambda s: sources.cvat(s, sources.cvat_mask),
        lambda s: change(
            s / "annotations.xml",
            f'name="{FIRST}.png" width="40" height="32"><mask label="lesion" rle="0',
            f'name="{FIRST}.png"><mask label="lesion" rle="x',
        ),
        (),
        "its run lengths are no whole numbers",
    ),
    "cvat no label": (
        "cvat",
        sources.cvat,
        lambda s: change(
            s / "annotations.xml",
            f'name="{FIRST}.png" width="40" height="32"><polygon label="lesion"',
            f'name="{FIRST}.png"><polygon',
        ),
        (),
        "a shape has no label",
    ),
    "folder other file": (
        "folder",
        sources.folder,
        lambda s: write(s / "large" / "notes.heic", "text"),
        (),
        "is no file of the format, which takes images",
    ),
    "folder pipe": ("folder", sources.folder, lambda s: os.mkfifo(s / "large" / "x.png"), (), "is no regular file"),
    "dicom pipe": ("dicom", sources.dicom, lambda s: os.mkfifo(s / "large" / "x.dcm"), (), "is no regular file"),
    "dicom noise": (
        "dicom",
        sources.dicom,
        lambda s: write(s / "large" / "noise.dcm", "noise"),
        (),
        "is no DICOM file",
    ),
    "nifti noise": ("nifti", sources.nifti, lambda s: write(s / f"{FIRST}.nii.gz", "noise"), (), "is no NIfTI file"),
    "nifti nothing": (
        "nifti",
        sources.nifti,
        lambda s: sources.write_nifti(s / f"{FIRST}.nii.gz", np.full((*CASES[0].size, 1), np.nan, np.float32)),
        (),
        "holds values that are not finite",
    ),
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


TWICE: dict[str, tuple[str, Callable[[Path], object], Change, str, int]] = {
    "coco id": (
        "coco",
        sources.coco,
        relist(1, id=0),
        "has the id 0 of another image",
        8,
    ),
    "masks name": (
        "masks",
        sources.masks,
        lambda s: save(s / f"images/{FIRST}.jpg", CASES[1].pixels),
        "has a name that 2 images have, so nobody knows whose their mask is",
        9,
    ),
    "yolo name": (
        "yolo",
        sources.yolo,
        lambda s: save(s / f"images/train/{FIRST}.jpg", CASES[1].pixels),
        "has a name that 2 images have; nobody knows whose the labels are",
        9,
    ),
}


@pytest.mark.parametrize("name", TWICE)
def test_targets_that_may_be_of_two_images_are_given_to_none(capsys, tmp_path, name):
    form, build, spoil, reason, left = TWICE[name]
    options = [*build(tmp_path / "s"), *(BOXES if form == "coco" else ())]
    spoil(tmp_path / "s")
    imported(capsys, form, tmp_path / "s", tmp_path / "out", "--task", "t", *options)
    receipt = read_receipts(tmp_path / "out")["t"]
    assert len(receipt.skipped[reason]) == 2 and receipt.counts["cases"] == left


# ---- names, links and copies ----------------------------------------------------------------------------------------


def test_a_name_in_another_unicode_form_is_found(capsys, tmp_path):
    """Archives of other systems hold names decomposed, tables mostly composed."""
    composed, decomposed = (unicodedata.normalize(form, "größe") for form in ("NFC", "NFD"))
    sources.csv_labels(tmp_path / "s")
    os.rename(tmp_path / "s" / "images" / f"{FIRST}.png", tmp_path / "s" / "images" / f"{decomposed}.png")
    change(tmp_path / "s" / "table.csv", f"{FIRST}.png", f"{composed}.png")
    text = imported(capsys, "csv", tmp_path / "s" / "table.csv", tmp_path / "csv")
    assert "10 cases" in text and "skipped" not in text
    sources.coco(tmp_path / "c")
    os.rename(tmp_path / "c" / "images" / f"{FIRST}.png", tmp_path / "c" / "images" / f"{decomposed}.png")
    relist(0, file_name=f"{composed}.png")(tmp_path / "c")
    assert "10 cases" in imported(capsys, "coco", tmp_path / "c", tmp_path / "coco", "--subject", r"(p\d+)_")
    sources.folder(tmp_path / "f")
    os.rename(tmp_path / "f" / "small", tmp_path / "f" / decomposed)
    assert "0 größe" in imported(
        capsys, "folder", tmp_path / "f", tmp_path / "folder", "--classes", f"{composed},large", "--subject", r"(p\d+)_"
    )
    sources.masks(tmp_path / "m")
    os.rename(tmp_path / "m" / "images" / f"{FIRST}.png", tmp_path / "m" / "images" / f"{decomposed}.PNG")
    os.rename(tmp_path / "m" / "masks" / f"{FIRST}_mask.png", tmp_path / "m" / "masks" / f"{composed}_mask.png")
    assert "10 cases" in imported(capsys, "masks", tmp_path / "m", tmp_path / "masks")


def test_linked_folders_are_read_once(capsys, tmp_path):
    options = sources.folder(tmp_path / "s")
    os.rename(tmp_path / "s" / "small", tmp_path / "elsewhere")
    (tmp_path / "s" / "small").mkdir()
    os.symlink(tmp_path / "elsewhere", tmp_path / "s" / "small" / "more")
    os.symlink(tmp_path / "elsewhere", tmp_path / "s" / "small" / "again")
    os.symlink(tmp_path / "s" / "large", tmp_path / "s" / "large" / "round")
    assert "10 cases" in imported(capsys, "folder", tmp_path / "s", tmp_path / "out", *options)


def test_copies_with_unlike_targets_and_classes_with_nearly_one_name_are_noted(capsys, tmp_path):
    options = sources.folder(tmp_path / "s")
    shutil.copy(tmp_path / "s" / "large" / f"{FIRST}.png", tmp_path / "s" / "small" / "copy_p0_7.png")
    save(tmp_path / "s" / "Large" / "p9_0.png", CASES[1].pixels + 1)
    text = imported(capsys, "folder", tmp_path / "s", tmp_path / "out", *options)
    assert "small/copy_p0_7.png: is a copy of another image, which has another target" in text
    assert "classes: Large and large are written nearly alike" in text


def test_names_are_shown_without_what_a_terminal_would_do(capsys, tmp_path):
    options = sources.folder(tmp_path / "s")
    write(tmp_path / "s" / "large" / "a\nb\x1b[31m.png", "text")
    text = imported(capsys, "folder", tmp_path / "s", tmp_path / "out", *options)
    assert "\x1b" not in text and "skipped  large/a\\nb\\x1b[31m.png: cannot be decoded" in text


def test_two_data_sets_of_one_name_are_refused_before_anything_is_written(capsys, tmp_path):
    for number in (1, 2):
        sources.nnunet(tmp_path / "s" / f"Dataset00{number}_Nodule")
    line = refused(capsys, "import", "nnunet", tmp_path / "s", tmp_path / "out")
    assert (
        "holds two tasks of the name Nodule; import them one by one" in line and not (tmp_path / "out/train").exists()
    )
