"""Every format: what is put in comes out, image by image, in original pixels, and `agglab validate` takes it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from aggregation_lab.data.importing.formats import FORMATS
from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import imported, mask_of, pixels_of, read, refused
from tests.aggregation_lab.data.importing.sources import CASES

Builder = Callable[[Path], list[str]]

SOURCES: dict[str, tuple[str, Builder, str, str, tuple[str, ...]]] = {
    "folder": ("folder", sources.folder, "", "label", ()),
    "csv labels": ("csv", sources.csv_labels, "table.csv", "label", ()),
    "csv masks": ("csv", sources.csv_masks, "table.csv", "mask", ()),
    "csv boxes": ("csv", sources.csv_boxes, "table.csv", "box", ()),
    "csv points": ("csv", sources.csv_points, "table.csv", "points", ()),
    "masks": ("masks", sources.masks, "", "mask", ()),
    "coco keypoints": ("coco", sources.coco, "", "points", ()),
    "coco boxes": ("coco", sources.coco, "annotations/instances.json", "box", ("--type", "detection")),
    "coco polygons": ("coco", sources.coco, "", "mask", ("--type", "segmentation")),
    "nnunet": ("nnunet", sources.nnunet, "", "mask", ()),
    "nnunet tif": ("nnunet", partial(sources.nnunet, ending=".tif"), "", "mask", ()),
    "yolo boxes": ("yolo", sources.yolo, "", "box", ()),
    "yolo segments": ("yolo", sources.yolo_segments, "", "mask", ()),
    "yolo pose": ("yolo", sources.yolo_pose, "", "points", ()),
    "voc boxes": ("voc", sources.voc, "", "box", ()),
    "voc masks": ("voc", sources.voc, "", "mask", ("--type", "segmentation")),
    "labelme polygons": ("labelme", sources.labelme, "", "mask", ()),
    "labelme rectangles": ("labelme", partial(sources.labelme, kind="rectangle"), "", "box", ()),
    "labelme points": ("labelme", partial(sources.labelme, kind="point"), "", "points", ()),
    "cvat polygons": ("cvat", sources.cvat, "", "mask", ()),
    "cvat boxes": ("cvat", partial(sources.cvat, inside=sources.cvat_box), "annotations.xml", "box", ()),
    "cvat masks": ("cvat", partial(sources.cvat, inside=sources.cvat_mask), "", "mask", ()),
    "cvat points": ("cvat", partial(sources.cvat, inside=sources.cvat_points), "", "points", ()),
    "cvat tags": ("cvat", partial(sources.cvat, inside=sources.cvat_tag), "", "label", ()),
    "dicom": ("dicom", sources.dicom, "", "label", ()),
    "nifti": ("nifti", sources.nifti, "", "mask", ()),
}


def test_every_format_has_a_source_here_or_a_test_of_its_own():
    assert {entry[0] for entry in SOURCES.values()} | {"medmnist", "video"} == set(FORMATS)


@pytest.mark.parametrize("name", SOURCES)
def test_what_is_put_in_comes_out(capsys, tmp_path, name):
    form, build, inside, target, more = SOURCES[name]
    source, out = tmp_path / "lesions", tmp_path / "out"
    options = build(source)
    imported(capsys, form, source / inside if inside else source, out, *options, *more, "--task", "lesion")
    dataset, cases = read(out, "lesion")
    assert len(cases) == len(CASES) and not dataset.warnings
    subjects = {}
    for case in cases.itertuples():
        shown = pixels_of(dataset, case)
        (drawn,) = [each for each in CASES if np.array_equal(each.pixels, shown)]
        subjects.setdefault(drawn.patient, set()).add(case.subject)
        if target == "mask":
            np.testing.assert_array_equal(mask_of(dataset, case), drawn.mask)
        elif target == "label":
            assert case.label == drawn.label
        elif target == "box":
            np.testing.assert_allclose(case.box, drawn.box, rtol=0, atol=1e-3)
        else:
            np.testing.assert_allclose(case.points, drawn.points, rtol=0, atol=1e-3)
    assert len(subjects) == 5 and all(len(found) == 1 for found in subjects.values())
    assert len(set.union(*subjects.values())) == 5


def test_medmnist(capsys, tmp_path):
    sources.medmnist(tmp_path / "source")
    text = imported(capsys, "medmnist", tmp_path / "source" / "breast.npz", tmp_path / "out")
    assert "each image counts as a subject of its own; give --subject REGEX" in text
    dataset, cases = read(tmp_path / "out", "breast")
    for case in cases.itertuples():
        (drawn,) = [each for each in CASES if np.array_equal(each.pixels[:28, :28], pixels_of(dataset, case))]
        assert case.label == drawn.label
    assert len(cases) == len(CASES)


def test_several_nnunet_data_sets_become_several_tasks(capsys, tmp_path):
    sources.nnunet(tmp_path / "raw" / "Dataset001_Nodule")
    sources.nnunet(tmp_path / "raw" / "Dataset002_Cyst")
    text = imported(capsys, "nnunet", tmp_path / "raw", tmp_path / "out", "--subject", r"(p\d+)_")
    dataset, cases = read(tmp_path / "out")
    assert set(dataset.tasks) == {"Nodule", "Cyst"} and len(cases) == 20
    assert "10 images (10 there already)" in text and cases["image"].nunique() == 10


def test_nnunet_ignores_what_is_to_be_ignored_in_words(capsys, tmp_path):
    source = tmp_path / "set"
    sources.nnunet(source)
    file = source / "dataset.json"
    sources.write(file, file.read_text().replace('"lesion": 1', '"lesion": 1, "ignore": 2'))
    mask = CASES[0].mask.copy()
    mask[0, 0] = 2
    sources.save(source / "labelsTr" / f"{CASES[0].name}.png", mask)
    text = imported(capsys, "nnunet", source, tmp_path / "out", "--task", "t")
    assert "its mask holds 2, which is the label `ignore` and no class; to take such areas as background" in text
    again = imported(capsys, "nnunet", source, tmp_path / "more", "--task", "t", "--mask-values", "0=0,1=1,2=0")
    assert (
        "give --mask-values '0=0,1=1,2=0'" in text
        and "10 cases" in again
        and "classes  0 background, 1 lesion" in again
    )


@pytest.mark.parametrize("values", ["#000000=0,#ff0000=1", "0=0,128-255=1"])
def test_mask_values_name_colours_and_ranges(capsys, tmp_path, values):
    coloured = values.startswith("#")
    for case in CASES:
        mask = case.mask * 200
        sources.save(tmp_path / "s" / "images" / f"{case.name}.png", case.pixels)
        red = np.stack([case.mask * 255, case.mask * 0, case.mask * 0], -1)
        sources.save(tmp_path / "s" / "masks" / f"{case.name}.png", red if coloured else mask)
    hint = "#000000=0,#ff0000=1" if coloured else "0=0,200=1"
    assert f"--mask-values '{hint}'" in refused(capsys, "import", "masks", tmp_path / "s", tmp_path / "no")
    imported(capsys, "masks", tmp_path / "s", tmp_path / "out", "--task", "t", "--mask-values", values)
    dataset, cases = read(tmp_path / "out")
    assert sorted(mask_of(dataset, case).sum() for case in cases.itertuples()) == sorted(c.mask.sum() for c in CASES)


def test_voc_reads_its_void_as_background(capsys, tmp_path):
    sources.voc(tmp_path / "s")
    mask = CASES[0].mask.copy()
    mask[0, :3] = 255
    sources.save(tmp_path / "s" / "SegmentationClass" / f"{CASES[0].name}.png", mask)
    text = imported(capsys, "voc", tmp_path / "s", tmp_path / "out", "--task", "t", "--type", "seg")
    assert "255 (void) is read as background" in text
    dataset, cases = read(tmp_path / "out")
    (case,) = [case for case in cases.itertuples() if f"/{CASES[0].name}." in case.image]
    np.testing.assert_array_equal(mask_of(dataset, case), CASES[0].mask)


def two_boxes(source: Path) -> None:
    sources.yolo(source, lambda case: f"{sources.yolo_box(case)}\n0 0.1 0.1 0.04 0.04")


def test_of_several_boxes_the_largest_is_taken_and_said(capsys, tmp_path):
    two_boxes(tmp_path / "s")
    text = imported(capsys, "yolo", tmp_path / "s", tmp_path / "out", "--task", "t")
    assert "9 more: has several boxes, of which the largest is taken (--boxes each makes every box a case)" in text
    _, cases = read(tmp_path / "out")
    found = sorted(tuple(round(value, 2) for value in box) for box in cases["box"])
    np.testing.assert_allclose(found, sorted(case.box for case in CASES), rtol=0, atol=0.01)


def test_or_each_box_is_a_case(capsys, tmp_path):
    two_boxes(tmp_path / "s")
    imported(capsys, "yolo", tmp_path / "s", tmp_path / "out", "--task", "t", "--boxes", "each")
    _, cases = read(tmp_path / "out")
    assert len(cases) == 20 and cases["image"].nunique() == 10


def test_boxes_over_the_edge_are_cut_and_said(capsys, tmp_path):
    file = sources.table(tmp_path / "s", lambda case: dict(x_min=-3, y_min=2, x_max=case.size[0] + 4, y_max=20.5))
    text = imported(capsys, "csv", file, tmp_path / "out", "--task", "t")
    assert "a box reaches beyond the image, and is cut at its edge" in text
    _, cases = read(tmp_path / "out")
    assert all(case.box == (0, 2, case.width, 20.5) for case in cases.itertuples())


def test_labels_are_numbered_as_they_are_or_in_their_order(capsys, tmp_path):
    file = sources.table(tmp_path / "a", lambda case: {"label": case.label + 1})
    text = imported(capsys, "csv", file, tmp_path / "out", "--task", "one")
    assert "classes  0 1, 1 2" in text and "the numbers do not count from 0" in text
    file = sources.table(tmp_path / "b", lambda case: {"label": case.label})
    assert "classes  0 0, 1 1" in imported(capsys, "csv", file, tmp_path / "out", "--task", "two")
    file = sources.table(tmp_path / "c", lambda case: {"label": ("big", "small")[case.label]})
    imported(capsys, "csv", file, tmp_path / "out", "--task", "three", "--classes", "small,big")
    _, cases = read(tmp_path / "out", "three")
    small = {case.name for case in CASES if case.label}
    assert all((case.label == 0) == (Path(case.image).stem in small) for case in cases.itertuples())
