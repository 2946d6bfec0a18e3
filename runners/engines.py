"""Where the workers of a grid run. The workers are the same everywhere; an engine starts them and watches."""

from collections.abc import Sequence

from runners.plan import PlannedRun
from runners.pool import Outcome, stop_signals
from runners.store import RunStore, State
from runners.watch import Watch, Watcher
from runners.worker import End, Worker, WorkerConfig


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
    states = store.present(runs)
    done = [run.id for run in runs if states[run.id].state is State.DONE]
    failed = {run: status.reason for run, status in states.items() if status.state is State.FAILED}
    return Outcome(done, given_up | failed, bool(signals))
