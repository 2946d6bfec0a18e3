"""The commands that read score tables: report, analyze, recommend, power."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aggregation_lab.errors import ResultsError, StudyError
from aggregation_lab.text import near_names, printable, whole_per_cent
from analysis.external import PAPER, read_scores
from analysis.external.columns import NEEDED, OPTIONAL
from analysis.external.margins import DEFAULT
from analysis.pipeline import analyse
from analysis.report.words import beside_counts
from analysis.result import Analysis
from analysis.settings import Settings, farthest_gain
from analysis.study import StudyTables, load_study
from runners.execution.progress import say
from runners.store.collect import collect
from runners.store.study_folder import StudyFolder
from runners.store.verdicts_seen import note_reading

_SHOWN = 20
"""Most contrasts that get a line."""

_LONGEST = 20_000
"""Most characters of a line."""

SHIPPED = {"paper": PAPER}
"""Names that stand for shipped score tables."""


@dataclass(frozen=True)
class Reading:
    """How score tables are read: the aggregation that gains are over, columns by this project's names, the arm that is
    analysed, and losses that count as none, by task, metric, type or `default`."""

    base: str | None = None
    mapped: Mapping[str, str] = field(default_factory=dict)
    arm: str | None = None
    margins: Mapping[str, float] = field(default_factory=dict)


def reading(base: str | None, mapped: Sequence[str], arm: str | None = None, margins: Sequence[str] = ()) -> Reading:
    """From `--base`, `--map`, `--arm` and `--margin` as they were typed. Raises `StudyError` where one is invalid."""
    columns: dict[str, str] = {}
    for pair in mapped:
        name, equals, theirs = pair.partition("=")
        if name.strip() not in (*NEEDED, *OPTIONAL) or not theirs.strip():
            known = ", ".join((*NEEDED, *OPTIONAL))
            raise StudyError(f"--map {printable(pair)}: write COLUMN=NAME, NAME as in the file, COLUMN one of {known}")
        if columns.setdefault(name.strip(), theirs) != theirs:
            raise StudyError(f"--map {printable(pair)}: {name.strip()} is mapped twice; keep one")
    losses: dict[str, float] = {}
    for text in margins:
        name, equals, loss = text.rpartition("=")
        try:
            value = float(loss)
        except ValueError:
            value = float("nan")
        if value != value or (equals and not name.strip()):
            raise StudyError(f"--margin {printable(text)}: write LOSS or NAME=LOSS, such as 0.02 or lesion=0.05")
        if losses.setdefault(name.strip() or DEFAULT, value) != value:
            raise StudyError(f"--margin {printable(text)}: is a second margin of that; keep one")
    return Reading(base, columns, arm, losses)


def open_scores(source: str, how: Reading) -> StudyTables:
    """The scores in an output folder, whose finished runs are collected first; in a table; or of a shipped name.

    Raises `ResultsError` where there is none.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        folder = StudyFolder(path)
        if folder.plan_file.is_file():
            collect(folder)
        return rebased(of_arm(load_study(path), how), how)
    table = path if path.exists() else SHIPPED.get(source, path)
    return of_arm(read_scores(table, how.base, how.mapped, how.margins), how)


def named(source: str) -> Path | str:
    """A source as a report names it: a path, or a shipped name."""
    path = Path(source).expanduser()
    return source if source in SHIPPED and not path.exists() else path


def of_arm(study: StudyTables, how: Reading) -> StudyTables:
    """The tables of the arm that is asked for. Raises `StudyError` where the study has none of that name."""
    if how.arm is not None and how.arm not in study.arms:
        raise StudyError(f"--arm {printable(how.arm)}: the study has {', '.join(study.arms)}")
    return study.of_arm(how.arm)


def rebased(study: StudyTables, how: Reading) -> StudyTables:
    """A study with another base; its columns need no mapping."""
    if how.mapped:
        raise StudyError("--map: is for score tables, a study has its own columns")
    if how.margins:
        raise StudyError("--margin: is for score tables, a study names its margins in its file (margins)")
    if how.base is not None and how.base not in study.aggregations:
        known = ", ".join(study.aggregations)
        raise StudyError(f"--base {printable(how.base)}: the study has {known}")
    return study if how.base is None else replace(study, base=how.base)


def analysed(
    source: str,
    how: Reading,
    settings: Settings,
    console: Console,
    check: Callable[[StudyTables], None] = lambda study: None,
) -> Analysis:
    """The analysis of a source that passes the `check`; its steps are shown while it runs."""
    study = open_scores(source, how)
    check(study)
    note_reading(study)
    with console.status("reading the scores") as status:
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


def say_plainly(console: Console, line: str) -> None:
    """Print a line with text from outside, escaped: the terminal interprets nothing in it."""
    say(console, printable(line, _LONGEST))


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
    from analysis.questions.power import plan_sentence

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
        beyond = row["detectable"] > most and row["margin"] == row["margin"]  # no margin: in another unit
        power = (_number(row["margin"], 3), *sizes, f">{most:g}" if beyond else _number(row["detectable"], 3))
        more = (_number(row["seeds_to_detect"], 0), _number(row["seeds_to_exclude"], 0), _number(row["hours"], 1))
        added = (_number(row["more_replicates"], 0), _number(row["more_test_subjects"], 0))
        by = "-" if row["decided_by"] != row["decided_by"] else str(row["decided_by"] or "-")
        table.add_row(*names, *power, *more, str(row["limit"]), *added, by)
    console.print(table)
    say_plainly(console, plan_sentence(frame))
    return 0


def _number(value: float, digits: int) -> str:
    return "-" if value != value else f"{value:.{digits}f}"
