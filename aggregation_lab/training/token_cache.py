"""The output of a frozen trunk for each image, computed once and kept in memory-mapped files that all runs share.

The images are divided into shards, one file each. A process computes the missing shards that no other process has
locked: processes that start together share the work, and a kill costs the locked shards only. Files are replaced
atomically, so the locks save work but nothing depends on them.
"""

import fcntl
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from aggregation_lab.data.array_files import check, open_array, write_array
from aggregation_lab.errors import AgglabError
from aggregation_lab.files import cannot_be_written

SHARD = 256
"""Images per file."""
BATCH = 16
"""Images computed at once, the same ones every time, so that a shard is the same in every process."""
WAIT = 0.2
"""Seconds between two looks at shards that other processes compute."""
ATTEMPTS = 3
"""So often is a shard computed that is never read back as it was written."""

Compute = Callable[[slice], np.ndarray]
"""Rows of the image cache -> their tokens, float32, R x N x D."""


class TokenCache:
    """`tokens[rows]`: the tokens of some rows of the image cache, R x N x D float32, read from mapped files."""

    def __init__(self, shards: dict[Path, np.ndarray]):
        self._files, self._shards = tuple(shards), list(shards.values())

    def __len__(self) -> int:
        return sum(map(len, self._shards))

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return np.stack([self._shards[row // SHARD][row % SHARD] for row in rows.tolist()])

    def check(self) -> None:
        """Raise `AgglabError` where a file has been damaged since it was opened."""
        check(self._files)


def open_tokens(
    folder: Path, count: int, shape: tuple[int, int], compute: Compute, alive: Callable[[int], None]
) -> TokenCache:
    """The tokens, N x D = `shape`, of `count` images in `folder`; shards that are missing or damaged are computed.

    `alive` is called with the number of images that are ready, often enough for a heartbeat, and may end the work by
    raising. Raises `AgglabError` on a full disk, and where a file never comes back from the disk as it was written.
    """
    shards = {folder / f"{first:07d}.npy": slice(first, min(first + SHARD, count)) for first in range(0, count, SHARD)}
    opened: dict[Path, np.ndarray] = {}
    computed = Counter[Path]()
    while missing := {file: rows for file, rows in shards.items() if not _open(file, rows, shape, opened)}:
        ready = count - sum(rows.stop - rows.start for rows in missing.values())
        idle = True
        for file, rows in missing.items():
            with _locked(file) as ours:
                if ours and not _open(file, rows, shape, opened):
                    _count_attempt(file, computed)
                    size = rows.stop - rows.start
                    write_array(file, (size, *shape), "<f4", _batches(rows, compute, partial(alive, ready)))
                    ready += size
                    idle = False
        if idle:
            alive(ready)
            time.sleep(WAIT)
    return TokenCache({file: opened[file] for file in shards})


def _open(file: Path, rows: slice, shape: tuple[int, int], opened: dict[Path, np.ndarray]) -> bool:
    """Whether the shard is among the opened ones, now if not before."""
    if file not in opened:
        array = open_array(file, (rows.stop - rows.start, *shape), np.float32)
        if array is not None:
            opened[file] = array
    return file in opened


def _count_attempt(file: Path, computed: Counter[Path]) -> None:
    computed[file] += 1
    if computed[file] > ATTEMPTS:
        raise AgglabError(f"{file}: is never read back as it was written; the disk or its file system is at fault")
    if file.exists():
        print(f"{file}: is damaged; it is computed again", flush=True)


@contextmanager
def _locked(file: Path) -> Iterator[bool]:
    """Hold a shard's lock for the block; False where another process holds it. The system frees it after a kill."""
    lock = file.with_suffix(".lock")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise cannot_be_written(lock, error) from error
    with open(handle, "rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:
            pass  # a file system without locks: two may compute the same shard, and one file replaces the other
        else:
            for half_written in file.parent.glob(f".{file.name}.*.part"):
                half_written.unlink(missing_ok=True)
        yield True


def _batches(rows: slice, compute: Compute, alive: Callable[[], None]) -> Iterator[np.ndarray]:
    for first in range(rows.start, rows.stop, BATCH):
        alive()
        yield compute(slice(first, min(first + BATCH, rows.stop)))
