"""What each job of a Slurm array does: the local pool in its allocation, until no run is left to take.

How Slurm ends a job, as seen with Slurm 22.05 and submitit 1.5: at the time limit's approach (90 s before) it sends
SIGUSR2, at scancel, preemption and requeue SIGCONT and SIGTERM, and SIGKILL after the cluster's KillWait (30 s by
default). Every process of the job gets them, workers too. submitit takes SIGUSR2 as the order to queue again and
ignores SIGTERM; here both stop the workers after their step, with checkpoints and released claims, and only then does
submitit handle SIGUSR2. A job that Slurm itself queues again starts from the same pickle; the store knows what is done.
"""

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console

from aggregation_lab.errors import AgglabError
from runners.console.terminal import Terminal
from runners.execution.device_slots import device_type, worker_devices
from runners.execution.groups import can_search
from runners.execution.pool import run_pool
from runners.execution.progress import GridDisplay, say
from runners.execution.run_watch import Outcome
from runners.execution.slurm.queue import read_orders, read_search, write_orders
from runners.execution.stop_signals import stop_signals
from runners.execution.time_estimate import learn
from runners.execution.worker import WorkerConfig
from runners.options import GridOptions
from runners.planning.plan import PlannedRun, select
from runners.store.collect import collect
from runners.store.run_folder import State
from runners.store.run_store import RunStore
from runners.store.study_folder import StudyFolder

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission


@dataclass(frozen=True)
class ArrayJob:
    """A job as submitit pickles and calls it: `jobs` workers as `config` has them, None as many as fit.

    With `config.fail_fast` a job ends at the first failure of any ordered run, whichever job has it: those that start
    later take nothing, and the workers of those at work stop after their step, with a checkpoint. Only a failure that
    could not be recorded in the run's folder ends no more than its own job.
    """

    config: WorkerConfig
    jobs: int | None = None

    @property
    def folder(self) -> StudyFolder:
        return self.config.folder

    def __call__(self) -> None:
        """Work; queue again where the time limit comes first. Raises `AgglabError` where workers cannot start."""
        from submitit import JobEnvironment

        limit: signal.Signals = getattr(signal, f"SIG{JobEnvironment.USR_SIG}")
        announced: list[int] = []

        def stop(number: int, frame: object) -> None:
            announced.append(number)
            signal.raise_signal(signal.SIGTERM)

        queue_again = signal.signal(limit, stop)
        with stop_signals() as signals:
            stopped = self._work(signals)
        if stopped and announced and callable(queue_again):
            queue_again(limit, None)

    def checkpoint(self) -> "DelayedSubmission":
        """What submitit queues again: the same job, for all that counts is in the store."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def _work(self, signals: Sequence[int]) -> bool:
        """Train until no run is left. Returns whether a signal came before the end."""
        console, store, given_up = Terminal(width=140), self.folder.runs, set[str]()
        study, options = self.folder.read_study(), GridOptions(self.jobs, device=self.config.device)
        device, threads = device_type(self.config.device), self.config.threads
        devices = worker_devices(study, device, options, console, threads)
        while (todo := self._open_runs(store, given_up)) or self._find_groups(store, console):
            if signals:
                return True
            if not todo:
                continue  # with the runs of the groups
            say(console, f"{self.folder}: {len(todo)} runs to do, {len(devices)} at a time")
            outcome = self._train(todo, devices, console)
            given_up |= outcome.failed.keys()
            if outcome.interrupted:
                return True
            if self.config.fail_fast and outcome.failed:
                break
        try:
            collect(self.folder)
        except AgglabError as error:
            say(console, f"tables not updated: {error}")  # the next run-grid or scores writes them
        return False

    def _open_runs(self, store: RunStore, given_up: set[str]) -> list[PlannedRun]:
        """Ordered runs that nobody has claimed, most expensive first; orders are read each time.

        With them the claimed runs that others start from, or that groups are to be found from, which are waited for:
        the job that trains one could do all that follows only one after the other. With `fail_fast` none, once one has
        failed, and before that also other claimed runs, to see them fail.
        """
        plan, ordered = self.folder.read_plan(), read_orders(self.folder) - given_up
        runs = learn(store, plan, device_type(self.config.device)).largest_first(
            run for run in plan if run.id in ordered
        )
        states = {run: status.state for run, status in store.present(runs).items()}
        needed = {run.start for run in runs if states[run.id] is State.WAITING}
        if read_search(self.folder) is not None:
            needed |= {run.id for run in runs if run.is_evidence}
        waited_for = {run.id for run in runs if run.id in needed and states[run.id] is State.RUNNING}
        open_now = State.PENDING in states.values() or waited_for
        if not open_now or (self.config.fail_fast and State.FAILED in states.values()):
            return []
        watched = {State.PENDING, State.WAITING} | ({State.RUNNING} if self.config.fail_fast else set())
        return [run for run in runs if states[run.id] in watched or run.id in waited_for]

    def _find_groups(self, store: RunStore, console: Console) -> bool:
        """Find the groups, where there is an order to and all is finished that they are found from, and order their
        runs. Returns whether there may be more to train then: another job may have found them meanwhile."""
        if read_search(self.folder) is None:
            return False
        from runners.execution.search_groups import search_groups

        with self.folder.preparing():
            plan, search = self.folder.read_plan(), read_search(self.folder)
            if search is None:
                return True
            ordered = read_orders(self.folder)
            states = store.present([run for run in plan if run.id in ordered])
            failed = any(status.state is State.FAILED for status in states.values())
            if (failed and self.config.fail_fast) or not can_search(self.folder, plan):
                return False
            plan = search_groups(self.folder, partial(say, console))
            chosen = select(plan, search.only)
            write_orders(self.folder, ordered | {run.id for run in chosen if run.holds_found})
        return True

    def _train(self, todo: Sequence[PlannedRun], devices: Sequence[str | None], console: Console) -> Outcome:
        """Runs that others have claimed need no waiting for, but where groups are found from them: Slurm queues a job
        that dies with its node again."""
        waits = read_search(self.folder) is not None
        begun = self.folder.runs.begun(todo)
        with GridDisplay(todo, console, lambda: None, begun) as progress:
            return run_pool(todo, self.config, progress, devices=devices, wait_for_others=waits)
