"""Targets that reach beyond their image: cut for the slip of a hand, else left out or refused with the cause."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from aggregation_lab.data.importing.receipt import read_receipts
from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import imported, read, refused
from tests.aggregation_lab.data.importing.sources import CASES, Change, change, write
from tests.aggregation_lab.data.importing.test_left_out import COCO, retouch

BOX = ("x_min", "y_min", "x_max", "y_max")
FIRST = CASES[0].name
FAR = "reaches far beyond the right or lower edge of its image, as what was drawn on a larger image does; scale it"


def test_boxes_of_larger_images_are_refused_with_the_likely_cause(capsys, tmp_path):
    """They were cut to the whole image, or lay in another place of it."""
    file = sources.table(tmp_path / "s", lambda case: dict(zip(BOX, (8 * each for each in case.box), strict=True)))
    line = refused(capsys, "import", "csv", file, tmp_path / "out", "--task", "t")
    assert "10 of 10 images have targets far beyond their right or lower edge (first images/p0_0.png)" in line
    assert "as annotations of larger images do" in line and "scale all of them to the images" in line


def test_and_so_are_those_that_still_lie_in_their_images(capsys, tmp_path):
    columns = lambda case: dict(zip(BOX, (2 * each for each in case.box), strict=True))  # noqa: E731
    line = refused(capsys, "import", "csv", sources.table(tmp_path / "s", columns), tmp_path / "out", "--task", "t")
    assert " of 10 images have targets far beyond" in line and "10 of 10" not in line


def unsized(spoil: Change) -> Change:
    """A COCO file that does not say of which size its images are."""

    def change_both(source: Path) -> None:
        spoil(source)
        value = json.loads((source / COCO).read_text())
        write(source / COCO, json.dumps(value | {"images": [{**each, "width": None} for each in value["images"]]}))

    return change_both


def labelme_boxes(root: Path) -> list[str]:
    return sources.labelme(root, "rectangle")


def cvat_boxes(root: Path) -> list[str]:
    shape = '<box label="lesion" xtl="{}" ytl="{}" xbr="{}" ybr="{}"/>'
    return sources.cvat(root, lambda case: shape.format(*case.box))


FIRST_BOX = CASES[0].box
READERS: dict[str, tuple[str, Callable[[Path], list[str]], Change, tuple[str, ...]]] = {
    "csv": (
        "csv",
        sources.csv_boxes,
        lambda s: change(s / "table.csv", f"{FIRST}.png,{','.join(map(str, FIRST_BOX))}", f"{FIRST}.png,5,6,600,450"),
        (),
    ),
    "coco": ("coco", sources.coco, retouch(COCO, bbox=[5, 6, 600, 450]), ("--type", "detection")),
    "coco polygon": (
        "coco",
        sources.coco,
        unsized(retouch(COCO, segmentation=[[5, 6, 600, 6, 600, 450]])),
        ("--type", "segmentation"),
    ),
    "coco points": ("coco", sources.coco, retouch(COCO, keypoints=[5, 6, 2, 600, 450, 2]), ()),
    "yolo": ("yolo", sources.yolo, lambda s: write(s / f"labels/train/{FIRST}.txt", "0 .8 .5 .9 .3"), ()),
    "voc": (
        "voc",
        sources.voc,
        lambda s: change(s / f"Annotations/{FIRST}.xml", f"<xmax>{FIRST_BOX[2]}<", "<xmax>600<"),
        (),
    ),
    "labelme": (
        "labelme",
        labelme_boxes,
        lambda s: change(s / f"{FIRST}.json", f"[{FIRST_BOX[2]}, {FIRST_BOX[3]}]", "[600, 450]"),
        (),
    ),
    "cvat": (
        "cvat",
        cvat_boxes,
        lambda s: change(s / "annotations.xml", f'xbr="{FIRST_BOX[2]}" ybr="{FIRST_BOX[3]}"', 'xbr="600" ybr="450"'),
        (),
    ),
}


@pytest.mark.parametrize("name", READERS)
def test_one_target_far_beyond_leaves_its_image_out_in_every_format(capsys, tmp_path, name):
    form, build, spoil, more = READERS[name]
    options = build(tmp_path / "s")
    spoil(tmp_path / "s")
    source = tmp_path / "s/table.csv" if form == "csv" else tmp_path / "s"
    imported(capsys, form, source, tmp_path / "out", "--task", "t", *options, *more)
    receipt = read_receipts(tmp_path / "out")["t"]
    assert any(FAR in reason for reason in receipt.skipped) and receipt.counts["cases"] == 9, receipt.skipped


@pytest.mark.parametrize(("share", "kept"), [(0.09, 10), (0.11, 9)])
def test_a_tenth_of_the_image_is_the_limit(capsys, tmp_path, share, kept):
    def line(case: sources.Drawn) -> str:
        return f"0 {0.9 + share / 2} 0.5 {0.2 + share} 0.3" if case.name == FIRST else sources.yolo_box(case)

    options = sources.yolo(tmp_path / "s", line)
    imported(capsys, "yolo", tmp_path / "s", tmp_path / "out", "--task", "t", *options)
    assert len(read(tmp_path / "out")[1]) == kept


def test_far_beyond_the_left_edge_is_no_matter_of_size(capsys, tmp_path):
    file = sources.table(tmp_path / "s", lambda case: dict(x_min=-20, y_min=2, x_max=20, y_max=20))
    line = refused(capsys, "import", "csv", file, tmp_path / "out", "--task", "t")
    assert "a box reaches far beyond the left or upper edge of its image; correct it" in line
