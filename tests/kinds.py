"""Small data folders of one task whose files are written in whatever form a test wants."""

import csv
import json
import re
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from aggregation_lab.config import TargetRules
from aggregation_lab.data.challenge import Dataset, read_dataset
from aggregation_lab.errors import DataError

HEIGHT, WIDTH, COUNT = 48, 64, 12
SIDES = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT])
TASK = "tiny_task"

Encode = Callable[[np.ndarray], bytes]


def picture(number: int) -> np.ndarray:
    """HEIGHT x WIDTH floats from 0 to 255: coarse blocks of chance, some of them black and some white."""
    blocks = np.random.default_rng(number).uniform(0, 255, (6, 8))
    blocks[0, 0], blocks[5, 7] = 0, 255
    return np.kron(blocks, np.ones((HEIGHT // 6, WIDTH // 8)))


def structure(number: int) -> np.ndarray:
    """HEIGHT x WIDTH booleans: a disc."""
    generator = np.random.default_rng(1000 + number)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return (y - generator.integers(16, 32)) ** 2 + (x - generator.integers(16, 48)) ** 2 < 100


def encoded(image: Image.Image | np.ndarray, form: str, **options: object) -> bytes:
    """The image in a file format of Pillow."""
    stream = BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(stream, form, **options)
    return stream.getvalue()


def as_png(pixels: np.ndarray) -> bytes:
    return encoded(np.rint(pixels).astype(np.uint8), "PNG")


def write_folder(
    root: Path, kind: str, classes: int, columns: Sequence[dict[str, str]], encode: Encode = as_png
) -> Path:
    """A folder of one task; `columns` has the target cells of each row, `encode` writes the images."""
    (root / "train/csv_files").mkdir(parents=True, exist_ok=True)
    rows = []
    for number, cells in enumerate(columns):
        write_file(root, f"im{number:02}", encode(picture(number)))
        start = {"task_id": TASK, "task_name": kind, "num_classes": str(classes), "image_path": f"../im{number:02}"}
        rows.append(start | cells)
    with open(root / "train/csv_files/tiny.csv", "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return root


def write_file(root: Path, name: str, data: bytes) -> None:
    (root / "train" / name).write_bytes(data)


def labelled(root: Path, encode: Encode = as_png, labels: Sequence[object] = (0, 1), classes: int = 2) -> Path:
    """A classification task whose labels take turns."""
    cells = [{"mask": str(labels[number % len(labels)])} for number in range(COUNT)]
    return write_folder(root, "classification", classes, cells, encode)


def masked(root: Path, encode: Callable[[int], bytes], classes: int = 2) -> Path:
    """A segmentation task; `encode` writes the mask of a case by its number."""
    write_folder(root, "segmentation", classes, [{"mask_path": f"../mk{number:02}"} for number in range(COUNT)])
    for number in range(COUNT):
        write_file(root, f"mk{number:02}", encode(number))
    return root


def boxed(root: Path, boxes: np.ndarray) -> Path:
    """A detection task with boxes N x 4, as the file shall have them."""
    names = ("x_min", "y_min", "x_max", "y_max")
    return write_folder(root, "detection", 1, [dict(zip(names, map(repr, box), strict=True)) for box in boxes.tolist()])


def pointed(root: Path, points: np.ndarray | Sequence[Sequence[object]]) -> Path:
    """A regression task with points N x P x 2; a point may be the text of its cell."""

    def text(point: object) -> str:
        return point if isinstance(point, str) else json.dumps(np.asarray(point).tolist())

    cells = [{f"point_{number}_xy": text(point) for number, point in enumerate(row, start=1)} for row in points]
    return write_folder(root, "Regression", len(points[0]), cells)


def problems(root: Path, level: str, **settings: object) -> list[str]:
    """The errors or warnings of a folder, as they are shown."""
    try:
        result = read_dataset(root, **settings).warnings  # type: ignore[arg-type]
    except DataError as error:
        result = error.problems
    return [str(problem) for problem in result if problem.level == level]


def good(root: Path, **settings: object) -> Dataset:
    """The folder's data set, which must be without a warning."""
    dataset = read_dataset(root, **settings)  # type: ignore[arg-type]
    assert not dataset.warnings, "\n".join(map(str, dataset.warnings))
    return dataset


def binary(value: int, dtype: type = np.uint8) -> Callable[[int], np.ndarray]:
    return lambda number: (structure(number) * value).astype(dtype)


def png(pixels: Callable[[int], np.ndarray], mode: str = "") -> Callable[[int], bytes]:
    def encode(number: int) -> bytes:
        image = Image.fromarray(pixels(number))
        return encoded(image.convert(mode) if mode else image, "PNG")

    return encode


def rule_in(line: str) -> TargetRules:
    """The rule that a line says to write into the study file, as that file would be read."""
    name, value = re.search(r"data\.(\w+): (\[.*?\]|\{[^{}]*(?:\{[^{}]*\})?[^{}]*\})", line).groups()  # type: ignore[union-attr]
    return TargetRules.model_validate({name: yaml.safe_load(value)})
