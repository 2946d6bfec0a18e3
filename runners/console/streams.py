"""Standard output and error that may go away: a closed pipe, a terminal that is gone, a full disk under a redirection.

What is printed is lost then, and nothing else: runs go on, and a command ends as it would have.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


class Lasting:
    """A text stream of which writing never fails. `error` is what went wrong first, if anything has."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except UnicodeEncodeError:
            code = self._stream.encoding or "ascii"
            return self.write(text.encode(code, "replace").decode(code))
        except OSError as error:
            self._lost(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._lost(error)

    def _lost(self, error: OSError) -> None:
        """Let what is still to come, and what waits in buffers, go nowhere."""
        self.error = self.error or error
        with suppress(OSError):
            _to_nowhere(self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def lasting() -> Iterator[tuple[Lasting, Lasting]]:
    """Put `Lasting` in front of this process's output and error, opening those that it was started without."""
    _open_missing()
    before = sys.stdout, sys.stderr
    streams = Lasting(sys.stdout), Lasting(sys.stderr)
    sys.stdout, sys.stderr = streams  # type: ignore[assignment]
    try:
        yield streams
    finally:
        for stream in streams:
            stream.flush()
        sys.stdout, sys.stderr = before


def reader_is_gone(error: OSError) -> bool:
    """Whether nobody is left to read, as after `| head` or when a terminal was closed, which is no fault."""
    return error.errno in (errno.EPIPE, errno.EIO)


def _open_missing() -> None:
    """A file opened later must not become the standard output of this process and its workers."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            _to_nowhere(number)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def _to_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere == number:
        os.set_inheritable(number, True)
    else:
        os.dup2(nowhere, number)
        os.close(nowhere)
