"""Score tables as commands open them: of an output folder, of a file, or shipped; by the options that say how."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from aggregation_lab.errors import NotWritableError, ResultsError, StudyError
from aggregation_lab.text import printable
from analysis.external import PAPER, read_scores
from analysis.external.columns import NEEDED, OPTIONAL
from analysis.external.margins import DEFAULT
from analysis.study import StudyTables, load_study
from runners.execution.progress import say
from runners.store.collect import collect
from runners.store.study_folder import StudyFolder

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


def open_scores(source: str, how: Reading, console: Console) -> StudyTables:
    """The scores in an output folder, whose finished runs are collected first; in a table; or of a shipped name.

    The tables of a folder that may only be read are taken as they lie, which is said.

    Raises `ResultsError` where there is none.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        folder = StudyFolder(path)
        if folder.plan_file.is_file():
            _collect(folder, console)
        return rebased(of_arm(load_study(path), how), how)
    table = path if path.exists() else SHIPPED.get(source, path)
    return of_arm(read_scores(table, how.base, how.mapped, how.margins), how)


def _collect(folder: StudyFolder, console: Console) -> None:
    try:
        collect(folder)
    except NotWritableError as error:
        if not folder.table("scores").is_file():
            raise
        say_plainly(console, f"note: {error.fault}; the tables are read as they were last written")


@contextmanager
def told_if_unfinished(study: StudyTables, console: Console) -> Iterator[None]:
    """Say beside what is found in a study, and beside what cannot be, that runs of it are missing."""
    try:
        yield
    except ResultsError as error:
        if line := _unfinished(study):
            raise ResultsError(f"{error}; {line}") from error
        raise
    if line := _unfinished(study):
        say_plainly(console, f"note: {line}")


def _unfinished(study: StudyTables) -> str:
    """Empty where all runs are finished, or looks decide which are trained."""
    about = study.manifest
    if study.folder is None or study.looks is not None or not about.planned or about.finished in (None, about.planned):
        return ""
    status = f"agglab status {shlex.quote(str(study.folder))}"
    return (
        f"{study.folder}: {about.finished} of {about.planned} runs are finished; `{status}` says what is left, "
        "`agglab run-grid` trains it"
    )


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


def say_plainly(console: Console, line: str) -> None:
    """Print a line with text from outside, escaped: the terminal interprets nothing in it."""
    say(console, printable(line, _LONGEST))
