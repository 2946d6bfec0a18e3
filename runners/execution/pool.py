"""Workers as processes of this machine: started, watched and replaced until the runs are finished.

The workers take their runs from the store themselves, so any number of pools, on one machine or on many, can work on
one output folder. A pool reads the progress of the runs from the store.
"""

import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from aggregation_lab.errors import AgglabError
from runners.execution.pool_worker import CannotStart, Ready, Unrecorded, work
from runners.execution.run_watch import Outcome, RunWatch, Watcher
from runners.execution.stop_signals import LEFT_TO_PARENT, stop_signals
from runners.execution.worker import WorkerConfig
from runners.planning.plan import PlannedRun
from runners.store.run_folder import State, claimed, record_failure

TICK = 0.5
"""Longest pause between two looks at the store and the stop signal, in seconds."""
GRACE = 60.0
"""Seconds that workers have to end their step and write a checkpoint once they are asked to stop."""
MOST_CRASHES = 3
"""Times that the worker of a run may die before the run counts as failed, and that workers without a run may die in a
row, with no run changing its state, before the grid ends: a machine short of memory kills at random."""


@dataclass
class _Member:
    process: SpawnProcess
    connection: Connection
    device: str | None
    ready: bool = False


def run_pool(
    runs: Sequence[PlannedRun],
    config: WorkerConfig,
    watcher: Watcher,
    *,
    devices: Sequence[str | None],
    wait_for_others: bool = True,
    grace: float = GRACE,
) -> Outcome:
    """Train `runs`, in this order as far as possible, in one worker process per device.

    `devices` names the device of each worker, None for the best there is. A run that raises is marked as failed and
    the others go on; a run whose worker dies is taken up again from its checkpoint. Runs that others have claimed are
    waited for if `wait_for_others`, and taken over where those die. Ctrl-C or SIGTERM stops every worker after its
    step; a second one kills them, which costs only the steps since the last checkpoint. A run that starts from another
    one is taken once that is finished, which is waited for in any case; among `runs` are therefore the unfinished ones
    that others start from. Raises `AgglabError` where workers cannot start.
    """
    pool = _Pool(runs, config, watcher, devices, wait_for_others, grace)
    with stop_signals() as signals:
        try:
            pool.loop(signals)
        finally:
            pool.kill_all()
    return pool.watch.outcome(pool.given_up, pool.interrupted)


@dataclass
class _Pool:
    runs: Sequence[PlannedRun]
    config: WorkerConfig
    watcher: Watcher
    devices: Sequence[str | None]
    wait_for_others: bool
    grace: float
    members: list[_Member] = field(default_factory=list)
    crashes: Counter[str] = field(default_factory=Counter)
    given_up: dict[str, str] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    interrupted: bool = False
    deadline: float | None = None
    idle_crashes: int = 0

    def __post_init__(self) -> None:
        self.store = self.config.folder.runs
        self.watch = RunWatch(self.runs, self.store, self.watcher)

    def loop(self, signals: list[int]) -> None:
        while True:
            states = self.look()
            if signals and self.deadline is None:
                self.interrupted = True
                self.stop()
            if self.config.fail_fast and self.deadline is None and (self.given_up or State.FAILED in states.values()):
                self.stop()
            if self.deadline is not None:
                if not self.members or len(signals) > 1 or time.monotonic() > self.deadline:
                    return
            elif not self.start_workers(states):
                return
            self.receive_all()
            self.watcher.ticked()

    def look(self, at_once: bool = False) -> dict[str, State]:
        """State of every run, by id."""
        before, self.states = self.states, self.watch.look(at_once)
        if self.states != before:
            self.idle_crashes = 0
        return self.states

    def start_workers(self, states: dict[str, State]) -> bool:
        """Start workers for runs that nobody has claimed. Returns whether there is anything left to wait for."""
        pending = sum(state is State.PENDING and run not in self.given_up for run, state in states.items())
        starting = sum(not member.ready for member in self.members)
        for _ in range(min(len(self.devices) - len(self.members), pending - starting)):
            self.members.append(self.start())
        watched = (
            self.wait_for_others or State.WAITING in states.values()
        )  # for what one starts from, whoever trains it
        return bool(self.members or pending) or (watched and State.RUNNING in states.values())

    def start(self) -> _Member:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        used = Counter(member.device for member in self.members)
        device = min(self.devices, key=lambda device: used[device] / self.devices.count(device))
        config = replace(self.config, device=device)
        process = context.Process(target=work, args=(theirs, config, self.runs, set(self.given_up)), daemon=True)
        # Signals can reach the whole process group: they must not kill a worker that is just starting.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, LEFT_TO_PARENT)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        return _Member(process, ours, device)

    def receive_all(self) -> None:
        by_connection = {member.connection: member for member in self.members}
        if not by_connection:
            time.sleep(TICK)
            return
        for connection in wait(list(by_connection), timeout=TICK):
            member = by_connection[connection]  # type: ignore[index]
            try:
                message: Ready | CannotStart | Unrecorded = member.connection.recv()
            except (EOFError, OSError):
                self.remove(member)
                continue
            if isinstance(message, CannotStart):
                raise AgglabError(message.message)
            if isinstance(message, Ready):
                member.ready = True
            else:
                self.give_up(message.run, message.message)

    def remove(self, member: _Member) -> None:
        """A worker has ended: normally, or its run continues with another one."""
        member.process.join(timeout=5)
        member.process.kill()  # a broken process may hang while it ends
        member.process.join()
        member.connection.close()
        self.members.remove(member)
        self.look(at_once=True)  # a run that it has finished is no crash
        if member.process.exitcode == 0:
            return
        cause = f"ended with exit code {member.process.exitcode}"
        if member.process.exitcode is not None and member.process.exitcode < 0:
            name = signal.Signals(-member.process.exitcode).name
            cause = f"was killed by {name}{_HINTS.get(name, '')}"
        held = self.store.held_by(member.process.pid or 0, self.runs)
        for run in held:
            self.crashes[run.id] += 1
            if self.crashes[run.id] < MOST_CRASHES:
                self.watcher.noted(f"{run.title}: its worker process {cause}; the run continues from its checkpoint")
            else:
                self.fail(run, f"its worker process {cause}, {MOST_CRASHES} times")
        if held or self.deadline is not None:
            return
        self.idle_crashes += 1
        if self.idle_crashes >= MOST_CRASHES:
            raise AgglabError(f"{self.config.folder}: {MOST_CRASHES} workers in a row {cause} without a run")
        self.watcher.noted(f"a worker process {cause} without a run")

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
            self.watcher.failed(next(planned for planned in self.runs if planned.id == run), message)

    def stop(self) -> None:
        """Ask every worker to stop after its step."""
        self.deadline = time.monotonic() + self.grace
        for member in self.members:
            if not member.ready:
                member.process.kill()  # it has no run yet, and reads messages only once it has loaded the data
                continue
            try:
                member.connection.send(None)
            except OSError:
                continue  # it is dead already

    def kill_all(self) -> None:
        """End the workers: idle ones hold nothing, and a run under way continues from its checkpoint."""
        for member in self.members:
            member.process.kill()
            member.process.join()
            member.connection.close()


_HINTS = {
    "SIGKILL": " (the machine may be out of memory: try fewer --jobs)",
    "SIGBUS": " (a file that it reads was cut meanwhile, or the disk fails)",
}
