"""The data set of a study as workers read it: its tables and tasks, in the folder prepared/."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aggregation_lab.data.prepared_files import TASKS, read_prepared_table, read_root_and_tasks, table_label
from aggregation_lab.errors import StudyError
from aggregation_lab.storage.sealed_json import write_sealed
from aggregation_lab.tasks import Task
from runners.planning.data_digests import dataset_digest
from runners.store.study_folder import StudyFolder, cannot_be_used

if TYPE_CHECKING:
    import pandas as pd

    from aggregation_lab.data.cache import ImageCache
    from aggregation_lab.data.challenge import Dataset
    from aggregation_lab.data.splits.folds import Folds
    from aggregation_lab.data.splits.split import Split

TABLES = ("cases", "images", "masks", "near_duplicates")


@dataclass(frozen=True)
class Prepared:
    """What every run of a study reads."""

    dataset: "Dataset"
    folds: "Folds"
    cache: "ImageCache"
    """Images of the size that they have in the first arm."""
    other_caches: Mapping[int, "ImageCache"] = field(default_factory=dict)
    """By size, of arms whose images have another one."""

    def cache_of(self, image_size: int) -> "ImageCache":
        """The images of the runs that see them at a size. Raises `StudyError` where no arm of the study does so."""
        if self.cache.images.shape[1] == image_size:
            return self.cache
        if image_size not in self.other_caches:
            raise StudyError(
                f"training.image_size: {image_size} is that of no arm any more; another run-grid has changed the study "
                "in this folder meanwhile"
            )
        return self.other_caches[image_size]

    def split(self, fold: int | None = None) -> "Split":
        """The split of the runs that test a fold."""
        return self.folds.split(fold)


def save_dataset(folder: StudyFolder, dataset: "Dataset") -> None:
    """Keep the data set's tables and tasks for the workers."""
    from aggregation_lab.storage.sealed_parquet import write_frame

    digest = dataset_digest(dataset)
    for name in TABLES:
        write_frame(folder.prepared / f"{name}.parquet", getattr(dataset, name), table_label(name, digest))
    tasks = [asdict(task) for task in dataset.tasks.values()]
    write_sealed(folder.prepared / TASKS, {"root": str(dataset.root), "tasks": tasks, "dataset": digest})


def read_tasks(folder: StudyFolder) -> dict[str, Task]:
    """Tasks of the study with their groups, by name. Raises `StudyError` where they are absent or damaged."""
    return _root_and_tasks(folder)[1]


def _root_and_tasks(folder: StudyFolder) -> tuple[Path, dict[str, Task]]:
    """The data folder of the study, and its tasks."""
    try:
        return read_root_and_tasks(folder.prepared, folder.read_identity().dataset)
    except (OSError, ValueError) as error:
        raise cannot_be_used(folder.prepared / TASKS, error) from error


def read_case_tables(folder: StudyFolder) -> tuple["pd.DataFrame", "pd.DataFrame", "pd.DataFrame"]:
    """The case table of the prepared data, its near-duplicates, and the parts of its split (`Folds.parts`).

    Raises `StudyError`.
    """
    return _read_table(folder, "cases"), _read_table(folder, "near_duplicates"), folder.read_folds().parts


def _read_table(folder: StudyFolder, name: str) -> "pd.DataFrame":
    try:
        return read_prepared_table(folder.prepared, name, folder.read_identity().dataset)
    except (OSError, ValueError) as error:
        raise cannot_be_used(folder.prepared / f"{name}.parquet", error) from error


def load_dataset(folder: StudyFolder) -> "Dataset":
    """The data set of a prepared output folder, every table checked. Raises `StudyError` for a damaged one."""
    from aggregation_lab.data.challenge import Dataset

    tables = {name: _read_table(folder, name) for name in TABLES}
    root, tasks = _root_and_tasks(folder)
    return Dataset(root=root, tasks=tasks, warnings=(), notes=(), **tables)


def load_prepared(folder: StudyFolder) -> Prepared:
    """What a prepared output folder holds for its runs, every file checked. Raises `StudyError` for a damaged one.

    The image caches are opened, not built, unless one is damaged.
    """
    from aggregation_lab.data.cache import open_cache

    dataset = load_dataset(folder)
    first, *others = folder.read_study().image_sizes
    caches = {size: open_cache(dataset, size, folder.cache) for size in others}
    return Prepared(dataset, folder.read_folds(), open_cache(dataset, first, folder.cache), caches)
