"""Predictions of many images, written so that a kill costs one batch, and the same whether there was one or not.

predictions.csv    a row an image: its name, height, width, SHA-256, and the prediction; of masks their file
masks/             one PNG of class indices an image, for segmentation
predictions.json   what was predicted, by which weights, what was left out and why; digests of everything
.parts/            batches that are done, until all are
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from aggregation_lab.data.progress import Progress
from aggregation_lab.errors import AgglabError, DataError
from aggregation_lab.files import file_digest, read_bytes, write_bytes, write_text
from aggregation_lab.inference.image_list import ListedImage, mask_names
from aggregation_lab.inference.images import ImageInput
from aggregation_lab.inference.model import TrainedModel
from aggregation_lab.storage.sealed_json import read_sealed, write_sealed
from aggregation_lab.storage.spreadsheet_csv import csv_text
from aggregation_lab.tasks import Task
from aggregation_lab.training.evaluation import EVALUATION_BATCH
from aggregation_lab.version import __version__

TABLE, RECEIPT, MASKS, PARTS = "predictions.csv", "predictions.json", "masks", ".parts"
REQUEST = "request.json"
"""In PARTS: what the batches there are predictions of."""
OWN = (TABLE, RECEIPT, MASKS, PARTS)


@dataclass(frozen=True)
class Predicted:
    """How many images have a prediction, which were left out and why, and whether all of it was there before."""

    images: int
    left_out: dict[str, str]
    was_there: bool = False


def predict_folder(
    model: TrainedModel, images: Sequence[ListedImage], task: Task, out: Path, progress: Progress
) -> Predicted:
    """Predict one task for all images into the folder `out`, continuing what a killed process has left there.

    Batches are those of the list, so that predictions do not depend on where a process was killed. An image that cannot
    be read is left out, and said why. A folder that has just these predictions stays as it is. Raises `AgglabError`
    where `out` holds something else, or cannot be written.
    """
    request = _request(model, task)
    _check_folder(out, request)
    if there := _finished(out, images):
        return there
    write_sealed(out / PARTS / REQUEST, request)
    (out / RECEIPT).unlink(missing_ok=True)  # from here on the folder is not finished
    masks = mask_names(images) if task.type.masked else [""] * len(images)
    named: list[list[str]] = []
    rows: list[list[tuple[str, Any]]] = []
    left_out: dict[str, str] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, start in enumerate(range(0, len(images), EVALUATION_BATCH)):
            batch = slice(start, start + EVALUATION_BATCH)
            contents = list(pool.map(_content, images[batch]))
            names = [[image.name, digest] for image, (_, digest) in zip(images[batch], contents, strict=True)]
            part = out / PARTS / f"{number:06d}.json"
            done = _done(part, names, out)
            if done is None:
                done = _predict(model, task, names, [data for data, _ in contents], masks[batch], out, pool)
                write_sealed(part, done)
            named += names
            rows += done["rows"]
            left_out |= done["left_out"]
            progress(f"predicting {task.name}", min(batch.stop, len(images)), len(images))
    _finish(out, request | {"images_sha256": _digest(named)}, rows, left_out)
    return Predicted(len(rows), left_out)


def _request(model: TrainedModel, task: Task) -> dict[str, Any]:
    described = model.description
    return {
        "run": described.spec.id,
        "weights": described.weights,
        "weights_digest": described.digest,
        "task": task.name,
        "type": str(task.type),
        "prediction": task.type.prediction,
    }


def _check_folder(out: Path, request: dict[str, Any]) -> None:
    """Raise `AgglabError` where the folder holds what this request would mix with, or write over."""
    if not out.is_dir():
        return
    foreign = sorted(name for name in os.listdir(out) if name not in OWN and not name.startswith("."))
    if foreign:
        raise AgglabError(f"{out}: holds {foreign[0]}, which is no prediction; choose an empty or new folder as --out")
    for file in (out / RECEIPT, out / PARTS / REQUEST):
        try:
            found = read_sealed(file)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            reason = f"cannot be used ({error}); choose another --out, or delete the folder"
            raise AgglabError(f"{file}: {reason}") from error
        for field, value in request.items():
            if found.get(field) != value:
                was = f"{field} {found.get(field)}, not {value}"
                raise AgglabError(f"{out}: holds predictions of another kind ({was}); choose another --out")


def _finished(out: Path, images: Sequence[ListedImage]) -> Predicted | None:
    """What the folder says it holds, where that is of these very images and its files are whole; None else."""
    try:
        receipt = read_sealed(out / RECEIPT)
        named = [[image.name, _content(image)[1]] for image in images]
        if receipt["images_sha256"] != _digest(named) or receipt["table_sha256"] != file_digest(out / TABLE):
            return None
        table = pd.read_csv(out / TABLE, dtype=str, keep_default_na=False) if receipt["images"] else pd.DataFrame()
        for file, digest in zip(table.get("mask", ()), table.get("mask_sha256", ()), strict=True):
            if file_digest(out / file) != digest:
                return None
    except (OSError, ValueError, KeyError):
        return None
    return Predicted(receipt["images"], receipt["left_out"], was_there=True)


def _digest(named: list[list[str]]) -> str:
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()


def _content(image: ListedImage) -> tuple[bytes | str, str]:
    """The bytes of an image and their SHA-256, or why they cannot be read and ""."""
    try:
        data = read_bytes(image.file)
    except OSError as error:
        return f"cannot be read ({error.strerror or error})", ""
    return data, hashlib.sha256(data).hexdigest()


def _done(part: Path, names: list[list[str]], out: Path) -> dict[str, Any] | None:
    """What an earlier process has written of a batch; None where it is not there, or not of these images."""
    try:
        found = read_sealed(part)
        if found["images"] != names:
            return None
        for row in map(dict, found["rows"]):
            if "mask" in row and file_digest(out / row["mask"]) != row["mask_sha256"]:
                return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found


def _predict(
    model: TrainedModel,
    task: Task,
    names: list[list[str]],
    contents: Sequence[bytes | str],
    masks: Sequence[str],
    out: Path,
    pool: ThreadPoolExecutor,
) -> dict[str, Any]:
    read = list(pool.map(partial(_read, model, task), contents))
    usable = [each for each in read if isinstance(each, ImageInput)]
    predictions: Iterator[Any] = iter(model.predict_inputs(usable, task))
    rows, left_out = [], {}
    for (name, digest), each, mask in zip(names, read, masks, strict=True):
        if isinstance(each, str):
            left_out[name] = each
            continue
        prediction = next(predictions)
        row = {"image": name, "height": each.height, "width": each.width, "sha256": digest}
        row |= _written(out, mask, prediction) if task.type.masked else task.type.cells(prediction)
        rows.append([*row.items()])  # pairs, since JSON objects are written with sorted keys
    return {"images": names, "rows": rows, "left_out": left_out}


def _read(model: TrainedModel, task: Task, content: bytes | str) -> ImageInput | str:
    """The image as the model sees it, or why it is left out."""
    if isinstance(content, str):
        return content
    try:
        found = model.input_of(content, task)
        return found if found.frames == 1 else f"holds {found.frames} pictures; save each as a file of its own"
    except DataError as error:
        return str(error).removeprefix("the image: ")


def _written(out: Path, name: str, mask: Any) -> dict[str, str]:
    file = f"{MASKS}/{name}"
    data = png_bytes(mask)
    write_bytes(out / file, data)
    return {"mask": file, "mask_sha256": hashlib.sha256(data).hexdigest()}


def png_bytes(mask: Any) -> bytes:
    """A class map H x W, uint8, as a PNG of class indices."""
    stream = BytesIO()
    Image.fromarray(mask).save(stream, "PNG")
    return stream.getvalue()


def _finish(out: Path, request: dict[str, Any], pairs: list[list[tuple[str, Any]]], left_out: dict[str, str]) -> None:
    """The table, the receipt, and no masks or parts of images that are not asked for any more."""
    rows = [dict(row) for row in pairs]
    write_text(out / TABLE, csv_text(pd.DataFrame(rows)))
    wanted = {row["mask"] for row in rows if "mask" in row}
    for file in (out / MASKS).rglob("*"):
        if file.is_file() and file.relative_to(out).as_posix() not in wanted:
            file.unlink()
    receipt = {**request, "images": len(rows), "left_out": left_out, "table_sha256": file_digest(out / TABLE)}
    write_sealed(out / RECEIPT, {**receipt, "agglab": __version__})
    shutil.rmtree(out / PARTS)
