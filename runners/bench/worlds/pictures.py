"""Small pictures of speckle with marks in it, and the folder of a world's tasks in the challenge's layout."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aggregation_lab.data.rows.csv_rows import CSV_FOLDER
from aggregation_lab.data.splits.stratification import SPLITS

SIDE, CELL = 32, 8
"""Pixels of a picture, and of a mark, which fills one cell of a grid."""
DYNAMIC_RANGE, MEAN_GREY = 50.0, 150.0
"""dB from black to white, and the grey level of an even tissue of 0 dB without speckle."""

Mark = NDArray[np.float64]
"""CELL x CELL of +1 and -1, as many of both: a mark does not change the mean of its cell."""


@dataclass(frozen=True)
class Shown:
    """A mark of so many dB in so many cells of a picture."""

    mark: Mark
    decibel: float
    cells: int


@dataclass(frozen=True)
class Labelled:
    """What a picture shows, and its class."""

    shown: tuple[Shown, ...]
    label: int


@dataclass(frozen=True)
class PlannedTask:
    """A classification task of two classes: its clinical group, and its pictures by part of the split."""

    group: str
    parts: Mapping[str, Sequence[Labelled]]


def marks(count: int, random: np.random.Generator) -> list[Mark]:
    """Random marks."""
    halves = np.repeat([1.0, -1.0], CELL * CELL // 2)
    return [random.permutation(halves).reshape(CELL, CELL) for _ in range(count)]


def draw(shown: Iterable[Shown], random: np.random.Generator) -> NDArray[np.uint8]:
    """SIDE x SIDE grey levels: marks in cells drawn at random, under fully developed speckle, whose envelope is
    Rayleigh distributed (Wagner et al., IEEE Trans. Sonics Ultrason. 1983, 30(3) 156), log compressed."""
    across = SIDE // CELL
    echo, free = np.zeros((SIDE, SIDE)), iter(random.permutation(across**2))
    for each in shown:
        for _ in range(each.cells):
            row, column = divmod(int(next(free)), across)
            at = (slice(row * CELL, (row + 1) * CELL), slice(column * CELL, (column + 1) * CELL))
            echo[at] += each.decibel * each.mark
    level = echo + 20 * np.log10(random.rayleigh(1.0, echo.shape) + 1e-3)
    return np.clip(np.rint(MEAN_GREY + 255 * level / DYNAMIC_RANGE), 0, 255).astype(np.uint8)


def write_world(folder: Path, tasks: Mapping[str, PlannedTask], random: np.random.Generator) -> None:
    """Write the pictures of all tasks, a subject each, and their CSV files below `folder`; `part_of` finds the part of
    the split in the name of a file."""
    train = folder / "train"
    (train / CSV_FOLDER).mkdir(parents=True)
    for name, task in tasks.items():
        (train / name).mkdir()
        with open(train / CSV_FOLDER / f"{name}.csv", "w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(
                ["task_id", "task_name", "num_classes", "image_path", "mask", "subject_id", "clinical_group"]
            )
            for part in SPLITS:
                for number, picture in enumerate(task.parts[part]):
                    file = f"{name}/{part}-{number:04d}.png"
                    Image.fromarray(draw(picture.shown, random)).save(train / file, compress_level=1)
                    subject = f"{name}-{part}-{number}"
                    row = [name, "classification", 2, f"../{file}", picture.label, subject, task.group]
                    writer.writerow(row)


def part_of(image: str) -> int:
    """Position in `SPLITS` of the part that a picture of `write_world` was drawn for."""
    return SPLITS.index(Path(image).name.partition("-")[0])
