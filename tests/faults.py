"""Faults inside a process: the environment asks that the grid or one of its workers dies or fails at a chosen write."""

import errno
import json
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

FAULT = "AGGLAB_CHAOS"


@dataclass(frozen=True)
class Fault:
    """What happens inside the `where` process (grid, worker) at the `number`-th write of a file named `file`...

    die: SIGKILL when half of the file is written. full: from then on every write finds no space left; late: only the
    system's own, in the end, does. readonly: no file can be made from then on. clock: the time of day jumps by a day.
    It applies to one process; `mark` is the file by which the others know.
    """

    where: str
    action: str
    mark: str
    file: str = ""
    number: int = 1


def plant(where: str) -> None:
    """Put the fault of the environment into this process, if it is meant for it."""
    if FAULT not in os.environ:
        return
    fault = Fault(**json.loads(os.environ[FAULT]))
    if fault.where != where:
        return
    if fault.action == "clock":
        real_time, jump = time.time, random.Random(fault.mark).choice([-86_400, 86_400])
        time.time = lambda: real_time() + jump
        Path(fault.mark).touch()
        return
    from aggregation_lab import files

    make, sync, writes = files.temporary_file, os.fsync, Counter[str]()

    def applies() -> bool:
        if writes["struck"] or writes["seen"] < fault.number:
            return bool(writes["struck"])
        try:
            Path(fault.mark).touch(exist_ok=False)
        except FileExistsError:
            return False  # it has applied to another process
        writes["struck"] = 1
        return True

    def temporary_file(folder: Path, name: str) -> tuple[int, Path]:
        writes["seen"] += name.startswith(fault.file)
        if fault.action == "readonly" and applies():
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        handle, path = make(folder, name)
        if fault.action == "full" and applies():
            os.close(handle)
            path.unlink()
            path.symlink_to("/dev/full")
            handle = os.open(path, os.O_RDWR)
        names.append(path)
        return handle, path

    def fsync(handle):
        if fault.action == "late" and applies():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if fault.action == "die" and applies():
            os.truncate(names[-1], os.path.getsize(names[-1]) // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        sync(handle)

    names: list[Path] = []
    files.temporary_file, os.fsync = temporary_file, fsync


def load(folder):
    """What workers load: the real thing, and their fault."""
    from runners.store.prepared_data import load_prepared

    plant("worker")
    return load_prepared(folder)


def train(*args, **kwargs) -> None:
    """What workers call: the real training, with a checkpoint after every step, so that there are writes to hit."""
    from aggregation_lab.training.execution import train_run

    train_run(*args, **kwargs, checkpoint_seconds=0.0)


TABLES = ("scores", "cases", "runs", "curves", "routing")


INSIDE = {
    "death of a worker while it writes a checkpoint": ("worker", "die", ("checkpoint",)),
    "death of a worker while it writes results": ("worker", "die", (*TABLES, "done")),
    "death of the grid while it collects": ("grid", "die", TABLES),
    "disk full at a write of a worker": ("worker", "full", ("",)),
    "disk full at a write of the grid": ("grid", "full", ("",)),
    "disk full, found late by a worker": ("worker", "late", ("",)),
    "disk full, found late by the grid": ("grid", "late", ("",)),
    "folder read-only for a worker": ("worker", "readonly", ("",)),
    "clock of a worker jumps by a day": ("worker", "clock", ("",)),
    "clock of the grid jumps by a day": ("grid", "clock", ("",)),
}
"""Faults inside a process: where, what, and at which files."""
