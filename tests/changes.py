"""Changes to the CSV files of the folder `tiny_data`, for tests of what other programs write."""

import csv
import os
from collections.abc import Callable
from pathlib import Path

FIRST, SECOND = "Cls-Two_1.kinds, first.csv", "Cls-Two_2.kinds, second.csv"
SEG, DET, REG = "Seg-Three_1.HC18_tiny.csv", "Det-One_1.box.csv", "Reg-Two_1.axis.csv"
KINDS = "Classification/Two/Kinds, of\u00a0lesion (24)"

Change = Callable[[Path], object]


def tables(root: Path) -> Path:
    return root / "train/csv_files"


def text(name: str, change: Callable[[str], str], encoding: str = "utf-8") -> Change:
    """Changes the text of one CSV."""

    def apply(root: Path) -> None:
        path = tables(root) / name
        path.write_bytes(change(path.read_text(encoding="utf-8")).encode(encoding))

    return apply


def cells(name: str, change: Callable[[int, str], str], column: str = "image_path", **dialect: str) -> Change:
    """Changes the cells of one column, given the row's number; `dialect` is how the file is written again."""

    def apply(root: Path) -> None:
        path = tables(root) / name
        with open(path, newline="", encoding="utf-8") as stream:
            header, *rows = csv.reader(stream)
        place = header.index(column)
        for number, row in enumerate(rows):
            row[place] = change(number, row[place])
        with open(path, "w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, **dialect).writerows([header, *rows])

    return apply


def delimited(name: str, delimiter: str) -> Change:
    return cells(name, lambda number, cell: cell, delimiter=delimiter)


def column(name: str, title: str, cell: Callable[[int], str]) -> Change:
    """Adds a column to one CSV."""

    def apply(root: Path) -> None:
        path = tables(root) / name
        header, *rows = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join([f"{header},{title}", *(f"{row},{cell(n)}" for n, row in enumerate(rows))]) + "\n")

    return apply


def rename(old: str, new: str) -> Change:
    return lambda root: os.rename(root / "train" / old, root / "train" / new)


def both(*changes: Change) -> Change:
    return lambda root: [change(root) for change in changes]
