"""Commands on a study: run-grid, plan, status, watch, scores. What they do is imported when they are called."""

from typing import Annotated

import typer

from aggregation_lab.errors import StudyError
from runners.commands.arguments import (
    DataOption,
    DeviceOption,
    JobsOption,
    JsonOption,
    OnlyOption,
    OutArgument,
    OutOption,
    QuietOption,
    RerunOption,
    StudyArgument,
)
from runners.console.terminal import screen
from runners.options import EngineName, GridOptions, Rerun


def run_grid(
    study: StudyArgument,
    data: DataOption = None,
    out: OutOption = None,
    jobs: JobsOption = None,
    only: OnlyOption = None,
    rerun: RerunOption = Rerun.MISSING,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first failure.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would run, train nothing.")] = False,
    device: DeviceOption = None,
    engine: Annotated[
        EngineName,
        typer.Option(
            "--engine", help="local: processes of this machine; slurm: jobs of a cluster; debug: this process."
        ),
    ] = EngineName.LOCAL,
    slurm: Annotated[
        list[str] | None,
        typer.Option("--slurm", metavar="KEY=VALUE", help="A field of the study's slurm section, such as hours=12."),
    ] = None,
    until_decided: Annotated[
        bool,
        typer.Option(
            "--until-decided", help="Train seeds in stages and stop for what is decided; `seeds` are the most."
        ),
    ] = False,
    hours: Annotated[
        float | None, typer.Option("--hours", help="With --until-decided: start no run that would end later than this.")
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train what is missing of a study, in parallel, and write its tables.

    Exit code 0: all chosen runs are finished; 1: some are not; 2: the study is at fault; 130: interrupted.
    """
    from runners.commands.show_plan import Looks, show_plan
    from runners.commands.study_commands import open_study, show_status
    from runners.execution.grid import run_study
    from runners.execution.slurm.submit import overridden
    from runners.planning.study_file import faults_in
    from runners.store.look_record import check_without

    options = GridOptions(jobs, tuple(only or ()), rerun, fail_fast, device, engine)
    opened, file, folder = open_study(study, data, out)
    if slurm and engine is not EngineName.SLURM:
        raise StudyError("--slurm: needs --engine slurm")
    if hours is not None and not until_decided:
        raise StudyError("--hours: needs --until-decided")
    if jobs is not None and engine is EngineName.DEBUG:
        raise StudyError("--jobs: --engine debug trains one run after the other; leave it out, or take --engine local")
    if dry_run and quiet and not as_json:
        raise StudyError("--quiet: a dry run does nothing but print; leave it out, or add --json")
    opened = overridden(opened, slurm or ())
    console = screen(quiet or as_json)
    with faults_in(file):
        if until_decided:
            from runners.execution.until_decided import check_options, run_until_decided

            check_options(opened, options, hours)
        else:
            check_without(folder)
        if dry_run:
            looks = Looks(hours) if until_decided else None
            raise typer.Exit(show_plan(opened, folder, options, console, looks=looks, as_json=as_json))
        if until_decided:
            code = run_until_decided(opened, file, folder, options, hours, console)
        else:
            code = run_study(opened, file, folder, options, console)
    if as_json or (quiet and code):
        show_status(folder.path, screen(as_json, errors=True), as_json=as_json)
    raise typer.Exit(code)


def plan(
    study: StudyArgument,
    data: DataOption = None,
    out: OutOption = None,
    jobs: JobsOption = None,
    only: OnlyOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a study's runs, images and time, and what is finished already; nothing is written."""
    from runners.commands.show_plan import show_plan
    from runners.commands.study_commands import open_study
    from runners.planning.study_file import faults_in

    options = GridOptions(jobs, tuple(only or ()), device=device)
    opened, file, folder = open_study(study, data, out)
    with faults_in(file):
        raise typer.Exit(show_plan(opened, folder, options, screen(as_json), as_json=as_json))


def status(out: OutArgument, as_json: JsonOption = False) -> None:
    """Show the state of every run that is not finished, with the reason; `scores` checks what the finished ones hold.

    Exit code 0: nothing stands in the way, though runs may be pending or under way; 1: runs have failed, or wait for
    one that has, or are stale; 2: OUT is not the output of a study, or is not planned yet.
    """
    from runners.commands import study_commands

    raise typer.Exit(study_commands.show_status(out, screen(as_json), as_json=as_json))


def watch(
    out: OutArgument,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any that is free.")] = 8765,
) -> None:
    """Follow a study in a browser of this machine: runs by state, time left, curves by task. Ctrl-C ends it."""
    from runners.commands import study_commands

    raise typer.Exit(study_commands.watch_study(out, port, screen()))


def scores(
    out: OutArgument,
    metric: Annotated[str | None, typer.Option("--metric", help="score, DSC, AUC ...; else each task's own.")] = None,
    fraction: Annotated[float | None, typer.Option("--fraction", help="One fraction only.")] = None,
) -> None:
    """Print the per-task table of the aggregations beside the floor, and write it as scoreboard.csv."""
    from runners.commands import show_scores

    raise typer.Exit(show_scores.show_scores(out, metric, fraction, screen()))
