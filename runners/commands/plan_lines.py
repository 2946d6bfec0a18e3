"""The lines of a plan: of each run, and of what a reader of it must know."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from aggregation_lab.aggregation import FOUND
from aggregation_lab.config import COOLDOWN
from aggregation_lab.text import listed
from runners.execution.progress import duration, say
from runners.execution.time_estimate import TimeEstimate
from runners.planning.plan import PlannedRun
from runners.store.run_folder import Status


def found_line(most: Mapping[str, Any], sharing: float, device: str) -> str:
    """What is said of runs of groups that are not known yet."""
    one = "core" if device == "cpu" else "GPU"
    return (
        f"{FOUND}: its groups, and so its runs, are known once the {most['found_from']} runs that they are found from "
        f"are finished; they come on top of these, and take {most['images_at_most']} images and "
        f"{duration(most['worker_seconds_at_most'] / sharing)} of one {one} at most, as much as one model per task"
    )


def run_line(run: PlannedRun, status: Status, estimate: TimeEstimate) -> str:
    """A run of the plan with its state, its size and its time."""
    reason = f"  ({status.reason})" if status.reason else ""
    size = f"{run.n_train:7} cases {run.steps:7} steps {run.passes:7.1f} passes {duration(estimate.cost(run)):>9}"
    if run.is_open:
        steps = between(f"{run.least * run.steps:.0f}", f"{run.steps}")
        passes = between(f"{run.least * run.passes:.1f}", f"{run.passes:.1f}")
        took = between(duration(estimate.least(run)), duration(estimate.cost(run)))
        size = f"{run.n_train:7} cases {steps:>15} steps {passes:>14} passes {took:>16}"
    return f"{status.state:8}{size}  {run.title}{reason}"


def between(low: str, high: str) -> str:
    """The range in words; one figure where there is none."""
    return low if low == high else f"{low} to {high}"


def print_open(runs: Sequence[PlannedRun], console: Console) -> None:
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
    at, taking = between(f"{moments[0]}", f"{moments[-1]}"), between(f"{shares[0]:.1f}", f"{shares[-1]:.1f}")
    what = "moment" if moments[-1] == 1 else "moments"
    line = f"affinity: {len(recording)} runs of several tasks record it, at {at} {what}, for {taking} % more operations"
    asked = recording[0].affinity
    if asked is not None and moments[0] < asked.moments:
        line += f"; {asked.moments} would take short runs more than affinity.share, {100 * asked.share:g} %"
    say(console, line)


def print_lifted(runs: Sequence[PlannedRun], console: Console) -> None:
    """Name the units that see their images more often than the others."""
    units = {run.unit_title: run for run in runs}
    lifted = [title for title, run in units.items() if run.lifted]
    if lifted:
        named = listed(lifted, 5)
        gained = f"min_steps gives {len(lifted)} of {len(units)} units more passes than the study's"
        passes = sorted({units[title].spec.training.passes for title in lifted})
        say(console, f"{gained} {' or '.join(f'{number:g}' for number in passes)}: {named}")
