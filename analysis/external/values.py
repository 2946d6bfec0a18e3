"""Numbers, shares and seeds as people write them in a score table: read where they can mean one thing only."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from aggregation_lab.errors import ResultsError
from aggregation_lab.tasks import METRICS
from aggregation_lab.text import printable
from analysis.external.score_file import Sheet, shown

LARGEST = 1e9
"""Above, a value is no score and squares of it lose all digits."""

_PER_CENT = (40.0, 250.0)
"""Ratio between the values of two arms of one task at which one is taken for per cent and one for shares."""

_LARGEST_SEED = 2**53
"""Above, numbers are no longer exact as floating point, which other programs read them as."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_COMMA = re.compile(r"[+-]?\d+,\d+(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_MARKED = re.compile(r"[*_†\s]*(?P<number>[+-]?\d+[.,]?\d*)\s*(?P<rest>[^\d\s_.,][^\n]*)", re.ASCII)
"""A number with something before or behind it: 0.71*, **0.71**, 0.71 mm, 0.71 ± 0.02, 0.71 (0.02)."""
_EMPTY = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "--", "–"})
"""What stands for no number in a column of numbers that may have gaps."""


def numbers(column: pd.Series, sheet: Sheet, path: Path, *, gaps: bool) -> tuple[pd.Series, list[str]]:
    """The column as numbers, missing where a gap is allowed, and how it was read.

    A per cent sign divides by 100. A decimal comma is read where the column has no decimal point and cannot mean
    thousands. Raises `ResultsError` naming the first row that is no number.
    """
    name, notes = str(column.name), []
    texts = column.str.replace("\u2212", "-").str.replace("\u00a0", "").str.strip()
    empty = texts.str.lower().isin(_EMPTY)
    if not gaps and empty.any():
        row = int(empty.to_numpy().argmax())
        raise ResultsError(f"{path}: {sheet.row(row)}: {name} is empty; fill it, or take the row out")
    percent = texts.str.endswith("%") | texts.str.endswith("\uff05")
    if percent.any() and not (percent | empty).all():
        row = int((~percent & ~empty).to_numpy().argmax())
        raise ResultsError(f"{path}: {sheet.row(row)}: {name} is without %, which other rows have; write all alike")
    if percent.any():
        texts = texts.str.rstrip("%\uff05").str.strip()
        notes.append(f"{name} is given with % and read as shares: {printable(str(column[~empty].iloc[0]))} is a share.")
    comma = texts[~empty].map(lambda text: bool(_COMMA.fullmatch(text)))
    if comma.any() and _are_decimal(texts[~empty]):
        texts = texts.str.replace(",", ".")
        notes.append(f"{name} is read with decimal commas.")
    wrong = ~empty & ~texts.map(lambda text: bool(_NUMBER.fullmatch(text)))
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        said = _no_number(name, column.iloc[row], texts.iloc[row])
        raise ResultsError(f"{path}: {sheet.row(row)}: {said}")
    values = np.full(len(texts), np.nan)
    values[~empty.to_numpy()] = [float(text) for text in texts[~empty]]
    too_large = np.abs(values) > LARGEST if name != "seed" else np.isinf(values)
    if too_large.any():
        row = int(too_large.argmax())
        raise ResultsError(f"{path}: {sheet.row(row)}: {name} {_quoted(column.iloc[row])} is too large")
    return pd.Series(values / 100 if percent.any() else values, column.index, name=name), notes


