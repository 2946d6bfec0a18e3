"""Scores of the trivial predictors, in the folder floor/: computed once, and again where a table is damaged."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from aggregation_lab import results
from aggregation_lab.errors import ResultsError
from aggregation_lab.run import RECIPE
from runners.planning.plan import dataset_digest
from runners.planning.study_schema import Study
from runners.store.study_folder import StudyFolder

if TYPE_CHECKING:
    import pandas as pd

    from aggregation_lab.data.cache import ImageCache
    from aggregation_lab.data.challenge import Dataset
    from aggregation_lab.data.splits.split import Split


def write_floor(
    folder: StudyFolder,
    study: Study,
    dataset: "Dataset",
    split: "Split",
    cache: "ImageCache",
    progress: Callable[[str, int, int], None],
) -> None:
    """Score the trivial predictors at every fraction of which a table is absent, damaged or of other data."""
    from aggregation_lab.floor import floor_tables

    label = _label(dataset_digest(dataset), split.digest)
    for index, fraction in enumerate(study.fractions):
        files = {table: floor_file(folder, study, fraction, table.name) for table in (results.SCORES, results.CASES)}
        damaged = [file for table, file in files.items() if not _is_floor(file, table, label)]
        if not damaged:
            continue
        lost = f"{damaged[0]} is damaged or of other data, " if damaged[0].exists() else ""
        progress(f"{lost}scoring the floor", index, len(study.fractions))
        for frame, (table, file) in zip(floor_tables(dataset, split, fraction, cache), files.items(), strict=True):
            results.write_table(frame, table, file, label)


def read_floor(folder: StudyFolder, table: results.Table) -> list["pd.DataFrame"]:
    """The floor's rows of every fraction. Raises `ResultsError` where they are absent, damaged or of other data."""
    identity = folder.read_identity()
    label = _label(identity.dataset, identity.split)
    try:
        return [
            results.read_table(floor_file(folder, identity.study, fraction, table.name), table, label)
            for fraction in identity.study.fractions
        ]
    except ResultsError as error:
        fault = str(error).rpartition(";")[0]
        raise ResultsError(f"{fault}; the same run-grid command makes the floor again") from error


def floor_file(folder: StudyFolder, study: Study, fraction: float, table: str) -> Path:
    """Where the floor's rows lie; the name holds all that changes them within one folder."""
    return folder.path / "floor" / f"f{fraction:g}-{study.training.image_size}px-recipe{RECIPE}-{table}.parquet"


def _label(dataset: str | None, split: str | None) -> str:
    """What the floor's tables say that they were made from: the digests of data set and split."""
    return f"floor of {dataset} split {split}"


def _is_floor(file: Path, table: results.Table, label: str) -> bool:
    try:
        results.read_table(file, table, label)
    except ResultsError:
        return False
    return True
