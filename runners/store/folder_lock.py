"""Locks of an output folder, held while it is prepared or its tables are written; runs are claimed one by one."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aggregation_lab.errors import NotWritableError, StudyError
from aggregation_lab.files import NOT_KNOWN_TO_FILE_SYSTEM, cannot_be_written, is_not_allowed

PREPARING, COLLECTING = ".preparing.lock", ".collecting.lock"
LOCKS = (PREPARING, COLLECTING)


class FolderNotWritableError(StudyError, NotWritableError):
    """An output folder that may only be read, so that nobody can hold a lock in it."""


@contextmanager
def locked(file: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock `file`; `waiting` is called once where another process holds it.

    Raises `FolderNotWritableError` where the folder is read-only, `StudyError` where something is in the way or where
    the file system gives no locks, and `AgglabError` where the disk is full.
    """
    from filelock import FileLock, Timeout

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waiting()
            lock.acquire()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise cannot_be_written(file.parent, error) from error
        if error.errno in (errno.ENOLCK, *NOT_KNOWN_TO_FILE_SYSTEM):
            fault = f"{file.parent}: its file system gives no file locks ({error.strerror})"
            advice = "choose a folder on another one, or have it mounted with locks"
            raise StudyError(f"{fault}; {advice}") from error
        kind = FolderNotWritableError if is_not_allowed(error) else StudyError
        reason = error.strerror or str(error)
        if os.path.lexists(file):
            advice = "make it writable or delete it, or work on a copy that can be written"
            raise kind(f"{file}: cannot be used ({reason}); {advice}") from error
        advice = "choose another folder, or work on a copy that can be written"
        raise kind(f"{file.parent}: cannot be written ({reason}); {advice}") from error
    try:
        yield
    finally:
        lock.release()
