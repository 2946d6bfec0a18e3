"""Writing phantoms in the challenge's own layout, all or nothing."""

import csv
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from PIL import Image

from aggregation_lab.data.phantoms.catalogue import SOURCES, TASK_PLANS
from aggregation_lab.data.phantoms.plan import PhantomConfig, Picture, pictures
from aggregation_lab.data.phantoms.relatedness import README, relatedness
from aggregation_lab.data.phantoms.render import render
from aggregation_lab.errors import AgglabError, DataError
from aggregation_lab.files import write_json, write_text
from aggregation_lab.storage.sealed_json import read_json
from aggregation_lab.tasks import CHALLENGE_TASKS, TaskType

PREFIXES = {
    TaskType.SEGMENTATION: "Seg",
    TaskType.CLASSIFICATION: "Cls",
    TaskType.DETECTION: "Det",
    TaskType.REGRESSION: "Reg",
}
NUMBERS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight")
Row = dict[str, str | int]


def write_phantoms(
    out: Path, config: PhantomConfig, progress: Callable[[int, int], None] | None = None, *, workers: int = 1
) -> Path:
    """Write `<out>/train` (images, masks, csv_files), relatedness.json and README.txt, and return `out`.

    The bytes depend on `config` alone, not on `workers` (processes). A folder that already holds the phantoms of this
    configuration is left as it is. `progress` is called with (pictures done, pictures in all).
    Raises `DataError` when `out` holds anything else and `AgglabError` when it cannot be written.
    """
    out = Path(out)
    # Through JSON, so that it compares equal to what an earlier call wrote.
    document = json.loads(json.dumps(relatedness(config)))
    if _is_filled(out, document):
        return out
    temporary: Path | None = None
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        temporary = out.absolute().with_name(f".{out.absolute().name}.{secrets.token_hex(8)}.part")
        temporary.mkdir()
        _write_train(temporary / "train", config, progress, workers)
        write_text(temporary / "README.txt", README)
        write_json(temporary / "relatedness.json", document)
        os.replace(temporary, out.absolute())
    except OSError as error:
        raise AgglabError(
            f"{out}: phantoms cannot be written ({error.strerror or error}); free space or choose another folder"
        ) from error
    finally:
        if temporary is not None and temporary.exists():
            shutil.rmtree(temporary, ignore_errors=True)
    return out


def _is_filled(out: Path, document: dict[str, Any]) -> bool:
    """Whether `out` holds these phantoms; raises `DataError` when it holds something else."""
    if not out.exists():
        return False
    if not out.is_dir():
        raise DataError(f"{out}: is a file; choose a new folder for the phantoms")
    if not any(out.iterdir()):
        return False
    try:
        present = read_json(out / "relatedness.json")
    except (OSError, ValueError):
        raise DataError(f"{out}: holds other files; choose a new or empty folder for the phantoms") from None
    if present != document:
        raise DataError(f"{out}: holds phantoms of another configuration; remove them or choose another folder")
    return True


def _write_train(train: Path, config: PhantomConfig, progress: Callable[[int, int], None] | None, workers: int) -> None:
    used = {task: pictures(config, task) for task in sorted(config.tasks)}
    readers: dict[Picture, list[str]] = {}
    for task, parts in used.items():
        for part in parts.values():
            for shown in part:
                readers.setdefault(shown, []).append(task)
    jobs = list(readers.items())
    for shown, _ in jobs:
        (train / shown.path).parent.mkdir(parents=True, exist_ok=True)
    rows: dict[tuple[Picture, str], Row] = {}
    write = partial(_write_picture, train, config)
    for done, ((shown, _), by_task) in enumerate(zip(jobs, _run(write, jobs, workers), strict=True), start=1):
        rows.update({(shown, task): row for task, row in by_task.items()})
        if progress is not None:
            progress(done, len(jobs))
    (train / "csv_files").mkdir()
    positions: dict[str, Iterator[int]] = {}
    for task, parts in used.items():
        known = CHALLENGE_TASKS[task].task
        kind = f"{PREFIXES[known.type]}-{NUMBERS[known.classes]}"
        for source, part in parts.items():
            name = f"{kind}_{next(positions.setdefault(kind, count(1)))}.{source}.csv"
            with open(train / "csv_files" / name, "w", newline="", encoding="utf-8") as stream:
                writer = csv.DictWriter(stream, list(rows[part[0], task]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows[shown, task] for shown in part)


def _run(
    write: Callable[[tuple[Picture, list[str]]], dict[str, Row]], jobs: list[tuple[Picture, list[str]]], workers: int
) -> Iterator[dict[str, Row]]:
    if workers <= 1:
        yield from map(write, jobs)
        return
    # Fresh processes: forking a process that has started threads (torch, BLAS) can hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(write, jobs, chunksize=16)


def _write_picture(train: Path, config: PhantomConfig, job: tuple[Picture, list[str]]) -> dict[str, Row]:
    """Render one picture, write it and its mask, and return the CSV row of each task that reads it."""
    shown, tasks = job
    view = render(shown, config.image_size, config.seed)
    path = train / shown.path
    options: dict[str, Any] = {"compress_level": 1} if path.suffix == ".png" else {"quality": 95}
    Image.fromarray(view.image).save(path, **options)
    rows = {}
    for name in tasks:
        task, plan = CHALLENGE_TASKS[name].task, TASK_PLANS[name]
        task_name = "Regression" if task.type is TaskType.REGRESSION else str(task.type)
        row: Row = {"task_id": name, "task_name": task_name, "num_classes": task.classes}
        row["image_path"] = f"../{shown.path}"
        if task.type is TaskType.SEGMENTATION:
            mask = train / shown.mask_path
            mask.parent.mkdir(exist_ok=True)
            Image.fromarray(view.mask(plan.structures)).save(mask, compress_level=6)
            row["mask_path"] = f"../{shown.mask_path}"
        elif task.type is TaskType.CLASSIFICATION:
            row["mask"] = plan.labels[shown.appearance]
        elif task.type is TaskType.DETECTION:
            row.update(zip(("x_min", "y_min", "x_max", "y_max"), view.box(plan.structures[0]), strict=True))
        else:
            for number, point in enumerate(view.points(), start=1):
                row[f"point_{number}_xy"] = json.dumps(point)
        row["appearance"] = shown.appearance
        if SOURCES[shown.source].subject_column:
            row["subject_id"] = f"{SOURCES[shown.source].key}-{shown.subject + 1:05d}"
        rows[name] = row
    return rows
