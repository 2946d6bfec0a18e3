"""Shapes that lie over one another: what the order of a list hides is seen, or said to be hidden."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import imported, mask_of, read
from tests.aggregation_lab.data.importing.sources import CASES, Drawn, write
from tests.aggregation_lab.data.importing.test_left_out import COCO

Rectangle = tuple[float, float, float, float]


def around(case: Drawn) -> Rectangle:
    """A rectangle around the lesion, which lies in it wholly."""
    x_min, y_min, x_max, y_max = case.box
    return x_min - 2, y_min - 2, x_max + 2, y_max + 2


def corners(box: Rectangle) -> list[tuple[float, float]]:
    x_min, y_min, x_max, y_max = box
    return [(x_min, y_min), (x_max, y_min), (x_max, y_max), (x_min, y_max)]


Shapes = Callable[[Drawn], list[tuple[str, Rectangle]]]


def nested(case: Drawn) -> list[tuple[str, Rectangle]]:
    """The inner one first, as it was drawn."""
    return [("cyst", case.box), ("lesion", around(case))]


def labelme(root: Path, shapes: Shapes) -> list[str]:
    options = sources.labelme(root)
    for case in CASES:
        value = json.loads((root / f"{case.name}.json").read_text())
        value["shapes"] = [{"label": label, "points": corners(box)} for label, box in shapes(case)]
        write(root / f"{case.name}.json", json.dumps(value))
    return options


def cvat(root: Path, shapes: Shapes, layers: tuple[int, int] = (0, 0)) -> list[str]:
    def text(label: str, box: Rectangle, layer: int) -> str:
        points = ";".join(f"{x},{y}" for x, y in corners(box))
        return f'<polygon label="{label}" points="{points}" z_order="{layer}"/>'

    drawn = lambda case: "".join(text(*each, layer) for each, layer in zip(shapes(case), layers, strict=True))  # noqa: E731
    return sources.cvat(root, drawn)


def coco(root: Path, shapes: Shapes) -> list[str]:
    options = sources.coco(root)
    value = json.loads((root / COCO).read_text())
    value["categories"] = [{"id": 1, "name": "cyst"}, {"id": 2, "name": "lesion"}]
    number = {"cyst": 1, "lesion": 2}
    value["annotations"] = [
        {"image_id": place, "category_id": number[label], "segmentation": [np.ravel(corners(box)).tolist()]}
        for place, case in enumerate(CASES)
        for label, box in shapes(case)
    ]
    write(root / COCO, json.dumps(value))
    return [*options, "--type", "segmentation"]


def yolo(root: Path, shapes: Shapes) -> list[str]:
    def lines(case: Drawn) -> str:
        index = {"cyst": 0, "lesion": 1}
        shares = lambda box: " ".join(f"{x / case.size[0]:.8f} {y / case.size[1]:.8f}" for x, y in corners(box))  # noqa: E731
        return "\n".join(f"{index[label]} {shares(box)}" for label, box in shapes(case))

    options = sources.yolo(root, lines)
    write(root / "data.yaml", "names: [cyst, lesion]\n")
    return options


def classes_of(out: Path) -> list[tuple[int, ...]]:
    dataset, cases = read(out)
    return [tuple(np.bincount(mask_of(dataset, case).ravel(), minlength=3)) for case in cases.itertuples()]


def inside(case: Drawn) -> int:
    return int(case.mask.sum())


def ring(case: Drawn) -> int:
    x_min, y_min, x_max, y_max = around(case)
    return int((x_max - x_min) * (y_max - y_min)) - inside(case)


@pytest.mark.parametrize("build", [labelme, cvat, coco, yolo])
def test_a_shape_inside_a_later_one_of_another_class_is_seen(capsys, tmp_path, build):
    """It was painted over, and its class gone, without a word."""
    options = build(tmp_path / "s", nested)
    text = imported(capsys, build.__name__, tmp_path / "s", tmp_path / "out", "--task", "t", *options)
    assert "a shape lies in a larger one of another class that stands behind it in the file, and is drawn over" in text
    found = sorted(counts[1:] for counts in classes_of(tmp_path / "out"))
    assert found == sorted((inside(case), ring(case)) for case in CASES)


def test_layers_of_the_source_count_and_what_they_hide_is_said(capsys, tmp_path):
    options = cvat(tmp_path / "s", nested, (0, 1))
    code = imported(capsys, "cvat", tmp_path / "s", tmp_path / "out", "--task", "t", *options)
    assert "a shape is hidden, for the most part or wholly, by one of another class" in code
    assert not any(counts[1] for counts in classes_of(tmp_path / "out"))


def test_a_shape_that_is_mostly_hidden_is_said(capsys, tmp_path):
    def shifted(case: Drawn) -> list[tuple[str, Rectangle]]:
        x_min, y_min, x_max, y_max = case.box
        return [("cyst", case.box), ("lesion", (x_min + 1, y_min, x_max + 2, y_max))]

    options = labelme(tmp_path / "s", shifted)
    text = imported(capsys, "labelme", tmp_path / "s", tmp_path / "out", "--task", "t", *options)
    assert "a shape is hidden, for the most part or wholly" in text and "drawn over" not in text


def test_an_area_filled_by_what_lies_in_it_is_not_hidden(capsys, tmp_path):
    filled = lambda case: list(reversed(nested(case)))  # noqa: E731
    options = labelme(tmp_path / "s", filled)
    text = imported(capsys, "labelme", tmp_path / "s", tmp_path / "out", "--task", "t", *options)
    assert "hidden" not in text and "drawn over" not in text
    assert sorted(counts[1] for counts in classes_of(tmp_path / "out")) == sorted(map(inside, CASES))


def test_a_shape_without_a_pixel_beside_one_with_some_is_said(capsys, tmp_path):
    """Alone, it leaves its image out."""
    tiny = lambda case: [("lesion", case.box), ("lesion", (1.6, 1.6, 1.9, 1.9))]  # noqa: E731
    options = labelme(tmp_path / "s", tiny)
    text = imported(capsys, "labelme", tmp_path / "s", tmp_path / "out", "--task", "t", *options)
    assert "a shape covers no pixel (it is too small, or lies outside the image), and is lost" in text


def test_a_polygon_that_is_cut_at_an_edge_is_noted_as_a_box_is(capsys, tmp_path):
    beyond = lambda case: [("lesion", (-1.0, *case.box[1:]))]  # noqa: E731
    options = labelme(tmp_path / "s", beyond)
    text = imported(capsys, "labelme", tmp_path / "s", tmp_path / "out", "--task", "t", *options)
    assert "a polygon reaches beyond the image, and is cut at its edge" in text
