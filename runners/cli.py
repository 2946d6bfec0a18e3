"""The command line. Everything heavy is imported inside the commands, so that `agglab --help` answers at once."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from aggregation_lab.errors import AgglabError, ModelError, StudyError, is_out_of_memory
from aggregation_lab.text import escaped, printable
from runners.console.streams import lasting, reader_is_gone
from runners.console.terminal import Terminal, show_all_characters
from runners.execution.worker_process import describe
from runners.options import INTERRUPTED, EngineName, GridOptions, Rerun

if TYPE_CHECKING:
    from analysis.settings import Settings


class _Commands(TyperGroup):
    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Ctrl-C where no grid catches it: one line."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    name="agglab",
    cls=_Commands,
    help="Task-aggregation studies in ultrasound imaging: TS, CG and AU side by side.",
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _path(text: str | Path) -> Path:
    """A path as it was given; an empty one, as a shell makes of a variable without value, is not the current folder."""
    if not str(text).strip():
        raise typer.BadParameter("is empty; give a path")
    return Path(text)


StudyArgument = Annotated[
    str, typer.Argument(metavar="STUDY", help="A study file, or a shipped one: demo, us_mini, us_mini_scale, fmc_uia.")
]
OutArgument = Annotated[Path, typer.Argument(parser=_path, metavar="OUT", help="Output folder of a study.")]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", parser=_path, metavar="PATH", help="Folder in the challenge's layout; takes the place of data.root."
    ),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", parser=_path, metavar="PATH", help="Output folder; out/NAME where not given.")
]
JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", min=1, max=1024, help="Runs at a time; else one per core, or up to four per accelerator."),
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="PATTERN", help="Runs whose name fits, such as TS, 'CG/*' or 'TS/lung/f1/s0'."),
]
RerunOption = Annotated[
    Rerun, typer.Option("--rerun", help="missing: without a result; failed: these alone; stale: outdated too; all.")
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="cpu, cuda, cuda:1, mps; where not given the best there is.")
]

SourceArgument = Annotated[
    str, typer.Argument(metavar="SCORES", help="Output folder of a study, a CSV or Parquet table, or `paper`.")
]
ReportOption = Annotated[Path | None, typer.Option("--to", parser=_path, metavar="PATH", help="Folder of the report.")]
BaselineOption = Annotated[
    str | None, typer.Option("--baseline", metavar="ARM", help="The arm that gains are over; TS where not given.")
]
MapOption = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="COLUMN=NAME", help="What a table calls a column, such as aggregation=arm."),
]
ScaleOption = Annotated[str, typer.Option("--scale", help="Scale of gains: absolute, relative or standardised.")]
CorrectionOption = Annotated[str, typer.Option("--correction", help="Multiplicity: BH, Holm or none.")]
DrawsOption = Annotated[int, typer.Option("--draws", min=100, max=1_000_000, help="Resamples of test subjects.")]


@app.command("run-grid")
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
) -> None:
    """Train what is missing of a study, in parallel, and write its tables.

    Exit code 0: all chosen runs are finished; 1: some are not; 2: the study is at fault; 130: interrupted.
    """
    from runners.commands import study_commands
    from runners.execution.grid import run_study
    from runners.execution.slurm.submit import overridden
    from runners.planning.study_file import naming

    options = GridOptions(jobs, tuple(only or ()), rerun, fail_fast, device, engine)
    opened, file, folder = study_commands.open_study(study, data, out)
    if slurm and engine is not EngineName.SLURM:
        raise StudyError("--slurm: needs --engine slurm")
    opened = overridden(opened, slurm or ())
    with naming(file):
        if dry_run:
            raise typer.Exit(study_commands.show_plan(opened, folder, options, _console()))
        raise typer.Exit(run_study(opened, file, folder, options, _console()))


@app.command()
def plan(
    study: StudyArgument,
    data: DataOption = None,
    out: OutOption = None,
    jobs: JobsOption = None,
    only: OnlyOption = None,
    device: DeviceOption = None,
) -> None:
    """Show a study's runs, images and time, and what is finished already; nothing is written."""
    from runners.commands import study_commands
    from runners.planning.study_file import naming

    options = GridOptions(jobs, tuple(only or ()), device=device)
    opened, file, folder = study_commands.open_study(study, data, out)
    with naming(file):
        raise typer.Exit(study_commands.show_plan(opened, folder, options, _console()))


@app.command()
def validate(
    data: Annotated[Path, typer.Argument(parser=_path, metavar="DATA", help="Folder in the challenge's layout.")],
    study: Annotated[str | None, typer.Option("--study", help="A study whose data section applies.")] = None,
) -> None:
    """List ALL problems of a data folder, its tasks, shared images, near-duplicates and what a split must keep apart.

    Exit code 0: usable, warnings shown; 1: not usable.
    """
    from runners.commands.validate_data import validate_data

    raise typer.Exit(validate_data(data, study, _console()))


@app.command()
def status(out: OutArgument) -> None:
    """Show the state of every run that is not finished, with the reason."""
    from runners.commands import study_commands

    raise typer.Exit(study_commands.show_status(out, _console()))


@app.command()
def scores(
    out: OutArgument,
    metric: Annotated[str | None, typer.Option("--metric", help="score, DSC, AUC ...; else each task's own.")] = None,
    fraction: Annotated[float | None, typer.Option("--fraction", help="One fraction only.")] = None,
) -> None:
    """Print the per-task table of the aggregations beside the floor, and write it as scoreboard.csv."""
    from runners.commands import study_commands

    raise typer.Exit(study_commands.show_scores(out, metric, fraction, _console()))


