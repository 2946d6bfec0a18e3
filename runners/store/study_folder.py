"""The output folder of a study: whose it is, and what a worker needs to start.

study.json           name, settings and digests: what this folder belongs to
study.yaml           the study file as it was given
plan.json            every run of the study
prepared/            the case table and the tasks, as workers read them
split.*              the one split; splits_final.json is its nnU-Net form
data/, cache/        phantoms, if the study has no data of its own; decoded images
floor/, runs/        the trivial predictors; one folder per run
scores.parquet ...   the tables of aggregation_lab.results, gathered from the finished runs
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aggregation_lab.errors import DataError, StudyError
from aggregation_lab.files import cannot_be_written
from aggregation_lab.storage.sealed_json import read_sealed, write_sealed
from aggregation_lab.tasks import Task, TaskType
from runners.planning.plan import PlannedRun, dataset_digest
from runners.planning.study import Study
from runners.planning.study_file import parse_study

if TYPE_CHECKING:
    import pandas as pd

    from aggregation_lab.data.cache import ImageCache
    from aggregation_lab.data.challenge import Dataset
    from aggregation_lab.data.splits.split import Split

PREPARING, COLLECTING = ".preparing.lock", ".collecting.lock"
"""Locks of an output folder, each held for moments: runs themselves are claimed one by one."""
FORMAT = 1
"""Number of the form of study.json."""


@dataclass(frozen=True)
class Identity:
    """What an output folder belongs to; the digests are None until they are known."""

    study: Study
    dataset: str | None
    split: str | None


@dataclass(frozen=True)
class Prepared:
    """What every run of a study reads."""

    dataset: "Dataset"
    split: "Split"
    cache: "ImageCache"


@contextmanager
def locked(out: Path, name: str, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock `name` of the output folder; `waiting` is called once where another process holds it.

    Raises `StudyError` where the folder is read-only, `AgglabError` where the disk is full.
    """
    from filelock import FileLock, Timeout

    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / name)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waiting()
            lock.acquire()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise cannot_be_written(out, error) from error
        reason = error.strerror or str(error)
        if os.path.lexists(out / name):
            advice = "make it writable or delete it, or choose another --out"
            raise StudyError(f"{out / name}: cannot be used ({reason}); {advice}") from error
        advice = "choose another --out, or work on a copy that can be written"
        raise StudyError(f"{out}: cannot be written ({reason}); {advice}") from error
    try:
        yield
    finally:
        lock.release()