def _are_decimal(texts: pd.Series) -> bool:
    """Commas that are decimal in every cell: no point beside them, and one that cannot part thousands."""
    with_comma = texts[texts.str.contains(",")]
    fits = with_comma.map(lambda text: bool(_COMMA.fullmatch(text))).all()
    surely = with_comma.map(lambda text: not re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", text)).any()
    return bool(fits and surely and not texts.str.contains(".", regex=False).any())


def _no_number(name: str, cell: str, text: str) -> str:
    if re.fullmatch(r"[+-]?inf(inity)?", text, re.IGNORECASE):
        return f"{name} is not finite; fill it, or take the row out"
    if "," in text:
        return f"{name} {_quoted(cell)} is not a number; write a decimal point and no sign between thousands"
    marked = _MARKED.fullmatch(text)
    if marked and marked["rest"].startswith(("±", "+/-", "+-", "(", "[")):
        return f"{name} {_quoted(cell)} is not a number; write one row for each seed, not a mean and its scatter"
    if marked:
        return f"{name} {_quoted(cell)} is not a number; write {marked['number']} alone"
    return f"{name} {_quoted(cell)} is not a number"


def _quoted(cell: str) -> str:
    return f"'{printable(cell, 60)}'"


def seeds(column: pd.Series, sheet: Sheet, path: Path) -> tuple[pd.Series, list[str]]:
    """Seeds as whole numbers. Names count as numbers: by their number where all are alike (`fold_0`), else in order."""
    texts = column.str.strip()
    empty = texts == ""
    if empty.any():
        row = int(empty.to_numpy().argmax())
        raise ResultsError(f"{path}: {sheet.row(row)}: seed is empty; fill it, or take the row out")
    if texts.map(lambda text: bool(_NUMBER.fullmatch(text))).all():
        return _whole(texts, sheet, path), []
    names = list(dict.fromkeys(texts))
    parts = [re.fullmatch(r"(.*?)(\d{1,9})", name, re.DOTALL | re.ASCII) for name in names]
    stems = {part[1].casefold() for part in parts if part}
    by_number = {name: int(part[2]) for name, part in zip(names, parts, strict=True) if part}
    if len(stems) == 1 and len(by_number) == len(names) == len(set(by_number.values())):
        number = by_number
    else:
        number = {name: place for place, name in enumerate(sorted(names))}
    said = [f"{name} is {number[name]}" for name in names[:3]]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    note = f"Seeds are names, which count as numbers: {printable(', '.join(said))}{more}."
    return texts.map(number).astype("int64"), [note]


def _whole(texts: pd.Series, sheet: Sheet, path: Path) -> pd.Series:
    values = np.array([float(text) for text in texts])
    wrong = (values != np.round(values)) | (np.abs(values) >= _LARGEST_SEED)
    if wrong.any():
        row = int(wrong.argmax())
        seed = printable(texts.iloc[row], 40)
        raise ResultsError(f"{path}: {sheet.row(row)}: seed {seed} is not a whole number below 2^53")
    return pd.Series(values.astype("int64"), texts.index)


def shares_of_percent(rows: pd.DataFrame, shares: frozenset[str]) -> tuple[pd.Series, list[str]]:
    """Values with those of a metric divided by 100 where they can only be per cent.

    Such are all values of a metric in `shares` where every one that is not 0 lies between 2 and 100: a share is at most
    1, and a model of less than 2 per cent stands in no table beside better ones without being noticed.
    """
    values, read = rows["value"].copy(), []
    for metric, own in rows.groupby("metric", sort=False)["value"]:
        size = own.abs()
        if metric in shares and (size > 0).any() and size[size > 0].between(2, 100).all():
            values[own.index] = own / 100
            read.append(str(metric))
    notes = [f"Values of {shown(read)} lie between 2 and 100 and are read as per cent."] if read else []
    return values, notes


def check_scales(rows: pd.DataFrame, path: Path) -> None:
    """Raise `ResultsError` where one arm's values of a metric that is not known look like per cent of another's."""
    unknown = ~rows["metric"].isin(list(METRICS)) & (rows["direction"] == "higher")
    arms = rows[unknown].groupby(["task", "metric", "aggregation"], sort=False)["value"].agg(["min", "median", "max"])
    for (task, metric), own in arms.groupby(level=["task", "metric"], sort=False):
        shares = own[(own["min"] >= 0) & (own["max"] <= 1) & (own["median"] > 0)]
        large = own[(own["min"] > 1) & (own["max"] <= 100)]
        if shares.empty or large.empty:
            continue
        ratio = large["median"].iloc[0] / shares["median"].iloc[0]
        if _PER_CENT[0] <= ratio <= _PER_CENT[1]:
            high, low = (
                f"{printable(str(frame.index.get_level_values('aggregation')[0]), 60)}"
                f" looks like {form} ({frame['median'].iloc[0]:g})"
                for frame, form in ((large, "per cent"), (shares, "a share"))
            )
            where = f"{path}: task {printable(str(task), 60)}: {printable(str(metric), 60)}"
            raise ResultsError(f"{where} of {high}, that of {low}; write all as shares")
