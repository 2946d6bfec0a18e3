"""The commands that read score tables: report, analyze, recommend, power."""

from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from aggregation_lab.errors import ResultsError
from analysis.external import PAPER, read_scores
from analysis.pipeline import Analysis, analyse
from analysis.settings import Settings
from analysis.study import StudyTables, load_study
from runners import output
from runners.collect import collect
from runners.progress import say

SHIPPED = {"paper": PAPER}
"""Names that stand for shipped score tables."""


def open_scores(source: str) -> StudyTables:
    """The scores in an output folder, whose finished runs are collected first; in a table; or of a shipped name.

    Raises `ResultsError` where there is none.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        if (path / "plan.json").is_file():
            collect(path, output.read_plan(path))
        return load_study(path)
    return read_scores(path if path.exists() else SHIPPED.get(source, path))


def analysed(source: str, settings: Settings, console: Console) -> Analysis:
    """The analysis of a source, each of its steps shown while it runs."""
    study = open_scores(source)
    with console.status("reading the scores") as status:
        return analyse(study, settings, progress=lambda step: status.update(step))


def write_report_folder(source: str, folder: Path, settings: Settings, console: Console) -> int:
    """Analyse and write the report; says where it is, and what stands in it first."""
    from analysis.report import write_report

    analysis = analysed(source, settings, console)
    with console.status("drawing tables, figures and the report"):
        write_report(analysis, folder)
    _say_verdicts(analysis, console)
    for warning in analysis.warnings:
        say(console, f"note: {warning}")
    say(console, f"report: {folder / 'index.html'}")
    return 0


def _say_verdicts(analysis: Analysis, console: Console) -> None:
    gains = analysis.frames["gains"]
    full = gains[gains["fraction"] == max(analysis.study.fractions)]
    for contrast, rows in full.groupby("contrast", sort=False):
        counts = rows["verdict"].value_counts()
        text = ", ".join(f"{name} {count}" for name, count in counts.items())
        say(console, f"{contrast}: {text}")


def show_recommendation(
    source: str, n_train: float, task_type: str, group: str | None, settings: Settings, console: Console
) -> int:
    """Print the advice for a new task, with the expected gains it rests on."""
    advice = analysed(source, settings, console).recommend(n_train, task_type, group)
    say(console, f"{advice.advice}: {advice.reason}")
    for each in advice.expected:
        say(
            console,
            f"  {each.aggregation}: a new task gains with a chance of {100 * each.chance:.0f} %{_harm(each.harm)}; "
            f"expected gain {each.gain:+.3f}, 95 % interval [{each.low:+.3f}, {each.high:+.3f}], "
            f"one such task [{each.task_low:+.3f}, {each.task_high:+.3f}]",
        )
    return 0


def _harm(chance: float) -> str:
    return "" if chance != chance else f", loses more than the margin with {100 * chance:.0f} %"


def show_power(source: str, settings: Settings, console: Console) -> int:
    """Print, for every task and contrast, what the seeds and cases at hand can show and what more seeds would cost."""
    from analysis.power import plan_sentence

    frame = analysed(source, settings, console).frames["power"]
    if frame.empty:
        raise ResultsError(f"{source}: holds no pair of runs to plan from")
    table = Table(title="Seeds and what they can show (80 % power)", title_justify="left", box=SIMPLE_HEAD)
    for name in ("contrast", "task", "margin", "seeds", "detectable", "to detect", "to exclude", "hours", "limit"):
        table.add_column(name, justify="left" if name in ("contrast", "task", "limit") else "right")
    for row in frame.to_dict("records"):
        numbers = (_number(row["seeds_to_detect"], 0), _number(row["seeds_to_exclude"], 0), _number(row["hours"], 1))
        table.add_row(
            row["contrast"],
            row["task"],
            _number(row["margin"], 3),
            str(row["seeds"]),
            _number(row["detectable"], 3),
            *numbers,
            str(row["limit"]),
        )
    console.print(table)
    say(console, plan_sentence(frame))
    return 0


def _number(value: float, digits: int) -> str:
    return "-" if value != value else f"{value:.{digits}f}"
