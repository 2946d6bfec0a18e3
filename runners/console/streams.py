"""Standard output and error that may fail: a closed pipe, a closed terminal, a full disk under a redirection.

Only the output is lost then: runs continue, and a command ends as usual.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


class RobustStream:
    """A text stream whose writes never fail. `error` is the first error, if there was one."""

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
            self._discard(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._discard(error)

    def _discard(self, error: OSError) -> None:
        """Discard further output, and what is still buffered."""
        self.error = self.error or error
        with suppress(OSError):
            _redirect_to_null(self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def robust_streams() -> Iterator[tuple[RobustStream, RobustStream]]:
    """Put `RobustStream` in front of this process's output and error, opening those that it was started without."""
    _open_missing()
    before = sys.stdout, sys.stderr
    streams = RobustStream(sys.stdout), RobustStream(sys.stderr)
    sys.stdout, sys.stderr = streams  # type: ignore[assignment]
    try:
        yield streams
    finally:
        for stream in streams:
            stream.flush()
        sys.stdout, sys.stderr = before


def reader_is_gone(error: OSError) -> bool:
    """Whether the reader ended, as after `| head` or when a terminal was closed, which is no fault."""
    return error.errno in (errno.EPIPE, errno.EIO)


def _open_missing() -> None:
    """A file opened later must not become the standard output of this process and its workers."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            _redirect_to_null(number)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def _redirect_to_null(number: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null == number:
        os.set_inheritable(number, True)
    else:
        os.dup2(null, number)
        os.close(null)
