"""Sources that can be read in two ways, of which one puts targets on wrong images: refused, left out, or said."""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aggregation_lab.data.importing.receipt import read_receipts
from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import agglab, imported, read, refused
from tests.aggregation_lab.data.importing.sources import CASES, NAMES, Drawn, change, save, write

SUBJECT = ("--subject", r"(p\d+)_")
FIRST = CASES[0].name


def boxes_by_name(out: Path) -> dict[str, tuple[float, ...]]:
    """The box of each case in OUT, by the last folder and the name of its image."""
    _, cases = read(out)
    return {"/".join(Path(case.image).parts[-2:]): case.box for case in cases.itertuples()}


# ---- a folder per class ----------------------------------------------------------------------------------------------


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


# ---- names of images -------------------------------------------------------------------------------------------------


def coco(file: Path, names: list[str], cases: Sequence[Drawn] = CASES) -> None:
    """Boxes of the cases, for images of these names."""
    images, annotations = [], []
    for number, (name, case) in enumerate(zip(names, cases, strict=True)):
        x_min, y_min, x_max, y_max = case.box
        images.append({"id": number, "file_name": name})
        bbox = [x_min, y_min, x_max - x_min, y_max - y_min]
        annotations.append({"id": number, "image_id": number, "category_id": 1, "bbox": bbox})
    write(file, json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "lesion"}]}))


def test_parts_that_use_the_same_names_keep_their_own_images(capsys, tmp_path):
    """Read first, test.json found its images in `train`, with which it shares every name."""
    names = [f"p{number}_.png" for number in range(5)]
    for part, cases in (("train", CASES[:5]), ("test", CASES[5:])):
        for name, case in zip(names, cases, strict=True):
            save(tmp_path / "s" / part / name, case.pixels)
        lost = ["lost_.png"] if part == "test" else []
        coco(tmp_path / f"s/annotations/{part}.json", names + lost, [*cases, *CASES[: len(lost)]])
    save(tmp_path / "s/train/lost_.png", CASES[0].pixels)
    imported(capsys, "coco", tmp_path / "s", tmp_path / "out", "--task", "t", *SUBJECT)
    expected = {
        f"{part}/p{n}_.png": CASES[n + first].box for part, first in (("train", 0), ("test", 5)) for n in range(5)
    }
    assert boxes_by_name(tmp_path / "out") == expected
    assert read_receipts(tmp_path / "out")["t"].skipped["its image file does not exist"] == ["lost_.png"]


def test_the_image_of_another_folder_is_none_of_the_one_that_is_named(capsys, tmp_path):
    for number, case in enumerate(CASES):
        save(tmp_path / "s/images" / f"p{number}" / "1.png", case.pixels)
    coco(tmp_path / "s/a.json", [f"old/p{number}/1.png" for number in range(10)])
    shutil.rmtree(tmp_path / "s/images/p0")
    save(tmp_path / "s/images/p0/2.png", CASES[0].pixels)
    imported(capsys, "coco", tmp_path / "s", tmp_path / "out", "--task", "t", "--subject", r"(p\d+)/")
    assert boxes_by_name(tmp_path / "out") == {f"p{number}/1.png": CASES[number].box for number in range(1, 10)}
    assert read_receipts(tmp_path / "out")["t"].skipped["its image file does not exist"] == ["old/p0/1.png"]


def test_images_beside_the_folder_of_a_json_file_keep_their_folders(capsys, tmp_path):
    for number, case in enumerate(CASES):
        save(tmp_path / "s/images" / f"p{number}" / "1.png", case.pixels)
    coco(tmp_path / "s/annotations/a.json", [f"p{number}/1.png" for number in range(10)])
    options = ("--task", "t", "--subject", r"(p\d+)/")
    text = imported(capsys, "coco", tmp_path / "s/annotations/a.json", tmp_path / "out", *options)
    assert "10 cases" in text and "10 subjects" in text


