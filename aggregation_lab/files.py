"""Atomic writes: a reader sees the old file or the new one, never half of either, also after a crash."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from aggregation_lab.errors import AgglabError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it when the block ends well and vanishes when it does not.

    Raises `AgglabError` naming the file when the disk is full or the folder cannot be written.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise AgglabError(
            f"{path}: cannot be written ({error.strerror or error}); free space or choose another --out"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_atomic(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Call `write` on an open binary file that becomes `path` only when everything is on disk."""
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        write(stream)


def write_text(path: Path, text: str) -> None:
    write_atomic(path, lambda stream: stream.write(text.encode()))


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def sweep(folder: Path, names: Iterable[str]) -> None:
    """Remove what processes that were killed left of half-written files `names`. Nobody else may be writing them."""
    for name in names:
        for half_written in folder.glob(f".{name}.*.part"):
            half_written.unlink(missing_ok=True)


def file_digest(path: Path) -> str:
    """SHA-256 of the file's content. Raises `OSError` where it cannot be read."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
