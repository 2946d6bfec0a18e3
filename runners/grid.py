"""The grid: hands runs to worker processes, largest first, and survives whatever happens to them."""

import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Protocol

from aggregation_lab.errors import AgglabError
from aggregation_lab.files import write_json
from runners.plan import PlannedRun
from runners.store import CLAIM, SPEC, RunStore, record_failure
from runners.worker import Engine, Failure, Order, Ready, Report, Stopped, work

TICK = 0.5
"""Longest pause between two looks at the watcher and the stop signal, in seconds."""
GRACE = 60.0
"""Seconds that workers have to end their step and write a checkpoint once they are told to stop."""


class Watcher(Protocol):
    """Sees what happens in a grid: the progress display, and the collection of tables."""

    def started(self, run: PlannedRun) -> None: ...
    def progressed(self, run: PlannedRun, report: Report) -> None: ...
    def finished(self, run: PlannedRun) -> None: ...
    def failed(self, run: PlannedRun, message: str) -> None: ...
    def ticked(self) -> None: ...


@dataclass
class Outcome:
    """How a grid ended: run ids that finished and messages of those that failed."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    ready: bool = False
    run: PlannedRun | None = None


def run_grid(
    runs: Sequence[PlannedRun],
    store: RunStore,
    engine: Engine,
    watcher: Watcher,
    *,
    jobs: int,
    fail_fast: bool = False,
    grace: float = GRACE,
) -> Outcome:
    """Train `runs` in `jobs` worker processes.

    A run that raises, or whose worker dies, is marked as failed and the others go on. Ctrl-C or SIGTERM stops every
    worker after its step; a second one kills them, which costs only the steps since the last checkpoint. Raises
    `AgglabError` where workers cannot start.
    """
    grid = _Grid(runs, store, engine, watcher, jobs, fail_fast, grace)
    with _stop_signals() as signals:
        try:
            grid.loop(signals)
        finally:
            grid.kill_all()
    return grid.outcome


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM instead of being torn out of the loop by them."""
    received: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, frame: received.append(number)) for number in numbers]
    try:
        yield received
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


class _Grid:
    def __init__(
        self,
        runs: Sequence[PlannedRun],
        store: RunStore,
        engine: Engine,
        watcher: Watcher,
        jobs: int,
        fail_fast: bool,
        grace: float,
    ):
        self.queue = deque(sorted(runs, key=lambda run: -run.flops))
        self.store, self.engine, self.watcher = store, engine, watcher
        self.jobs, self.fail_fast, self.grace = jobs, fail_fast, grace
        self.workers: list[_Worker] = []
        self.outcome = Outcome()
        self.deadline: float | None = None
        self.failed_starts = 0

    def loop(self, signals: list[int]) -> None:
        while self.queue or any(worker.run for worker in self.workers):
            if signals and self.deadline is None:
                self.outcome.interrupted = True
                self.stop()
            if self.deadline is not None:
                busy = any(worker.run for worker in self.workers)
                if not busy or len(signals) > 1 or time.monotonic() > self.deadline:
                    return
            else:
                self.hand_out()
            self.listen()
            self.watcher.ticked()

    def hand_out(self) -> None:
        wanted = min(self.jobs, len(self.queue) + sum(worker.run is not None for worker in self.workers))
        while len(self.workers) < wanted:
            self.workers.append(self.start_worker())
        for worker in self.workers:
            if worker.ready and worker.run is None and self.queue:
                run = self.queue.popleft()
                folder = self.store.folder(run)
                write_json(folder / SPEC, run.spec.to_json())
                worker.ready, worker.run = False, run
                try:
                    worker.connection.send(Order(run.spec.to_json(), folder))
                except OSError:
                    continue  # the worker is dead; `listen` finds out how it died
                self.watcher.started(run)

    def start_worker(self) -> _Worker:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, self.engine), daemon=True)
        # Ctrl-C reaches the whole process group: a worker that is just starting must not die of it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        return _Worker(process, ours)

    def listen(self) -> None:
        by_connection = {worker.connection: worker for worker in self.workers}
        for connection in wait(list(by_connection), timeout=TICK):
            worker = by_connection[connection]  # type: ignore[index]
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                self.bury(worker)
                continue
            self.handle(worker, message)

    def handle(self, worker: _Worker, message: Ready | Report | Failure | Stopped) -> None:
        run = worker.run
        if isinstance(message, Report):
            if run is not None:
                self.watcher.progressed(run, message)
            return
        worker.run = None
        worker.ready = isinstance(message, Ready | Failure)
        if isinstance(message, Failure) and run is None:
            raise AgglabError(message.message)
        if isinstance(message, Failure) and run is not None:
            if message.ends:
                self.dismiss(worker)
            self.fail(run, message.message)
        if isinstance(message, Ready):
            self.failed_starts = 0
            if run is not None:
                self.outcome.done.append(run.id)
                self.watcher.finished(run)

    def dismiss(self, worker: _Worker) -> None:
        """Part with a worker that has said it ends; the next `hand_out` starts a successor."""
        worker.process.kill()  # a broken process may hang on its way out
        worker.process.join()
        worker.connection.close()
        self.workers.remove(worker)

    def bury(self, worker: _Worker) -> None:
        """A worker has died: its run has failed; the next `hand_out` starts a successor."""
        worker.process.join()
        worker.connection.close()
        self.workers.remove(worker)
        cause = _cause_of_death(worker.process.exitcode)
        if worker.run is not None:
            message = f"its worker process {cause}"
            record_failure(self.store.folder(worker.run), message)
            self.fail(worker.run, message)
        elif not worker.ready and self.deadline is None:
            self.failed_starts += 1
            if self.failed_starts >= 3:
                raise AgglabError(f"{self.engine.out}: three worker processes in a row {cause} while starting")

    def fail(self, run: PlannedRun, message: str) -> None:
        self.outcome.failed[run.id] = message
        self.watcher.failed(run, message)
        if self.fail_fast and self.deadline is None:
            self.stop()

    def stop(self) -> None:
        """Tell every worker to stop after its step."""
        self.deadline = time.monotonic() + self.grace
        for worker in self.workers:
            try:
                worker.connection.send(None)
            except OSError:
                continue  # it is dead already

    def kill_all(self) -> None:
        """End the workers: idle ones hold nothing, and a run in hand continues from its checkpoint."""
        for worker in self.workers:
            worker.process.kill()
            worker.process.join()
            if worker.run is not None:
                (self.store.folder(worker.run) / CLAIM).unlink(missing_ok=True)
            worker.connection.close()


def _cause_of_death(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return f"ended with exit code {exitcode}"
    name = signal.Signals(-exitcode).name
    hint = "; the machine may be out of memory, try fewer --jobs" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"
