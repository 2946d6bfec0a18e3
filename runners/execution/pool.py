"""Workers as processes of this machine: started, watched and replaced until the runs are finished.

The workers take their runs from the store themselves, so any number of pools, on one machine or on many, can work on
one output folder. A pool sees how the runs fare by looking at the store.
"""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from aggregation_lab.errors import AgglabError
from runners.console.streams import lasting
from runners.execution.run_watch import Watch, Watcher
from runners.execution.worker import End, Worker, WorkerConfig
from runners.execution.worker_process import describe
from runners.planning.plan import PlannedRun
from runners.store.run_store import RunStore, State, claimed, record_failure

TICK = 0.5
"""Longest pause between two looks at the store and the stop signal, in seconds."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)
"""What workers leave to their parent: Ctrl-C, the end of a session, a terminal that is gone, and Slurm's notice of a
time limit."""
GRACE = 60.0
"""Seconds that workers have to end their step and write a checkpoint once they are told to stop."""
MOST_DEATHS = 3
"""So often may the worker of a run die before the run counts as failed: a machine short of memory kills at random."""
FAILED_STARTS = 3
"""So many workers in a row may die while they start, or with no run in hand while no run gets anywhere."""


@dataclass
class Outcome:
    """How a grid ended: run ids that finished and messages of those that failed."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False


@dataclass(frozen=True)
class Ready:
    """The worker has loaded the data and takes runs."""


@dataclass(frozen=True)
class CannotStart:
    """The worker could not load what it needs."""

    message: str


@dataclass(frozen=True)
class Unrecorded:
    """A run failed, and its folder could not be told."""

    run: str
    message: str


@dataclass
class _Member:
    process: SpawnProcess
    connection: Connection
    device: str | None
    ready: bool = False


