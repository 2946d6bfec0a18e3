"""What the commands status, scores and phantoms do, once their options are read."""

from pathlib import Path

from rich.console import Console

from aggregation_lab.errors import StudyError
from aggregation_lab.files import write_text
from aggregation_lab.storage.spreadsheet_csv import csv_text
from aggregation_lab.text import printable
from runners.execution.progress import preparation, say
from runners.execution.slurm import queue
from runners.planning.study_file import find_study, parse_study, read_study_file
from runners.planning.study_schema import Study
from runners.planning.user_paths import output_path
from runners.store.collect import finished_runs, gather
from runners.store.prepare import make_phantoms
from runners.store.run_folder import LOG, State, counted
from runners.store.study_folder import StudyFolder


def open_study(name: str, data: Path | None, out: Path | None) -> tuple[Study, Path, StudyFolder]:
    """The study, its file, and its output folder: `out`, or out/<name of the study>."""
    file = find_study(name)
    study = read_study_file(file, data=data)
    return study, file, StudyFolder(output_path(out or Path("out") / study.name))


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
            for log in (folders[run.id] / LOG, *([queue.log_file(folder, status.job)] if status.job else [])):
                if log.is_file():
                    say(console, f"{'':8} log: {log}")
    ends = [status.state for status in states.values()]
    say(console, f"{folder.read_study().name}: {len(runs)} runs: {counted(ends)}")
    left = queue.jobs_left(folder)
    if left is not None and left.jobs:
        say(console, str(left))
    return 1 if State.FAILED in ends else 0


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
        raise StudyError(
            f"--fraction {fraction:g}: the study has {', '.join(f'{share:g}' for share in study.fractions)}"
        )
    finished = finished_runs(folder, runs)
    scores = gather(folder, finished, "scores")
    names, boards = list(study.aggregations), []
    for share in study.fractions if fraction is None else [fraction]:
        board = scoreboard(scores, names, share, metric)
        part = "" if share == 1 else f", {share:.0%} of the training data"
        console.print(on_screen(board, names, f"{study.name}: test scores, mean ± sd over seeds{part}"))
        say(console, summary(board, names))
        boards.append(board.assign(fraction=share))
    file = out / "scoreboard.csv"
    write_text(file, csv_text(pd.concat(boards)))
    if len(finished) < len(runs):
        count = f"{len(finished)} of {len(runs)} runs have a result"
        say(console, f"{count}, the table lacks the others; see `agglab status`")
    say(console, f"written to {file}")
    return 0


def write_phantom_folder(out: Path, tasks: str | None, scale: float, seed: int, console: Console) -> int:
    """Write phantoms into a new folder."""
    out = output_path(out, "OUT")
    names = None if tasks is None else [name.strip() for name in tasks.split(",") if name.strip()]
    asked = {"name": "phantoms", "data": {"phantoms": {"tasks": names, "scale": scale, "seed": seed}}}
    make_phantoms(out, parse_study(asked, "agglab phantoms").data.phantoms, preparation(console))
    say(console, f"phantoms are in {out}")
    return 0
