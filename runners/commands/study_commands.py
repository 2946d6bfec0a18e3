"""What the commands status, watch and phantoms do, once their options are read."""

from pathlib import Path

from rich.console import Console

from aggregation_lab.aggregation import FOUND
from aggregation_lab.errors import AgglabError, StudyError
from runners.console.terminal import print_json
from runners.execution.groups import outdated_lines, unfound
from runners.execution.progress import preparation, say
from runners.execution.slurm import queue
from runners.planning.study_file import find_study, parse_study, read_study_file
from runners.planning.study_schema import Study
from runners.planning.user_paths import output_path
from runners.store.look_record import looks_line, read_looks
from runners.store.other_runs.caps import cap_line
from runners.store.prepare import make_phantoms
from runners.store.run_folder import LOG, State, counted, same_answer_lines
from runners.store.run_store import unkept_line
from runners.store.study_folder import StudyFolder


def open_study(name: str, data: Path | None, out: Path | None) -> tuple[Study, Path, StudyFolder]:
    """The study, its file, and its output folder: `out`, or out/<name of the study>."""
    file = find_study(name)
    study = read_study_file(file, data=data)
    return study, file, StudyFolder(output_path(out or Path("out") / study.name))


def watch_study(out: Path, port: int, console: Console) -> int:
    """Serve the page of a study until Ctrl-C. Raises `AgglabError` where the port cannot be had."""
    from runners.watch.server import HOST, WatchServer

    folder = StudyFolder(out)
    folder.read_identity()
    try:
        server = WatchServer(folder, port)
    except OSError as error:
        taken = f"{HOST}:{port} cannot be used ({error.strerror})"
        raise AgglabError(f"--port: {taken}; choose another, or 0 for any that is free") from error
    say(console, f"{folder}: open {server.address} in a browser of this machine; Ctrl-C ends it, not the study")
    say(
        console,
        f"from elsewhere: ssh -L {server.server_port}:{HOST}:{server.server_port} THIS_MACHINE, then the same address",
    )
    with server:
        server.serve_forever()
    return 0


_BAD = {State.FAILED, State.BLOCKED, State.STALE}
"""States with which a study cannot be finished without a further command."""


def show_status(out: Path, console: Console, *, as_json: bool = False) -> int:
    """Print the state of every run that is not finished, and how many are. Exit code 1 where a run has failed, or one
    that it starts from, or is stale."""
    folder = StudyFolder(out)
    if as_json:
        from runners.watch.overview import overview

        seen = overview(folder)
        print_json(seen)
        return 1 if _BAD & {run["state"] for run in seen["unfinished"]} else 0
    runs, store, study = folder.read_plan(), folder.runs, folder.read_study()
    states, folders = store.statuses(runs), store.folders(runs)
    for run in runs:
        status = states[run.id]
        if status.state is not State.DONE:
            say(console, f"{status.state:8} {run.title}{f'  ({status.reason})' if status.reason else ''}")
        for line in same_answer_lines(run, status):
            say(console, line)
        if status.state in (State.RUNNING, State.FAILED):
            for log in (folders[run.id] / LOG, *([queue.log_file(folder, status.job)] if status.job else [])):
                if log.is_file():
                    say(console, f"{'':8} log: {log}")
    ends = [status.state for status in states.values()]
    search = unfound(folder, study, runs, states)
    if search:
        say(console, f"{search.state:8} {FOUND}  ({search.reason})")
    more = f"; those of {FOUND} are not known yet" if search else ""
    say(console, f"{study.name}: {len(runs)} runs: {counted(ends)}{more}")
    known = *unkept_line(runs, states), *outdated_lines(folder, study, runs), *looks_line(read_looks(folder))
    for line in (*cap_line(runs, store.extensions(runs)), *known):
        say(console, line)
    left = queue.jobs_left(folder)
    if left is not None and left.jobs:
        say(console, str(left))
    return 1 if _BAD & {*ends, *([search.state] if search else [])} else 0


def write_phantom_folder(out: Path, tasks: str | None, scale: float, seed: int, console: Console) -> int:
    """Write phantoms into a new folder."""
    if not 0 < scale <= 1:
        raise StudyError(f"--scale {scale:g}: takes a share greater than 0 and at most 1")
    out = output_path(out, "OUT")
    names = None if tasks is None else [name.strip() for name in tasks.split(",") if name.strip()]
    asked = {"name": "phantoms", "data": {"phantoms": {"tasks": names, "scale": scale, "seed": seed}}}
    make_phantoms(out, parse_study(asked, "agglab phantoms").data.phantoms, preparation(console))
    say(console, f"phantoms are in {out}")
    return 0
