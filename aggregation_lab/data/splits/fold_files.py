"""Folds from files: folds.csv as agglab writes it, and nnU-Net's splits_final.json with an entry per fold."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd

from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.splits.folds import FOLDS_FILE, Folds, checked, replicate_tables, splits_of
from aggregation_lab.data.splits.split import SPLIT_FILE, Split, check_match, with_components
from aggregation_lab.data.splits.stratification import SPLITS
from aggregation_lab.errors import DataError
from aggregation_lab.files import read_bytes
from aggregation_lab.text import printable


def split_file(folder: Path, folds: int) -> Path:
    """Where an output folder holds its one split, or its folds."""
    return folder / (FOLDS_FILE if folds > 1 else SPLIT_FILE)


def load_folds(path: Path, folds: int, dataset: Dataset | None = None, *, seed: int = 0) -> Folds:
    """Read folds.csv, the folder that holds it, or splits_final.json; with `dataset`, check that it is of these data.

    With one fold a split is read, see `Split.load`. In splits_final.json the cases of fold k are those that entry k
    tests, or validates where no entry tests (nnU-Net's own form); it needs `dataset`, and nested ranks are drawn with
    `seed`.

    Raises `DataError` where the file is absent or damaged, has another number of folds, misses or does not know a case,
    parts a component, or leaves a task without what `draw_folds` gives it.
    """
    if folds == 1:
        split = Split.load(path, dataset)
        return Folds((split,), split.warnings)
    file = split_file(path, folds) if path.is_dir() else path
    if file.name == SPLIT_FILE:
        raise DataError(f"{file}: is one split, and the study has folds: {folds}; give folds.csv or splits_final.json")
    if file.suffix == ".json" and dataset is not None:
        fold = _entries(file, folds)
        check_match(pd.DataFrame({"case": list(fold), "split": list(fold.values())}), dataset, file)
        return splits_of(dataset, dataset.cases["case"].map(fold).to_numpy(int), folds, file, seed=seed)
    table = _read_table(file, folds)
    if dataset is None:
        return Folds(tuple(map(Split, replicate_tables(table, folds))))
    check_match(table.assign(split=table["fold"]), dataset, file)
    return checked(dataset, replicate_tables(with_components(table, dataset), folds), file)


def _read_table(file: Path, folds: int) -> pd.DataFrame:
    columns = {"case": str, "component": int, "fold": int} | {f"rank_{number}": float for number in range(folds)}
    try:
        table = pd.read_csv(StringIO(_text(file)), dtype=str, keep_default_na=False)
        if list(table.columns) != list(columns):
            raise ValueError(f"its columns are not those of {folds} folds: {printable(', '.join(table.columns))}")
        table = pd.DataFrame({name: [kind(text) for text in table[name]] for name, kind in columns.items()})
    except ValueError as error:
        raise _unreadable(file, error) from error
    ranks = table.filter(like="rank_").to_numpy()
    known = set(table["fold"]) == set(range(folds)) and bool(((ranks >= 0) & (ranks < 1)).all())
    if not known or table["case"].duplicated().any():
        raise DataError(f"{file}: is not {folds} folds with each case once; draw the folds again")
    return table


def _entries(file: Path, folds: int) -> dict[str, int]:
    """The fold of every case of splits_final.json."""
    try:
        entries: Any = json.loads(_text(file))
    except (ValueError, RecursionError) as error:
        raise _unreadable(file, error) from error
    if not isinstance(entries, list) or not all(map(_is_entry, entries)):
        raise DataError(
            f"{file}: is no list of folds, each {{train: [cases], val: [cases]}}; write it in nnU-Net's form"
        )
    if len(entries) != folds:
        raise DataError(f"{file}: has {len(entries)} folds, the study folds: {folds}; give the same number")
    part = "test" if all("test" in entry for entry in entries) else "val"
    fold: dict[str, int] = {}
    for number, entry in enumerate(entries):
        for case in entry[part]:
            if case in fold:
                raise DataError(f"{file}: has case {case} in {part} of two folds; each case is in one")
            fold[case] = number
    for number, entry in enumerate(entries):
        _check_entry(file, entry, number, fold, folds, tested=part == "test")
    return fold


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and {"train", "val"} <= entry.keys() <= set(SPLITS)
        and all(isinstance(cases, list) and all(isinstance(case, str) for case in cases) for cases in entry.values())
    )


def _check_entry(file: Path, entry: dict, number: int, fold: dict[str, int], folds: int, *, tested: bool) -> None:
    """Raise where an entry does not divide the cases as its fold does."""
    following = (number + 1) % folds
    if tested and {case for case, own in fold.items() if own == following} != set(entry["val"]):
        raise DataError(f"{file}: val of fold {number} is not what fold {following} tests; validation is the next fold")
    held_out = {number, following} if tested else {number}
    if {case for case, own in fold.items() if own not in held_out} != set(entry["train"]):
        raise DataError(f"{file}: train of fold {number} is not all cases of the other folds; write the file again")


def _text(file: Path) -> str:
    if file.exists() and not file.is_file():  # a pipe or a device would be read forever
        raise DataError(
            f"{file}: is no regular file; give folds.csv, splits_final.json or the folder that holds the first"
        )
    try:
        return read_bytes(file).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(
            f"{file}: does not exist; give folds.csv or splits_final.json, or leave data.split out"
        ) from error
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: Exception) -> DataError:
    return DataError(f"{file}: are no readable folds ({' '.join(str(error).split())}); draw the folds again")
