"""What the commands of `agglab` do, once their options are read."""

from collections import Counter
from pathlib import Path

from rich.console import Console

from aggregation_lab.errors import StudyError
from aggregation_lab.files import write_text
from aggregation_lab.storage.spreadsheet_csv import csv_text
from aggregation_lab.text import printable
from runners.execution.device_slots import device_type, places, threads_each
from runners.execution.grid import TAKEN
from runners.execution.progress import duration, preparation, say, say_warnings
from runners.execution.slurm import queue
from runners.execution.time_estimate import Estimate, learn
from runners.options import GridOptions
from runners.planning import cost
from runners.planning.plan import select
from runners.planning.study import Study
from runners.planning.study_file import find_study, load_study, parse_study
from runners.planning.user_paths import output_path
from runners.store.collect import finished_runs, gather
from runners.store.prepare import make_phantoms, plan_only
from runners.store.run_folder import LOG, State
from runners.store.study_folder import StudyFolder


def open_study(name: str, data: Path | None, out: Path | None) -> tuple[Study, Path, StudyFolder]:
    """The study, its file, and its output folder: `out`, or out/<name of the study>."""
    file = find_study(name)
    study = load_study(file, data=data)
    return study, file, StudyFolder(output_path(out or Path("out") / study.name))


def show_plan(study: Study, folder: StudyFolder, options: GridOptions, console: Console) -> int:
    """Print the runs, their state and an estimate of time; leaves no trace in `folder`."""
    plan = plan_only(study, folder, preparation(console))
    say_warnings(console, plan.warnings)
    for note in plan.notes:
        say(console, note)
    runs, store = plan.runs, folder.runs
    states = store.statuses(runs)
    device = device_type(options.device)
    chosen = select(runs, options.only)
    todo = [run for run in chosen if states[run.id].state in TAKEN[options.rerun]]
    where = places(study, device, options, console)
    jobs = len(where)
    estimate = learn(store, runs)
    basis = f"by the pace of {estimate.finished} finished runs"
    if not estimate.finished:
        estimate, basis = guessed(device, jobs), "a rough guess from this machine's matrix rate"
    for run in chosen:
        status = states[run.id]
        reason = f"  ({status.reason})" if status.reason else ""
        size = f"{run.n_train:7} cases {run.steps:7} steps {run.passes:7.1f} passes {duration(estimate.cost(run)):>9}"
        say(console, f"{status.state:8}{size}  {run.title}{reason}")
    units = {run.unit_title: run.lifted for run in chosen}
    lifted = [title for title, is_lifted in units.items() if is_lifted]
    if lifted:
        named = ", ".join(lifted[:5]) + (f" and {len(lifted) - 5} more" if len(lifted) > 5 else "")
        gained = f"min_steps gives {len(lifted)} of {len(units)} units more passes than the study's"
        say(console, f"{gained} {study.training.passes:g}: {named}")
    side = study.training.image_size
    cached = f"images {'cached' if images_cached(folder.cache, side) else 'not cached yet'} at {side} px"
    seconds = cost.makespan([estimate.cost(run) for run in todo], jobs)
    images = sum(run.images for run in todo)
    shared = sum(len(run.labels) - 1 for run in chosen)
    sharing = 1 if device == "cpu" else jobs / len(set(where))
    each = estimate.by_aggregation(chosen).items()
    hours = ", ".join(f"{name} {duration(taken / sharing)}" for name, taken in each)
    say(console, f"time of one {'core' if device == 'cpu' else 'GPU'} by aggregation: {hours}")
    say(
        console,
        f"{len(chosen)} runs ({shared} units shared by two aggregations are trained once), {len(todo)} to do: "
        f"{images} images, about {duration(seconds)} with {jobs} at a time on {device} ({basis}); {cached}",
    )
    return 0


def images_cached(cache: Path, size: int) -> bool:
    """Whether the images and masks of a study's data set lie ready at `size` pixels."""
    return all(any(cache.glob(f"{kind}-{size}-*.npy")) for kind in ("images", "masks"))


def guessed(device: str, jobs: int) -> Estimate:
    """The estimate for a study of which nothing is finished: this machine's matrix rate, shared by `jobs` workers."""
    rate = cost.matrix_rate(device, threads_each(jobs)) * cost.UNTRAINED_EFFICIENCY
    return Estimate(0.0, rate if device == "cpu" else rate / jobs, 0)


def show_status(out: Path, console: Console) -> int:
    """Print the state of every run that is not finished, and how many are. Exit code 1 where a run has failed."""
    folder = StudyFolder(out)
    runs, store = folder.read_plan(), folder.runs
    states, folders = store.statuses(runs), store.folders(runs)
    for run in runs:
        status = states[run.id]
        if status.state is not State.DONE:
            say(console, f"{status.state:8} {run.title}{f'  ({status.reason})' if status.reason else ''}")
        if status.state in (State.RUNNING, State.FAILED):
            logs = [folders[run.id] / LOG, *([queue.log_file(folder, status.job)] if status.job else [])]
            for log in logs:
                if log.is_file():
                    say(console, f"{'':8} log: {log}")
    counts = Counter(status.state for status in states.values())
    text = ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    say(console, f"{folder.read_study().name}: {len(runs)} runs: {text}")
    left = queue.jobs_left(folder)
    if left is not None and left.jobs:
        say(console, str(left))
    return 1 if counts[State.FAILED] else 0


def show_scores(out: Path, metric: str | None, fraction: float | None, console: Console) -> int:
    """Collect what has finished, print the per-task table of each fraction, write it as scoreboard.csv."""
    import pandas as pd

    from aggregation_lab.tasks import METRICS
    from runners.commands.scoreboard import on_screen, scoreboard, summary

    folder = StudyFolder(out)
    study, runs = folder.read_study(), folder.read_plan()
    if metric is not None and metric not in METRICS:
        raise StudyError(f"--metric {printable(metric)}: is unknown; it takes {', '.join(METRICS)}")
    if fraction is not None and fraction not in study.fractions:
        raise StudyError(f"--fraction {fraction:g}: the study has {', '.join(f'{each:g}' for each in study.fractions)}")
    scores, finished = gather(folder, runs, "scores"), len(finished_runs(folder, runs))
    names, boards = list(study.aggregations), []
    for each in study.fractions if fraction is None else [fraction]:
        board = scoreboard(scores, names, each, metric)
        share = "" if each == 1 else f", {each:.0%} of the training data"
        console.print(on_screen(board, names, f"{study.name}: test scores, mean ± sd over seeds{share}"))
        say(console, summary(board, names))
        boards.append(board.assign(fraction=each))
    place = out / "scoreboard.csv"
    write_text(place, csv_text(pd.concat(boards)))
    if finished < len(runs):
        say(console, f"{finished} of {len(runs)} runs have a result, the table lacks the others; see `agglab status`")
    say(console, f"written to {place}")
    return 0


def write_phantom_folder(out: Path, tasks: str | None, scale: float, seed: int, console: Console) -> int:
    """Write phantoms into a new folder."""
    out = output_path(out, "OUT")
    names = None if tasks is None else [name.strip() for name in tasks.split(",") if name.strip()]
    asked = {"name": "phantoms", "data": {"phantoms": {"tasks": names, "scale": scale, "seed": seed}}}
    make_phantoms(out, parse_study(asked, "agglab phantoms").data.phantoms, preparation(console))
    say(console, f"phantoms are in {out}")
    return 0
