"""What the commands of `agglab` do, once their options are read."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from aggregation_lab.errors import StudyError
from aggregation_lab.files import write_text
from runners import cost, output
from runners.collect import collect, gather
from runners.grid import run_grid
from runners.options import INTERRUPTED, GridOptions, Rerun
from runners.plan import PlannedRun, select
from runners.prepare import check_model, make_phantoms, plan_only, prepare
from runners.progress import GridProgress, duration, preparation, say, say_warnings
from runners.store import RunStore, State, Status, finished_seconds
from runners.study import PhantomSettings, Study
from runners.study_file import find_study, load_study
from runners.worker import Engine

_TAKEN = {
    Rerun.MISSING: {State.PENDING, State.FAILED},
    Rerun.FAILED: {State.FAILED},
    Rerun.STALE: {State.PENDING, State.FAILED, State.STALE},
    Rerun.ALL: {State.PENDING, State.FAILED, State.STALE, State.DONE},
}


def open_study(name: str, data: Path | None, out: Path | None) -> tuple[Study, Path, Path]:
    """The study, its file, and its output folder: `out`, or out/<name of the study>."""
    file = find_study(name)
    study = load_study(file, data=data)
    return study, file, (out or Path("out") / study.name).expanduser().resolve()


def run_study(study: Study, file: Path, out: Path, options: GridOptions, console: Console) -> int:
    """Prepare, train what `options` ask for, collect. Returns the exit code: 0, 1, or 130 after Ctrl-C.

    Raises `ModelError` before any worker starts where the model cannot be built, and `AgglabError` at the end where
    the tables cannot be written.
    """
    device = device_type(options.device)
    if options.dry_run:
        return show_plan(study, out, options, console)
    with output.locked(out):
        plan = prepare(study, file, out, preparation(console))
        say_warnings(console, plan.warnings)
        runs = plan.runs
        store = RunStore(out)
        chosen = select(runs, options.only)
        states = store.statuses(runs)
        todo = [run for run in chosen if states[run.id].state in _TAKEN[options.rerun]]
        if todo:
            check_model(study, todo[0].spec.tasks[:1])
        if options.rerun is Rerun.ALL:
            set_aside(store, todo)
        jobs = worker_count(study, device, options.jobs, console)
        threads = output.fixed_threads(out, max(1, cost.cores() // jobs))
        engine = Engine(out, threads=threads, device=options.device)
        done = sum(states[run.id].state is State.DONE for run in chosen)
        say(console, f"{out}: {len(runs)} runs, {done} finished, {len(todo)} to do, {jobs} at a time")
        failed: dict[str, str] = {}
        interrupted = False
        if todo:
            with GridProgress(todo, console, lambda: collect(out, runs)) as progress:
                outcome = run_grid(todo, store, engine, progress, jobs=jobs, fail_fast=options.fail_fast)
            failed, interrupted = outcome.failed, outcome.interrupted
        finished = conclude(out, chosen, store.statuses(runs), failed, console)
        collect(out, runs)
    if interrupted:
        command = "the same command without --rerun all" if options.rerun is Rerun.ALL else "the same command"
        say(console, f"interrupted; {command} continues where it stopped")
        return INTERRUPTED
    return 0 if finished else 1


def set_aside(store: RunStore, runs: Sequence[PlannedRun]) -> None:
    """Move the folders of runs that are to be trained anew out of the way; nothing is deleted."""
    for folder in store.folders(runs).values():
        if not folder.is_dir():
            continue
        kept = folder.parent.with_name("runs-set-aside")
        kept.mkdir(exist_ok=True)
        number = sum(1 for _ in kept.glob(f"{folder.name}.*"))
        folder.rename(kept / f"{folder.name}.{number + 1}")


def device_type(name: str | None) -> str:
    """Type of the device runs will use. Raises `ModelError` where it does not exist here."""
    if name == "cpu":
        return name  # without loading torch
    from aggregation_lab.device import pick_device

    return pick_device(name).type


def worker_count(study: Study, device: str, asked: int | None, console: Console) -> int:
    """Workers at a time: as asked, else one on an accelerator and one per core on the CPU; as memory allows."""
    wanted = asked or (cost.cores() if device == "cpu" else 1)
    if device != "cpu":
        return wanted
    fitting = max(1, int(0.9 * cost.available_bytes() / cost.worker_bytes(study.model, study.training)))
    if fitting < wanted:
        say(console, f"memory is enough for {fitting} runs at a time, not {wanted}")
    return min(wanted, fitting)


def conclude(
    out: Path,
    chosen: Sequence[PlannedRun],
    states: dict[str, Status],
    failed: dict[str, str],
    console: Console,
) -> bool:
    """Say what is left to do and why. Returns whether every chosen run is finished.

    A run that still has a living claim is in the hands of another machine.
    """
    for run in chosen:
        status = states[run.id]
        if status.state in (State.FAILED, State.STALE, State.RUNNING) and run.id not in failed:
            say(console, f"{status.state}  {run.title}: {status.reason}")
    counts = Counter(states[run.id].state for run in chosen)
    text = ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    say(console, f"{text}; tables in {out}")
    if counts[State.FAILED]:
        say(console, "tracebacks are in each run's error.json and log.txt")
    if counts[State.STALE]:
        say(console, "stale runs keep their old result, which the tables leave out; --rerun stale trains them anew")
    return counts[State.DONE] == len(chosen) and not failed


def show_plan(study: Study, out: Path, options: GridOptions, console: Console) -> int:
    """Print the runs, their state and an estimate of time; leaves no trace in `out`."""
    plan = plan_only(study, out, preparation(console))
    say_warnings(console, plan.warnings)
    runs, store = plan.runs, RunStore(out)
    states = store.statuses(runs)
    device = device_type(options.device)
    chosen = select(runs, options.only)
    todo = [run for run in chosen if states[run.id].state in _TAKEN[options.rerun]]
    jobs = worker_count(study, device, options.jobs, console)
    rate, basis = pace(store, runs, states, device, jobs)
    for run in chosen:
        status = states[run.id]
        reason = f"  ({status.reason})" if status.reason else ""
        size = f"{run.n_train:7} cases {run.steps:7} steps {run.passes:7.1f} passes {duration(run.flops / rate):>9}"
        say(console, f"{status.state:8}{size}  {run.title}{reason}")
    units = {run.unit_title: run.lifted for run in chosen}
    lifted = [title for title, is_lifted in units.items() if is_lifted]
    if lifted:
        named = ", ".join(lifted[:5]) + (f" and {len(lifted) - 5} more" if len(lifted) > 5 else "")
        gained = f"min_steps gives {len(lifted)} of {len(units)} units more passes than the study's"
        say(console, f"{gained} {study.training.passes:g}: {named}")
    side = study.training.image_size
    cached = f"images {'cached' if output.images_cached(out, side) else 'not cached yet'} at {side} px"
    seconds = cost.makespan([run.flops / rate for run in todo], jobs)
    images = sum(run.images for run in todo)
    shared = sum(len(run.labels) - 1 for run in chosen)
    say(
        console,
        f"{len(chosen)} runs ({shared} units shared by two aggregations are trained once), {len(todo)} to do: "
        f"{images} images, about {duration(seconds)} with {jobs} at a time on {device} ({basis}); {cached}",
    )
    return 0


def pace(
    store: RunStore, runs: Sequence[PlannedRun], states: dict[str, Status], device: str, jobs: int
) -> tuple[float, str]:
    """Operations per second of one worker, and where the figure comes from: finished runs, else a measurement."""
    flops = seconds = 0.0
    finished = [run for run in runs if states[run.id].state is State.DONE]
    for run in finished:
        taken = finished_seconds(store.folder(run))
        if taken:
            flops, seconds = flops + run.flops, seconds + taken
    if seconds:
        return flops / seconds, f"by the pace of {len(finished)} finished runs"
    on_cpu = device == "cpu"
    rate = cost.matrix_rate(device, max(1, cost.cores() // jobs)) * cost.UNTRAINED_EFFICIENCY
    return rate if on_cpu else rate / jobs, "a rough guess from this machine's matrix rate"


def show_status(out: Path, console: Console) -> int:
    """Print the state of every run that is not finished, and how many are. Exit code 1 where a run has failed."""
    runs, store = output.read_plan(out), RunStore(out)
    states = store.statuses(runs)
    for run in runs:
        status = states[run.id]
        if status.state is not State.DONE:
            line = f"{status.state:8} {run.title}{f'  ({status.reason})' if status.reason else ''}"
            say(console, line)
    counts = Counter(status.state for status in states.values())
    text = ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    say(console, f"{output.read_study(out).name}: {len(runs)} runs: {text}")
    return 1 if counts[State.FAILED] else 0


def show_scores(out: Path, metric: str | None, fraction: float | None, console: Console) -> int:
    """Collect what has finished, print the per-task table of each fraction, write it as scoreboard.csv."""
    import pandas as pd

    from aggregation_lab.tasks import METRICS
    from runners.scoreboard import on_screen, scoreboard, summary

    study, runs = output.read_study(out), output.read_plan(out)
    if metric is not None and metric not in METRICS:
        raise StudyError(f"--metric {metric}: is unknown; it takes {', '.join(METRICS)}")
    if fraction is not None and fraction not in study.fractions:
        raise StudyError(f"--fraction {fraction:g}: the study has {', '.join(f'{each:g}' for each in study.fractions)}")
    scores = gather(out, runs, "scores")
    names, boards = list(study.aggregations), []
    for each in study.fractions if fraction is None else [fraction]:
        board = scoreboard(scores, names, each, metric)
        share = "" if each == 1 else f", {each:.0%} of the training data"
        console.print(on_screen(board, names, f"{study.name}: test scores, mean ± sd over seeds{share}"))
        say(console, summary(board, names))
        boards.append(board.assign(fraction=each))
    place = out / "scoreboard.csv"
    write_text(place, pd.concat(boards).to_csv(index=False))
    say(console, f"written to {place}")
    return 0


def write_phantom_folder(out: Path, tasks: str | None, scale: float, seed: int, console: Console) -> int:
    """Write phantoms into a new folder."""
    out = out.expanduser().resolve()
    names = None if tasks is None else tuple(name.strip() for name in tasks.split(",") if name.strip())
    make_phantoms(out, PhantomSettings(tasks=names, scale=scale, seed=seed), preparation(console))
    say(console, f"phantoms are in {out}")
    return 0
