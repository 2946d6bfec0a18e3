"""Areas that are not read, labels with a gap, masks whose values are no classes: refused, left out, or said."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aggregation_lab.data.importing.documents.nnunet import read_labels
from aggregation_lab.data.importing.receipt import read_receipts
from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import imported, read, refused
from tests.aggregation_lab.data.importing.sources import CASES, change, save, write

SUBJECT = ("--subject", r"(p\d+)_")


def test_an_object_that_cannot_be_read_leaves_its_image_out(capsys, tmp_path):
    sources.labelme(tmp_path / "l")
    text = (tmp_path / "l/p1_0.json").read_text()
    mask = '{"label": "lesion", "shape_type": "mask", "points": [[1, 1], [5, 5]], "mask": "x"}'
    write(tmp_path / "l/p1_0.json", text.replace('"shapes": [', f'"shapes": [{mask}, '))
    imported(capsys, "labelme", tmp_path / "l", tmp_path / "out", "--task", "l", *SUBJECT)
    sources.cvat(tmp_path / "c")
    change(tmp_path / "c/annotations.xml", "<polygon", '<ellipse label="lesion" cx="9" cy="9" rx="3" ry="3"/><polygon')
    line = refused(capsys, "import", "cvat", tmp_path / "c", tmp_path / "out", "--task", "c")
    assert "marks an area as an ellipse, which is not read; draw it as a polygon" in line
    receipt = read_receipts(tmp_path / "out")["l"]
    assert receipt.counts["cases"] == 9
    assert any("marks an area as a mask of LabelMe" in reason for reason in receipt.skipped)


def jpeg_masks(root: Path) -> None:
    sources.masks(root)
    for case in CASES:
        os.unlink(root / "masks" / f"{case.name}_mask.png")
        soft = Image.fromarray(case.mask * 255).resize(case.size, Image.Resampling.BICUBIC, box=(0.5, 0, 30, 30))
        soft.save(root / "masks" / f"{case.name}_mask.jpg", quality=60)


def palette_masks(root: Path) -> None:
    """One file of which has its colours in another order."""
    sources.masks(root)
    for number, case in enumerate(CASES):
        classes, colours = case.mask.copy(), [0, 0, 0, 255, 0, 0, 0, 255, 0]
        classes[:2] = 2
        if number == 3:
            classes, colours = np.array([0, 2, 1], np.uint8)[classes], [0, 0, 0, 0, 255, 0, 255, 0, 0]
        image = Image.fromarray(classes).convert("P")
        image.putpalette(colours)
        image.save(root / "masks" / f"{case.name}_mask.png")


def test_a_palette_filled_up_with_black_is_one_palette(capsys, tmp_path):
    """0 and 3 are black in every file, and some files show but one of them."""
    sources.masks(tmp_path / "s")
    for number, case in enumerate(CASES):
        classes = case.mask.copy()
        classes[:2] = 2
        classes = np.array([3 if number % 2 else 0, 1, 2], np.uint8)[classes]
        image = Image.fromarray(classes).convert("P")
        image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 0])
        image.save(tmp_path / "s/masks" / f"{case.name}_mask.png")
    text = imported(capsys, "masks", tmp_path / "s", tmp_path / "out", "--task", "t", *SUBJECT)
    assert "10 cases" in text and "num_classes 4" in text


def test_few_and_high_classes_of_voc_beside_void_are_read_by_what_the_line_advises(capsys, tmp_path):
    sources.voc(tmp_path / "s")
    for case in CASES:
        mask = case.mask * np.uint8(15)
        mask[0, :3] = 255
        save(tmp_path / "s/SegmentationClass" / f"{case.name}.png", mask)
    options = ("--task", "t", "--type", "segmentation")
    line = refused(capsys, "import", "voc", tmp_path / "s", tmp_path / "out", *options)
    assert "hold the values 0, 15; say what they mean, as in --mask-values '0=0,15=1,255=0'" in line
    values = ("--mask-values", "0=0,15=1,255=0")
    text = imported(capsys, "voc", tmp_path / "s", tmp_path / "out", *options, *values)
    assert "10 cases" in text and "num_classes 2" in text


def two_folders(root: Path) -> None:
    sources.masks(root)
    shutil.copytree(root / "masks", root / "gt")


MASKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "lossy": (jpeg_masks, "as in --mask-values '0-127=0,128-255=1'"),
    "palettes": (palette_masks, "#00ff00 as 1, "),
    "two folders": (two_folders, "holds pictures in gt and masks, and nobody knows which are meant"),
}


@pytest.mark.parametrize("name", MASKS)
def test_masks_whose_values_are_not_certain_are_refused(capsys, tmp_path, name):
    build, message = MASKS[name]
    build(tmp_path / "s")
    assert message in refused(capsys, "import", "masks", tmp_path / "s", tmp_path / "out", "--task", "t")


def test_and_read_by_what_the_line_advises(capsys, tmp_path):
    jpeg_masks(tmp_path / "a")
    values = ("--mask-values", "0-127=0,128-255=1")
    assert "num_classes 2" in imported(capsys, "masks", tmp_path / "a", tmp_path / "out", "--task", "a", *values)
    palette_masks(tmp_path / "b")
    values = ("--mask-values", "#000000=0,#ff0000=1,#00ff00=2")
    imported(capsys, "masks", tmp_path / "b", tmp_path / "more", "--task", "b", *values)
    _, cases = read(tmp_path / "more")
    for case in cases.itertuples():
        with Image.open(tmp_path / "more/train" / case.mask) as mask:
            assert (np.asarray(mask)[:2] == 2).all()


def test_outlines_in_place_of_areas_are_said(capsys, tmp_path):
    sources.masks(tmp_path / "s")
    for case in CASES:
        line = np.zeros_like(case.mask)
        line[2:28, (2, 27)] = line[(2, 27), 2:28] = 255
        save(tmp_path / "s/masks" / f"{case.name}_mask.png", line)
    text = imported(capsys, "masks", tmp_path / "s", tmp_path / "out", "--task", "t", *SUBJECT)
    assert "masks mark lines around larger areas, as drawn outlines do; fill them" in text
    sources.masks(tmp_path / "areas")
    text = imported(capsys, "masks", tmp_path / "areas", tmp_path / "more", "--task", "t", *SUBJECT)
    assert "lines around" not in text


def test_labels_of_nnunet_with_a_gap_are_refused(capsys, tmp_path):
    """Each number in the gap would be a class that no image shows, and whose overlap is perfect."""
    sources.nnunet(tmp_path / "s")
    change(tmp_path / "s/dataset.json", '"lesion": 1', '"lesion": 255')
    line = refused(capsys, "import", "nnunet", tmp_path / "s", tmp_path / "out")
    assert "names no label 1, but 255; number the labels without a gap" in line


def test_channels_that_are_no_colours_need_a_choice_and_others_are_said(capsys, tmp_path):
    """Raw, Gain and B-mode begin as red, green and blue do, and the first was taken for a colour image."""
    sources.nnunet(tmp_path / "s")
    for case in CASES:
        save(tmp_path / "s/imagesTr" / f"{case.name}_0001.png", case.pixels // 2)
    text = imported(capsys, "nnunet", tmp_path / "s", tmp_path / "out", *SUBJECT)
    assert "holds channels that dataset.json does not list, and of which _0000.png is taken; list them there" in text
    change(tmp_path / "s/dataset.json", '{"0": "US"}', '{"0": "Raw", "1": "Gain", "2": "B-mode"}')
    line = refused(capsys, "import", "nnunet", tmp_path / "s", tmp_path / "more")
    assert "images have 3 channels (0: Raw, 1: Gain, 2: B-mode); choose one with --channel" in line
    text = imported(capsys, "nnunet", tmp_path / "s", tmp_path / "more", "--channel", "1", *SUBJECT)
    assert "does not list" not in text


def regions(root: Path) -> None:
    """Files of the values 1 and 2, of which the lesion is both."""
    sources.nnunet(root)
    change(root / "dataset.json", '"lesion": 1', '"lesion": [1, 2], "cyst": 2')
    for case in CASES:
        mask = case.mask.copy()
        mask[case.box[1]] *= 2
        save(root / "labelsTr" / f"{case.name}.png", mask)


def test_regions_of_nnunet_are_said_to_be_values_with_names_that_are_true(capsys, tmp_path):
    """The value 1 was called lesion, and is lesion without cyst."""
    regions(tmp_path / "s")
    text = imported(capsys, "nnunet", tmp_path / "s", tmp_path / "out", "--task", "t", *SUBJECT)
    assert "classes  0 background, 1 lesion without cyst, 2 cyst" in text
    assert "note     dataset.json: names regions, which overlap; the values of the files are taken as classes" in text
    assert "for the region lesion alone, give --mask-values '0=0,1=1,2=1'" in text


def test_and_one_region_becomes_a_task_by_what_the_note_advises(capsys, tmp_path):
    regions(tmp_path / "s")
    options = ("--task", "t", "--mask-values", "0=0,1=1,2=1", *SUBJECT)
    text = imported(capsys, "nnunet", tmp_path / "s", tmp_path / "out", *options)
    assert "num_classes 2" in text and "classes  0 background, 1 lesion\n" in text and "regions" not in text


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ({"whole": [1, 2, 3], "core": [2, 3], "edge": 3}, ("whole without core", "core without edge", "edge")),
        ({"a": [1, 2], "b": [2, 3]}, ("a without b", "a and b", "b without a")),
        ({"lesion": [1, 2]}, ("lesion (value 1)", "lesion (value 2)")),
        ({"cyst": 2, "tumour": 1}, ("tumour", "cyst")),
    ],
)
def test_what_a_value_of_regions_is_called(labels, names):
    found = read_labels(Path("dataset.json"), {"background": 0, **labels})
    assert found.names == ("background", *names)


def test_values_that_are_put_together_are_no_class_that_no_image_shows(capsys, tmp_path):
    sources.nnunet(tmp_path / "s")
    change(tmp_path / "s/dataset.json", '"lesion": 1', '"lesion": 1, "cyst": 2')
    options = ("--task", "t", "--mask-values", "0=0,1=1,2=1", *SUBJECT)
    text = imported(capsys, "nnunet", tmp_path / "s", tmp_path / "out", *options)
    assert "num_classes 2" in text and "classes  0 background, 1 lesion or cyst" in text


def turned(source: Path, orientation: int, *, with_mask: bool) -> None:
    """The images of `sources.masks` as JPEG whose EXIF orientation turns them; the masks turned with them, or not."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    for file in sorted((source / "images").rglob("*.png")):
        with Image.open(file) as image:
            image.save(file.with_suffix(".jpg"), exif=exif)
        file.unlink()
    for file in sorted((source / "masks").rglob("*.png")) if with_mask else ():
        with Image.open(file) as mask:
            upright = mask.transpose(Image.Transpose.ROTATE_270)
        upright.save(file)


