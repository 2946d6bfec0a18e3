"""`agglab run-grid`: prepare a study's output folder, train what is missing, and write the tables."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from runners.execution.device_slots import device_type, places, threads_each
from runners.execution.engines import run_here, run_on_slurm
from runners.execution.pool import run_pool
from runners.execution.progress import GridProgress, preparation, say, say_warnings
from runners.execution.run_watch import Outcome
from runners.execution.slurm import queue, submit
from runners.execution.slurm.job import ArrayJob
from runners.execution.time_estimate import learn
from runners.execution.worker import WorkerConfig
from runners.options import INTERRUPTED, EngineName, GridOptions, Rerun
from runners.planning.plan import PlannedRun, select
from runners.planning.study_schema import Study
from runners.store.collect import DamagedResult, collect
from runners.store.prepare import Plan, check_model, prepare
from runners.store.run_folder import State, Status
from runners.store.run_store import SET_ASIDE, RunStore
from runners.store.study_folder import StudyFolder

TAKEN = {
    Rerun.MISSING: {State.PENDING, State.FAILED},
    Rerun.FAILED: {State.FAILED},
    Rerun.STALE: {State.PENDING, State.FAILED, State.STALE},
    Rerun.ALL: {State.PENDING, State.FAILED, State.STALE, State.DONE},
}
"""States of the runs that each kind of rerun takes up. A run in another grid's hands is waited for by all of them."""
MOST_REPEATS = 3
"""So often is a run trained again because its tables were damaged, before the disk counts as broken."""


@dataclass(frozen=True)
class Grid:
    """A prepared study: its plan, the `chosen` runs of it, where they are trained and with what."""

    study: Study
    folder: StudyFolder
    runs: Sequence[PlannedRun]
    chosen: Sequence[PlannedRun]
    store: RunStore
    config: WorkerConfig
    places: Sequence[str | None]
    options: GridOptions
    console: Console

    def train(self, todo: Sequence[PlannedRun]) -> Outcome:
        """Train `todo`, the most expensive first, with progress on screen and tables kept up to date."""
        if not todo:
            return Outcome()
        estimate = learn(self.store, self.runs)
        ordered = sorted(todo, key=lambda run: -estimate.cost(run))
        with GridProgress(ordered, self.console, lambda: collect(self.folder, self.runs)) as progress:
            if self.options.engine is EngineName.DEBUG:
                return run_here(ordered, self.config, progress)
            if self.options.engine is EngineName.SLURM:
                job = ArrayJob(
                    self.folder, self.config.threads, self.options.jobs, self.options.device, self.options.fail_fast
                )
                return run_on_slurm(ordered, self.study, job, progress)
            return run_pool(ordered, self.config, progress, devices=self.places)

    def collect(self, repeated: Counter[str]) -> list[PlannedRun]:
        """Write the tables. Runs of which a table is damaged are set aside and returned; the tables lack them.

        One that another grid has set aside and claimed meanwhile is left to it, and returned to be waited for.
        `repeated` counts by id how often runs were damaged: a disk that damages one again and again ends the grid.
        Raises `DamagedResult` then.
        """
        damaged: list[PlannedRun] = []
        while True:
            try:
                collect(self.folder, self.runs)
                return damaged
            except DamagedResult as found:
                repeated[found.run.id] += 1
                if repeated[found.run.id] > MOST_REPEATS:
                    raise
                for moved in self.store.set_aside([found.run]):
                    kept = f"kept in {SET_ASIDE}/{moved.name}"
                    say(self.console, f"{found.path}: is damaged; {kept}, its run is trained again")
                damaged.append(found.run)


def run_study(study: Study, file: Path, folder: StudyFolder, options: GridOptions, console: Console) -> int:
    """Prepare, train what `options` ask for, collect. Returns the exit code: 0, 1, or 130 after Ctrl-C.

    Raises `ModelError` before any worker starts where the model cannot be built, and `AgglabError` at the end where
    the tables cannot be written.
    """
    grid, todo = _open(study, file, folder, options, console)
    failed: dict[str, str] = {}
    repeated = Counter[str]()
    while True:
        outcome = grid.train(todo)
        failed.update(outcome.failed)
        todo = grid.collect(repeated)
        if not todo or outcome.interrupted:
            break
    finished = conclude(folder, grid.chosen, grid.store.statuses(grid.runs), failed, console)
    if outcome.interrupted and options.engine is EngineName.SLURM:
        say(console, queue.parting_words(folder))
        return INTERRUPTED
    if outcome.interrupted:
        command = "the same command without --rerun all" if options.rerun is Rerun.ALL else "the same command"
        say(console, f"interrupted; {command} continues where it stopped")
        return INTERRUPTED
    return 0 if finished else 1


