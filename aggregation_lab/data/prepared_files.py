"""The data set of a study as files in the folder `prepared/` of its output: tables, tasks, and where the images lie."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aggregation_lab.storage.sealed_json import read_sealed
from aggregation_lab.tasks import Task, TaskType

if TYPE_CHECKING:
    import pandas as pd

TASKS = "tasks.json"


def table_label(name: str, dataset: str | None) -> str:
    """What a prepared table says of itself: its name and the digest of the data set."""
    return f"{name} of {dataset}"


def read_prepared_table(folder: Path, name: str, dataset: str | None) -> "pd.DataFrame":
    """A table of the data set with that digest.

    Raises `OSError`, and `ValueError` where it is damaged or of another data set.
    """
    from aggregation_lab.storage.sealed_parquet import read_frame

    rows = read_frame(folder / f"{name}.parquet", table_label(name, dataset))
    for column in ("box", "points"):
        if column in rows:
            rows[column] = rows[column].map(_as_tuple).astype(object)
    return rows


def read_root_and_tasks(folder: Path, dataset: str | None) -> tuple[Path, dict[str, Task]]:
    """The data folder, and the tasks with their groups by name. Raises as `read_prepared_table` does."""
    value = read_sealed(folder / TASKS)
    try:
        if value["dataset"] != dataset:
            raise ValueError("it is of another data set")
        tasks = [Task(**{**task, "type": TaskType.of(task["type"])}) for task in value["tasks"]]
        return Path(value["root"]), {task.name: task for task in tasks}
    except (KeyError, TypeError) as error:
        raise ValueError(f"it lacks what it should hold ({type(error).__name__}: {error})") from error


def _as_tuple(value: Any) -> Any:
    """Nested sequences as nested tuples of floats, an empty cell as None."""
    if isinstance(value, float) and value != value:
        return None
    if value is None or isinstance(value, int | float):
        return value
    return tuple(_as_tuple(item) for item in value)