@app.command()
def report(
    out: OutArgument,
    to: ReportOption = None,
    baseline: BaselineOption = None,
    scale: ScaleOption = "absolute",
    correction: CorrectionOption = "BH",
    draws: DrawsOption = 2000,
) -> None:
    """Analyse a study and write its report: answers, tables, figures, methods; OUT/report where --to is not given."""
    from runners.commands import report_commands

    folder = to or out / "report"
    how, settings = report_commands.reading(baseline, ()), _settings(scale, correction, draws)
    raise typer.Exit(report_commands.write_report_folder(str(out), folder, how, settings, _console()))


@app.command()
def analyze(
    scores: SourceArgument,
    to: ReportOption = None,
    baseline: BaselineOption = None,
    mapped: MapOption = None,
    scale: ScaleOption = "absolute",
    correction: CorrectionOption = "BH",
    draws: DrawsOption = 2000,
) -> None:
    """The same report from anybody's score table: task, aggregation, seed, value, and more columns if there."""
    from runners.commands import report_commands

    folder = to or Path(f"{Path(scores).stem}_report")
    how, settings = report_commands.reading(baseline, mapped or ()), _settings(scale, correction, draws)
    raise typer.Exit(report_commands.write_report_folder(scores, folder, how, settings, _console()))


@app.command()
def recommend(
    source: SourceArgument,
    n_train: Annotated[float, typer.Option("--n-train", help="Training cases of the new task.")],
    task_type: Annotated[str, typer.Option("--type", help="segmentation, classification, detection or regression.")],
    group: Annotated[str | None, typer.Option("--group", help="Clinical group; a new one where not given.")] = None,
    baseline: BaselineOption = None,
    mapped: MapOption = None,
    draws: DrawsOption = 500,
) -> None:
    """Which aggregation for a new task, by what was found here; it may abstain."""
    from runners.commands import report_commands

    how, settings = report_commands.reading(baseline, mapped or ()), _settings("absolute", "BH", draws)
    raise typer.Exit(report_commands.show_recommendation(source, n_train, task_type, group, how, settings, _console()))


@app.command()
def power(
    source: SourceArgument,
    baseline: BaselineOption = None,
    mapped: MapOption = None,
    draws: DrawsOption = 2000,
) -> None:
    """What the seeds at hand can show, and how many it takes for the margins."""
    from runners.commands import report_commands

    how, settings = report_commands.reading(baseline, mapped or ()), _settings("absolute", "BH", draws)
    raise typer.Exit(report_commands.show_power(source, how, settings, _console()))


def _settings(scale: str, correction: str, draws: int) -> "Settings":
    from analysis.settings import Settings

    for option, value, allowed in (
        ("--scale", scale, ("absolute", "relative", "standardised")),
        ("--correction", correction, ("BH", "Holm", "none")),
    ):
        if value not in allowed:
            raise StudyError(f"{option} {value}: is unknown; it takes {', '.join(allowed)}")
    return Settings(scale=scale, correction=correction, draws=draws)  # type: ignore[arg-type]


@app.command()
def phantoms(
    out: Annotated[Path, typer.Argument(parser=_path, metavar="OUT", help="New folder for the phantoms.")],
    tasks: Annotated[str | None, typer.Option("--tasks", help="Task ids, joined by commas; else all.")] = None,
    scale: Annotated[float, typer.Option("--scale", min=0.0, max=1.0, help="Share of the challenge's images.")] = 0.02,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
) -> None:
    """Write ultrasound phantoms in the challenge's layout, with planted relatedness that is written down."""
    from runners.commands import study_commands

    raise typer.Exit(study_commands.write_phantom_folder(out, tasks, scale, seed, _console()))


def _console() -> Terminal:
    return Terminal(width=None if sys.stdout.isatty() else 140)


_UsageError: type[Exception] = typer.BadParameter.__bases__[0]  # click's class, of which typer carries its own copy


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry of `agglab`. An error that the user can mend is one line on stderr and exit code 1, or 2 for the study.

    A model that cannot be built is a fault of the study's `model` section; options that mean nothing give 2, too. A
    reader of the output that goes away, as `head` does, is no error.
    """
    with lasting() as (output, _):
        show_all_characters()
        code = _exit_code(list(sys.argv[1:] if arguments is None else arguments))
        output.flush()
        if output.error is not None and not reader_is_gone(output.error):
            print(f"agglab: standard output: cannot be written ({output.error.strerror})", file=sys.stderr)
            code = code or 1
    sys.exit(code)


def _exit_code(arguments: Sequence[str]) -> int:
    try:
        return app(args=arguments or ["--help"], prog_name="agglab", standalone_mode=False) or 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except AgglabError as error:
        print(escaped(f"agglab: {error}", keep="\n"), file=sys.stderr)
        return 2 if isinstance(error, StudyError | ModelError) else 1
    except _UsageError as error:
        print(f"agglab: {_usage(error)}", file=sys.stderr)
        return 2
    except Exception as error:
        if not isinstance(error, OSError) and not is_out_of_memory(error):
            raise
        print(f"agglab: {printable(describe(error), 1000)}", file=sys.stderr)
        return 1


def _usage(error: Any) -> str:
    """One line on what is wrong with the options."""
    message = printable(" ".join(error.format_message().split()), 500).removesuffix(".")
    command = error.ctx.command_path if error.ctx else "agglab"
    return f"{message}; `{command} --help` says what it takes"


if __name__ == "__main__":
    main()
