"""JSON files with a digest of their own content, so that damage and edits are noticed when they are read."""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aggregation_lab.files import read_bytes, write_json

DIGEST = "digest"
"""Field with the SHA-256 of all other fields."""


def read_json(path: Path) -> Any:
    """The value in a JSON file. Raises `OSError`, and `ValueError` where the file holds something else."""
    try:
        return json.loads(read_bytes(path))
    except RecursionError as error:
        raise ValueError("its content is nested too deeply") from error


def json_value(value: Any) -> Any:
    """The cell of a table as JSON has it: no numpy types, null for a number that is not finite."""
    if hasattr(value, "item"):  # a numpy scalar; commands that read no table do without numpy
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_sealed(path: Path, value: Mapping[str, Any]) -> None:
    """Write an object with its digest, atomically."""
    write_json(path, {**value, DIGEST: _digest(json.loads(json.dumps(value)))})


def read_sealed(path: Path, *, required: bool = True) -> dict[str, Any]:
    """The object that `write_sealed` wrote. Without `required`, a file that a person wrote may lack it.

    Raises `OSError`, and `ValueError` where the content is not what was written.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise ValueError("it does not hold an object")
    digest = value.pop(DIGEST, None)
    if digest is None and required:
        raise ValueError("it lacks its digest")
    if digest is not None and digest != _digest(value):
        raise ValueError("its content has changed since it was written")
    return value


def _digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
