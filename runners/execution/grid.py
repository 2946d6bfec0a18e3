"""`agglab run-grid`: prepare a study's output folder, train what is missing, and write the tables."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from rich.console import Console

from aggregation_lab.aggregation import FOUND
from runners.execution.device_slots import device_type, share_of_cores, worker_devices
from runners.execution.earlier_caps import extend_others
from runners.execution.engines import run_here, run_on_slurm
from runners.execution.first_stages import first_stages
from runners.execution.groups import can_search, evidence_besides, evidence_line, searched_anew, seeks_groups
from runners.execution.pool import run_pool
from runners.execution.progress import GridDisplay, preparation, say, say_warnings, waiting
from runners.execution.run_watch import Outcome
from runners.execution.slurm import queue, submit
from runners.execution.slurm.job import ArrayJob
from runners.execution.time_estimate import learn
from runners.execution.worker import WorkerConfig
from runners.options import INTERRUPTED, EngineName, GridOptions, Rerun
from runners.planning.plan import PlannedRun, select
from runners.planning.study_schema import Study
from runners.store.collect import DamagedResult, collect
from runners.store.found_partition import search_status
from runners.store.prepare import check_models, prepare
from runners.store.run_folder import UNTOUCHED, State, Status, counted, same_answer_lines
from runners.store.run_store import SET_ASIDE, RunStore, unkept, unkept_line
from runners.store.study_folder import StudyFolder

STATES_TO_RUN = {
    Rerun.MISSING: UNTOUCHED | {State.FAILED},
    Rerun.FAILED: {State.FAILED, State.BLOCKED},
    Rerun.STALE: UNTOUCHED | {State.FAILED, State.STALE},
    Rerun.UNKEPT: UNTOUCHED | {State.FAILED},
    Rerun.ALL: UNTOUCHED | {State.FAILED, State.STALE, State.DONE},
}
"""States of the runs that each kind of rerun trains; `unkept` those too that have finished without a file that they
should keep. Runs that other grids have claimed are waited for."""
MOST_REPEATS = 3
"""Times that a run is trained again because its tables were damaged, before the disk counts as broken."""


def to_train(runs: Sequence[PlannedRun], states: dict[str, Status], rerun: Rerun) -> list[PlannedRun]:
    """Those of the runs that a kind of rerun trains."""
    wanted = [run for run in runs if states[run.id].state in STATES_TO_RUN[rerun]]
    return [*wanted, *unkept(runs, states)] if rerun is Rerun.UNKEPT else wanted


@dataclass(frozen=True)
class GridCall:
    """One call of `run-grid`: all `runs` of the study, those `chosen`, where they are trained and with what.

    `device` is the type of device that they are trained on. `repeated` counts by id how often a run was trained again
    because its tables were damaged. `seeks`: the groups are to be found once the runs are finished that they are found
    from.
    """

    study: Study
    runs: Sequence[PlannedRun]
    chosen: Sequence[PlannedRun]
    config: WorkerConfig
    devices: Sequence[str | None]
    options: GridOptions
    console: Console
    device: str
    repeated: Counter[str] = field(default_factory=Counter)
    seeks: bool = False

    @property
    def folder(self) -> StudyFolder:
        return self.config.folder

    def train(self, todo: Sequence[PlannedRun]) -> Outcome:
        """Train `todo`, the most expensive first, with progress on screen and tables kept up to date."""
        if not todo:
            return Outcome()
        ordered = learn(self.folder.runs, self.runs, self.device).largest_first(todo)
        begun = self.folder.runs.begun(todo)
        with GridDisplay(ordered, self.console, lambda: collect(self.folder), begun) as progress:
            if self.options.engine is EngineName.DEBUG:
                return run_here(ordered, self.config, progress)
            if self.options.engine is EngineName.SLURM:
                job, search = ArrayJob(self.config, self.options.jobs), queue.Search(self.options.only)
                return run_on_slurm(ordered, self.study, job, progress, search if self.seeks else None)
            return run_pool(ordered, self.config, progress, devices=self.devices)

    def collect(self) -> list[PlannedRun]:
        """Write the tables. Runs of which a table is damaged are set aside and returned; the tables lack them.

        One that another grid has set aside and claimed meanwhile is left to it, and returned to be waited for.
        Raises `DamagedResult` where one run is damaged too often.
        """
        damaged: list[PlannedRun] = []
        while True:
            try:
                collect(self.folder)
                return damaged
            except DamagedResult as error:
                self.repeated[error.run.id] += 1
                if self.repeated[error.run.id] > MOST_REPEATS:
                    raise
                for moved in self.folder.runs.set_aside([error.run]):
                    kept = f"kept in {SET_ASIDE}/{moved.name}"
                    say(self.console, f"{error.path}: is damaged; {kept}, its run is trained again")
                damaged.append(error.run)


def run_study(study: Study, file: Path, folder: StudyFolder, options: GridOptions, console: Console) -> int:
    """Prepare, train what `options` ask for, collect. Returns the exit code: 0, 1, or 130 after Ctrl-C.

    Raises `ModelError` before any worker starts where the model cannot be built, and `AgglabError` at the end where
    the tables cannot be written.
    """
    call, todo = _open(study, file, folder, options, console)
    failed: dict[str, str] = {}
    while True:
        outcome = call.train(todo)
        failed.update(outcome.failed)
        todo = call.collect()
        if not (todo or outcome.interrupted or (failed and options.fail_fast)):
            call, todo = _with_groups(call)
        if not todo or outcome.interrupted:
            break
    states = folder.runs.statuses(call.runs)
    finished = print_outcome(folder, call.chosen, states, failed, console)
    for line in _replaced(call):
        say(console, line)
    if call.seeks and (search := search_status(call.runs, states)):
        say(console, f"{search.state}  {FOUND}: {search.reason}")
        finished = False
    if not outcome.interrupted:
        return 0 if finished else 1
    if options.engine is EngineName.SLURM:
        say(console, queue.last_message(folder))
    else:
        command = "the same command without --rerun all" if options.rerun is Rerun.ALL else "the same command"
        say(console, f"interrupted; {command} continues where it stopped")
    return INTERRUPTED


def _replaced(call: GridCall) -> list[str]:
    """One line where another grid has planned the folder for a changed study meanwhile; none otherwise."""
    planned = {run.id for run in call.folder.read_plan()}
    gone = sum(run.id not in planned for run in call.runs)
    if not gone:
        return []
    return [
        f"{call.folder}: another run-grid has changed the study meanwhile; the tables are those of its {len(planned)} "
        f"runs and leave out {gone} of the {len(call.runs)} of this grid"
    ]


def _open(
    study: Study, file: Path, folder: StudyFolder, options: GridOptions, console: Console
) -> tuple[GridCall, list[PlannedRun]]:
    """A prepared grid and the runs it trains; other grids may work in the same folder."""
    on_cluster = options.engine is EngineName.SLURM
    if on_cluster:
        submit.check_folder(folder)
        submit.check_available()
    device = submit.device_of(study.slurm, options.device) if on_cluster else device_type(options.device)

    with folder.preparing(waiting(console, folder)):
        plan = prepare(study, file, folder, preparation(console))
        say_warnings(console, plan.warnings, plan.notes)
        runs = searched_anew(folder, study, plan.runs, options, partial(say, console))
        states = folder.runs.statuses(runs)
        seeks = seeks_groups(folder, study, runs, states, options)
        chosen = select(runs, options.only, unknown_found=seeks)
        if seeks:
            besides = evidence_besides(chosen, runs, states)
            for line in evidence_line(besides):
                say(console, line)
            chosen = [*besides, *chosen]
        chosen, taken, elsewhere, states = _taken_up(chosen, runs, states, folder, options, console)
        devices = [] if on_cluster else worker_devices(study, device, options, console, folder.known_threads())
        threads = submit.threads_per_worker(study.slurm, options.jobs) if on_cluster else share_of_cores(len(devices))
        config = WorkerConfig(folder, folder.fixed_threads(threads), options.device, options.fail_fast)
    done = sum(states[run.id].state is State.DONE for run in chosen) if options.rerun is not Rerun.ALL else 0
    ids = {run.id for run in taken}
    left = sum(states[run.id].state is State.STALE and run.id not in ids for run in chosen)
    others = f", {len(elsewhere)} claimed by others" if elsewhere else ""
    others += f", {left} stale ones left (--rerun stale trains them again)" if left else ""
    width = f"Slurm array of {study.slurm.tasks}" if on_cluster else f"{len(devices)} at a time"
    say(console, f"{folder}: {len(runs)} runs, {done} finished, {len(taken)} to do{others}, {width}")
    if seeks:
        evidence = sum(run.is_evidence for run in runs)
        say(console, f"{FOUND}: its groups are sought once the {evidence} runs that they are found from are finished")
    return GridCall(study, runs, chosen, config, devices, options, console, device, seeks=seeks), [*taken, *elsewhere]


def _taken_up(
    chosen: Sequence[PlannedRun],
    plan: Sequence[PlannedRun],
    states: dict[str, Status],
    folder: StudyFolder,
    options: GridOptions,
    console: Console,
) -> tuple[list[PlannedRun], list[PlannedRun], list[PlannedRun], dict[str, Status]]:
    """The `chosen` runs with those that they start from, which of them are trained here, and which are in other hands;
    and the `states` of the `plan` then. The caller holds the lock `preparing`."""
    taken = to_train(chosen, states, options.rerun)
    first = first_stages(taken, plan, states, folder.runs)
    for line in first.lines:
        say(console, line)
    ids = {run.id for run in chosen}
    unchosen = [run for run in (*first.to_train, *first.claimed) if run.id not in ids]
    taken, chosen = [*first.to_train, *taken], [*unchosen, *chosen]
    if taken:
        check_models(taken)
    states = states | _make_ready(taken, states, folder.runs, options.rerun, console)
    if options.rerun is not Rerun.ALL:
        states = states | extend_others(taken, plan, folder.runs, partial(say, console))
        taken = [run for run in taken if states[run.id].state is not State.DONE]
    taken = [run for run in taken if states[run.id].state is not State.RUNNING]
    elsewhere = [run for run in chosen if states[run.id].state is State.RUNNING]
    return chosen, taken, elsewhere, states


def _with_groups(call: GridCall) -> tuple[GridCall, list[PlannedRun]]:
    """The call with the runs of the groups, found now or by another grid meanwhile, and those to train; the same call
    and none where there is nothing to find or not everything is there to find it from."""
    if not call.seeks or not can_search(call.folder, call.runs):
        return call, []
    from runners.execution.search_groups import search_groups

    folder, console, known = call.folder, call.console, {run.id for run in call.runs}
    options = call.options
    if options.rerun is Rerun.FAILED:  # they were held up by what had failed, and are new
        options = replace(options, rerun=Rerun.MISSING)
    with folder.preparing():
        plan = search_groups(folder, partial(say, console))
        if folder.find_found(folder.read_study()) is None:
            return call, []
        new = [run for run in select(plan, options.only) if run.holds_found and run.id not in known]
        new, taken, elsewhere, _ = _taken_up(new, plan, folder.runs.statuses(plan), folder, options, console)
    say(console, f"{FOUND}: {len(new)} {'run' if len(new) == 1 else 'runs'} more, {len(taken)} to do")
    of_plan = {run.id: run for run in plan}
    before = [of_plan[run.id] for run in call.chosen if run.id in of_plan]
    return replace(call, runs=plan, chosen=[*before, *new], seeks=False), [*taken, *elsewhere]


def _make_ready(
    runs: Sequence[PlannedRun], states: dict[str, Status], store: RunStore, rerun: Rerun, console: Console
) -> dict[str, Status]:
    """Set aside what prevents `runs` from being trained, and report what was not asked to be repeated.

    Returns their states after that: runs that others have claimed meanwhile stay with them.
    """
    for run in runs:
        asked = rerun is Rerun.ALL or states[run.id].state is State.DONE
        if asked or states[run.id].damaged:
            for moved in store.set_aside([run]):
                if not asked:
                    kept = f"what is there is kept in {SET_ASIDE}/{moved.name}"
                    say(console, f"{run.title}: {states[run.id].reason}; {kept}")
    after = store.present(runs)
    store.forget_failures([run for run in runs if after[run.id].state is not State.RUNNING])
    return after


def print_outcome(
    folder: StudyFolder,
    chosen: Sequence[PlannedRun],
    states: dict[str, Status],
    failed: dict[str, str],
    console: Console,
) -> bool:
    """Print what is left to do and why. Returns whether every chosen run is finished.

    A run with a claim that is still alive belongs to another grid.
    """
    for run in chosen:
        status = states[run.id]
        if status.state not in (State.DONE, State.PENDING) and run.id not in failed:
            say(console, f"{status.state}  {run.title}: {status.reason}")
    ends = [states[run.id].state for run in chosen]
    say(console, f"{counted(ends)}; tables in {folder}")
    same_answers = [line for run in chosen for line in same_answer_lines(run, states[run.id])]
    for line in (*same_answers, *unkept_line(chosen, states)):
        say(console, line)
    if State.FAILED in ends:
        say(console, "tracebacks are in each run's error.json and log.txt")
    if State.STALE in ends:
        say(console, "stale runs keep their old result, which the tables leave out; --rerun stale trains them again")
    return set(ends) <= {State.DONE}
