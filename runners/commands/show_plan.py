"""`agglab plan`: the runs of a study, their state, and what they will take."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from aggregation_lab.aggregation import FOUND
from aggregation_lab.config import COOLDOWN
from aggregation_lab.text import listed
from runners.console.terminal import print_json
from runners.execution.device_slots import device_type, worker_devices
from runners.execution.first_stages import first_stages
from runners.execution.grid import to_train
from runners.execution.groups import evidence_besides, evidence_line, outdated_lines, seeks_groups, why_anew
from runners.execution.progress import duration, preparation, say, say_warnings
from runners.execution.time_estimate import TimeEstimate, learn_or_guess
from runners.options import GridOptions
from runners.planning.disk import disk_line, kept_files
from runners.planning.encoder_names import checkpoint_note
from runners.planning.plan import PlannedRun, select
from runners.planning.study_schema import Study
from runners.store.prepare import PlannedStudy, plan_only
from runners.store.run_folder import Status
from runners.store.run_store import unkept_line
from runners.store.study_folder import StudyFolder

_ANEW = f"{FOUND}: is searched for anew then; its runs below are those of the groups that were found before"


def show_plan(
    study: Study, folder: StudyFolder, options: GridOptions, console: Console, *, as_json: bool = False
) -> int:
    """Print the runs, their state and an estimate of time; leaves no trace in `folder`."""
    plan = plan_only(study, folder, preparation(console))
    note = checkpoint_note(study.model, study.training)
    say_warnings(console, plan.warnings, [*plan.notes, *([note] if note else [])])
    states = folder.runs.statuses(plan.runs)
    seeks = seeks_groups(folder, study, plan.runs, states, options)
    chosen = select(plan.runs, options.only, unknown_found=seeks)
    besides = evidence_besides(chosen, plan.runs, states) if seeks else []
    anew = why_anew(folder, study, plan.runs, options)
    about_found = outdated_lines(folder, study, plan.runs) if anew is None else [_ANEW]
    for line in (*evidence_line(besides), *about_found):
        say(console, line)
    chosen = [*besides, *chosen]
    device = device_type(options.device)
    slots = worker_devices(study, device, options, console)
    jobs = len(slots)
    estimate, basis = learn_or_guess(folder.runs, plan.runs, device, jobs, study.training.precision)
    for run in chosen:
        say(console, _run_line(run, states[run.id], estimate))
    _print_lifted(chosen, console)
    _print_open(chosen, console)
    sharing = 1 if device == "cpu" else jobs / len(set(slots))
    by_model, least = estimate.by_model(chosen).items(), estimate.by_model(chosen, estimate.least)
    hours = ", ".join(
        f"{name} {_between(duration(least[name] / sharing), duration(seconds / sharing))}" for name, seconds in by_model
    )
    several = len(study.variants) > 1
    by, sharers = ("arm and aggregation", "arms or aggregations") if several else ("aggregation", "aggregations")
    say(console, f"time of one {'core' if device == 'cpu' else 'GPU'} by {by}: {hours}")
    todo = to_train(chosen, states, options.rerun)
    first = first_stages(todo, plan.runs, states, folder.runs)
    for line in first.lines:
        say(console, line)
    todo += first.to_train
    images, shared = sum(run.images for run in todo), sum(len(run.labels) - 1 for run in chosen)
    fewest = round(sum(run.least * run.images for run in todo))
    fast, slow = (estimate.makespan(todo, jobs, each) for each in (estimate.least, estimate.cost))
    names = [f"{kind}-{side}-*.npy" for side in study.image_sizes for kind in ("images", "masks")]
    is_cached = all(any(folder.cache.glob(name)) for name in names)
    sides = " and ".join(f"{side} px" for side in study.image_sizes)
    cached = f"images {'cached' if is_cached else 'not cached yet'} at {sides}"
    say(
        console,
        f"{len(chosen)} runs ({shared} units shared by two {sharers} are trained once), {len(todo)} to do: "
        f"{_between(str(fewest), str(images))} images, about {_between(duration(fast), duration(slow))} with {jobs} at "
        f"a time on {device} ({basis}); {cached}",
    )
    most = _most_of_found(plan, estimate, jobs) if seeks else None
    if most:
        say(console, _found_line(most, sharing, device))
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
                "at_a_time": jobs,
                "device": device,
                "kept_bytes": {use.what: use.bytes for use in kept_files(chosen, plan.predictions)},
                **({"found": most} if most else {}),
            }
        )
    return 0


def _most_of_found(plan: PlannedStudy, estimate: TimeEstimate, jobs: int) -> dict[str, Any]:
    """What the runs of the groups take at most, which are not known yet: as much as one model per task would."""
    return {
        "images_at_most": sum(run.images for run in plan.at_most),
        "worker_seconds_at_most": sum(map(estimate.cost, plan.at_most)),
        "seconds_at_most": estimate.makespan(plan.at_most, jobs),
        "found_from": sum(run.is_evidence for run in plan.runs),
    }


def _found_line(most: Mapping[str, Any], sharing: float, device: str) -> str:
    one = "core" if device == "cpu" else "GPU"
    return (
        f"{FOUND}: its groups, and so its runs, are known once the {most['found_from']} runs that they are found from "
        f"are finished; they come on top of these, and take {most['images_at_most']} images and "
        f"{duration(most['worker_seconds_at_most'] / sharing)} of one {one} at most, as much as one model per task"
    )


def _run_line(run: PlannedRun, status: Status, estimate: TimeEstimate) -> str:
    reason = f"  ({status.reason})" if status.reason else ""
    size = f"{run.n_train:7} cases {run.steps:7} steps {run.passes:7.1f} passes {duration(estimate.cost(run)):>9}"
    if run.is_open:
        steps = _between(f"{run.least * run.steps:.0f}", f"{run.steps}")
        passes = _between(f"{run.least * run.passes:.1f}", f"{run.passes:.1f}")
        took = _between(duration(estimate.least(run)), duration(estimate.cost(run)))
        size = f"{run.n_train:7} cases {steps:>15} steps {passes:>14} passes {took:>16}"
    return f"{status.state:8}{size}  {run.title}{reason}"


def _json_of(run: PlannedRun, status: Status, estimate: TimeEstimate) -> dict[str, Any]:
    counts = {"cases": run.n_train, "steps": run.steps, "images": run.images, "seconds": estimate.cost(run)}
    return {"id": run.id, "title": run.title, "state": str(status.state), "reason": status.reason, **counts}


def _between(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _print_open(runs: Sequence[PlannedRun], console: Console) -> None:
    """What the ranges of runs are that go on until they have converged."""
    lengths = {(run.spec.training.passes, run.spec.training.cap): run.spec.training for run in runs if run.is_open}
    for training in lengths.values():
        fewest = training.passes * (1 + 1 / COOLDOWN)
        say(
            console,
            f"until: converged, so runs end between {fewest:g} passes (passes and cooldown) and {training.cap:g} (the "
            "cap); the first figure is the least, the second the most",
        )


def print_recording(runs: Sequence[PlannedRun], console: Console) -> None:
    """At how many moments runs record how their tasks bear on each other, and what that takes."""
    recording = [run for run in runs if run.affinity]
    if not recording:
        return
    moments, shares = sorted(run.moments for run in recording), sorted(100 * run.recording for run in recording)
    at, taking = _between(f"{moments[0]}", f"{moments[-1]}"), _between(f"{shares[0]:.1f}", f"{shares[-1]:.1f}")
    what = "moment" if moments[-1] == 1 else "moments"
    line = f"affinity: {len(recording)} runs of several tasks record it, at {at} {what}, for {taking} % more operations"
    asked = recording[0].affinity
    if asked is not None and moments[0] < asked.moments:
        line += f"; {asked.moments} would take short runs more than affinity.share, {100 * asked.share:g} %"
    say(console, line)


def _print_lifted(runs: Sequence[PlannedRun], console: Console) -> None:
    """Name the units that see their images more often than the others."""
    units = {run.unit_title: run for run in runs}
    lifted = [title for title, run in units.items() if run.lifted]
    if lifted:
        named = listed(lifted, 5)
        gained = f"min_steps gives {len(lifted)} of {len(units)} units more passes than the study's"
        passes = sorted({units[title].spec.training.passes for title in lifted})
        say(console, f"{gained} {' or '.join(f'{number:g}' for number in passes)}: {named}")
