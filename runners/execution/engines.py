"""Where the workers of a grid run. The workers are the same everywhere; an engine starts them and watches."""

import time
from collections.abc import Sequence

from runners.execution.pool import TICK
from runners.execution.run_watch import Outcome, RunWatch, Watcher
from runners.execution.slurm import queue, submit
from runners.execution.slurm.job import ArrayJob
from runners.execution.stop_signals import stop_signals
from runners.execution.worker import End, Worker, WorkerConfig
from runners.planning.plan import PlannedRun
from runners.planning.study_schema import Study
from runners.store.run_folder import State

ASK_EVERY = 10.0
"""Seconds between two queries of the cluster's queue, to spare the scheduler."""


def run_here(runs: Sequence[PlannedRun], config: WorkerConfig, watcher: Watcher) -> Outcome:
    """`--engine debug`: one worker in this process, for debuggers and profilers."""
    watch, given_up = RunWatch(runs, config.folder.runs, watcher), dict[str, str]()

    def unrecorded(run: PlannedRun, message: str) -> None:
        given_up[run.id] = message
        watcher.failed(run, message)

    with stop_signals() as signals:

        def stop() -> bool:
            watch.look()
            watcher.ticked()
            return bool(signals)

        worker = Worker(config, runs, stop, unrecorded)
        while worker.work() is End.PROCESS_FAILED and not config.fail_fast:
            continue  # no other process could continue
        watch.look(at_once=True)
    return watch.outcome(given_up, bool(signals))


def run_on_slurm(
    runs: Sequence[PlannedRun],
    study: Study,
    job: ArrayJob,
    watcher: Watcher,
    search: queue.Search | None = None,
) -> Outcome:
    """`--engine slurm`: jobs of a cluster train, and this process watches until they have, or none of them is left.

    With a `search` a job finds the groups and goes on with them, should nobody be watching. Ctrl-C or SIGTERM ends the
    watching, not the jobs. Raises `StudyError` where the cluster refuses the jobs.
    """
    submit.ensure_jobs(study, job, runs, search)
    watch, last_state, next_question = RunWatch(runs, job.folder.runs, watcher), "", 0.0
    with stop_signals() as signals:
        states = watch.look()
        while not signals and {State.PENDING, State.WAITING, State.RUNNING} & set(states.values()):
            watcher.ticked()
            if time.monotonic() >= next_question:
                left, next_question = queue.jobs_left(job.folder), time.monotonic() + ASK_EVERY
                if left is not None and left.jobs and str(left) != last_state:
                    last_state = str(left)
                    watcher.noted(last_state)
                states = watch.look(at_once=True)
                if left is not None and not left.jobs and State.RUNNING not in states.values():
                    watcher.noted(f"no Slurm job is left; {queue.log_file(job.folder, '*')} say why")
                    break
            time.sleep(TICK)
            states = watch.look()
    return watch.outcome({}, bool(signals))
