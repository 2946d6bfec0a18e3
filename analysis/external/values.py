"""Numbers, shares and seeds as people write them in a score table: read where they can mean one thing only."""

import re

import numpy as np
import pandas as pd

from aggregation_lab.tasks import METRICS
from aggregation_lab.text import listed, printable
from analysis.external.sheet import Sheet, quoted, shown

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


def numbers(column: pd.Series, sheet: Sheet, *, gaps: bool) -> pd.Series:
    """The column as numbers, missing where a gap is allowed; how it was read is noted.

    A per cent sign divides by 100. A decimal comma is read where the column has no decimal point and cannot mean
    thousands. Raises `ResultsError` naming the first row that is no number.
    """
    name = str(column.name)
    texts = column.str.replace("\u2212", "-").str.replace("\u00a0", "").str.strip()
    empty = texts.str.lower().isin(_EMPTY)
    if not gaps:
        sheet.check_filled(empty, name)
    percent = texts.str.endswith("%") | texts.str.endswith("\uff05")
    if percent.any():
        sheet.check(~percent & ~empty, f"{name} is without %, which other rows have; write all alike")
        texts = texts.str.rstrip("%\uff05").str.strip()
        first = printable(str(column[~empty].iloc[0]))
        sheet.notes.append(f"{name} is given with % and read as shares: {first} is a share.")
    comma = texts[~empty].map(lambda text: bool(_COMMA.fullmatch(text)))
    if comma.any() and _are_decimal(texts[~empty]):
        texts = texts.str.replace(",", ".")
        sheet.notes.append(f"{name} is read with decimal commas.")
    wrong = ~empty & ~texts.map(lambda text: bool(_NUMBER.fullmatch(text)))
    sheet.check(wrong, lambda row: _no_number(name, column.iloc[row], texts.iloc[row]))
    values = texts.where(~empty, "nan").map(float)
    sheet.check(values.abs() > LARGEST, lambda row: f"{name} {quoted(column.iloc[row])} is too large")
    return values / 100 if percent.any() else values


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
        return f"{name} {quoted(cell)} is not a number; write a decimal point and no sign between thousands"
    marked = _MARKED.fullmatch(text)
    if marked and marked["rest"].startswith(("±", "+/-", "+-", "(", "[")):
        return f"{name} {quoted(cell)} is not a number; write one row for each seed, not a mean and its scatter"
    if marked:
        return f"{name} {quoted(cell)} is not a number; write {marked['number']} alone"
    return f"{name} {quoted(cell)} is not a number"


def seeds(column: pd.Series, sheet: Sheet) -> pd.Series:
    """Seeds as whole numbers. Names count as numbers: by their number where all are alike (`fold_0`), else in order."""
    texts = column.str.strip()
    sheet.check_filled(texts == "", "seed")
    if texts.map(lambda text: bool(_NUMBER.fullmatch(text))).all():
        return _whole(texts, sheet)
    names = list(dict.fromkeys(texts))
    parts = [re.fullmatch(r"(.*?)(\d{1,9})", name, re.DOTALL | re.ASCII) for name in names]
    stems = {part[1].casefold() for part in parts if part}
    by_number = {name: int(part[2]) for name, part in zip(names, parts, strict=True) if part}
    if len(stems) == 1 and len(by_number) == len(names) == len(set(by_number.values())):
        number = by_number
    else:
        number = {name: rank for rank, name in enumerate(sorted(names))}
    examples = listed([printable(f"{name} is {number[name]}", 80) for name in names], 3)
    sheet.notes.append(f"Seeds are names, which count as numbers: {examples}.")
    return texts.map(number).astype("int64")


def _whole(texts: pd.Series, sheet: Sheet) -> pd.Series:
    values = texts.map(float)
    wrong = (values != np.round(values)) | (values.abs() >= _LARGEST_SEED)
    sheet.check(wrong, lambda row: f"seed {printable(texts.iloc[row], 40)} is not a whole number below 2^53")
    return values.astype("int64")


def shares_of_percent(rows: pd.DataFrame, shares: frozenset[str], sheet: Sheet) -> pd.Series:
    """Values with those of a metric divided by 100 where they can only be per cent.

    Such are all values of a metric in `shares` where every one that is not 0 lies between 2 and 100: a share is at most
    1, and a model of less than 2 per cent stands in no table beside better ones without being noticed.
    """
    values, converted = rows["value"].copy(), []
    for metric, of_metric in rows.groupby("metric", sort=False)["value"]:
        size = of_metric.abs()
        if metric in shares and (size > 0).any() and size[size > 0].between(2, 100).all():
            values[of_metric.index] = of_metric / 100
            converted.append(str(metric))
    if converted:
        sheet.notes.append(f"Values of {shown(converted)} lie between 2 and 100 and are read as per cent.")
    return values


def check_scales(rows: pd.DataFrame, sheet: Sheet) -> None:
    """Raise `ResultsError` where one arm's values of a metric that is not known look like per cent of another's."""
    unknown = ~rows["metric"].isin(list(METRICS)) & (rows["direction"] == "higher")
    arms = rows[unknown].groupby(["task", "metric", "aggregation"], sort=False)["value"].agg(["min", "median", "max"])
    for (task, metric), by_arm in arms.groupby(level=["task", "metric"], sort=False):
        shares = by_arm[(by_arm["min"] >= 0) & (by_arm["max"] <= 1) & (by_arm["median"] > 0)]
        large = by_arm[(by_arm["min"] > 1) & (by_arm["max"] <= 100)]
        if shares.empty or large.empty:
            continue
        ratio = large["median"].iloc[0] / shares["median"].iloc[0]
        if _PER_CENT[0] <= ratio <= _PER_CENT[1]:
            high, low = (
                f"{printable(str(frame.index.get_level_values('aggregation')[0]), 60)}"
                f" looks like {form} ({frame['median'].iloc[0]:g})"
                for frame, form in ((large, "per cent"), (shares, "a share"))
            )
            where = f"task {printable(str(task), 60)}: {printable(str(metric), 60)}"
            raise sheet.fail(f"{where} of {high}, that of {low}; write all as shares")