def read_identity(out: Path) -> Identity | None:
    """The content of study.json; None where the folder is new. Raises `StudyError` where it is damaged or foreign."""
    file = out / "study.json"
    try:
        value = read_sealed(file, required=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StudyError(f"{file}: cannot be read ({error.strerror}); choose another --out") from error
    except ValueError as error:
        advice = "restore it, or choose another --out"
        raise StudyError(f"{file}: was not written by agglab, or is damaged ({error}); {advice}") from error
    if value.keys() != {"format", "study", "dataset", "split"}:
        raise StudyError(f"{file}: was not written by agglab, or is damaged; choose another --out")
    if value["format"] != FORMAT:
        raise StudyError(
            f"{file}: has format {value['format']}, this agglab reads {FORMAT}; choose another --out, "
            "or use the agglab that made it"
        )
    try:
        study = parse_study(value["study"], str(file))
    except StudyError as error:
        first = str(error).splitlines()[0]
        raise StudyError(f"{first}; its settings are not valid in this agglab, choose another --out") from error
    if not all(isinstance(value[name], str | None) for name in ("dataset", "split")):
        raise StudyError(f"{file}: was not written by agglab, or is damaged; choose another --out")
    return Identity(study, value["dataset"], value["split"])


def check_owner(out: Path, study: Study) -> None:
    """Refuse the folder of another study, of other phantoms or another split, or of something else.

    Raises `StudyError` naming what differs.
    """
    identity = read_identity(out)
    if identity is None:
        foreign = (
            sorted(path.name for path in out.iterdir() if path.name not in (PREPARING, COLLECTING))
            if out.is_dir()
            else []
        )
        if foreign:
            raise StudyError(f"{out}: holds {foreign[0]} but no study; choose an empty or new folder as --out")
        return
    if identity.study.name != study.name:
        raise StudyError(f"{out}: belongs to the study {identity.study.name}, not {study.name}; choose another --out")
    was, now = (each.model_dump(mode="json")["data"] for each in (identity.study, study))
    fixed = ["phantoms"] if study.data.root is None and was["root"] is None else []
    fixed += ["shares", "split_seed"] if study.data.split is None else []
    for field in fixed:
        if was[field] != now[field]:
            raise StudyError(
                f"{out}: was made with data.{field} {was[field]}, the study now has {now[field]}; choose another --out"
            )


def check_same(out: Path, what: str, before: str | None, now: str) -> None:
    """Raise `StudyError` where the folder was made from another `what` (data or split)."""
    if before is not None and before != now:
        raise StudyError(f"{out}: was made from another {what}; choose another --out, or bring the old {what} back")


def write_identity(out: Path, study: Study, *, dataset: str | None, split: str | None) -> None:
    """Remember what the folder belongs to; the digests are None until they are known."""
    settings = study.model_dump(mode="json")
    # A list, because JSON objects are written with sorted keys and the order of aggregations is the reader's.
    settings["aggregations"] = [{name: units} for name, units in settings["aggregations"].items()]
    write_sealed(out / "study.json", {"format": FORMAT, "study": settings, "dataset": dataset, "split": split})


def known_identity(out: Path) -> Identity:
    """The content of study.json. Raises `StudyError` where there is none."""
    identity = read_identity(out)
    if identity is None:
        raise StudyError(f"{out}: is not the output of a study (it has no study.json); give the folder of --out")
    return identity


def read_study(out: Path) -> Study:
    """The study an output folder was made for. Raises `StudyError` where it is none."""
    return known_identity(out).study


def write_plan(out: Path, runs: list[PlannedRun]) -> None:
    write_sealed(out / "plan.json", {"runs": [run.to_json() for run in runs]})


def read_plan(out: Path) -> list[PlannedRun]:
    """The runs of an output folder. Raises `StudyError` where there is no readable plan."""
    read_study(out)
    try:
        return [PlannedRun.from_json(value) for value in read_sealed(out / "plan.json")["runs"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(f"{out / 'plan.json'}: cannot be read; `agglab run-grid` writes it anew") from error


def cache_folder(out: Path) -> Path:
    return out / "cache"


def images_cached(out: Path, size: int) -> bool:
    """Whether the images and masks of the folder's data set lie ready at `size` pixels."""
    return all(any(cache_folder(out).glob(f"{kind}-{size}-*.npy")) for kind in ("images", "masks"))


DATASET_TABLES = ("cases", "images", "masks", "near_duplicates")
MOST_THREADS = 4096


def fixed_threads(out: Path, threads: int) -> int:
    """Threads of each run of this folder: `threads` the first time, and the same ever after.

    The number of threads changes the order of sums and so the last bits of a score; a run that is resumed, and the
    runs it is compared with, must not depend on how many others happened to be left.
    """
    file = out / "threads.json"
    try:
        fixed = read_sealed(file, required=False).get("threads")
    except FileNotFoundError:
        write_sealed(file, {"threads": threads})
        return threads
    except (OSError, ValueError):
        fixed = None
    if not isinstance(fixed, int) or not 1 <= fixed <= MOST_THREADS:
        raise StudyError(
            f'{file}: is damaged; write {{"threads": N}} into it, with the threads of each run that is finished, or '
            "delete it where none is"
        )
    return fixed


def save_dataset(out: Path, dataset: "Dataset") -> None:
    """Keep the data set's tables and tasks for the workers."""
    from aggregation_lab.storage.sealed_parquet import write_frame

    folder, digest = out / "prepared", dataset_digest(dataset)
    for name in DATASET_TABLES:
        write_frame(folder / f"{name}.parquet", getattr(dataset, name), _label(name, digest))
    tasks = [asdict(task) for task in dataset.tasks.values()]
    write_sealed(folder / "tasks.json", {"root": str(dataset.root), "tasks": tasks, "dataset": digest})


def _label(name: str, dataset: str | None) -> str:
    """What a prepared table says of itself: its name and the digest of the data set."""
    return f"{name} of {dataset}"


def read_tasks(out: Path) -> dict[str, Task]:
    """Tasks of the study with their groups, by name. Raises `StudyError` where they are absent or damaged."""
    return _read_tasks(out)[1]


def _read_tasks(out: Path) -> tuple[Path, dict[str, Task]]:
    """The data folder of the study, and its tasks."""
    file = out / "prepared" / "tasks.json"
    try:
        value = read_sealed(file)
        if value["dataset"] != known_identity(out).dataset:
            raise ValueError("it is of another data set")
        tasks = [Task(**{**task, "type": TaskType.of(task["type"])}) for task in value["tasks"]]
        return Path(value["root"]), {task.name: task for task in tasks}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unprepared(file, error) from error


def read_case_tables(out: Path) -> tuple["pd.DataFrame", "pd.DataFrame", "pd.DataFrame"]:
    """The case table of the prepared data, its near-duplicates, and the split. Raises `StudyError`."""
    return _read_prepared(out, "cases"), _read_prepared(out, "near_duplicates"), read_split(out).table


def _read_prepared(out: Path, name: str) -> "pd.DataFrame":
    from aggregation_lab.storage.sealed_parquet import read_frame

    file = out / "prepared" / f"{name}.parquet"
    try:
        return read_frame(file, _label(name, known_identity(out).dataset))
    except (OSError, ValueError) as error:
        raise _unprepared(file, error) from error


def _unprepared(file: Path, error: Exception) -> StudyError:
    reason = (error.strerror if isinstance(error, OSError) else None) or error
    return StudyError(f"{file}: cannot be used ({reason}); the same run-grid command writes it anew")


def read_split(out: Path) -> "Split":
    """The split that the finished runs of the folder were made with. Raises `StudyError` where it is not there."""
    from aggregation_lab.data.splits.split import SPLIT_FILE, Split

    identity, file = known_identity(out), out / SPLIT_FILE
    try:
        split = Split.load(file)
    except DataError as error:
        raise _unprepared(file, error) from error
    if identity.split not in (None, split.digest):
        raise _unprepared(file, ValueError("it is not the split of the study"))
    return split


def load_prepared(out: Path) -> Prepared:
    """What a prepared output folder holds for its runs, every file checked. Raises `StudyError` for a damaged one.

    The image cache is opened, not built, unless it is damaged.
    """
    from aggregation_lab.data.cache import open_cache
    from aggregation_lab.data.challenge import Dataset

    tables = {name: _read_prepared(out, name) for name in DATASET_TABLES}
    for column in ("box", "points"):
        tables["cases"][column] = tables["cases"][column].map(_as_tuple).astype(object)
    root, tasks = _read_tasks(out)
    dataset = Dataset(root=root, tasks=tasks, warnings=(), notes=(), **tables)
    cache = open_cache(dataset, read_study(out).training.image_size, cache_folder(out))
    return Prepared(dataset, read_split(out), cache)


def _as_tuple(value: Any) -> Any:
    """Nested sequences as nested tuples of floats, an empty cell as None."""
    if isinstance(value, float) and value != value:
        return None
    if value is None or isinstance(value, int | float):
        return value
    return tuple(_as_tuple(item) for item in value)
