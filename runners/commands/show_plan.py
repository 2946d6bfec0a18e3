"""`agglab plan`: the runs of a study, their state, and what they will take."""

from collections.abc import Sequence

from rich.console import Console

from runners.execution.device_slots import device_type, share_of_cores, worker_devices
from runners.execution.grid import STATES_TO_RUN
from runners.execution.progress import duration, preparation, say, say_warnings
from runners.execution.time_estimate import TimeEstimate, learn
from runners.options import GridOptions
from runners.planning import cost
from runners.planning.plan import PlannedRun, select
from runners.planning.study_schema import Study
from runners.store.prepare import plan_only
from runners.store.run_store import RunStore
from runners.store.study_folder import StudyFolder


def show_plan(study: Study, folder: StudyFolder, options: GridOptions, console: Console) -> int:
    """Print the runs, their state and an estimate of time; leaves no trace in `folder`."""
    plan = plan_only(study, folder, preparation(console))
    say_warnings(console, plan.warnings, plan.notes)
    states, chosen = folder.runs.statuses(plan.runs), select(plan.runs, options.only)
    device = device_type(options.device)
    slots = worker_devices(study, device, options, console)
    jobs = len(slots)
    estimate, basis = _estimate(folder.runs, plan.runs, device, jobs)
    for run in chosen:
        status = states[run.id]
        reason = f"  ({status.reason})" if status.reason else ""
        size = f"{run.n_train:7} cases {run.steps:7} steps {run.passes:7.1f} passes {duration(estimate.cost(run)):>9}"
        say(console, f"{status.state:8}{size}  {run.title}{reason}")
    _print_lifted(study, chosen, console)
    sharing = 1 if device == "cpu" else jobs / len(set(slots))
    by_aggregation = estimate.by_aggregation(chosen).items()
    hours = ", ".join(f"{name} {duration(seconds / sharing)}" for name, seconds in by_aggregation)
    say(console, f"time of one {'core' if device == 'cpu' else 'GPU'} by aggregation: {hours}")
    todo = [run for run in chosen if states[run.id].state in STATES_TO_RUN[options.rerun]]
    images, shared = sum(run.images for run in todo), sum(len(run.labels) - 1 for run in chosen)
    seconds = cost.makespan([estimate.cost(run) for run in todo], jobs)
    side = study.training.image_size
    is_cached = all(any(folder.cache.glob(f"{kind}-{side}-*.npy")) for kind in ("images", "masks"))
    cached = f"images {'cached' if is_cached else 'not cached yet'} at {side} px"
    say(
        console,
        f"{len(chosen)} runs ({shared} units shared by two aggregations are trained once), {len(todo)} to do: "
        f"{images} images, about {duration(seconds)} with {jobs} at a time on {device} ({basis}); {cached}",
    )
    return 0


def _estimate(store: RunStore, runs: Sequence[PlannedRun], device: str, jobs: int) -> tuple[TimeEstimate, str]:
    """What runs take and how that is known: from those that are finished, else from this machine's matrix rate, which
    `jobs` workers share."""
    estimate = learn(store, runs)
    if estimate.finished:
        return estimate, f"by the pace of {estimate.finished} finished runs"
    rate = cost.matrix_rate(device, share_of_cores(jobs)) * cost.UNTRAINED_EFFICIENCY
    guess = TimeEstimate(0.0, rate if device == "cpu" else rate / jobs, 0)
    return guess, "a rough guess from this machine's matrix rate"


def _print_lifted(study: Study, runs: Sequence[PlannedRun], console: Console) -> None:
    """Name the units that see their images more often than the others."""
    units = {run.unit_title: run.lifted for run in runs}
    lifted = [title for title, is_lifted in units.items() if is_lifted]
    if lifted:
        named = ", ".join(lifted[:5]) + (f" and {len(lifted) - 5} more" if len(lifted) > 5 else "")
        gained = f"min_steps gives {len(lifted)} of {len(units)} units more passes than the study's"
        say(console, f"{gained} {study.training.passes:g}: {named}")
