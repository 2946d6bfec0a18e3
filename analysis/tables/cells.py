"""How one number, interval or verdict reads in a table: the same in every table and figure."""

import math
import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from aggregation_lab.text import decimals_apart, decimals_of_interval, exact_per_cent, whole_per_cent
from analysis.questions.study_quality import IMPROVING
from analysis.statistics.verdicts import BENEFIT, HARM, NO_LOSS, SAME_MODEL, UNDECIDED

MISSING = "–"
VERDICT_MARKS = {HARM: "▼", BENEFIT: "▲", NO_LOSS: "≈", UNDECIDED: "?", SAME_MODEL: "≡"}

BEYOND = "…"
"""Stands for a limit of n* that lies outside the sizes that were seen."""

_MINUS = "−"


def number(value: float, digits: int = 3, *, signed: bool = False) -> str:
    """A number with fixed decimals and a true minus sign; a dash where it is missing."""
    if pd.isna(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    text = f"{value:{'+' if signed else ''}.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", _MINUS)


def count(value: float) -> str:
    """A whole number."""
    return number(value, 0)


def grouped(value: float) -> str:
    """A large whole number that is told to the last digit: 46,714."""
    return MISSING if pd.isna(value) else f"{value:,.0f}".replace("-", _MINUS)


def significant(value: float, digits: int = 3) -> str:
    """A quantity in few digits, with powers of ten from a million on: 0.38, 37,500, 1.2e+06."""
    return MISSING if pd.isna(value) else f"{float(f'{value:.{digits}g}'):,.6g}".replace("-", _MINUS)


def percent(value: float) -> str:
    """A share or chance in whole per cent: `<1%` and `>99%` of what is neither never nor always."""
    if pd.isna(value):
        return MISSING
    return whole_per_cent(value, "") if 0 < value < 1 else f"{number(100 * value, 0)}%"


def data_share(value: float) -> str:
    """A share of the training data in per cent as it is: 2.5%, so that two shares never read the same."""
    return MISSING if pd.isna(value) else exact_per_cent(value, "")


def change(value: float) -> str:
    """A relative change in per cent, with its sign."""
    return MISSING if pd.isna(value) else f"{number(100 * value, 1, signed=True)}%"


_LEVELS = (0.05, 0.025)
"""What a p value is compared with, two-sided and one-sided, unless the settings say otherwise."""


def p_value(value: float) -> str:
    """Two significant digits, `<0.001` below that; close to the level that decides one more, or as many as it takes to
    see the side on which it lies: 0.0496, 0.0504, 0.05002."""
    if pd.isna(value):
        return MISSING
    digits = 2 + any(abs(value / level - 1) < 0.1 for level in _LEVELS)
    for level in _LEVELS:
        while float(f"{value:.{digits}g}") == level and not math.isclose(value, level, rel_tol=1e-6):
            digits += 1
    return "<0.001" if value < 0.001 else f"{value:#.{digits}g}" if value < 0.995 else "1.0"


NO_LIMIT = "no useful limit"
"""Stands in place of an interval that holds every value there can be."""


def interval(value: float, low: float, high: float, digits: int = 3, *, most: float = math.inf) -> str:
    """`0.031 [0.012, 0.050]`, with more decimals of a limit that is not 0 and would read so; the number alone where
    there is no interval.

    `most` is the largest value there can be, on either side: a limit beyond it reads `<−1` or `>1`, and both
    `no useful limit`.
    """
    if pd.isna(value) or pd.isna(low) or pd.isna(high):
        return number(value, digits)
    numbers = (value, low, high)
    middle, lower, upper = map(number, numbers, decimals_of_interval(*numbers, digits))
    if low < -most and high > most:
        return f"{number(value, digits)} [{NO_LIMIT}]"
    lower = lower if low >= -most else f"<{number(-most, 0)}"
    upper = upper if high <= most else f">{number(most, 0)}"
    return f"{middle} [{lower}, {upper}]"


def of_data(fraction: float) -> str:
    """`with all training data`, `with 25 % of the training data`."""
    return "with all training data" if fraction == 1 else f"with {exact_per_cent(fraction)} of the training data"


def margin_decimals(row: Mapping[Any, Any]) -> int:
    """Decimals in which the margin of a row of the frame `gains` reads as it is, three at most, and apart from the
    margin that its data support."""
    margin, digits = row["margin"], decimals(row["gain_unit"])
    while digits < 3 and not math.isclose(round(margin, digits), margin):
        digits += 1
    return decimals_apart(margin, row["supported_margin"], digits)


def decides_at(title: str, level: float) -> str:
    """The title of a column of p values with the level at or below which they decide: `p loss (0.025)`."""
    return f"{title} ({level:g})"


def with_unit(shown: str, unit: str) -> str:
    """A value and its unit behind it, where it has one."""
    return shown if unit == "1" else f"{shown} {unit}".rstrip()


def share_gaining(row: Mapping[str, Any]) -> str:
    """`7 of 9`: of how many tasks the gain, or change, is above 0."""
    return MISSING if pd.isna(row["gaining"]) else f"{count(row['gaining'])} of {count(row['tasks'])}"


def limits(
    row: Mapping[str, Any], value: str, low: str = "low", high: str = "high", digits: int = 3, *, most: float = math.inf
) -> str:
    """`interval` of three columns of a row."""
    return interval(row[value], row[low], row[high], digits, most=most)


def crossing(row: Mapping[str, Any]) -> str:
    """n* with its limits: `597 […, 2350]`, the dots for a limit beyond the sizes seen."""
    if pd.isna(row["n_star"]):
        return MISSING
    low, high = (BEYOND if pd.isna(row[name]) else count(row[name]) for name in ("n_star_low", "n_star_high"))
    return f"{count(row['n_star'])} [{low}, {high}]"


def true_minus(sentence: str) -> str:
    """A sentence with true minus signs before its numbers."""
    return re.sub(r"(?<!\w)-(?=\d)", _MINUS, sentence)


def decimals(unit: object) -> int:
    """Decimals of a metric: three where it is unit-free, one in pixels and other units."""
    return 3 if unit == "1" else 1


def flagged(text: str, improving: Any, rising: Any = None, curves: Any = None) -> str:
    """`text` with the arrow where `improving` is true, and in how many of several seeds: `0.031 ↗ 2/5`."""
    return f"{text} {arrow(rising, curves)}" if not pd.isna(improving) and bool(improving) else text


def arrow(rising: Any, curves: Any) -> str:
    """`↗`, and in how many seeds of several."""
    several = not pd.isna(curves) and curves > 1
    return f"{IMPROVING} {rising:.0f}/{curves:.0f}" if several else IMPROVING


def of_base(text: str, row: Mapping[Any, Any]) -> str:
    """`flagged` by the base model of a row of the frame `gains`."""
    return flagged(text, row["base_improving"], row["base_rising"], row["base_curves"])


def text(value: Any) -> str:
    """Text, or a dash where there is none."""
    return MISSING if value is None or pd.isna(value) or value == "" else str(value)