@pytest.mark.parametrize("form", ["voc", "labelme"])
def test_an_annotation_with_the_name_of_another_image_is_left_out(capsys, tmp_path, form):
    """Files were renamed, and the names inside of the annotations were not."""
    if form == "voc":
        sources.voc(tmp_path / "s")
        file = tmp_path / "s/Annotations/p1_0.xml"
    else:
        sources.labelme(tmp_path / "s", "rectangle")
        file = tmp_path / "s/p1_0.json"
    change(file, "p1_0.png", "p1_1.png")
    imported(capsys, form, tmp_path / "s", tmp_path / "out", "--task", "t", *SUBJECT)
    boxes = {Path(name).stem: box for name, box in boxes_by_name(tmp_path / "out").items()}
    assert boxes == {case.name: case.box for case in CASES if case.name != "p1_0"}
    reasons = read_receipts(tmp_path / "out")["t"].skipped
    assert "names the image p1_1.png, beside which lies one of its own name; correct the wrong name" in reasons


def test_voc_in_folders_of_patients(capsys, tmp_path):
    sources.voc(tmp_path / "s")
    for case in CASES:
        patient, number = case.name.split("_")
        for top, ending in (("Annotations", "xml"), ("JPEGImages", "png")):
            (tmp_path / "s" / top / patient).mkdir(exist_ok=True)
            os.rename(
                tmp_path / "s" / top / f"{case.name}.{ending}", tmp_path / "s" / top / patient / f"{number}.{ending}"
            )
        change(tmp_path / "s/Annotations" / patient / f"{number}.xml", f"{case.name}.png", f"{number}.png")
    imported(capsys, "voc", tmp_path / "s", tmp_path / "out", "--task", "t", "--subject", r"(p\d+)/")
    expected = {f"{case.name.replace('_', '/')}.png": case.box for case in CASES}
    assert boxes_by_name(tmp_path / "out") == expected


@pytest.mark.parametrize("same", [True, False])
def test_two_annotations_of_one_image_count_only_where_they_agree(capsys, tmp_path, same):
    for who in ("first", "second"):
        for number, case in enumerate(CASES):
            if who == "second" and number:
                continue
            points = case.points if same or who == "first" else ((1, 1), (5, 6))
            shapes = [{"label": "lesion", "shape_type": "rectangle", "points": points}]
            write(
                tmp_path / "s" / who / f"{case.name}.json",
                json.dumps({"imagePath": f"..\\images\\{case.name}.png", "shapes": shapes}),
            )
    for case in CASES:
        save(tmp_path / "s/images" / f"{case.name}.png", case.pixels)
    imported(capsys, "labelme", tmp_path / "s", tmp_path / "out", "--task", "t", *SUBJECT)
    (reason,), (names,) = zip(*read_receipts(tmp_path / "out")["t"].skipped.items(), strict=True)
    assert len(boxes_by_name(tmp_path / "out")) == (10 if same else 9)
    assert ("with one target; the first is taken" if same else "with unlike targets; correct it") in reason
    assert names == [f"images/{FIRST}.png"] * (1 if same else 2)


# ---- areas that are not read, labels with a gap, masks whose values are no classes -----------------------------------


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


def test_patients_in_folders_of_several_classes_are_said(capsys, tmp_path):
    for case in CASES:
        save(tmp_path / "s" / NAMES[case.label] / case.patient / f"{case.name}.png", case.pixels)
    save(tmp_path / "s" / NAMES[0] / "p9" / "x.png", 255 - CASES[0].pixels)
    text = imported(capsys, "folder", tmp_path / "s", tmp_path / "out", "--task", "t")
    assert "p0, p1, p2, p3: are names of folders in several classes; where they are patients, give --subject" in text
    text = imported(capsys, "folder", tmp_path / "s", tmp_path / "more", "--task", "t", "--subject", "/([^/]+)/")
    assert "in several classes" not in text
