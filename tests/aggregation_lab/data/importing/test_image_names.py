"""Names of images in the folders that data sets come in: each annotation finds its own image, and no other."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from aggregation_lab.data.importing.receipt import read_receipts
from aggregation_lab.data.importing.source_files import part_of, source_name
from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import imported, read, refused
from tests.aggregation_lab.data.importing.sources import CASES, Drawn, save, write

LOST = "its image file does not exist"


def taken(capsys, form: str, source: Path, out: Path, *options: str) -> dict[str, tuple[float, ...]]:
    """The box of each image that an import takes, by its path in OUT."""
    imported(capsys, form, source, out, "--task", "t", "--subject", r"(p\d+)_", *options)
    _, cases = read(out)
    return {case.image.split("/t/")[-1]: case.box for case in cases.itertuples()}


def coco(file: Path, named: Iterable[tuple[str, Drawn]]) -> None:
    """A file of boxes: names of images, and whose box each has."""
    images, annotations = [], []
    for number, (name, case) in enumerate(named):
        x_min, y_min, x_max, y_max = case.box
        images.append({"id": number, "file_name": name})
        bbox = [x_min, y_min, x_max - x_min, y_max - y_min]
        annotations.append({"id": number, "image_id": number, "category_id": 1, "bbox": bbox})
    write(file, json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "a"}]}))


def cvat(file: Path, named: Iterable[tuple[str, Drawn]]) -> None:
    images = [f'<image name="{name}">{sources.cvat_box(case)}</image>' for name, case in named]
    write(file, f"<annotations>{''.join(images)}</annotations>")


def labelme(file: Path, named: Iterable[tuple[str, Drawn]]) -> None:
    for name, case in named:
        shapes = [{"label": "a", "shape_type": "rectangle", "points": case.points}]
        write(file.parent / Path(name).with_suffix(".json"), json.dumps({"imagePath": name, "shapes": shapes}))


def voc(file: Path, named: Iterable[tuple[str, Drawn]]) -> None:
    for name, case in named:
        box = "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), case.box, strict=True))
        text = f"<filename>{name}</filename><object><name>a</name><bndbox>{box}</bndbox></object>"
        write(file.parent / Path(name).with_suffix(".xml"), f"<annotation>{text}</annotation>")


FORMS = {"coco": (coco, "labels.json"), "cvat": (cvat, "a.xml"), "labelme": (labelme, "x"), "voc": (voc, "x")}


@pytest.mark.parametrize(
    ("name", "part"),
    [("train", "train"), ("Train_Set", "train"), ("train2017", "train"), ("valid", "val"), ("dev", "val")]
    + [("test images", "test"), ("holdout", "test"), ("eval", "eval"), ("hospital_test", ""), ("Val d'Hebron", "")]
    + [("images", ""), ("", ""), ("trainees", "")],
)
def test_words_for_the_parts_of_a_data_set(name, part):
    assert part_of(name) == part


@pytest.mark.parametrize("name", ["images", "test_set", "Train2017"])
def test_a_source_that_is_a_part_is_called_after_the_folder_above(name):
    assert source_name(Path("thyroid") / name) == f"thyroid_{name}"
    assert source_name(Path("thyroid/hospital_test")) == "hospital_test"


@pytest.mark.parametrize("form", FORMS)
def test_folders_that_are_parts_keep_their_own_images(capsys, tmp_path, form):
    """train/labels.json and test/labels.json with the same names: one that train lacks is not that of test."""
    names = [f"p{number}_.png" for number in range(5)]
    build, file = FORMS[form]
    for part, cases in (("train", CASES[:5]), ("test", CASES[5:])):
        for name, case in zip(names, cases, strict=True):
            save(tmp_path / "s" / part / name, case.pixels)
        build(tmp_path / "s" / part / file, zip(names, cases, strict=True))
    (tmp_path / "s/train/p3_.png").unlink()
    boxes = taken(capsys, form, tmp_path / "s", tmp_path / "out")
    found = [("train", number, number) for number in (0, 1, 2, 4)] + [("test", n, n + 5) for n in range(5)]
    assert {"/".join(Path(name).parts[-2:]): box for name, box in boxes.items()} == {
        f"{part}/p{number}_.png": CASES[case].box for part, number, case in found
    }
    assert len(read_receipts(tmp_path / "out")["t"].skipped[LOST]) == 1


def test_a_part_that_is_the_source_takes_no_images_of_the_part_beside_it(capsys, tmp_path):
    for part, cases in (("train", CASES[:9]), ("test", CASES[9:])):
        for case in cases:
            save(tmp_path / part / f"{case.name}.png", case.pixels)
    coco(tmp_path / "train/labels.json", [(f"{case.name}.png", case) for case in CASES])
    assert len(taken(capsys, "coco", tmp_path / "train", tmp_path / "out")) == 9
    assert read_receipts(tmp_path / "out")["t"].skipped[LOST] == [f"{CASES[9].name}.png"]


@pytest.mark.parametrize("form", ["coco", "cvat"])
def test_a_file_alone_tells_its_part_too(capsys, tmp_path, form):
    for part, cases in (("train", CASES[:9]), ("test", CASES[9:])):
        for case in cases:
            save(tmp_path / part / f"{case.name}.png", case.pixels)
    file = tmp_path / "annotations" / Path("train").with_suffix(Path(FORMS[form][1]).suffix)
    FORMS[form][0](file, [(f"{case.name}.png", case) for case in CASES])
    assert len(taken(capsys, form, file, tmp_path / "out")) == 9
    assert read_receipts(tmp_path / "out")["t"].skipped[LOST] == [f"{CASES[9].name}.png"]


@pytest.mark.parametrize("folder", ["train", "images/Val d'Hebron", "hospital_test/images", "images"])
def test_files_that_divide_one_folder_find_their_images_in_it(capsys, tmp_path, folder):
    """No folder is of the part `val`, so val.json is of images that lie elsewhere."""
    for case in CASES:
        save(tmp_path / "s" / folder / f"{case.name}.png", case.pixels)
    for file, cases in (("train.json", CASES[:6]), ("val.json", CASES[6:])):
        coco(tmp_path / "s" / file, [(f"{case.name}.png", case) for case in cases])
    boxes = taken(capsys, "coco", tmp_path / "s", tmp_path / "out")
    assert {Path(name).stem: box for name, box in boxes.items()} == {case.name: case.box for case in CASES}


def test_a_name_that_tells_its_folder_is_of_the_part_that_it_tells(capsys, tmp_path):
    for case in CASES:
        save(tmp_path / "s/train" / f"{case.name}.png", case.pixels)
    save(tmp_path / "s/val/other.png", CASES[0].pixels)
    coco(tmp_path / "s/val.json", [(f"train/{case.name}.png", case) for case in CASES])
    assert len(taken(capsys, "coco", tmp_path / "s", tmp_path / "out")) == 10


def test_an_annotation_of_one_image_is_of_no_part_by_its_name(capsys, tmp_path):
    named = [(f"test_{case.name}.png", case) for case in CASES]
    for name, case in named:
        save(tmp_path / "s/train" / name, case.pixels)
    save(tmp_path / "s/test/other.png", CASES[0].pixels)
    labelme(tmp_path / "s/labels/x", named)
    assert len(taken(capsys, "labelme", tmp_path / "s", tmp_path / "out")) == 10


@pytest.mark.parametrize("folder", ["annotations", "Annotations", "labels"])
def test_annotations_of_voc_in_a_folder_of_any_case(capsys, tmp_path, folder):
    for case in CASES:
        save(tmp_path / "s/images" / f"{case.name}.png", case.pixels)
        save(tmp_path / "s/thumbnails" / f"{case.name}.png", case.pixels[::2, ::2])
    voc(tmp_path / "s" / folder / "x", [(f"{case.name}.png", case) for case in CASES])
    boxes = taken(capsys, "voc", tmp_path / "s", tmp_path / "out")
    assert {Path(name).stem: box for name, box in boxes.items()} == {case.name: case.box for case in CASES}


@pytest.mark.parametrize(("form", "advised"), [("coco", True), ("cvat", True), ("labelme", False)])
def test_several_files_of_a_name_bring_the_option_that_chooses(capsys, tmp_path, form, advised):
    build, file = FORMS[form]
    for case in CASES:
        save(tmp_path / "s/a" / f"{case.name}.png", case.pixels)
    save(tmp_path / "s/b" / f"{CASES[0].name}.png", CASES[0].pixels)
    build(tmp_path / "s/labels" / file, [(f"{case.name}.png", case) for case in CASES])
    assert len(taken(capsys, form, tmp_path / "s", tmp_path / "out")) == 9
    (reason,) = read_receipts(tmp_path / "out")["t"].skipped
    assert reason.startswith("several files have its name, as a/p0_0.png and b/p0_0.png; write the folder")
    assert ("--images says" in reason or "with --images" in reason) == advised
    if advised:
        assert len(taken(capsys, form, tmp_path / "s", tmp_path / "more", "--images", str(tmp_path / "s/a"))) == 10


# ---- names in tables -------------------------------------------------------------------------------------------------

FOUND = "is read from the one file that has its name"


@pytest.mark.parametrize(
    "written",
    [
        lambda case: rf"D:\study\images\{case.name}.png",
        lambda case: f"images/{case.name}.PNG",
        lambda case: f"images/{case.name}.jpg",
        lambda case: f"{case.name}.png",
        lambda case: case.name,
    ],
)
def test_a_table_finds_images_by_their_names(capsys, tmp_path, written):
    """All but the exact path from the table on were refused, where other formats found the file."""
    for case in CASES:
        save(tmp_path / "s/images" / f"{case.name}.png", case.pixels)
    lines = [f"{written(case)},{case.label},{case.patient}" for case in CASES]
    write(tmp_path / "s/table.csv", "\n".join(["image,label,subject", *lines]))
    table, out = tmp_path / "s/table.csv", tmp_path / "s/out"  # OUT may lie beside the table
    assert FOUND in imported(capsys, "csv", table, out, "--task", "t")
    labels = [(case.image.split("/")[-1].split(".")[0], case.label) for case in read(out)[1].itertuples()]
    assert sorted(labels) == sorted((case.name, case.label) for case in CASES)
    again = imported(capsys, "csv", table, out, "--task", "t")
    assert "already" in again, again  # the images in OUT are none of the source


def test_a_name_in_a_table_that_two_files_have_is_none_of_theirs(capsys, tmp_path):
    """Nor is that of an image the name of a mask."""
    for case in CASES:
        for folder in ("a", "b"):
            save(tmp_path / "s" / folder / f"{case.name}.png", case.pixels)
    write(tmp_path / "s/table.csv", "\n".join(["image,label", *(f"{case.name}.png,{case.label}" for case in CASES)]))
    line = refused(capsys, "import", "csv", tmp_path / "s/table.csv", tmp_path / "out")
    assert "several files have its name, as a/p0_0.png and b/p0_0.png" in line and "say with --images" in line
    sources.table(tmp_path / "m", lambda case: {"mask": f"{case.name}.png"})
    line = refused(capsys, "import", "csv", tmp_path / "m/table.csv", tmp_path / "out")
    assert f"its mask file does not exist; paths of the table start at {tmp_path / 'm'}" in line


def test_a_lost_image_of_a_table_is_said_with_the_way_to_name_its_folder(capsys, tmp_path):
    write(tmp_path / "s/table.csv", "image,label\nx.png,0\ny.png,1\n")
    line = refused(capsys, "import", "csv", tmp_path / "s/table.csv", tmp_path / "out")
    assert f"paths of the table start at {tmp_path / 's'}, or at --images FOLDER" in line