def run_pool(
    runs: Sequence[PlannedRun],
    store: RunStore,
    config: WorkerConfig,
    watcher: Watcher,
    *,
    places: Sequence[str | None],
    fail_fast: bool = False,
    wait_for_others: bool = True,
    grace: float = GRACE,
) -> Outcome:
    """Train `runs`, in this order as far as possible, in one worker process per place.

    `places` names the device of each worker, None for the best there is. A run that raises is marked as failed and the
    others go on; a run whose worker dies is taken up again from its checkpoint. Runs in the hands of others are waited
    for, unless told otherwise, and taken over where those die. Ctrl-C or SIGTERM stops every worker after its step; a
    second one kills them, which costs only the steps since the last checkpoint. Raises `AgglabError` where workers
    cannot start.
    """
    pool = _Pool(runs, store, config, watcher, places, fail_fast, wait_for_others, grace)
    with stop_signals() as signals:
        try:
            pool.loop(signals)
        finally:
            pool.kill_all()
    return pool.outcome()


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collects SIGINT, SIGTERM and, unless `nohup` has it ignored, SIGHUP instead of being torn out of the loop."""
    received: list[int] = []
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = [signal.signal(number, lambda number, frame: received.append(number)) for number in numbers]
    try:
        yield received
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


class _Pool:
    def __init__(
        self,
        runs: Sequence[PlannedRun],
        store: RunStore,
        config: WorkerConfig,
        watcher: Watcher,
        places: Sequence[str | None],
        fail_fast: bool,
        wait_for_others: bool,
        grace: float,
    ):
        self.runs, self.store, self.config, self.watcher = runs, store, config, watcher
        self.places, self.fail_fast, self.wait_for_others, self.grace = places, fail_fast, wait_for_others, grace
        self.watch = Watch(runs, store, watcher)
        self.members: list[_Member] = []
        self.deaths: Counter[str] = Counter()
        self.given_up: dict[str, str] = {}
        self.interrupted = False
        self.deadline: float | None = None
        self.failed_starts = self.idle_deaths = 0
        self.states: dict[str, State] = {}
        self.changed = True

    def loop(self, signals: list[int]) -> None:
        while True:
            states = self.look()
            if signals and self.deadline is None:
                self.interrupted = True
                self.stop()
            if self.fail_fast and self.deadline is None and (self.given_up or State.FAILED in states.values()):
                self.stop()
            if self.deadline is not None:
                if not self.members or len(signals) > 1 or time.monotonic() > self.deadline:
                    return
            elif not self.go_on(states):
                return
            self.listen()
            self.watcher.ticked()

    def look(self) -> dict[str, State]:
        """State of every run, by id."""
        states = self.watch.look(at_once=self.changed)
        if states != self.states:
            self.idle_deaths = 0
        self.states, self.changed = states, False
        return states

    def go_on(self, states: dict[str, State]) -> bool:
        """Start workers for what nobody has taken yet. Returns whether there is anything left to wait for."""
        open_ = sum(state is State.PENDING and run not in self.given_up for run, state in states.items())
        starting = sum(not member.ready for member in self.members)
        for _ in range(min(len(self.places) - len(self.members), open_ - starting)):
            self.members.append(self.start())
        return bool(self.members or open_) or (self.wait_for_others and State.RUNNING in states.values())

    def start(self) -> _Member:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        used = Counter(member.device for member in self.members)
        device = min(self.places, key=lambda place: used[place] / self.places.count(place))
        config = replace(self.config, device=device)
        process = context.Process(
            target=work, args=(theirs, config, self.runs, self.fail_fast, set(self.given_up)), daemon=True
        )
        # Signals can reach the whole process group: a worker that is just starting must not die of them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        return _Member(process, ours, device)

    def listen(self) -> None:
        by_connection = {member.connection: member for member in self.members}
        if not by_connection:
            time.sleep(TICK)
            return
        for connection in wait(list(by_connection), timeout=TICK):
            member = by_connection[connection]  # type: ignore[index]
            try:
                self.hear(member, member.connection.recv())
            except (EOFError, OSError):
                self.bury(member)

    def hear(self, member: _Member, message: Ready | CannotStart | Unrecorded) -> None:
        if isinstance(message, CannotStart):
            raise AgglabError(message.message)
        if isinstance(message, Ready):
            member.ready = True
            self.failed_starts = 0
        else:
            self.give_up(message.run, message.message)

    def bury(self, member: _Member) -> None:
        """A worker has ended: well, or its run goes on with another one."""
        member.process.join(timeout=5)
        member.process.kill()  # a broken process may hang on its way out
        member.process.join()
        member.connection.close()
        self.members.remove(member)
        self.changed = True
        if member.process.exitcode == 0:
            return
        cause = _cause_of_death(member.process.exitcode)
        held = self.store.held_by(member.process.pid or 0, self.runs)
        for run in held:
            self.deaths[run.id] += 1
            if self.deaths[run.id] < MOST_DEATHS:
                self.watcher.noted(f"{run.title}: its worker process {cause}; the run goes on from its checkpoint")
            else:
                self.fail(run, f"its worker process {cause}, {MOST_DEATHS} times")
        if held or self.deadline is not None:
            return
        if not member.ready:
            self.failed_starts += 1
            if self.failed_starts >= FAILED_STARTS:
                raise AgglabError(f"{self.config.folder}: {FAILED_STARTS} workers in a row {cause} while starting")
        else:
            self.look()  # what its predecessors have got done does not count against it
            self.idle_deaths += 1
            if self.idle_deaths >= FAILED_STARTS:
                raise AgglabError(f"{self.config.folder}: {FAILED_STARTS} workers in a row {cause} with no run in hand")
            self.watcher.noted(f"a worker process {cause} with no run in hand")

    def fail(self, run: PlannedRun, message: str) -> None:
        folder = self.store.folder(run)
        try:
            with claimed(folder, run) as claim:
                if claim is not None:
                    record_failure(folder, message)
        except AgglabError:
            self.give_up(run.id, message)

    def give_up(self, run: str, message: str) -> None:
        if run not in self.given_up:
            self.given_up[run] = message
            self.watcher.failed(next(each for each in self.runs if each.id == run), message)

    def stop(self) -> None:
        """Tell every worker to stop after its step."""
        self.deadline = time.monotonic() + self.grace
        for member in self.members:
            if not member.ready:
                member.process.kill()  # it holds nothing yet, and would hear of it only once it has loaded all it needs
                continue
            try:
                member.connection.send(None)
            except OSError:
                continue  # it is dead already

    def kill_all(self) -> None:
        """End the workers: idle ones hold nothing, and a run in hand continues from its checkpoint."""
        for member in self.members:
            member.process.kill()
            member.process.join()
            member.connection.close()

    def outcome(self) -> Outcome:
        states = self.store.present(self.runs)
        done = [run.id for run in self.runs if states[run.id].state is State.DONE]
        failed = {run: status.reason for run, status in states.items() if status.state is State.FAILED}
        unrecorded = {run: message for run, message in self.given_up.items() if run not in done}
        return Outcome(done, unrecorded | failed, self.interrupted)


def _cause_of_death(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return f"ended with exit code {exitcode}"
    name = signal.Signals(-exitcode).name
    return f"was killed by {name}{_HINTS.get(name, '')}"


_HINTS = {
    "SIGKILL": " (the machine may be out of memory: try fewer --jobs)",
    "SIGBUS": " (a file that it reads was cut meanwhile, or the disk fails)",
}


def work(
    connection: Connection, config: WorkerConfig, runs: Sequence[PlannedRun], fail_fast: bool, given_up: set[str]
) -> None:
    """Body of a worker process. It never outlives its parent, and leaves the handling of Ctrl-C to it: a message
    through `connection` tells it to stop."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with lasting():
        _work(connection, config, runs, fail_fast, given_up)


def _work(
    connection: Connection, config: WorkerConfig, runs: Sequence[PlannedRun], fail_fast: bool, given_up: set[str]
) -> None:
    try:
        worker = Worker(
            config,
            runs,
            stop=connection.poll,
            unrecorded=lambda run, message: connection.send(Unrecorded(run.id, message)),
            fail_fast=fail_fast,
            given_up=given_up,
        )
    except Exception as error:
        connection.send(CannotStart(f"{config.folder}: the worker could not start: {describe(error)}"))
        return
    connection.send(Ready())
    if worker.work() is End.BROKEN:
        os._exit(0)  # a broken process may hang on its way out


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)  # files are written atomically, so there is nothing to tidy up
