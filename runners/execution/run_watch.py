"""The progress of a grid's runs, read from the store: the same for every engine."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from runners.planning.plan import PlannedRun
from runners.store.run_files import RunProgress
from runners.store.run_folder import UNTOUCHED, State, Status
from runners.store.run_store import RunStore

LOOK_SHARE = 0.05
"""Largest share of time spent on reading states: a network file system is slow with a thousand folders."""


@dataclass
class Outcome:
    """How a grid ended: run ids that finished and messages of those that failed."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False


class Watcher(Protocol):
    """Receives the events of a grid: the progress display, and the collection of tables."""

    def started(self, run: PlannedRun) -> None: ...
    def progressed(self, run: PlannedRun, progress: RunProgress) -> None: ...
    def paused(self, run: PlannedRun) -> None: ...
    def finished(self, run: PlannedRun, status: Status) -> None: ...
    def failed(self, run: PlannedRun, message: str) -> None: ...
    def blocked(self, run: PlannedRun) -> None: ...
    def noted(self, message: str) -> None: ...
    def ticked(self) -> None: ...


class RunWatch:
    """Reads the states of the runs repeatedly and reports changes. Finished runs are not read again."""

    def __init__(self, runs: Sequence[PlannedRun], store: RunStore, watcher: Watcher):
        self._runs, self._store, self._watcher = {run.id: run for run in runs}, store, watcher
        self._known = {run.id: Status(State.PENDING) for run in runs}
        self._next = 0.0

    def look(self, at_once: bool = False) -> dict[str, State]:
        """State of every run, by id, at most moments old; `at_once` when something is known to have changed."""
        start = time.monotonic()
        if at_once or start >= self._next:
            unfinished = [run for run in self._runs.values() if self._known[run.id].state is not State.DONE]
            for run_id, status in self._store.present(unfinished).items():
                self._report(self._runs[run_id], self._known[run_id], status)
                self._known[run_id] = status
            now = time.monotonic()
            self._next = now + (now - start) / LOOK_SHARE
        return {run_id: status.state for run_id, status in self._known.items()}

    def outcome(self, unrecorded: Mapping[str, str], interrupted: bool) -> Outcome:
        """The outcome at the end; `unrecorded` holds failures that could not be written into a run's folder."""
        states = self._store.present(list(self._runs.values()))
        done = [run for run, status in states.items() if status.state is State.DONE]
        failed = {run: status.reason for run, status in states.items() if status.state is State.FAILED}
        return Outcome(done, {run: unrecorded[run] for run in unrecorded if run not in done} | failed, interrupted)

    def _report(self, run: PlannedRun, before: Status, now: Status) -> None:
        changed = now.state is not before.state
        if now.state not in UNTOUCHED and changed and before.state is not State.RUNNING:
            self._watcher.started(run)
        if now.state is State.RUNNING and now.progress and now.progress != before.progress:
            self._watcher.progressed(run, now.progress)
        elif now.state is State.BLOCKED and changed:
            self._watcher.blocked(run)
        elif now.state in UNTOUCHED and changed:
            self._watcher.paused(run)
        elif now.state is State.DONE and changed:
            self._watcher.finished(run, now)
        elif now.state is State.FAILED and changed:
            self._watcher.failed(run, now.reason)
