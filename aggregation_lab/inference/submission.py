"""The files of a submission to the FMC_UIA challenge, written as a whole or not at all, and read again before that.

classification_predictions.json, detection_predictions.json, regression_predictions.json
    a list of objects: image_path as the CSV has it, task_id, and the prediction (`TaskType.answer`)
<mask_path with every "../" removed>
    a PNG of class indices of the image's size, for each segmentation row
"""

import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aggregation_lab.data.images.decode import upright_size
from aggregation_lab.data.progress import Progress
from aggregation_lab.errors import AgglabError, DataError
from aggregation_lab.files import cannot_be_written, file_digest, write_bytes, write_text
from aggregation_lab.inference.model import TrainedModel
from aggregation_lab.inference.prediction_folder import png_bytes
from aggregation_lab.inference.val_rows import ValRow
from aggregation_lab.training.evaluation import EVALUATION_BATCH

Answers = dict[str, list[dict[str, Any]]]
"""By file, in the order of the rows."""


def write_submission(
    rows: Sequence[ValRow],
    models: Mapping[str, Callable[[], TrainedModel]],
    out: Path,
    progress: Progress,
    whole: Callable[[dict[str, str]], None],
) -> None:
    """Answer every row by the model of its task into the new folder `out`.

    `models` give the model of a task when its turn comes; `whole` is told the SHA-256 of each file once all are there,
    just before the folder gets its name. Raises `DataError` with a line for each image that cannot be read, and
    `AgglabError` where `out` holds something, cannot be written, or does not answer every row once.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise AgglabError(f"{out}: is there already; choose a new or empty folder as --out")
    draft = out.with_name(f".{out.name}.part")
    try:
        shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed
        draft.mkdir(parents=True)
        answers = _predict(rows, models, draft, progress)
        for name, listed in answers.items():
            write_text(draft / name, json.dumps(listed, indent=1, ensure_ascii=False) + "\n")
        check_submission(rows, draft)
        files = sorted(file for file in draft.rglob("*") if file.is_file())
        whole({file.relative_to(draft).as_posix(): file_digest(file) for file in files})
        with suppress(FileNotFoundError):
            out.rmdir()
        draft.rename(out)
    except OSError as error:
        raise cannot_be_written(out, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _predict(
    rows: Sequence[ValRow], models: Mapping[str, Callable[[], TrainedModel]], draft: Path, progress: Progress
) -> Answers:
    """Write the masks, and return the other answers."""
    by_task: dict[str, list[int]] = defaultdict(list)
    for position, row in enumerate(rows):
        by_task[row.task].append(position)
    answers: dict[int, dict[str, Any]] = {}
    faults: list[str] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for task, positions in by_task.items():
            model = models[task]()
            _check_classes(model, [rows[position] for position in positions])
            for start in range(0, len(positions), EVALUATION_BATCH):
                part = positions[start : start + EVALUATION_BATCH]
                read = pool.map(partial(_input, model), [rows[position] for position in part])
                inputs = dict(zip(part, read, strict=True))
                faults += [each for each in inputs.values() if isinstance(each, str)]
                usable = {position: each for position, each in inputs.items() if not isinstance(each, str)}
                for position, prediction in zip(usable, model.predict_inputs([*usable.values()], task), strict=True):
                    row, size = rows[position], (usable[position].height, usable[position].width)
                    if row.mask:
                        _write_mask(draft / row.mask, prediction)
                    else:
                        named = {"image_path": row.image_path, "task_id": row.task}
                        answers[position] = named | row.type.answer(prediction, *size)
                progress(f"predicting {task}", min(start + EVALUATION_BATCH, len(positions)), len(positions))
    if faults:
        raise DataError("\n".join(faults))
    listed: Answers = defaultdict(list)
    for position in sorted(answers):
        file = rows[position].type.answers
        assert file is not None, "a type has a file of answers, or masks"
        listed[file].append(answers[position])
    return listed


def _write_mask(file: Path, mask: np.ndarray) -> None:
    data = png_bytes(mask)
    write_bytes(file, data)


def _check_classes(model: TrainedModel, rows: Sequence[ValRow]) -> None:
    """Raise `DataError` where the rows are of another task than the one the model was trained for."""
    task = model.task(rows[0].task)
    for row in rows:
        if row.type != task.type or row.classes not in (None, task.classes):
            asked = f"{row.type} with num_classes {row.classes}"
            trained = f"{task.type} with {task.classes}"
            raise DataError(f"{row.where}: task {row.task} is {asked}, the run was trained for {trained}")


def _input(model: TrainedModel, row: ValRow) -> Any:
    try:
        return model.input_of(row.file, row.task)
    except DataError as error:
        return f"{row.where}: {error}"


def check_submission(rows: Sequence[ValRow], folder: Path) -> None:
    """Read the files of a submission again. Raises `AgglabError` where a row is not answered exactly once, an answer is
    none of a row's, or a mask has another size or class than its image and task."""
    asked: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for row in rows:
        if row.type.answers is not None:
            asked[row.type.answers][row.task, row.image_path] += 1
    given: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for file in folder.glob("*.json"):
        for answer in json.loads(file.read_text(encoding="utf-8")):
            given[file.name][answer["task_id"], answer["image_path"]] += 1
    if asked != given:
        raise AgglabError(f"{folder}: does not answer every row once; the disk or its file system is at fault")
    masks = {row.mask: row for row in rows if row.mask}
    found = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    if found != {*masks, *given}:
        raise AgglabError(f"{folder}: does not hold one mask a row; the disk or its file system is at fault")
    for name, row in masks.items():
        with Image.open(folder / name) as mask, Image.open(row.file) as image:
            classes = row.classes or 256
            if mask.mode != "L" or mask.size != upright_size(image) or int(np.asarray(mask).max()) >= classes:
                raise AgglabError(f"{folder / name}: is no mask of {row.where}; the disk is at fault")
