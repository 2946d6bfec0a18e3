"""Labels and mask values that stand for something else than a class of their own: said, with a remedy that is right."""

import numpy as np
import pytest

from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import agglab, imported, read, refused
from tests.aggregation_lab.data.importing.sources import CASES, save


def labels(capsys, folder, values) -> str:
    """What an import of ten images with these labels, in turn, prints."""
    given = iter([values[place % len(values)] for place in range(len(CASES))])
    file = sources.table(folder / "s", lambda case: {"label": f'"{next(given)}"'})
    code, text = agglab(capsys, "import", "csv", file, folder / "out", "--task", "t", "--dry-run")
    assert code == 0, text
    return text


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((0, 1, -1), "-1 counts as a class beside 0, 1; where it stands for no label, --classes 0,1 leaves it out"),
        ((0, 1, 999), "999 counts as a class beside 0, 1; where it stands"),
        ((1, 2, 3, 9), "9 counts as a class beside 1, 2, 3; where it stands"),
        (("cyst", "mass", 99), "99 counts as a class beside cyst, mass; where it stands"),
    ],
)
def test_a_number_that_stands_for_no_label_is_said_to_count(capsys, tmp_path, values, said):
    assert f"labels: {said}" in labels(capsys, tmp_path, values)


@pytest.mark.parametrize("values", [(0, 1), (1, -1), (7, 8, 9), (0, 255), tuple(range(10)), ("cyst", "mass", "3")])
def test_other_numbers_are_classes_without_a_word(capsys, tmp_path, values):
    assert "counts as a class beside" not in labels(capsys, tmp_path, values)


def test_fractions_are_said_to_be_each_a_class(capsys, tmp_path):
    """Only more classes than half of the cases were."""
    text = labels(capsys, tmp_path, (50, 50.5, 51))
    assert "labels: 50.5 is no whole number, and each value counts as a class; if they are measurements" in text
    assert "is no whole number" not in labels(capsys, tmp_path, ("50.0", "51.0"))


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (("cyst", "mass", "cyst, mass"), "'cyst, mass'"),
        (("cyst", "mass|Cyst", "cyst|mass"), "'cyst|mass' and 'mass|Cyst'"),
        (("cyst", "mass", "mass and cyst"), "'mass and cyst'"),
    ],
)
def test_labels_made_of_others_are_said_to_be_classes_of_their_own(capsys, tmp_path, values, shown):
    said = f"classes: {shown} hold several labels, and count as classes of their own; an image has one class"
    assert said in labels(capsys, tmp_path, values)


@pytest.mark.parametrize("values", [("cyst", "mass, solid"), ("hand and wrist", "knee"), ("a/b", "c/d")])
def test_a_class_of_two_words_is_one(capsys, tmp_path, values):
    assert "hold several labels" not in labels(capsys, tmp_path, values)


def test_folders_named_by_several_labels_are_said_to_be_so_too(capsys, tmp_path):
    names = ("cyst", "mass", "cyst+mass")
    for place, case in enumerate(CASES):
        save(tmp_path / "s" / names[place % 3] / f"{case.name}.png", case.pixels)
    assert "'cyst+mass' hold several labels" in imported(capsys, "folder", tmp_path / "s", tmp_path / "out")


# ---- masks -----------------------------------------------------------------------------------------------------------


def masks(root, *values):
    """Masks whose structure has one of the values in turn, and a corner of one pixel the others in a tuple."""
    for place, case in enumerate(CASES):
        value = values[place % len(values)]
        first, *others = value if isinstance(value, tuple) else (value,)
        mask = case.mask.astype(np.uint16) * first
        mask[0, : len(others)] = others
        save(root / "images" / f"{case.name}.png", case.pixels)
        save(root / "masks" / f"{case.name}.png", mask if mask.max() > 255 else mask.astype(np.uint8))


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        ((1, 255), "some masks hold 1 and others 255; if both are the structure, write --mask-values '0=0,1=1,255=1'"),
        (((1, 255),), "if 255 marks pixels without a label, count them as background by --mask-values '0=0,1=1,255=0'"),
        ((1, (2, 255)), "count them as background by --mask-values '0=0,1=1,2=2,255=0'"),
        ((128, 255), "say what they mean, as in --mask-values '0=0,128=1,255=2'"),
    ],
)
def test_the_advice_on_white_beside_classes_makes_no_class_of_it(capsys, tmp_path, values, advice):
    """Followed to the letter, it made two classes of one structure, or one of what has no label."""
    masks(tmp_path / "s", *values)
    assert advice in refused(capsys, "import", "masks", tmp_path / "s", tmp_path / "out", "--task", "t")


def test_white_of_two_depths_is_one_class(capsys, tmp_path):
    masks(tmp_path / "s", 255, 65535)
    text = imported(capsys, "masks", tmp_path / "s", tmp_path / "out", "--task", "t")
    assert "masks: the values 0, 255 and 65535 are read as the classes 0 and 1" in text
    assert read(tmp_path / "out")[0].tasks["t"].classes == 2
