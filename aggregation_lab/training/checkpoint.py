"""Checkpoints with a checksum: a digest of 32 bytes, then what torch saved.

torch checks the structure of its file, not the numbers in it; a flipped bit would change a score unnoticed.
"""

import hashlib
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch

from aggregation_lab.files import read_bytes, write_atomic
from aggregation_lab.run import RunSpec

_DIGEST_BYTES = hashlib.sha256().digest_size


class _Digesting:
    """Passes on what is written and digests it. It keeps the system's error, such as a full disk, which torch replaces
    by another."""

    def __init__(self, stream: BinaryIO):
        self._stream, self.digest = stream, hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self._kept(lambda: self._stream.write(data))

    def flush(self) -> None:
        self._kept(self._stream.flush)

    def _kept(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except OSError as error:
            self.error = error
            raise


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` atomically. Raises `AgglabError` where it cannot be written."""

    def write(stream: BinaryIO) -> None:
        stream.write(bytes(_DIGEST_BYTES))
        digesting = _Digesting(stream)
        try:
            torch.save(state, cast(BinaryIO, digesting))
        except RuntimeError as error:
            raise digesting.error or error from error
        stream.seek(0)
        stream.write(digesting.digest.digest())

    write_atomic(path, write)


def is_of(state: Mapping[str, Any], spec: RunSpec) -> bool:
    """Whether a run continues from a state: its own, or one from before the cooldown of a run with a smaller cap."""
    return state["run"] == spec.id or state.get("before_cooldown") == spec.but_for_cap


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `write_checkpoint` wrote, on the CPU. Raises `ValueError` where it has changed since."""
    content = read_bytes(path)
    digest, saved = content[:_DIGEST_BYTES], memoryview(content)[_DIGEST_BYTES:]
    if hashlib.sha256(saved).digest() != digest:
        raise ValueError("its content has changed since it was written")
    return torch.load(BytesIO(saved), "cpu", weights_only=True)
