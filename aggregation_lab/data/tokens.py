"""What a frozen trunk makes of each image, computed once and kept in memory-mapped files that all runs share.

The images are divided into shards, one file each. Whoever misses shards computes those that nobody else has in hand:
processes that start together share the work, and a kill costs the shards in hand only. Files are replaced atomically,
so the locks save work but nothing depends on them.
"""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from aggregation_lab.data.cache import is_whole
from aggregation_lab.files import write_atomic

SHARD = 256
"""Images per file."""
BATCH = 16
"""Images computed at once, the same ones every time, so that a shard is the same whoever computes it."""
WAIT = 0.2
"""Seconds between two looks at shards that other processes have in hand."""

Compute = Callable[[slice], np.ndarray]
"""Rows of the image cache -> their tokens, float32, R x N x D."""


class TokenCache:
    """`tokens[rows]`: the tokens of some rows of the image cache, R x N x D float32, read from mapped files."""

    def __init__(self, shards: list[np.ndarray]):
        self._shards = shards

    def __len__(self) -> int:
        return sum(map(len, self._shards))

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return np.stack([self._shards[row // SHARD][row % SHARD] for row in rows.tolist()])


def open_tokens(
    folder: Path, count: int, shape: tuple[int, int], compute: Compute, alive: Callable[[int], None]
) -> TokenCache:
    """The tokens, N x D = `shape`, of `count` images in `folder`; shards that are missing are computed.

    `alive` is called with the number of images that are ready, often enough for a heartbeat, and may end the work by
    raising. Raises `AgglabError` on a full disk.
    """
    shards = {folder / f"{first:07d}.npy": slice(first, min(first + SHARD, count)) for first in range(0, count, SHARD)}
    while missing := {file: rows for file, rows in shards.items() if not _is_there(file, rows, shape)}:
        ready = count - sum(rows.stop - rows.start for rows in missing.values())
        idle = True
        for file, rows in missing.items():
            with _in_hand(file) as mine:
                if mine and not _is_there(file, rows, shape):
                    write_atomic(file, _writer(rows, shape, compute, partial(alive, ready)))
                    ready += rows.stop - rows.start
                    idle = False
        if idle:
            alive(ready)
            time.sleep(WAIT)
    return TokenCache([np.load(file, mmap_mode="r", allow_pickle=False) for file in shards])


def _is_there(file: Path, rows: slice, shape: tuple[int, int]) -> bool:
    return is_whole(file, (rows.stop - rows.start, *shape), np.float32)


@contextmanager
def _in_hand(file: Path) -> Iterator[bool]:
    """Hold a shard's lock for the block; False where another process holds it. The system frees it after a kill."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file.with_suffix(".lock"), "wb") as stream:
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


def _writer(
    rows: slice, shape: tuple[int, int], compute: Compute, alive: Callable[[], None]
) -> Callable[[BinaryIO], None]:
    def write(stream: BinaryIO) -> None:
        header = {"descr": "<f4", "fortran_order": False, "shape": (rows.stop - rows.start, *shape)}
        np.lib.format.write_array_header_1_0(stream, header)
        for first in range(rows.start, rows.stop, BATCH):
            alive()
            tokens = compute(slice(first, min(first + BATCH, rows.stop)))
            stream.write(np.ascontiguousarray(tokens, "<f4").data)

    return write
