"""The commands that read score tables: report, analyze, recommend, power."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aggregation_lab.errors import ResultsError
from aggregation_lab.text import near_names, printable, whole_per_cent
from analysis.pipeline import analyse
from analysis.questions.advice.guidelines import check_size
from analysis.questions.power import notices_nothing, plan_sentence
from analysis.report.words import beside_counts
from analysis.result import Analysis
from analysis.settings import Settings, farthest_gain
from analysis.study import StudyTables
from runners.commands.opened_scores import Reading, named, open_scores, say_plainly, told_if_unfinished
from runners.execution.progress import say
from runners.store.verdicts_seen import note_reading

_SHOWN = 20
"""Most contrasts that get a line."""


def analysed(
    source: str,
    how: Reading,
    settings: Settings,
    console: Console,
    check: Callable[[StudyTables], None] = lambda study: None,
) -> Analysis:
    """The analysis of a source that passes the `check`; its steps are shown while it runs."""
    study = open_scores(source, how, console)
    check(study)
    note_reading(study)
    with told_if_unfinished(study, console), console.status("reading the scores") as status:
        return analyse(study, settings, progress=lambda step: status.update(step))


def write_report_folder(
    source: str,
    folder: Path,
    how: Reading,
    settings: Settings,
    console: Console,
    *,
    images: bool = True,
    data: Path | None = None,
) -> int:
    """Analyse and write the report; print its path, the verdicts and the warnings."""
    from analysis.report import write_report
    from analysis.report.checks import alerts

    analysis = analysed(source, how, settings, console, _writable(folder, "report", source))
    missing: list[str] = []
    with console.status("drawing tables, figures and the report"):
        write_report(analysis, folder, source=named(source), images=images, data=data, say=missing.append)
    if len(analysis.study.compared_arms) > 1:
        others = ", ".join(name for name in analysis.study.compared_arms if name != analysis.study.arm)
        say_plainly(console, f"arm: {analysis.study.arm}; --arm takes another one ({others})")
    for alert in alerts(analysis):
        say_plainly(console, alert)
    _say_verdicts(analysis, console)
    for line in (*analysis.warnings, *missing):
        say_plainly(console, f"note: {line}")
    say_plainly(console, f"report: {folder / 'index.html'}")
    return 0


def _writable(folder: Path, kind: str, source: str) -> Callable[[StudyTables], None]:
    """A check that `folder` is free for a report or gallery of a study, made before the long work."""
    from analysis.report.folder import check_folder, report_of

    check_folder(folder)
    return lambda study: check_folder(folder, report_of(study, kind, named(source), folder))


@dataclass(frozen=True)
class ChosenCases:
    """What a gallery shows: tasks and contrasts (all where none is named), `each` cases at either end, with `pdf` a
    figure for a paper; `data` is where the images lie, if they were moved."""

    tasks: Sequence[str]
    contrasts: Sequence[str]
    each: int
    pdf: bool
    data: Path | None


def write_gallery_folder(
    source: str, folder: Path, chosen: ChosenCases, how: Reading, settings: Settings, console: Console
) -> int:
    """Analyse and write the gallery; print what is missing, and its path."""
    from analysis.report.gallery import write_gallery_page

    analysis = analysed(source, how, settings, console, _writable(folder, "gallery", source))
    with console.status("drawing pictures") as status:
        page, missing = write_gallery_page(
            analysis,
            folder,
            chosen.tasks,
            chosen.contrasts,
            source=named(source),
            data=chosen.data,
            each=chosen.each,
            pdf=chosen.pdf,
            progress=lambda task: status.update(f"drawing pictures of {printable(task)}"),
        )
    for line in missing:
        say_plainly(console, f"note: {line}")
    for file in sorted(folder.glob("*.pdf")):
        say_plainly(console, f"figure: {file}")
    say_plainly(console, f"gallery: {page}")
    return 0


def _say_verdicts(analysis: Analysis, console: Console) -> None:
    gains = analysis.frames["gains"]
    full = gains[gains["fraction"] == max(analysis.study.fractions)]
    several = list(full.groupby("contrast", sort=False))
    for contrast, rows in several[:_SHOWN]:
        counts, more = rows["verdict"].value_counts(), beside_counts(rows)
        text = ", ".join(f"{name} {count}{more.get(str(name), '')}" for name, count in counts.items())
        say_plainly(console, f"{contrast}: {text}")
    if len(several) > _SHOWN:
        say(console, f"and {len(several) - _SHOWN} more contrasts, in the report's tables")


def show_recommendation(
    source: str,
    n_train: float,
    task_type: str,
    group: str | None,
    how: Reading,
    settings: Settings,
    console: Console,
) -> int:
    """Print the advice for a new task, with the expected gains it rests on."""
    check_size(n_train)  # before the analysis, which takes its time
    analysis = analysed(source, how, settings, console)
    advice = analysis.recommend(n_train, task_type, group)
    known = sorted(set(analysis.study.scores["group"]))
    if group is not None and group not in known:
        say_plainly(
            console, f"note: --group {group} is in no score, so it counts as a new one{near_names(group, known)}"
        )
    say_plainly(console, f"{advice.advice}: {advice.reason}")
    for arm in advice.expected:
        harm = "" if arm.harm != arm.harm else f", loses more than the margin with {whole_per_cent(arm.harm)}"
        say_plainly(
            console,
            f"  {arm.aggregation}: a new task gains with a chance of {whole_per_cent(arm.chance)}{harm}; "
            f"expected gain {arm.gain:+.3f}, 95 % interval [{arm.low:+.3f}, {arm.high:+.3f}], "
            f"one such task [{arm.task_low:+.3f}, {arm.task_high:+.3f}]",
        )
    for name, why in advice.unknown.items():
        say_plainly(console, f"  {name}: nothing is expected: {why}")
    return 0


def show_power(source: str, how: Reading, settings: Settings, console: Console) -> int:
    """Print, for every task and contrast, what these seeds and cases can show and what more seeds would cost."""
    frame = analysed(source, how, settings, console).frames["power"]
    if frame.empty:
        raise ResultsError(f"{source}: holds no pair of runs to plan from")
    table = Table(title="Seeds and what they can show (80 % power)", title_justify="left", box=SIMPLE_HEAD)
    words, most = ("contrast", "task", "limit", "by"), farthest_gain(settings.scale)
    numbers = ("margin", "seeds", "subjects", "detectable", "to detect", "to exclude", "hours")
    for name in (*words[:2], *numbers, "limit", "more seeds", "more subjects", "by"):
        table.add_column(name, justify="left" if name in words else "right")
    for row in frame.to_dict("records"):
        names = (Text(printable(row[name])) for name in ("contrast", "task"))
        sizes = (str(row["seeds"]), str(row["subjects"] or "-"))
        noticed = f">{most:g}" if notices_nothing(row, most) else _number(row["detectable"], 3)
        power = (_number(row["margin"], 3), *sizes, noticed)
        more = (_number(row["seeds_to_detect"], 0), _number(row["seeds_to_exclude"], 0), _number(row["hours"], 1))
        added = (_number(row["more_replicates"], 0), _number(row["more_test_subjects"], 0))
        by = "-" if row["decided_by"] != row["decided_by"] else str(row["decided_by"] or "-")
        table.add_row(*names, *power, *more, str(row["limit"]), *added, by)
    console.print(table)
    say_plainly(console, plan_sentence(frame))
    return 0


def _number(value: float, digits: int) -> str:
    return "-" if value != value else f"{value:.{digits}f}"
