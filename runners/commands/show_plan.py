"""`agglab plan`: the runs of a study, their state, and what they will take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from aggregation_lab.aggregation import FOUND
from runners.commands.plan_lines import between, found_line, print_lifted, print_open, print_recording, run_line
from runners.console.terminal import print_json
from runners.execution.first_stages import first_stages
from runners.execution.grid import to_train
from runners.execution.groups import evidence_besides, evidence_line, outdated_lines, seeks_groups, why_anew
from runners.execution.look_stages import all_stages, looks_of, next_stage
from runners.execution.places import place_of
from runners.execution.progress import duration, preparation, say, say_warnings
from runners.execution.slurm import submit
from runners.execution.time_estimate import Place, TimeEstimate, learn_or_guess
from runners.options import EngineName, GridOptions, Rerun
from runners.planning.disk import disk_line, kept_files
from runners.planning.plan import PlannedRun, select
from runners.planning.study_schema import Study
from runners.store.look_record import LookRecord, looks_line
from runners.store.other_runs.caps import cap_line
from runners.store.prepare import PlannedStudy, plan_only
from runners.store.run_folder import State, Status
from runners.store.run_store import unkept_line
from runners.store.study_folder import StudyFolder

_ANEW = f"{FOUND}: is searched for anew then; its runs below are those of the groups that were found before"


@dataclass(frozen=True)
class Looks:
    """That looks decide what is trained, as with `--until-decided`; `hours` that its grid may take, None: any."""

    hours: float | None = None


def show_plan(
    study: Study,
    folder: StudyFolder,
    options: GridOptions,
    console: Console,
    *,
    looks: Looks | None = None,
    as_json: bool = False,
) -> int:
    """Print the runs, their state and an estimate of time; leaves no trace in `folder`.

    Where looks decide what is trained, because they are asked for or the folder has some, only the runs that the next
    one needs are to do. Raises as `run_study` and `run_until_decided` do.
    """
    if options.engine is EngineName.SLURM:
        submit.check_folder(folder)
        submit.check_available()
    record = looks_of(study, folder) if looks or folder.looks_file.exists() else None
    plan = plan_only(study, folder, preparation(console))
    say_warnings(console, plan.warnings, plan.notes)
    states = folder.runs.statuses(plan.runs)
    seeks = seeks_groups(folder, study, plan.runs, states, options)
    chosen = select(plan.runs, options.only, unknown_found=seeks)
    besides = evidence_besides(chosen, plan.runs, states) if seeks else []
    anew = why_anew(folder, study, plan.runs, options)
    about_found = outdated_lines(folder, study, plan.runs) if anew is None else [_ANEW]
    for line in (*evidence_line(besides), *about_found, *looks_line(record)):
        say(console, line)
    chosen = [*besides, *chosen]
    if record is not None:
        needed = {run.id for run in next_stage(study, plan.runs, record)}
        chosen = [run for run in chosen if run.id in needed or states[run.id].state is State.DONE]
    place = place_of(study, options, console, folder.known_threads())
    estimate, basis = learn_or_guess(folder.runs, plan.runs, place, study.training.precision)
    for run in chosen:
        say(console, run_line(run, states[run.id], estimate))
    print_lifted(chosen, console)
    print_open(chosen, console)
    _print_hours(study, chosen, estimate, place, console)
    todo = to_train(chosen, states, options.rerun)
    first = first_stages(todo, plan.runs, states, folder.runs)
    for line in first.lines:
        say(console, line)
    todo += first.to_train
    extended = {} if options.rerun is Rerun.ALL else folder.runs.extensions(plan.runs)
    for line in cap_line(todo, extended):
        say(console, line)
    todo = [run for run in todo if run.id not in extended or not extended[run.id].is_whole]
    if record is not None and looks is not None and looks.hours is not None:
        fitting = estimate.fitting(todo, place.jobs, 3600 * looks.hours)
        say(console, f"--hours {looks.hours:g}: {len(fitting)} of {len(todo)} runs to do before the next look fit")
        todo = fitting
    left = {run.id: extended[run.id].left(run) if run.id in extended else (run.least, 1.0) for run in todo}

    def time(end: int) -> float:
        return estimate.makespan(todo, place.jobs, lambda run: estimate.part(run, left[run.id][end]))

    fast, slow = time(0), time(1)
    fewest, images = (round(sum(left[run.id][end] * run.images for run in todo)) for end in (0, 1))
    shared = sum(len(run.labels) - 1 for run in chosen)
    sharers = "arms or aggregations" if len(study.variants) > 1 else "aggregations"
    say(
        console,
        f"{len(chosen)} runs ({shared} units shared by two {sharers} are trained once), {len(todo)} to do: "
        f"{between(str(fewest), str(images))} images, about {between(duration(fast), duration(slow))} with "
        f"{place.words} ({basis}); {_cached(study, folder)}",
    )
    most = _most_of_found(plan, estimate, place.jobs) if seeks else None
    if most:
        say(console, found_line(most, place.sharing, place.device))
    later = None if record is None else _later(study, plan, states, record, estimate, place.jobs)
    if later and later["runs"]:
        took = duration(later["seconds_at_most"])
        say(console, f"after that look: {len(later['runs'])} runs and {took} more at most, where it closes nothing")
    print_recording(chosen, console)
    for line in (*disk_line(chosen, plan.predictions), *unkept_line(chosen, states)):
        say(console, line)
    if as_json:
        print_json(
            {
                "study": study.name,
                "runs": [_json_of(run, states[run.id], estimate) for run in chosen],
                "to_do": [run.id for run in todo],
                "images": images,
                "seconds": slow,
                "at_a_time": place.jobs,
                "device": place.device,
                "basis": basis,
                "kept_bytes": {use.what: use.bytes for use in kept_files(chosen, plan.predictions)},
                **({"found": most} if most else {}),
                **({"looks": record.to_json(), "after_the_next_look": later} if record is not None else {}),
            }
        )
    return 0


def _print_hours(
    study: Study, runs: Sequence[PlannedRun], estimate: TimeEstimate, place: Place, console: Console
) -> None:
    """What each aggregation of each arm takes of one core or GPU."""
    by_model, least = estimate.by_model(runs).items(), estimate.by_model(runs, estimate.least)
    hours = ", ".join(
        f"{name} {between(duration(least[name] / place.sharing), duration(seconds / place.sharing))}"
        for name, seconds in by_model
    )
    by = "arm and aggregation" if len(study.variants) > 1 else "aggregation"
    if hours:
        say(console, f"time of one {'core' if place.device == 'cpu' else 'GPU'} by {by}: {hours}")


def _cached(study: Study, folder: StudyFolder) -> str:
    names = [f"{kind}-{side}-*.npy" for side in study.image_sizes for kind in ("images", "masks")]
    is_cached = all(any(folder.cache.glob(name)) for name in names)
    sides = " and ".join(f"{side} px" for side in study.image_sizes)
    return f"images {'cached' if is_cached else 'not cached yet'} at {sides}"


def _later(
    study: Study,
    plan: PlannedStudy,
    states: Mapping[str, Status],
    record: LookRecord,
    estimate: TimeEstimate,
    jobs: int,
) -> dict[str, Any]:
    """The runs that later looks need where the next one closes nothing, and what these take."""
    now = {run.id for run in next_stage(study, plan.runs, record)}
    waiting = [run for run in all_stages(study, plan.runs, record) if states[run.id].state is not State.DONE]
    runs = [run for run in waiting if run.id not in now]
    return {"runs": [run.id for run in runs], "seconds_at_most": estimate.makespan(runs, jobs)}


def _most_of_found(plan: PlannedStudy, estimate: TimeEstimate, jobs: int) -> dict[str, Any]:
    """What the runs of the groups take at most, which are not known yet: as much as one model per task would."""
    return {
        "images_at_most": sum(run.images for run in plan.at_most),
        "worker_seconds_at_most": sum(map(estimate.cost, plan.at_most)),
        "seconds_at_most": estimate.makespan(plan.at_most, jobs),
        "found_from": sum(run.is_evidence for run in plan.runs),
    }


def _json_of(run: PlannedRun, status: Status, estimate: TimeEstimate) -> dict[str, Any]:
    counts = {"cases": run.n_train, "steps": run.steps, "images": run.images, "seconds": estimate.cost(run)}
    return {"id": run.id, "title": run.title, "state": str(status.state), "reason": status.reason, **counts}
