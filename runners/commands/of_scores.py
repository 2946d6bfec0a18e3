"""Commands on score tables: report, gallery, analyze, recommend, power, group, next. What they do is imported when
called."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from aggregation_lab.errors import StudyError
from runners.commands.arguments import (
    ArmOption,
    BaseOption,
    CorrectionOption,
    DrawsOption,
    JsonOption,
    MapOption,
    MarginOption,
    MovedOption,
    OutArgument,
    QuietOption,
    ReportOption,
    ScaleOption,
    SourceArgument,
    as_path,
)
from runners.console.terminal import screen

if TYPE_CHECKING:
    from analysis.settings import Settings


def report(
    out: OutArgument,
    to: ReportOption = None,
    base: BaseOption = None,
    arm: ArmOption = None,
    scale: ScaleOption = "absolute",
    correction: CorrectionOption = "BH",
    draws: DrawsOption = 2000,
    images: Annotated[
        bool, typer.Option("--images/--no-images", help="Show cases with their images, or leave these out.")
    ] = True,
    data: MovedOption = None,
    quiet: QuietOption = False,
) -> None:
    """Analyse a study and write its report: answers, tables, figures, methods; OUT/report where --to is not given."""
    from runners.commands import report_commands
    from runners.commands.opened_scores import reading
    from runners.planning.user_paths import moved_path

    data = moved_path(data)
    if data is not None and not images:
        raise StudyError("--data: --no-images shows none; leave one of them out")
    folder = to or out / "report"
    how, settings = reading(base, (), arm), analysis_settings(scale, correction, draws)
    code = report_commands.write_report_folder(str(out), folder, how, settings, screen(quiet), images=images, data=data)
    raise typer.Exit(code)


def gallery(
    out: OutArgument,
    task: Annotated[
        list[str] | None, typer.Option("--task", metavar="TASK", help="Tasks; all where none is given.")
    ] = None,
    contrast: Annotated[
        list[str] | None, typer.Option("--contrast", metavar="NAME", help="Such as AU-TS; all where none is given.")
    ] = None,
    each: Annotated[int, typer.Option("--each", min=1, max=100, help="Cases at either end.")] = 3,
    pdf: Annotated[bool, typer.Option("--pdf", help="Also a figure for a paper of each task and contrast.")] = False,
    data: MovedOption = None,
    to: ReportOption = None,
    base: BaseOption = None,
    arm: ArmOption = None,
    draws: DrawsOption = 2000,
    quiet: QuietOption = False,
) -> None:
    """The test cases that lose and gain most, with images and predictions; OUT/gallery where --to is not given."""
    from runners.commands import report_commands
    from runners.commands.opened_scores import reading
    from runners.planning.user_paths import moved_path

    data, folder = moved_path(data), to or out / "gallery"
    how, settings = reading(base, (), arm), analysis_settings("absolute", "BH", draws)
    chosen = report_commands.ChosenCases(tuple(task or ()), tuple(contrast or ()), each, pdf, data)
    raise typer.Exit(report_commands.write_gallery_folder(str(out), folder, chosen, how, settings, screen(quiet)))


def analyze(
    scores: SourceArgument,
    to: ReportOption = None,
    base: BaseOption = None,
    arm: ArmOption = None,
    mapped: MapOption = None,
    margin: MarginOption = None,
    scale: ScaleOption = "absolute",
    correction: CorrectionOption = "BH",
    draws: DrawsOption = 2000,
    quiet: QuietOption = False,
) -> None:
    """The same report from anybody's score table: task, aggregation, seed, value, and more columns if there."""
    from runners.commands import report_commands
    from runners.commands.opened_scores import reading

    folder = to or Path(f"{Path(scores).stem}_report")
    how = reading(base, mapped or (), arm, margin or ())
    settings = analysis_settings(scale, correction, draws)
    raise typer.Exit(report_commands.write_report_folder(scores, folder, how, settings, screen(quiet)))


def recommend(
    source: SourceArgument,
    n_train: Annotated[float, typer.Option("--n-train", help="Training cases of the new task.")],
    task_type: Annotated[str, typer.Option("--type", help="segmentation, classification, detection or regression.")],
    group: Annotated[str | None, typer.Option("--group", help="Clinical group; a new one where not given.")] = None,
    base: BaseOption = None,
    arm: ArmOption = None,
    mapped: MapOption = None,
    margin: MarginOption = None,
    draws: DrawsOption = 500,
) -> None:
    """Which aggregation for a new task, by the gains in these scores; it may abstain."""
    from runners.commands import report_commands
    from runners.commands.opened_scores import reading

    how = reading(base, mapped or (), arm, margin or ())
    settings = analysis_settings("absolute", "BH", draws)
    raise typer.Exit(report_commands.show_recommendation(source, n_train, task_type, group, how, settings, screen()))


def power(
    source: SourceArgument,
    base: BaseOption = None,
    arm: ArmOption = None,
    mapped: MapOption = None,
    margin: MarginOption = None,
    draws: DrawsOption = 2000,
) -> None:
    """What the seeds of a study can show, and how many the margins need."""
    from runners.commands import report_commands
    from runners.commands.opened_scores import reading

    how = reading(base, mapped or (), arm, margin or ())
    settings = analysis_settings("absolute", "BH", draws)
    raise typer.Exit(report_commands.show_power(source, how, settings, screen()))


def group(
    out: OutArgument,
    units: Annotated[
        int | None, typer.Option("--units", min=1, help="Number of units; any number where not given.")
    ] = None,
    within: Annotated[
        float | None, typer.Option("--within", metavar="HOURS", help="Most worker hours of training what is missing.")
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option("--write", parser=as_path, metavar="FILE", help="Write the study with the partition found."),
    ] = None,
    as_json: JsonOption = False,
    arm: ArmOption = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the draws behind chances and intervals.")] = 0,
) -> None:
    """Which tasks to train together: the partition with the largest predicted gain, from validation scores alone."""
    from runners.commands.group_tasks import Asked, group_tasks

    raise typer.Exit(group_tasks(out, Asked(units, within, write, as_json, arm, seed), screen(as_json)))


def next_(
    out: OutArgument,
    hours: Annotated[
        float | None,
        typer.Option("--hours", help="Most hours of training on one worker; the best steps where not given."),
    ] = None,
    as_json: JsonOption = False,
    arm: ArmOption = None,
    draws: DrawsOption = 2000,
) -> None:
    """The next runs: those that are expected to decide most undecided verdicts per hour, and the next partition."""
    from runners.commands.next_runs import Asked, show_next

    raise typer.Exit(show_next(out, Asked(hours, arm, draws, as_json), screen(as_json)))


def analysis_settings(scale: str, correction: str, draws: int) -> "Settings":
    from analysis.settings import Correction, Scale, Settings

    for option, value, allowed in (("--scale", scale, Scale), ("--correction", correction, Correction)):
        if value not in get_args(allowed):
            raise StudyError(f"{option} {value}: is unknown; it takes {', '.join(get_args(allowed))}")
    return Settings(scale=scale, correction=correction, draws=draws)  # type: ignore[arg-type]
