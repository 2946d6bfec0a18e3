"""Work in a process of its own: what goes wrong there, or takes too long, harms nothing here."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import psutil

_CONTEXT = get_context("spawn")


class WorkFailed(Exception):
    """The work raised, died or took too long; the message is one line."""


class Work:
    """`work(*arguments)` in a new process, which has begun when this returns."""

    def __init__(self, work: Callable[..., Any], *arguments: Any):
        self._answer, theirs = _CONTEXT.Pipe(duplex=False)
        self._process = _CONTEXT.Process(target=_do, args=(theirs, work, arguments))
        self._process.start()
        theirs.close()

    def result(self, timeout: float) -> Any:
        """What it returned. Raises `WorkFailed`, at the latest after `timeout` seconds."""
        try:
            if not self._answer.poll(timeout):
                raise WorkFailed(f"not finished after {timeout:.0f} s")
            done, value = self._answer.recv()
        except EOFError:
            self._process.join()
            raise WorkFailed(f"its process died (exit code {self._process.exitcode})") from None
        finally:
            self.end()
        if not done:
            raise WorkFailed(value)
        return value

    def end(self) -> None:
        """End the process and all that it has started, finished or not."""
        self._process.join(0.5)
        if self._process.is_alive():
            with suppress(psutil.NoSuchProcess):
                for process in psutil.Process(self._process.pid).children(recursive=True):
                    process.kill()
            self._process.kill()
            self._process.join()


def at_once(works: Sequence[Callable[[], Work]], timeout: float) -> list[Any]:
    """Results of works that are started together. Raises `WorkFailed` where one fails."""
    begun = [start() for start in works]
    try:
        return [work.result(timeout) for work in begun]
    finally:
        for work in begun:
            work.end()


def _do(answer: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        outcome = True, work(*arguments)
    except Exception as error:
        lines = str(error).strip().splitlines()
        outcome = False, f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
    answer.send(outcome)
