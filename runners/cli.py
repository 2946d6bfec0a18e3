"""The command line. Everything heavy is imported inside the commands, so that `agglab --help` answers at once."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from aggregation_lab.errors import AgglabError, ModelError, StudyError
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
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


StudyArgument = Annotated[
    str, typer.Argument(metavar="STUDY", help="A study file, or a shipped one: demo, us_mini, us_mini_scale, fmc_uia.")
]
OutArgument = Annotated[Path, typer.Argument(metavar="OUT", help="Output folder of a study.")]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Folder in the challenge's layout; takes the place of data.root.")
]
OutOption = Annotated[Path | None, typer.Option("--out", help="Output folder; out/NAME where not given.")]
JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", min=1, help="Runs at a time; where not given one per core, or up to four per accelerator."),
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
ReportOption = Annotated[Path | None, typer.Option("--to", help="Folder of the report.")]
BaselineOption = Annotated[
    str | None, typer.Option("--baseline", metavar="ARM", help="The arm that gains are over; TS where not given.")
]
MapOption = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="COLUMN=NAME", help="What a table calls a column, such as aggregation=arm."),
]
ScaleOption = Annotated[str, typer.Option("--scale", help="Scale of gains: absolute, relative or standardised.")]
CorrectionOption = Annotated[str, typer.Option("--correction", help="Multiplicity: BH, Holm or none.")]
DrawsOption = Annotated[int, typer.Option("--draws", min=100, help="Resamples of test subjects.")]


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
    from runners import commands
    from runners.grid import run_study
    from runners.slurm.submit import overridden

    options = GridOptions(jobs, tuple(only or ()), rerun, fail_fast, device, engine)
    opened, file, folder = commands.open_study(study, data, out)
    if slurm and engine is not EngineName.SLURM:
        raise StudyError("--slurm: needs --engine slurm")
    opened = overridden(opened, slurm or ())
    if dry_run:
        raise typer.Exit(commands.show_plan(opened, folder, options, _console()))
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
    from runners import commands

    options = GridOptions(jobs, tuple(only or ()), device=device)
    opened, _, folder = commands.open_study(study, data, out)
    raise typer.Exit(commands.show_plan(opened, folder, options, _console()))


@app.command()
def validate(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder in the challenge's layout.")],
    study: Annotated[str | None, typer.Option("--study", help="A study whose data section applies.")] = None,
) -> None:
    """List ALL problems of a data folder, its tasks, shared images, near-duplicates and what a split must keep apart.

    Exit code 0: usable, warnings shown; 1: not usable.
    """
    from runners.validate import validate_data

    raise typer.Exit(validate_data(data, study, _console()))


@app.command()
def status(out: OutArgument) -> None:
    """Show the state of every run that is not finished, with the reason."""
    from runners import commands

    raise typer.Exit(commands.show_status(out, _console()))


@app.command()
def scores(
    out: OutArgument,
    metric: Annotated[str | None, typer.Option("--metric", help="score, DSC, AUC ...; else each task's own.")] = None,
    fraction: Annotated[float | None, typer.Option("--fraction", help="One fraction only.")] = None,
) -> None:
    """Print the per-task table of the aggregations beside the floor, and write it as scoreboard.csv."""
    from runners import commands

    raise typer.Exit(commands.show_scores(out, metric, fraction, _console()))


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
    from runners import reporting

    folder = to or out / "report"
    how, settings = reporting.reading(baseline, ()), _settings(scale, correction, draws)
    raise typer.Exit(reporting.write_report_folder(str(out), folder, how, settings, _console()))


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
    from runners import reporting

    folder = to or Path(f"{Path(scores).stem}_report")
    how, settings = reporting.reading(baseline, mapped or ()), _settings(scale, correction, draws)
    raise typer.Exit(reporting.write_report_folder(scores, folder, how, settings, _console()))


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
    from runners import reporting

    how, settings = reporting.reading(baseline, mapped or ()), _settings("absolute", "BH", draws)
    raise typer.Exit(reporting.show_recommendation(source, n_train, task_type, group, how, settings, _console()))


@app.command()
def power(
    source: SourceArgument,
    baseline: BaselineOption = None,
    mapped: MapOption = None,
    draws: DrawsOption = 2000,
) -> None:
    """What the seeds at hand can show, and how many it takes for the margins."""
    from runners import reporting

    how, settings = reporting.reading(baseline, mapped or ()), _settings("absolute", "BH", draws)
    raise typer.Exit(reporting.show_power(source, how, settings, _console()))


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
    out: Annotated[Path, typer.Argument(metavar="OUT", help="New folder for the phantoms.")],
    tasks: Annotated[str | None, typer.Option("--tasks", help="Task ids, joined by commas; else all.")] = None,
    scale: Annotated[float, typer.Option("--scale", min=0.0, max=1.0, help="Share of the challenge's images.")] = 0.02,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
) -> None:
    """Write ultrasound phantoms in the challenge's layout, with planted relatedness that is written down."""
    from runners import commands

    raise typer.Exit(commands.write_phantom_folder(out, tasks, scale, seed, _console()))


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 140)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry of `agglab`. An error that the user can mend is one line on stderr and exit code 1, or 2 for the study.

    A model that cannot be built is a fault of the study's `model` section.
    """
    try:
        app(args=arguments)
    except AgglabError as error:
        print(f"agglab: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, StudyError | ModelError) else 1)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"agglab: {place}{error.strerror or error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
