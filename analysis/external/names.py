"""Names in a score table from elsewhere: blanks are made alike, names that cannot be printed are refused, and so are
words of the report."""

import difflib
import re
from collections import Counter

import pandas as pd

from aggregation_lab.aggregation import FLOOR
from aggregation_lab.naming import LONGEST_NAME, alike, clean_name, squashed
from aggregation_lab.tasks import METRICS, TaskType, find_type, read_type
from analysis.external.sheet import Sheet, quoted, shown

_TAKEN = {"type": ("all",), "group": ("all", "any", "any other"), "aggregation": ("undecided", "guideline")}
"""Words that stand for something else in a report."""

_TOLD_APART = ("task", "aggregation", "group", "arm", "metric")
"""Columns whose names are told apart by capitals; those of the others are words that are known."""

_OTHER_METRICS = {"dice": "DSC", "auroc": "AUC", "acc": "accuracy"}

_DIRECTIONS = {
    "higher": re.compile("higher(is)?better|higher|maxim(um|ize|ise)|max|↑"),
    "lower": re.compile("lower(is)?better|lower|minim(um|ize|ise)|min|↓"),
}


def directions(column: pd.Series) -> pd.Series:
    """The column direction as higher or lower, where it can mean one of these only."""

    def read(text: str) -> str:
        plain = re.sub(r"[\s_-]", "", text.casefold())
        return next((name for name, words in _DIRECTIONS.items() if words.fullmatch(plain)), text)

    return column.map(read)


def clean_names(column: pd.Series, sheet: Sheet) -> pd.Series:
    """The column with blanks and Unicode forms made alike; names that a reader may confuse are noted.

    Raises `ResultsError` where a name cannot stand in a table: it holds a line break or another invisible character, is
    too long, or is a word of the report.
    """
    kind = str(column.name)
    cleaned = {text: clean_name(text) for text in column.unique()}
    for text, name in cleaned.items():
        fault = _fault(name, _TAKEN.get(kind, ()))
        if kind == "aggregation" and name != FLOOR and name.casefold() == FLOOR:
            fault = f"differs in capitals alone from {FLOOR}, the trivial predictors"
        if fault:
            sheet.check(column == text, f"{kind} {quoted(name)} {fault}; rename it")
    merged = [name for name, count in Counter(cleaned.values()).items() if count > 1]
    if merged:
        sheet.notes.append(f"Names that differ in blanks or Unicode form only count as one: {kind} {shown(merged)}.")
    pairs = [" and ".join(names) for names in alike(cleaned.values()) if kind in _TOLD_APART]
    if pairs:
        what = "Names that differ in capitals, blanks or dashes only count as different ones"
        sheet.notes.append(f"{what}: {kind} {shown(pairs)}.")
    return column.map(cleaned)


def _fault(name: str, taken: tuple[str, ...]) -> str:
    if not name.isprintable():
        return "holds a line break or another invisible character"
    if len(name) > LONGEST_NAME:
        return f"has {len(name)} characters, {LONGEST_NAME} are the most"
    return "is a word of the report" if name in taken else ""


def task_types(column: pd.Series, sheet: Sheet) -> pd.Series:
    """Task types as this project writes them; other words stay. Raises `ResultsError` for what looks like an error."""
    types = {}
    for text in column.unique():
        folded = text.casefold()
        known = find_type(folded)
        meant = None if known or not text else _meant(folded)
        if meant:
            sheet.check(column == text, f"type {quoted(text)} is unknown; did you mean {meant}?")
        types[text] = str(known or text)
    return column.map(types)


def _meant(word: str) -> str | None:
    starting = [task_type for task_type in TaskType if len(word) >= 3 and task_type.startswith(word)]
    close = difflib.get_close_matches(word, list(TaskType), n=1, cutoff=0.75)
    return next(iter([*starting, *close]), read_type(word))


def metric_of_column(header: str) -> str | None:
    """The metric that a column of values is called by, as in `Dice (%)`; `score` names none."""
    known = {squashed(name): name for name in METRICS if name != "score"} | _OTHER_METRICS
    return known.get(squashed(header))


def metric_names(column: pd.Series) -> pd.Series:
    """Metrics as this project writes them; others stay."""
    known = {name.casefold(): name for name in METRICS} | _OTHER_METRICS
    return column.map({text: known.get(clean_name(text).casefold(), text) for text in column.unique()})
