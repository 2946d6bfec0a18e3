"""Scores of the trivial predictors, in the folder floor/: computed once, and again where a table is damaged."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from aggregation_lab import results
from aggregation_lab.data.progress import Progress
from aggregation_lab.errors import ResultsError
from aggregation_lab.run import RECIPE
from runners.planning.data_digests import dataset_digest
from runners.planning.study_schema import Study
from runners.store.study_folder import StudyFolder

if TYPE_CHECKING:
    import pandas as pd

    from aggregation_lab.data.cache import ImageCache
    from aggregation_lab.data.challenge import Dataset
    from aggregation_lab.data.splits.folds import Folds


def write_floor(
    folder: StudyFolder,
    study: Study,
    dataset: "Dataset",
    folds: "Folds",
    caches: Mapping[int, "ImageCache"],
    progress: Progress,
) -> None:
    """Score the trivial predictors at every size of images, fraction and tested fold of which a table is absent,
    damaged or of other data; `caches` are by size."""
    from aggregation_lab.floor import floor_tables

    label = _label(dataset_digest(dataset), folds.digest)
    wanted = list(product(study.image_sizes, study.fractions, tested_folds(study)))
    for index, (size, fraction, fold) in enumerate(wanted):
        files = {
            table: floor_file(folder, size, fraction, table.name, fold) for table in (results.SCORES, results.CASES)
        }
        damaged = [file for table, file in files.items() if not _is_floor(file, table, label)]
        if not damaged:
            continue
        lost = f"{damaged[0]} is damaged or of other data, " if damaged[0].exists() else ""
        progress(f"{lost}scoring the floor", index, len(wanted))
        frames = floor_tables(dataset, folds.split(fold), fraction, caches[size])
        for frame, (table, file) in zip(frames, files.items(), strict=True):
            results.write_table(frame, table, file, label)


def read_floor(folder: StudyFolder, table: results.Table) -> list["pd.DataFrame"]:
    """The floor's rows of every arm and fraction, and with folds of every seed, on what it tests.

    Raises `ResultsError` where they are absent, damaged or of other data.
    """
    identity = folder.read_identity()
    study = identity.study
    label = _label(identity.dataset, identity.split)
    try:
        return [
            rows.assign(arm=name) if fold is None else rows.assign(arm=name, seed=seed)
            for size, fraction, fold in product(study.image_sizes, study.fractions, tested_folds(study))
            for rows in [results.read_table(floor_file(folder, size, fraction, table.name, fold), table, label)]
            for name, arm in study.variants.items()
            if arm.training.image_size == size
            for seed in study.seeds
            if study.fold(seed) == fold
        ]
    except ResultsError as error:
        raise ResultsError(f"{error.fault}; the same run-grid command makes the floor again") from error


def tested_folds(study: Study) -> list[int | None]:
    """The folds that seeds of the study test; None for one split."""
    return list(dict.fromkeys(map(study.fold, study.seeds)))


def floor_file(folder: StudyFolder, image_size: int, fraction: float, table: str, fold: int | None = None) -> Path:
    """Where the floor's rows lie; the name holds all that changes them within one folder."""
    tested = "" if fold is None else f"-fold{fold}"
    return folder.path / "floor" / f"f{fraction:g}{tested}-{image_size}px-recipe{RECIPE}-{table}.parquet"


def _label(dataset: str | None, split: str | None) -> str:
    """What the floor's tables say that they were made from: the digests of data set and split."""
    return f"floor of {dataset} split {split}"


def _is_floor(file: Path, table: results.Table, label: str) -> bool:
    try:
        results.read_table(file, table, label)
    except ResultsError:
        return False
    return True