def test_a_mask_that_is_not_turned_as_its_image_is_named_so(capsys, tmp_path):
    options = sources.masks(tmp_path / "s")
    turned(tmp_path / "s", 6, with_mask=False)
    line = refused(capsys, "import", "masks", tmp_path / "s", tmp_path / "out", *options)
    assert "turn the mask as the image's EXIF orientation says" in line


@pytest.mark.parametrize(("orientation", "with_mask"), [(6, True), (3, False)])
def test_images_that_exif_turns_are_said(capsys, tmp_path, orientation, with_mask):
    """Where the sizes agree nobody sees whether the masks were drawn on the turned image."""
    options = sources.masks(tmp_path / "s")
    turned(tmp_path / "s", orientation, with_mask=with_mask)
    text = imported(capsys, "masks", tmp_path / "s", tmp_path / "out", *options)
    assert "is turned as its EXIF orientation says; masks, boxes and points must fit the turned image" in text


def test_an_annotation_for_the_image_before_it_was_turned_is_named_so(capsys, tmp_path):
    sources.masks(tmp_path / "m")
    turned(tmp_path / "m", 6, with_mask=False)
    shapes = []
    for number, file in enumerate(sorted((tmp_path / "m" / "images").rglob("*.jpg"))):
        save(tmp_path / "s" / f"{number}.jpg", file.read_bytes())
        with Image.open(file) as image:
            size = {"width": image.width, "height": image.height}  # as it is stored
        shapes.append({"id": number, "file_name": f"{number}.jpg"} | size)
    boxes = [{"id": each["id"], "image_id": each["id"], "category_id": 1, "bbox": [2, 2, 9, 9]} for each in shapes]
    value = {"images": shapes, "annotations": boxes, "categories": [{"id": 1, "name": "a"}]}
    write(tmp_path / "s" / "a.json", json.dumps(value))
    line = refused(capsys, "import", "coco", tmp_path / "s", tmp_path / "out")
    assert "which is not turned as the image's EXIF orientation says; turn the annotation" in line


@pytest.mark.parametrize(("ending", "form"), [(".nii.gz", "nifti"), (".dcm", "dicom")])
def test_a_file_of_a_medical_format_in_a_table_is_named(capsys, tmp_path, ending, form):
    file = sources.table(tmp_path / "s", lambda case: {"mask": f"{case.name}{ending}"})
    for case in CASES:
        save(tmp_path / "s" / f"{case.name}{ending}", b"as if it were one")
    line = refused(capsys, "import", "csv", file, tmp_path / "out")
    assert f"its mask is a file of {form}, which is not read as a mask here; save it as PNG" in line
    rows = ["image,label", *(f"{case.name}{ending},{case.label}" for case in CASES)]
    write(tmp_path / "s" / "labels.csv", "\n".join(rows))
    line = refused(capsys, "import", "csv", tmp_path / "s" / "labels.csv", tmp_path / "out")
    assert f"{CASES[0].name}{ending}: is a file of {form}; import the table with agglab import {form} --labels" in line
