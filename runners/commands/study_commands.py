"""What the commands status and phantoms do, once their options are read."""

from pathlib import Path

from rich.console import Console

from runners.execution.progress import preparation, say
from runners.execution.slurm import queue
from runners.planning.study_file import find_study, parse_study, read_study_file
from runners.planning.study_schema import Study
from runners.planning.user_paths import output_path
from runners.store.prepare import make_phantoms
from runners.store.run_folder import LOG, State, counted
from runners.store.run_store import unkept_line
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
    for line in unkept_line(runs, states):
        say(console, line)
    left = queue.jobs_left(folder)
    if left is not None and left.jobs:
        say(console, str(left))
    return 1 if State.FAILED in ends else 0


def write_phantom_folder(out: Path, tasks: str | None, scale: float, seed: int, console: Console) -> int:
    """Write phantoms into a new folder."""
    out = output_path(out, "OUT")
    names = None if tasks is None else [name.strip() for name in tasks.split(",") if name.strip()]
    asked = {"name": "phantoms", "data": {"phantoms": {"tasks": names, "scale": scale, "seed": seed}}}
    make_phantoms(out, parse_study(asked, "agglab phantoms").data.phantoms, preparation(console))
    say(console, f"phantoms are in {out}")
    return 0
