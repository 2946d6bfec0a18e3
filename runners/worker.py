"""A worker process: keeps the data open and trains the runs its parent hands it, one after the other.

It never outlives its parent, and leaves the handling of Ctrl-C to it: told to stop, it ends its run after the step
it is in, with a checkpoint.
"""

import faulthandler
import importlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from aggregation_lab.errors import AgglabError

REPORT_EVERY = 0.2
"""Least seconds between two progress reports to the parent."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True)
class Engine:
    """What a worker is made of. `load`, `train` and `interruption`, the exception that makes `train` leave a checkpoint
    and end, are `module:name`, imported in the worker."""

    out: Path
    threads: int
    device: str | None = None
    load: str = "runners.output:load_prepared"
    train: str = "aggregation_lab.execution:train_run"
    interruption: str = "aggregation_lab.training:RunInterrupted"


@dataclass(frozen=True)
class Order:
    """Train this run in this folder."""

    spec: dict[str, Any]
    folder: Path


@dataclass(frozen=True)
class Ready:
    """The worker has loaded the data, or has ended its run well, and takes the next order."""


@dataclass(frozen=True)
class Report:
    """Progress of the run in hand."""

    step: int
    steps: int
    loss: float
    score: float
    phase: str


@dataclass(frozen=True)
class Failure:
    """The run in hand failed; without a run in hand, the worker could not start.

    `ends` says that the worker ends too: what broke may have broken its process, as a CUDA error does.
    """

    message: str
    ends: bool = False


@dataclass(frozen=True)
class Stopped:
    """The worker was told to stop, left the run in hand unfinished, and ends."""


def work(connection: Connection, engine: Engine) -> None:
    """Body of the worker process. Orders come through `connection`; None tells it to stop."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.environ.update({name: str(engine.threads) for name in THREAD_VARIABLES})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        prepared = imported(engine.load)(engine.out)
        train = imported(engine.train)
    except Exception as error:
        connection.send(Failure(f"{engine.out}: the worker could not start: {describe(error)}"))
        return
    connection.send(Ready())
    while (order := _next_order(connection)) is not None:
        answer = _train(connection, engine, prepared, train, order)
        connection.send(answer)
        if isinstance(answer, Stopped) or (isinstance(answer, Failure) and answer.ends):
            return


def _train(
    connection: Connection, engine: Engine, prepared: Any, train: Callable[..., None], order: Order
) -> Ready | Failure | Stopped:
    from aggregation_lab.run import RunSpec
    from runners.store import LOG, claimed, record_failure

    reporter: _Reporter | None = None
    try:
        with claimed(order.folder, order.spec) as claim, output_to(order.folder / LOG):
            reporter = _Reporter(connection, claim.beat, imported(engine.interruption))
            train(
                RunSpec.from_json(order.spec),
                prepared.dataset,
                prepared.split,
                prepared.cache,
                order.folder,
                report=reporter,
                threads=engine.threads,
                device=engine.device,
            )
        return Ready()
    except Exception as error:
        if reporter is not None and reporter.stopped:
            return Stopped()
        message = describe(error)
        try:
            record_failure(order.folder, message, traceback.format_exc())
        except AgglabError as unwritten:
            message = f"{message} ({unwritten})"
        return Failure(message, ends=not isinstance(error, AgglabError))


class _Reporter:
    """Called by the run after every step: passes progress on, keeps the claim alive, hears the order to stop."""

    def __init__(self, connection: Connection, beat: Callable[[], None], interruption: type[Exception]):
        self._connection, self._beat, self._interruption, self._last = connection, beat, interruption, 0.0
        self.stopped = False

    def __call__(self, progress: Any) -> None:
        if self._connection.poll() and _next_order(self._connection) is None:
            self.stopped = True
            raise self._interruption
        self._beat()
        now = time.monotonic()
        if now - self._last >= REPORT_EVERY:
            self._last = now
            report = Report(progress.step, progress.steps, progress.loss, progress.score, progress.phase)
            self._connection.send(report)


def _next_order(connection: Connection) -> Order | None:
    try:
        return connection.recv()
    except (EOFError, OSError):
        return None


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)  # files are written atomically, so there is nothing to tidy up


@contextmanager
def output_to(log: Path) -> Iterator[None]:
    """Everything this process prints, native libraries and crash reports included, goes to the end of `log`."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    faulthandler.enable(file=2)
    try:
        yield
    except Exception:
        traceback.print_exc(file=sys.__stderr__)
        raise
    finally:
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
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
