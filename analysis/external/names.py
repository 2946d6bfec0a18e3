"""Names in a foreign score table: what nobody sees is taken off, what cannot be printed is refused, and words of the
report are kept for the report."""

import difflib
import re
import unicodedata
from pathlib import Path

import pandas as pd

from aggregation_lab.errors import ResultsError
from aggregation_lab.tasks import METRICS, TaskType, find_type, read_type
from aggregation_lab.text import printable
from analysis.external.score_file import Sheet, shown

LONGEST_NAME = 200
"""Most characters of a name."""

_TAKEN = {"type": ("all",), "group": ("all", "any other"), "aggregation": ("undecided", "guideline")}
"""Words that stand for something else in a report."""

_OTHER_METRICS = {"dice": "DSC", "auroc": "AUC", "acc": "accuracy"}


_DIRECTIONS = {
    "higher": re.compile("higher(is)?better|higher|maxim(um|ize|ise)|max|↑"),
    "lower": re.compile("lower(is)?better|lower|minim(um|ize|ise)|min|↓"),
}


def directions(column: pd.Series) -> pd.Series:
    """The column direction as higher or lower, where it can mean one of these only."""
    return column.map(lambda text: _direction(re.sub(r"[\s_-]", "", text.casefold()), text))


def _direction(plain: str, text: str) -> str:
    return next((name for name, words in _DIRECTIONS.items() if words.fullmatch(plain)), text)


def clean_names(column: pd.Series, sheet: Sheet, path: Path) -> tuple[pd.Series, list[str]]:
    """The column with blanks and Unicode forms made alike, and notes on names that a reader may confuse.

    Raises `ResultsError` where a name cannot stand in a table: it holds a line break or another invisible character, is
    too long, or is a word of the report.
    """
    name, given = str(column.name), list(dict.fromkeys(column))
    cleaned = {text: _clean(text) for text in given}
    for text, clean in cleaned.items():
        fault = _fault(clean, _TAKEN.get(name, ()))
        if fault:
            row = int((column == text).to_numpy().argmax())
            raise ResultsError(f"{path}: {sheet.row(row)}: {name} '{printable(clean, 60)}' {fault}; rename it")
    notes = _merged(name, cleaned) + _alike(name, set(cleaned.values()))
    return column.map(cleaned), notes


def _clean(text: str) -> str:
    composed = unicodedata.normalize("NFC", text).strip().strip("\ufeff\u200b\u2060").strip()
    return "".join(" " if unicodedata.category(letter) == "Zs" else letter for letter in composed)


def _fault(name: str, taken: tuple[str, ...]) -> str:
    if not name.isprintable():
        return "holds a line break or another invisible character"
    if len(name) > LONGEST_NAME:
        return f"has {len(name)} characters, {LONGEST_NAME} are the most"
    return "is a word of the report" if name in taken else ""


def _merged(kind: str, cleaned: dict[str, str]) -> list[str]:
    """Names that became one."""
    forms: dict[str, int] = {}
    for clean in cleaned.values():
        forms[clean] = forms.get(clean, 0) + 1
    several = [clean for clean, count in forms.items() if count > 1]
    said = "Names that differ in blanks or Unicode form only count as one"
    return [f"{said}: {kind} {shown(several)}."] if several else []


def _alike(kind: str, names: set[str]) -> list[str]:
    """Names that stay two, though they look like one."""
    bare: dict[str, list[str]] = {}
    for name in sorted(names):
        key = "".join(letter for letter in unicodedata.normalize("NFKC", name).casefold() if letter not in " _-")
        bare.setdefault(key, []).append(name)
    pairs = [" and ".join(members) for members in bare.values() if len(members) > 1]
    said = "Names that differ in capitals, blanks or dashes only count as different ones"
    return [f"{said}: {kind} {shown(pairs)}."] if pairs else []


def task_types(column: pd.Series, sheet: Sheet, path: Path) -> pd.Series:
    """Task types as this project writes them; other words stay. Raises `ResultsError` for what looks like an error."""
    found = {}
    for text in dict.fromkeys(column):
        folded = text.casefold()
        known = find_type(folded)
        meant = None if known or not text else _meant(folded)
        if meant:
            row = int((column == text).to_numpy().argmax())
            raise ResultsError(
                f"{path}: {sheet.row(row)}: type '{printable(text, 60)}' is unknown; did you mean {meant}?"
            )
        found[text] = str(known or text)
    return column.map(found)


def _meant(word: str) -> str | None:
    starting = [task_type for task_type in TaskType if len(word) >= 3 and task_type.startswith(word)]
    close = difflib.get_close_matches(word, list(TaskType), n=1, cutoff=0.75)
    return next(iter([*starting, *close]), read_type(word))


def metric_names(column: pd.Series) -> pd.Series:
    """Metrics as this project writes them; others stay."""
    known = {name.casefold(): name for name in METRICS} | _OTHER_METRICS
    return column.map({text: known.get(text.casefold(), text) for text in dict.fromkeys(column)})
