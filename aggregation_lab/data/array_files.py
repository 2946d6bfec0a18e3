"""Memory-mapped arrays with a checksum: a .npy stream, then its SHA-256, which numpy's reader ignores.

The names of file and folder, which say what the array was made from, enter the digest, so a file copied from elsewhere
does not match. A file is digested when a process opens it for the first time, at about a gigabyte a second, and again
only where the file system says that it has changed.
"""

import hashlib
import os
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np

from aggregation_lab.errors import AgglabError
from aggregation_lab.files import open_file, write_atomic

_MARK = b"agglab-sha256:"
_TAIL = len(_MARK) + hashlib.sha256().digest_size
_PIECE = 1 << 22

_State = tuple[int, int, int, int, int]
_intact: dict[Path, _State] = {}
"""Files that this process has checked, as the file system described them then."""


def write_array(path: Path, shape: tuple[int, ...], dtype: str, pieces: Iterable[np.ndarray]) -> None:
    """Write the array made of `pieces`, atomically. Raises `AgglabError` where it cannot be written; writing through a
    mapped file would end the process on a full disk instead."""
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": dtype, "fortran_order": False, "shape": shape})

    def write(stream: BinaryIO) -> None:
        digest = _begin(path)
        digest.update(header.getvalue())
        stream.write(header.getvalue())
        for piece in pieces:
            data = np.ascontiguousarray(piece, dtype).data
            digest.update(data)
            stream.write(data)
        stream.write(_MARK + digest.digest())

    write_atomic(path, write)


def open_array(path: Path, shape: tuple[int, ...], dtype: type) -> np.ndarray | None:
    """The array, read-only; None where the file is absent, holds another one, or is not as it was written."""
    try:
        if not is_intact(path):
            return None
        array = np.load(path, mmap_mode="r" if shape[0] else None, allow_pickle=False)  # an empty one cannot be mapped
    except (OSError, ValueError, EOFError):
        return None
    return array if array.shape == shape and array.dtype == dtype else None


def is_intact(path: Path) -> bool:
    """Whether the file is as it was written. Raises `OSError` where it cannot be read."""
    with open_file(path) as stream:
        status = os.fstat(stream.fileno())
        state = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        if _intact.get(path) == state:
            return True
        left, digest = status.st_size - _TAIL, _begin(path)
        while left > 0 and (piece := stream.read(min(_PIECE, left))):
            digest.update(piece)
            left -= len(piece)
        intact = left == 0 and stream.read() == _MARK + digest.digest()
    if intact:
        _intact[path] = state
    return intact


def check(paths: Iterable[Path]) -> None:
    """Raise `AgglabError` where one of the files has been damaged since it was opened."""
    for path in paths:
        try:
            intact = is_intact(path)
        except OSError:
            intact = False
        if not intact:
            raise AgglabError(f"{path}: was damaged while it was in use; the same command makes it again")


def _begin(path: Path) -> "hashlib._Hash":
    return hashlib.sha256(f"{path.parent.name}/{path.name}\n".encode())
