"""A worker as a process of a pool, and its messages to its parent."""

import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait

from runners.console.streams import robust_streams
from runners.execution.stop_signals import LEFT_TO_PARENT
from runners.execution.worker import End, Worker, WorkerConfig
from runners.execution.worker_process import describe
from runners.planning.plan import PlannedRun


@dataclass(frozen=True)
class Ready:
    """The worker has loaded the data and takes runs."""


@dataclass(frozen=True)
class CannotStart:
    """The worker could not load what it needs."""

    message: str


@dataclass(frozen=True)
class Unrecorded:
    """A run failed, and this could not be written into its folder."""

    run: str
    message: str


def work(connection: Connection, config: WorkerConfig, runs: Sequence[PlannedRun], given_up: set[str]) -> None:
    """Body of a worker process. It ends with its parent and leaves Ctrl-C to it: a message through `connection` asks it
    to stop."""
    for number in LEFT_TO_PARENT:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def unrecorded(run: PlannedRun, message: str) -> None:
        connection.send(Unrecorded(run.id, message))

    with robust_streams():
        try:
            worker = Worker(config, runs, connection.poll, unrecorded, given_up)
        except Exception as error:
            connection.send(CannotStart(f"{config.folder}: the worker could not start: {describe(error)}"))
            return
        connection.send(Ready())
        if worker.work() is End.PROCESS_FAILED:
            os._exit(0)  # a process that has failed may hang while it ends


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)  # files are written atomically, so there is nothing to tidy up
