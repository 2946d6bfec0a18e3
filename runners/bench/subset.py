"""A data folder cut down to a share of its rows, every task and class kept: a study in small."""

import csv
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from aggregation_lab.data.rows.csv_rows import CSV_FOLDER, Row, read_rows
from aggregation_lab.data.rows.layout import find_train_folder
from aggregation_lab.data.rows.problems import Problems
from aggregation_lab.errors import DataError

FEWEST = 8
"""Rows that each class of a task keeps where it has them, so that every split gets some."""


def cut_down(data: Path, share: float, target: Path) -> Path:
    """Write into `target` the CSVs of `data` with `share` of the rows of each class, evenly spread; images are linked.

    Raises `DataError` where `data` is not in the challenge's layout.
    """
    train = find_train_folder(data)
    if train is None:
        raise DataError(f"{data}: has no {CSV_FOLDER}; give a folder in the challenge's layout")
    problems = Problems()
    rows = read_rows(train, problems)
    problems.raise_errors(data)
    folder = target / "train" / CSV_FOLDER
    folder.mkdir(parents=True)
    for place in train.iterdir():
        if place.name != CSV_FOLDER:
            (target / "train" / place.name).symlink_to(place.resolve())
    kept: dict[str, list[dict[str, str]]] = {}
    for row in spread(rows, share):
        kept.setdefault(Path(row.file).name, []).append(row.cells)
    for name, cells in kept.items():
        with open(folder / name, "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(cells[0]))
            writer.writeheader()
            writer.writerows(cells)
    return target


def spread(rows: Iterable[Row], share: float) -> list[Row]:
    """`share` of the rows of each task and class, at even distances."""
    rows = list(rows)
    keys = [(row.cells["task_id"], row.cell("mask") or "") for row in rows]
    sizes, seen, kept = Counter(keys), Counter[tuple[str, str]](), []
    for row, key in zip(rows, keys, strict=True):
        size, place = sizes[key], seen[key]
        wanted = min(size, max(FEWEST, round(share * size)))
        if (place + 1) * wanted // size > place * wanted // size:
            kept.append(row)
        seen[key] += 1
    return kept
