"""The data set of a study as workers read it: its tables and tasks, in the folder prepared/."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aggregation_lab.storage.sealed_json import read_sealed, write_sealed
from aggregation_lab.tasks import Task, TaskType
from runners.planning.data_digests import dataset_digest
from runners.store.study_folder import StudyFolder, cannot_be_used

if TYPE_CHECKING:
    import pandas as pd

    from aggregation_lab.data.cache import ImageCache
    from aggregation_lab.data.challenge import Dataset
    from aggregation_lab.data.splits.folds import Folds
    from aggregation_lab.data.splits.split import Split

TASKS = "tasks.json"
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
        """The images of the runs that see them at a size."""
        return self.cache if self.cache.images.shape[1] == image_size else self.other_caches[image_size]

    def split(self, fold: int | None = None) -> "Split":
        """The split of the runs that test a fold."""
        return self.folds.split(fold)


def save_dataset(folder: StudyFolder, dataset: "Dataset") -> None:
    """Keep the data set's tables and tasks for the workers."""
    from aggregation_lab.storage.sealed_parquet import write_frame

    digest = dataset_digest(dataset)
    for name in TABLES:
        write_frame(folder.prepared / f"{name}.parquet", getattr(dataset, name), _label(name, digest))
    tasks = [asdict(task) for task in dataset.tasks.values()]
    write_sealed(folder.prepared / TASKS, {"root": str(dataset.root), "tasks": tasks, "dataset": digest})


def _label(name: str, dataset: str | None) -> str:
    """What a prepared table says of itself: its name and the digest of the data set."""
    return f"{name} of {dataset}"


def read_tasks(folder: StudyFolder) -> dict[str, Task]:
    """Tasks of the study with their groups, by name. Raises `StudyError` where they are absent or damaged."""
    return _root_and_tasks(folder)[1]


def _root_and_tasks(folder: StudyFolder) -> tuple[Path, dict[str, Task]]:
    """The data folder of the study, and its tasks."""
    file = folder.prepared / TASKS
    try:
        value = read_sealed(file)
        if value["dataset"] != folder.read_identity().dataset:
            raise ValueError("it is of another data set")
        tasks = [Task(**{**task, "type": TaskType.of(task["type"])}) for task in value["tasks"]]
        return Path(value["root"]), {task.name: task for task in tasks}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise cannot_be_used(file, error) from error


def read_case_tables(folder: StudyFolder) -> tuple["pd.DataFrame", "pd.DataFrame", "pd.DataFrame"]:
    """The case table of the prepared data, its near-duplicates, and the parts of its split (`Folds.parts`).

    Raises `StudyError`.
    """
    return _read_table(folder, "cases"), _read_table(folder, "near_duplicates"), folder.read_folds().parts


def _read_table(folder: StudyFolder, name: str) -> "pd.DataFrame":
    from aggregation_lab.storage.sealed_parquet import read_frame

    file = folder.prepared / f"{name}.parquet"
    try:
        return read_frame(file, _label(name, folder.read_identity().dataset))
    except (OSError, ValueError) as error:
        raise cannot_be_used(file, error) from error


def load_prepared(folder: StudyFolder) -> Prepared:
    """What a prepared output folder holds for its runs, every file checked. Raises `StudyError` for a damaged one.

    The image caches are opened, not built, unless one is damaged.
    """
    from aggregation_lab.data.cache import open_cache
    from aggregation_lab.data.challenge import Dataset

    tables = {name: _read_table(folder, name) for name in TABLES}
    for column in ("box", "points"):
        tables["cases"][column] = tables["cases"][column].map(_as_tuple).astype(object)
    root, tasks = _root_and_tasks(folder)
    dataset = Dataset(root=root, tasks=tasks, warnings=(), notes=(), **tables)
    first, *others = folder.read_study().image_sizes
    caches = {size: open_cache(dataset, size, folder.cache) for size in others}
    return Prepared(dataset, folder.read_folds(), open_cache(dataset, first, folder.cache), caches)


def _as_tuple(value: Any) -> Any:
    """Nested sequences as nested tuples of floats, an empty cell as None."""
    if isinstance(value, float) and value != value:
        return None
    if value is None or isinstance(value, int | float):
        return value
    return tuple(_as_tuple(item) for item in value)
