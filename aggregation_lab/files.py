"""Atomic writes: a reader sees the old file or the new one, never half of either, also after a crash; and walks."""

import errno
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

from aggregation_lab.errors import AgglabError, NotWritableError

_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
_IN_THE_WAY = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENXIO)
_TOO_MANY_OPEN = (errno.EMFILE, errno.ENFILE)
NOT_KNOWN_TO_FILE_SYSTEM = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
"""What a file system answers to what it does not know, such as hard links on FAT and exFAT (EPERM, too, on Linux)."""


def cannot_be_written(path: Path, error: OSError) -> AgglabError:
    """The error for a file or folder that cannot be written: a full disk, a limit, missing permission, a file there."""
    kind = NotWritableError if is_not_allowed(error) else AgglabError
    return kind(f"{path}: cannot be written ({error.strerror or error}); {_remedy(path, error.errno)}")


def is_not_allowed(error: OSError) -> bool:
    """Whether it says that a place may only be read."""
    return error.errno in _NOT_ALLOWED


def _remedy(path: Path, number: int | None) -> str:
    remedy = "free space"
    if number in _NOT_ALLOWED:
        remedy = "make it writable"
    elif number in _IN_THE_WAY:
        parent = next((parent for parent in path.parents if os.path.lexists(parent)), path)
        remedy = f"move {path if parent.is_dir() else parent} away"
    elif number in _TOO_MANY_OPEN:
        remedy = "raise the limit on open files (ulimit -n)"
    elif number == errno.EFBIG:
        remedy = "raise the limit on the size of files (ulimit -f)"
    return f"{remedy} or choose another folder"


def temporary_file(folder: Path, name: str) -> tuple[int, Path]:
    """A new empty file beside the one that it will replace, open for writing, as private as the umask asks for."""
    path = Path(folder) / f".{name}.{secrets.token_hex(8)}.part"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), path


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it when the block ends well and vanishes when it does not.

    Raises `AgglabError` naming the file when the disk is full or the folder cannot be written.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = temporary_file(path.parent, path.name)
        os.close(handle)
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise cannot_be_written(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_atomic(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Call `write` on an open binary file that becomes `path` only when everything is on disk."""
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        write(stream)


def write_bytes(path: Path, data: bytes) -> None:
    write_atomic(path, lambda stream: stream.write(data))


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def sweep(folder: Path, names: Iterable[str]) -> None:
    """Remove half-written files `names` that killed processes left. No other process may be writing them.

    Raises `AgglabError` where one cannot be removed.
    """
    for name in names:
        for half_written in folder.glob(f".{name}.*.part"):
            try:
                half_written.unlink(missing_ok=True)
            except OSError as error:
                raise cannot_be_written(half_written, error) from error


def open_file(path: Path) -> BufferedReader:
    """A regular file, open for reading. Raises `OSError`, also for a pipe or a device, which could be read forever."""
    return open(path, "rb", opener=open_regular)


def open_regular(path: str, flags: int) -> int:
    """The `opener` of `open_file`, for other ways to open a file."""
    handle = os.open(path, flags | os.O_NONBLOCK)  # else the opening of a pipe waits
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no regular file", path)
    return handle


def read_bytes(path: Path) -> bytes:
    """The content of a regular file. Raises `OSError`, as `open_file` does."""
    with open_file(path) as stream:
        return stream.read()


def file_digest(path: Path) -> str:
    """SHA-256 of the file's content. Raises `OSError` where it cannot be read."""
    with open_file(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_hidden(name: str) -> bool:
    """What a system or an archive leaves: `.DS_Store`, `._a.png`, `__MACOSX`, `Thumbs.db`."""
    return name.startswith((".", "__MACOSX")) or name in ("Thumbs.db", "desktop.ini")


def folders_in(place: Path) -> list[Path]:
    """The folders in a folder, in the order of names. Entries say that they are folders: no file is looked at."""
    with os.scandir(place) as entries:
        return sorted(place / entry.name for entry in entries if entry.is_dir() and not is_hidden(entry.name))


def walk(folder: Path, endings: Collection[str] = ()) -> Iterator[Path]:
    """Files below `folder` with one of the `endings` (small letters), or all, in the order of their names.

    Links to folders are followed; a folder that several links lead to is walked once.
    """
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in seen:
            folders[:] = []
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in sorted(names):
            if not is_hidden(name) and (not endings or name.lower().endswith(tuple(endings))):
                yield Path(place, name)
