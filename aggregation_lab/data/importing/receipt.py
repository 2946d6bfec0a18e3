"""OUT/import/TASK.json: what an import read, wrote and left out; and what earlier imports have written to OUT."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aggregation_lab.errors import DataError
from aggregation_lab.naming import LONGEST_NAME
from aggregation_lab.storage.sealed_json import read_sealed, write_sealed
from aggregation_lab.version import __version__

FOLDER = "import"
BEGUN, COMPLETE = "begun", "complete"
HASHING = 2
"""The way identities are hashed; it counts up where the same patient gets another subject."""


@dataclass(frozen=True)
class ImageEntry:
    """An image file in OUT: SHA-256 of its bytes, and the subject of its rows ("" where none is known).

    `unit` is what the subject is where it is no patient that the source names, as of `Record`.
    """

    content: str
    subject: str = ""
    unit: str = ""


@dataclass
class Receipt:
    """One import of one task. `state` is `begun` until the task's CSV is in its place.

    `content` is the digest of names, pixels, targets and subjects: two imports with the same one are the same.
    `images` are the files in OUT that its rows name, by path relative to the train folder. `hashing` is the way its
    identities were hashed, where they were; 1 where an earlier version does not say it.
    """

    task: str
    format: str
    source: str
    options: dict[str, Any] = field(default_factory=dict)
    state: str = BEGUN
    type: str = ""
    classes: int = 0
    class_names: list[str] = field(default_factory=list)
    group: str | None = None
    subjects: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    remarks: dict[str, list[str]] = field(default_factory=dict)
    content: str = ""
    csv: str = ""
    images: dict[str, ImageEntry] = field(default_factory=dict)
    agglab: str = __version__
    hashing: int = 1

    def write(self, out: Path) -> None:
        """Write it, atomically and with its own digest."""
        value = {**vars(self), "images": {path: vars(entry) for path, entry in self.images.items()}}
        write_sealed(receipt_file(out, self.task), value)


def receipt_file(out: Path, task: str) -> Path:
    return out / FOLDER / f"{file_stem(task)}.json"


def file_stem(task: str) -> str:
    """A task's name as a plain file name: unlike names have unlike ones, also where capitals do not count."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", task).strip("._")[:60] or "task"
    if plain == task and task == task.lower():
        return plain
    return f"{plain}-{hashlib.sha256(task.encode()).hexdigest()[:6]}"


def read_receipts(out: Path) -> dict[str, Receipt]:
    """The receipts in OUT by task. Raises `DataError` for one that is damaged."""
    receipts = {}
    folder = out / FOLDER
    for file in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        try:
            receipt = _parse(read_sealed(file))
        except (OSError, ValueError, TypeError, KeyError) as error:
            fault = getattr(error, "strerror", None) or str(error)
            raise DataError(f"{file}: cannot be used ({fault}); restore it, or import into another folder") from error
        receipts[receipt.task] = receipt
    return receipts


def _parse(value: Mapping[str, Any]) -> Receipt:
    images = {path: ImageEntry(**entry) for path, entry in value["images"].items()}
    receipt = Receipt(**{**value, "images": images})
    if not isinstance(receipt.task, str) or len(receipt.task) > LONGEST_NAME:
        raise ValueError("it names no task")
    return receipt


class ContentDigest:
    """Digest of what an import writes, case by case."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, *parts: Any) -> None:
        self._hash.update(json.dumps(parts, sort_keys=True).encode())

    @property
    def text(self) -> str:
        return self._hash.hexdigest()
