"""Predictions of many images, written so that a kill costs one batch, and the same whether there was one or not.

predictions.csv    a row an image: its name, height, width, SHA-256, and the prediction; of masks their file
masks/             one PNG of class indices an image, for segmentation
predictions.json   what was predicted, by which weights, what was left out and why; digests of everything
.parts/            batches that are done, until all are
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from aggregation_lab.data.progress import Progress
from aggregation_lab.errors import DataError
from aggregation_lab.files import file_digest, write_bytes, write_text
from aggregation_lab.inference.earlier_predictions import (
    MASKS,
    PARTS,
    RECEIPT,
    REQUEST,
    TABLE,
    Predicted,
    content_of,
    digest_of,
    earlier_predictions,
    masks_named,
)
from aggregation_lab.inference.image_list import ListedImage, mask_names
from aggregation_lab.inference.images import ImageInput
from aggregation_lab.inference.model import TrainedModel
from aggregation_lab.storage.sealed_json import read_sealed, write_sealed
from aggregation_lab.storage.spreadsheet_csv import csv_text
from aggregation_lab.tasks import Task
from aggregation_lab.training.evaluation import EVALUATION_BATCH
from aggregation_lab.version import __version__


def predict_folder(
    model: TrainedModel, images: Sequence[ListedImage], task: Task, out: Path, progress: Progress
) -> Predicted:
    """Predict one task for all images into the folder `out`, continuing what a killed process has left there.

    Batches are those of the list, so that predictions do not depend on where a process was killed. An image that cannot
    be read is left out, and said why. A folder that has just these predictions stays as it is, and one that has some of
    them is made anew. Raises `AgglabError` where `out` holds something else, such as predictions of other images, or
    cannot be written.
    """
    request = _request(model, task)
    if there := earlier_predictions(out, request, images):
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
            contents = list(pool.map(content_of, images[batch]))
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
    _finish(out, request | {"images_sha256": digest_of(named)}, rows, left_out)
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
    """The table, the receipt, and no masks that an earlier table or batch names and this table does not."""
    rows = [dict(row) for row in pairs]
    for mask in masks_named(out) - {row["mask"] for row in rows if "mask" in row}:
        (out / mask).unlink(missing_ok=True)
    write_text(out / TABLE, csv_text(pd.DataFrame(rows)))
    receipt = {**request, "images": len(rows), "left_out": left_out, "table_sha256": file_digest(out / TABLE)}
    write_sealed(out / RECEIPT, {**receipt, "agglab": __version__})
    shutil.rmtree(out / PARTS)
