"""A worker: claims runs in the store and trains them, one after the other, until none is left that can be trained now.

It loads data and libraries once for all of them. Results and failures are written into the run folders; its parent, if
it has one, receives only what cannot be written there.
"""

import os
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from aggregation_lab.errors import AgglabError
from aggregation_lab.files import cannot_be_written
from runners.execution.worker_process import describe, imported, output_to
from runners.planning.plan import PlannedRun
from runners.store.claims import Claim
from runners.store.run_files import RunProgress
from runners.store.run_folder import LOG, State, claimed, record_failure
from runners.store.study_folder import StudyFolder

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
PAUSE = 0.2
"""Seconds before a worker that could claim no run tries again."""


@dataclass(frozen=True)
class WorkerConfig:
    """What a worker is made of. With `fail_fast` it ends at its first failure. `load`, `train` and `interruption`, the
    exception that makes `train` leave a checkpoint and end, are `module:name`, imported in the worker."""

    folder: StudyFolder
    threads: int
    device: str | None = None
    fail_fast: bool = False
    load: str = "runners.store.prepared_data:load_prepared"
    train: str = "aggregation_lab.training.execution:train_run"
    interruption: str = "aggregation_lab.training.trainer:RunInterrupted"


class End(Enum):
    """Why a worker ends: nothing is left to take, it was asked to stop, or its process can no longer be trusted."""

    NOTHING_LEFT = "nothing left"
    STOPPED = "stopped"
    PROCESS_FAILED = "process failed"


@dataclass
class Worker:
    """`runs` in the order in which they should be taken. `stop` is asked after every step; `unrecorded` is called with
    a failure that the run's folder does not hold, such as that it cannot be written."""

    config: WorkerConfig
    runs: Sequence[PlannedRun]
    stop: Callable[[], bool]
    unrecorded: Callable[[PlannedRun, str], None]
    given_up: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        os.environ.update({name: str(self.config.threads) for name in THREAD_VARIABLES})
        self._prepared = imported(self.config.load)(self.config.folder)
        self._train = imported(self.config.train)
        self._interruption = imported(self.config.interruption)
        self._store = self.config.folder.runs

    def work(self) -> End:
        """Train until no run is left or the worker has to end."""
        while not self.stop():
            states = self._store.present([run for run in self.runs if run.id not in self.given_up])
            pending = [run for run in self.runs if run.id in states and states[run.id].state is State.PENDING]
            if not pending:
                return End.NOTHING_LEFT
            end = self._first_of(pending)
            if end is not None:
                return end
        return End.STOPPED

    def _first_of(self, runs: Sequence[PlannedRun]) -> End | None:
        """Train the first run that can be claimed; a reason to end, or None."""
        folders = self._store.folders(runs)
        for run in runs:
            try:
                with claimed(folders[run.id], run) as claim:
                    if claim is not None:
                        return self._train_run(run, folders[run.id], claim)
            except AgglabError as error:
                self._give_up(run, str(error))
        time.sleep(PAUSE)  # all of them are being claimed by others at this moment
        return None

    def _train_run(self, run: PlannedRun, folder: Path, claim: Claim) -> End | None:
        from aggregation_lab.run import RunSpec

        reporter = _Reporter(claim, self.stop, self._interruption)
        try:
            with ExitStack() as stack:
                try:
                    stack.enter_context(output_to(folder / LOG, (self._interruption,)))
                except OSError as error:
                    raise cannot_be_written(folder / LOG, error) from error
                self._train(
                    RunSpec.from_json(run.spec.to_json()),
                    self._prepared.dataset,
                    self._prepared.split(run.fold),
                    self._prepared.cache_of(run.spec.training.image_size),
                    folder,
                    report=reporter,
                    threads=self.config.threads,
                    device=self.config.device,
                    keep=run.leaves,
                    start=self._store.start_folder(run),
                    affinity=run.affinity,
                )
            return None
        except Exception as error:
            if reporter.interrupted:
                return None if claim.lost else End.STOPPED
            trustworthy = isinstance(error, AgglabError)
            claim.beat()  # the failure may come from another process that has taken over the run, or set it aside
            if claim.lost:
                return None if trustworthy else End.PROCESS_FAILED
            message = describe(error)
            try:
                record_failure(folder, message, traceback.format_exc())
            except AgglabError:
                self._give_up(run, message)
            if not trustworthy:
                return End.PROCESS_FAILED
            return End.STOPPED if self.config.fail_fast else None

    def _give_up(self, run: PlannedRun, message: str) -> None:
        self.given_up.add(run.id)
        self.unrecorded(run, message)


class _Reporter:
    """Called by the run after every step: records progress, checks for a stop, and ends a run whose claim was lost."""

    LOOK_EVERY = 0.1
    """Least seconds between two checks for a stop."""

    def __init__(self, claim: Claim, stop: Callable[[], bool], interruption: type[Exception]):
        self._claim, self._stop, self._interruption, self._looked = claim, stop, interruption, 0.0
        self.interrupted = False

    def __call__(self, progress: Any) -> None:
        now = time.monotonic()
        if now - self._looked < self.LOOK_EVERY:
            return
        self._looked = now
        self._claim.progress = RunProgress.model_validate(progress)
        if self._claim.lost or self._stop():
            self.interrupted = True
            raise self._interruption
