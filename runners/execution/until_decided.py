"""`agglab run-grid --until-decided`: seeds in stages, a look at the verdicts after each, and what is closed stops.

The looks are planned before anything is trained (`analysis.deciding.plan`), and looks.json holds the plan and the looks
that were made; a grid that is killed goes on where it stopped. A stage is an ordinary grid of the runs that open
comparisons need: of TS those of the open tasks, of a joint unit as long as one of its tasks is open in one contrast.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from aggregation_lab.aggregation import FOUND
from aggregation_lab.errors import StudyError
from analysis.context import prepare as prepare_analysis
from analysis.deciding.plan import planned_looks
from analysis.deciding.stopping import comparisons
from analysis.settings import Settings
from analysis.study import load_study
from runners.execution.grid import run_study, to_train
from runners.execution.look_stages import looks_of, next_stage
from runners.execution.places import place_of
from runners.execution.progress import duration, preparation, say, waiting
from runners.execution.time_estimate import Place, TimeEstimate, learn_or_guess
from runners.options import INTERRUPTED, UNTIL_DECIDED, EngineName, GridOptions, Rerun
from runners.planning.plan import PlannedRun
from runners.planning.study_schema import Study
from runners.store.collect import DamagedResult, collect
from runners.store.look_record import LookRecord, fixed_settings, read_looks, write_looks
from runners.store.prepare import prepare
from runners.store.run_folder import State
from runners.store.study_folder import StudyFolder


@dataclass(frozen=True)
class _Grid:
    """One call: `until` is the moment, by the monotonic clock, at which its hours end."""

    study: Study
    file: Path
    folder: StudyFolder
    options: GridOptions
    console: Console
    until: float
    runs: Sequence[PlannedRun]
    place: Place

    def estimate(self) -> TimeEstimate:
        return learn_or_guess(self.folder.runs, self.runs, self.place, self.study.training.precision)[0]


def run_until_decided(
    study: Study, file: Path, folder: StudyFolder, options: GridOptions, hours: float | None, console: Console
) -> int:
    """Train stage by stage until nothing is open or all looks are made. Returns the exit code: 0, 1 where runs failed
    or did not fit into the hours, 130 after Ctrl-C.

    Raises `StudyError` where the study, the options or the folder do not go with looks.
    """
    check_options(study, options, hours)
    until = float("inf") if hours is None else time.monotonic() + 3600 * hours
    grid = _open(study, file, folder, options, until, console)
    while True:
        record = _read(folder)
        if record.finished:
            break
        code = _train(grid, record)
        if code is not None:
            return code
        _look(grid)
    closed = [each for look in record.closed for each in look]
    made = len(record.looks.made)
    trained = sum(state.state is State.DONE for state in folder.runs.present(grid.runs).values())
    ends = f"{len(closed)} comparisons are closed, {record.open} are open"
    say(
        console,
        f"{folder}: {made} of {len(record.looks.planned)} looks made; {ends}; {trained} of {len(grid.runs)} planned "
        "runs were trained",
    )
    return 0


def check_options(study: Study, options: GridOptions, hours: float | None) -> None:
    """Raise `StudyError`, one line, where looks do not go with the study or the options."""
    if options.engine is EngineName.SLURM:
        raise StudyError(
            f"{UNTIL_DECIDED}: a grid of Slurm jobs cannot wait for looks; take --engine local, on a node of the "
            "cluster"
        )
    if options.only:
        raise StudyError(f"{UNTIL_DECIDED}: the looks choose the runs; leave --only out")
    if options.rerun in (Rerun.ALL, Rerun.FAILED):
        raise StudyError(
            f"{UNTIL_DECIDED}: --rerun {options.rerun} has no meaning with looks; take missing, stale or unkept"
        )
    if hours is not None and not hours > 0:
        raise StudyError(f"--hours {hours:g}: takes hours greater than 0")
    if len(study.variants) > 1:
        raise StudyError(
            f"{UNTIL_DECIDED}: is for studies of one arm without `reference`; differences of arms have verdicts of "
            "their own"
        )
    if study.seeks_found:
        raise StudyError(
            f"{UNTIL_DECIDED}: the groups of {FOUND} are found from all seeds, and looks train some of them; take "
            f"{FOUND} out, or write its units by hand"
        )
    if len(study.aggregations) < 2:
        raise StudyError(f"aggregations: {', '.join(study.aggregations)} alone has no gain to decide; add another one")
    planned_looks(study.seeds)


def _open(study: Study, file: Path, folder: StudyFolder, options: GridOptions, until: float, console: Console) -> _Grid:
    """The grid with its plan of looks, which is made at the first call."""

    with folder.preparing(waiting(console, folder)):
        record = looks_of(study, folder)
        runs = prepare(study, file, folder, preparation(console)).runs
        if read_looks(folder) is None:
            write_looks(folder, record)
        elif record.plan is None:
            write_looks(folder, replace(record, plan=fixed_settings(study)))
            say(console, f"{folder.looks_file}: did not hold the settings yet; they are fixed as they are now")
    record = _read(folder)
    counts = ", ".join(map(str, record.looks.planned))
    say(console, f"{folder}: looks after {counts} seeds, {len(record.looks.made)} of them made")
    place = place_of(study, options, console, folder.known_threads())
    return _Grid(study, file, folder, options, console, until, runs, place)


def _read(folder: StudyFolder) -> LookRecord:
    record = read_looks(folder)
    if record is None:
        raise StudyError(f"{folder.looks_file}: is gone; restore it, since the looks so far cannot be made again")
    return record


def _train(grid: _Grid, record: LookRecord) -> int | None:
    """Train what the next look needs. None once that is finished; else the exit code."""
    folder, number = grid.folder, len(record.looks.made) + 1
    stage = f"look {number} of {len(record.looks.planned)}, after {record.next_count} seeds"
    while True:
        wanted = next_stage(grid.study, grid.runs, record)
        states = folder.runs.statuses(wanted)
        todo = to_train(wanted, states, grid.options.rerun)
        waited = [run for run in wanted if states[run.id].state is State.RUNNING]
        left = [run for run in wanted if states[run.id].state is not State.DONE]
        if not todo and not waited:
            if not left:
                return None
            of_first = f"{left[0].title} is {states[left[0].id].state} ({states[left[0].id].reason})"
            say(grid.console, f"{stage}: waits for {len(left)} runs that are not finished; {of_first}")
            return 1
        fitting = _fitting(grid, todo)
        if todo and not fitting:
            rest = duration(max(0.0, grid.until - time.monotonic()))
            say(
                grid.console,
                f"--hours: {len(todo)} runs of {stage}, do not fit into the {rest} that are left; the same command "
                "continues",
            )
            return 1
        if len(fitting) < len(todo):
            say(grid.console, f"--hours: {len(fitting)} of {len(todo)} runs of {stage}, fit and are started")
        else:
            say(grid.console, f"{stage}: {len(todo)} runs to do")
        chosen = [*fitting, *waited]
        options = replace(grid.options, only=tuple(run.id for run in chosen))
        code = run_study(grid.study, grid.file, folder, options, grid.console)
        if code == INTERRUPTED:
            return code
        after = folder.runs.statuses(chosen)
        if code and any(after[run.id].state is not State.DONE for run in chosen):
            say(grid.console, f"{stage}: is not made before all its runs are finished")
            return code


def _fitting(grid: _Grid, todo: Sequence[PlannedRun]) -> list[PlannedRun]:
    """Those of the runs, the longest first, that end within the hours if all of them are started now."""
    left = grid.until - time.monotonic()
    return list(todo) if left == float("inf") else grid.estimate().fitting(todo, grid.place.jobs, left)


def _look(grid: _Grid) -> None:
    """Read the verdicts once all runs of a stage are there, and write down what that closes."""
    folder = grid.folder
    try:
        collect(folder)
    except DamagedResult as error:
        folder.runs.set_aside([error.run])
        say(grid.console, f"{error.path}: is damaged and set aside; its run is trained again")
        return
    with folder.preparing():
        record = _read(folder)
        if not _is_due(grid, record):
            return  # another grid has made this look meanwhile, and the next one needs more
        looks = replace(record.looks, made=record.looks.planned[: len(record.looks.made) + 1])
        tables = load_study(folder.path)
        manifest = replace(tables.manifest, looks={**record.to_json(), "made": looks.made})
        context = prepare_analysis(replace(tables, manifest=manifest), Settings())
        read = comparisons(context.pairs, looks, Settings())
        found = {(each.contrast.joint, each.contrast.base, each.fraction, each.task): each.closed for each in read}
        record = record.with_look(found)
        write_looks(folder, record)
    collect(folder)
    say(grid.console, _said(record, len(found)))


def _is_due(grid: _Grid, record: LookRecord) -> bool:
    """Whether a look is to come, and all its runs are finished."""
    if record.finished:
        return False
    wanted = next_stage(grid.study, grid.runs, record)
    return all(status.state is State.DONE for status in grid.folder.runs.present(wanted).values())


def _said(record: LookRecord, of: int) -> str:
    """One line on a look."""
    looks, counts = record.looks, Counter(why for _, why in record.closed[-1])
    closed = ", ".join(f"{count} {why}" for why, count in counts.most_common()) or "nothing"
    return (
        f"look {len(looks.made)} of {len(looks.planned)}, after {looks.made[-1]} of at most {len(looks.seeds)} seeds: "
        f"closed {closed}; {record.open} of {of} comparisons are open"
    )
