"""Helpers of worker processes: their output in a file, code by name, errors in one line."""

import errno
import faulthandler
import importlib
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from aggregation_lab.errors import LESS_MEMORY, AgglabError, is_out_of_memory

_REMEDIES = {
    errno.ENOSPC: "; free space",
    errno.EDQUOT: "; free space",
    errno.EMFILE: "; raise the limit on open files (ulimit -n)",
    errno.ENFILE: "; raise the limit on open files (ulimit -n)",
    errno.EFBIG: "; raise the limit on the size of files (ulimit -f)",
}


@contextmanager
def output_to(log: Path, planned: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Everything this process prints, native libraries and crash reports included, goes to the end of `log`, and so
    does the traceback of every exception but `planned` ones, which end a run that is interrupted.

    Raises `OSError` where `log` cannot be opened.
    """
    with suppress(OSError):  # the reader of earlier output may have ended
        sys.stdout.flush()
        sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, 0o666)  # a pipe may have no reader
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    faulthandler.enable(file=2)
    try:
        yield
    except planned:
        raise
    except Exception:
        with suppress(OSError):  # a full disk must not hide the error
            traceback.print_exc(file=sys.__stderr__)
        raise
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        for descriptor, number in zip(kept, (1, 2), strict=True):
            os.dup2(descriptor, number)
            os.close(descriptor)


def imported(path: str) -> Any:
    """What `module:name` means."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def describe(error: BaseException) -> str:
    """One line: the message of an error meant for users, with the kind in front for any other."""
    lines = str(error).splitlines()
    if isinstance(error, AgglabError):
        return " ".join(lines)
    if is_out_of_memory(error):
        return f"out of memory ({lines[0] if lines else type(error).__name__}); {LESS_MEMORY}"
    if isinstance(error, OSError) and error.strerror:
        remedy = _REMEDIES.get(error.errno or 0, "")
        return f"{f'{error.filename}: ' if error.filename else ''}{error.strerror}{remedy}"
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
