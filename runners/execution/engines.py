"""Where the workers of a grid run. The workers are the same everywhere; an engine starts them and watches."""

import time
from collections.abc import Mapping, Sequence

from runners.execution.pool import TICK, Outcome, stop_signals
from runners.execution.run_watch import Watch, Watcher
from runners.execution.slurm import queue, submit
from runners.execution.slurm.job import ArrayJob
from runners.execution.worker import End, Worker, WorkerConfig
from runners.planning.plan import PlannedRun
from runners.planning.study import Study
from runners.store.run_store import RunStore, State

ASK_EVERY = 10.0
"""Seconds between two questions to the cluster's queue, which does not like to be asked often."""


def run_here(
    runs: Sequence[PlannedRun], store: RunStore, config: WorkerConfig, watcher: Watcher, *, fail_fast: bool = False
) -> Outcome:
    """`--engine debug`: one worker in this very process, where a debugger and a profiler see it."""
    watch, given_up = Watch(runs, store, watcher), dict[str, str]()

    def unrecorded(run: PlannedRun, message: str) -> None:
        given_up[run.id] = message
        watcher.failed(run, message)

    with stop_signals() as signals:

        def stop() -> bool:
            watch.look()
            watcher.ticked()
            return bool(signals)

        worker = Worker(config, runs, stop, unrecorded, fail_fast)
        while worker.work() is End.BROKEN and not fail_fast:
            continue  # there is no other process to go on in
        watch.look(at_once=True)
    return _outcome(runs, store, given_up, bool(signals))


def run_on_slurm(runs: Sequence[PlannedRun], store: RunStore, study: Study, job: ArrayJob, watcher: Watcher) -> Outcome:
    """`--engine slurm`: jobs of a cluster train, and this process watches until they have, or none of them is left.

    Ctrl-C or SIGTERM ends the watching, not the jobs. Raises `StudyError` where the cluster refuses the jobs.
    """
    submit.ensure_jobs(study, job, runs)
    watch, said, next_question = Watch(runs, store, watcher), "", 0.0
    with stop_signals() as signals:
        states = watch.look()
        while not signals and {State.PENDING, State.RUNNING} & set(states.values()):
            watcher.ticked()
            if time.monotonic() >= next_question:
                left, next_question = queue.jobs_left(job.folder), time.monotonic() + ASK_EVERY
                if left is not None and left.jobs and str(left) != said:
                    said = str(left)
                    watcher.noted(said)
                states = watch.look(at_once=True)
                if left is not None and not left.jobs and State.RUNNING not in states.values():
                    watcher.noted(f"no Slurm job is left; {queue.log_file(job.folder, '*')} say why")
                    break
            time.sleep(TICK)
            states = watch.look()
    return _outcome(runs, store, {}, bool(signals))


def _outcome(runs: Sequence[PlannedRun], store: RunStore, given_up: Mapping[str, str], interrupted: bool) -> Outcome:
    states = store.present(runs)
    done = [run.id for run in runs if states[run.id].state is State.DONE]
    failed = {run: status.reason for run, status in states.items() if status.state is State.FAILED}
    return Outcome(done, {**given_up, **failed}, interrupted)