def _open(
    study: Study, file: Path, folder: StudyFolder, options: GridOptions, console: Console
) -> tuple[Grid, list[PlannedRun]]:
    """A prepared grid and the runs it takes up; other grids may be at work in the same folder."""
    on_cluster = options.engine is EngineName.SLURM
    if on_cluster:
        submit.check_folder(folder)
        submit.check_available()
    device = None if on_cluster else device_type(options.device)

    def waiting() -> None:
        say(console, f"another run-grid prepares {folder}; waiting for it")

    with folder.preparing(waiting):
        plan: Plan = prepare(study, file, folder, preparation(console))
        say_warnings(console, plan.warnings)
        for note in plan.notes:
            say(console, note)
        store = folder.runs
        chosen = select(plan.runs, options.only)
        states = store.statuses(plan.runs)
        taken = [run for run in chosen if states[run.id].state in TAKEN[options.rerun]]
        if taken:
            check_model(study, taken[0].spec.tasks[:1])
        if options.rerun is Rerun.ALL:
            store.set_aside(taken)
        else:
            _set_aside_damaged(store, taken, states, console)
        states |= store.present(taken)  # others may have claimed some meanwhile, which then stay theirs
        taken = [run for run in taken if states[run.id].state is not State.RUNNING]
        elsewhere = [run for run in chosen if states[run.id].state is State.RUNNING]
        store.forget_failures(taken)
        where = places(study, device, options, console) if device is not None else []
        each = submit.threads_each(study.slurm, options.jobs) if on_cluster else threads_each(len(where))
        threads = folder.fixed_threads(each)
    config = WorkerConfig(folder, threads=threads, fail_fast=options.fail_fast)
    done = sum(states[run.id].state is State.DONE for run in chosen) if options.rerun is not Rerun.ALL else 0
    others = f", {len(elsewhere)} in the hands of others" if elsewhere else ""
    width = f"Slurm array of {study.slurm.tasks}" if on_cluster else f"{len(where)} at a time"
    counts = f"{len(plan.runs)} runs, {done} finished, {len(taken)} to do{others}, {width}"
    say(console, f"{folder}: {counts}")
    grid = Grid(study, folder, plan.runs, chosen, store, config, where, options, console)
    return grid, [*taken, *elsewhere]


def _set_aside_damaged(
    store: RunStore, runs: Sequence[PlannedRun], states: dict[str, Status], console: Console
) -> None:
    """Keep results that cannot be used, such as those of another run, out of the way of those that take their place."""
    for run in runs:
        if states[run.id].damaged:
            for folder in store.set_aside([run]):
                say(
                    console, f"{run.title}: {states[run.id].reason}; what is there is kept in {SET_ASIDE}/{folder.name}"
                )


def conclude(
    folder: StudyFolder,
    chosen: Sequence[PlannedRun],
    states: dict[str, Status],
    failed: dict[str, str],
    console: Console,
) -> bool:
    """Say what is left to do and why. Returns whether every chosen run is finished.

    A run that still has a living claim is in the hands of another grid.
    """
    for run in chosen:
        status = states[run.id]
        if status.state in (State.FAILED, State.STALE, State.RUNNING) and run.id not in failed:
            say(console, f"{status.state}  {run.title}: {status.reason}")
    counts = Counter(states[run.id].state for run in chosen)
    text = ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    say(console, f"{text}; tables in {folder}")
    if counts[State.FAILED]:
        say(console, "tracebacks are in each run's error.json and log.txt")
    if counts[State.STALE]:
        say(console, "stale runs keep their old result, which the tables leave out; --rerun stale trains them anew")
    return counts[State.DONE] == len(chosen)
