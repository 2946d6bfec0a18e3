"""What a folder of predictions holds before new ones are written: the same, part of them, or what must not be lost."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from aggregation_lab.errors import AgglabError
from aggregation_lab.files import file_digest, is_hidden, read_bytes
from aggregation_lab.inference.image_list import ListedImage
from aggregation_lab.storage.sealed_json import read_sealed
from aggregation_lab.storage.spreadsheet_csv import unguarded
from aggregation_lab.text import printable

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


def earlier_predictions(out: Path, request: dict[str, Any], images: Sequence[ListedImage]) -> Predicted | None:
    """What the folder says that it holds, where that is what is asked for, of these very images, and its files are
    whole; None where it is to be written.

    Raises `AgglabError` where writing would mix with, or replace, what is there: a file that is no prediction,
    predictions of another kind, or of an image that is not among `images` as it was then.
    """
    if not out.is_dir():
        return None
    _check_kind(out, request)
    if not (out / RECEIPT).exists():
        _check_images(out, [name for part in _parts(out) for name, _ in part["images"]], {i.name for i in images})
        return None
    named = [[image.name, content_of(image)[1]] for image in images]
    table = _table(out)
    if table is not None:
        _check_images(out, list(zip(table["image"], table["sha256"], strict=True)), {tuple(each) for each in named})
    return _finished(out, named, table)


def masks_named(out: Path) -> set[str]:
    """The masks that the table and the finished batches of the folder name, as paths in it, all of them in MASKS."""
    table = _table(out)
    masks = set() if table is None else set(table.get("mask", ()))
    masks |= {value for part in _parts(out) for row in part["rows"] for key, value in row if key == "mask"}
    return {
        mask for mask in masks if PurePosixPath(mask).parts[:1] == (MASKS,) and ".." not in PurePosixPath(mask).parts
    }


def content_of(image: ListedImage) -> tuple[bytes | str, str]:
    """The bytes of an image and their SHA-256, or why they cannot be read and ""."""
    try:
        data = read_bytes(image.file)
    except OSError as error:
        return f"cannot be read ({error.strerror or error})", ""
    return data, hashlib.sha256(data).hexdigest()


def digest_of(named: list[list[str]]) -> str:
    """SHA-256 of names and digests of images, in their order."""
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()


def _check_kind(out: Path, request: dict[str, Any]) -> None:
    states = [file for file in (out / RECEIPT, out / PARTS / REQUEST) if os.path.lexists(file)]
    own = OWN if states else ()  # what bears our names is ours only where a receipt or a request says so
    foreign = sorted(name for name in os.listdir(out) if name not in own and not name.startswith("."))
    if not states and (out / PARTS).is_dir():
        foreign += [f"{PARTS}/{name}" for name in sorted(os.listdir(out / PARTS)) if not is_hidden(name)]
    if foreign:
        what = printable(foreign[0], 400)
        raise AgglabError(f"{out}: holds {what}, which is no prediction of agglab; choose an empty or new --out")
    for file in states:
        try:
            found = read_sealed(file)
        except (OSError, ValueError) as error:
            reason = f"cannot be used ({error}); choose another --out, or delete the folder"
            raise AgglabError(f"{file}: {reason}") from error
        for field, value in request.items():
            if found.get(field) != value:
                was = f"{field} {found.get(field)}, not {value}"
                raise AgglabError(f"{out}: holds predictions of another kind ({was}); choose another --out")


def _check_images(out: Path, held: Sequence[Any], asked: set[Any]) -> None:
    lost = [each for each in held if each not in asked]
    if lost:
        first = printable(lost[0] if isinstance(lost[0], str) else lost[0][0])
        count = f"{len(lost)} images that are" if len(lost) > 1 else "an image that is"
        raise AgglabError(
            f"{out}: holds predictions of {count} not among these, or not as it was then: {first}; choose another "
            "--out, or delete the folder"
        )


def _table(out: Path) -> pd.DataFrame | None:
    """The table of the folder, all of it texts; None where there is none that can be read."""
    try:
        table = pd.read_csv(out / TABLE, dtype=str, keep_default_na=False)
    except (OSError, ValueError):
        return None
    if not {"image", "sha256"} <= set(table):
        return None
    return table.assign(image=table["image"].map(unguarded))


def _parts(out: Path) -> list[dict[str, Any]]:
    """The finished batches of the folder that can be read."""
    found = []
    for file in sorted((out / PARTS).glob("*.json")):
        if file.name == REQUEST:
            continue
        try:
            found.append(read_sealed(file))
        except (OSError, ValueError):
            continue  # it is predicted again
    return found


def _finished(out: Path, named: list[list[str]], table: pd.DataFrame | None) -> Predicted | None:
    try:
        receipt = read_sealed(out / RECEIPT)
        if receipt["images_sha256"] != digest_of(named) or receipt["table_sha256"] != file_digest(out / TABLE):
            return None
        rows = pd.DataFrame() if table is None else table
        for file, digest in zip(rows.get("mask", ()), rows.get("mask_sha256", ()), strict=True):
            if file_digest(out / file) != digest:
                return None
    except (OSError, ValueError, KeyError):
        return None
    return Predicted(receipt["images"], receipt["left_out"], was_there=True)
