"""Counts, lists, aggregations and anchors of the page in words. Numbers read as in `analysis.tables.cells`."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import pandas as pd

from aggregation_lab.aggregation import stages
from aggregation_lab.text import decimals_of_limit, exact_per_cent
from analysis.statistics.verdicts import BENEFIT, UNDECIDED
from analysis.tables.cells import NO_LIMIT, number

_AGGREGATIONS: Final = {
    "TS": "one model per task",
    "CG": "one model per clinical group",
    "AU": "one model for all tasks",
}


def signed(value: float, digits: int = 3) -> str:
    """A difference: with its sign, none on zero."""
    return number(value, digits, signed=True)


def limits(low: float, high: float, most: float = math.inf) -> str:
    """Both limits of a difference in brackets; nothing where one of them is unknown, and in words where they hold every
    value from minus `most` to `most`."""
    if pd.isna(low) or pd.isna(high):
        return ""
    if low < -most and high > most:
        return f"[{NO_LIMIT}]"
    lower, upper = (signed(limit, decimals_of_limit(limit)) for limit in (low, high))
    return f"[{lower}, {upper}]"


def count(amount: int, noun: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{amount:,} {noun if amount == 1 else noun + 's'}"


def beside_counts(gains: pd.DataFrame) -> dict[str, str]:
    """What stands behind the number of tasks of a verdict, by verdict: how many gains are shown to be larger than the
    margin, and in how many of the undecided tasks the models learned nothing."""
    larger, nothing = (int(gains[name].eq(True).sum()) for name in ("exceeds_margin", "learned_nothing"))
    said = {BENEFIT: f" ({larger or 'none'} shown to gain more than the margin)"}
    if nothing:
        said[UNDECIDED] = f" ({nothing} learned nothing: neither mean is above the floor)"
    return said


def aggregation(name: str) -> str:
    """What an aggregation is."""
    if both := stages(name):
        first, second = both
        what = _AGGREGATIONS.get(second, f"one model per unit of {second}")
        return f"{what}, {'trained twice' if first == second else f'started from the models of {first}'}"
    return _AGGREGATIONS.get(name, f"the aggregation {name}")


def percent(share: float) -> str:
    """A share in per cent as it is, its sign on the same line."""
    return exact_per_cent(share)


def slug(name: str) -> str:
    """A name as a CSS class."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def anchor(kind: str, name: object) -> str:
    """An id on the page; percent-encoded, so that any run or task id can be linked to."""
    return f"{kind}-{quote(str(name), safe='')}"


def setting(settings: Mapping[str, Any], path: str) -> Any:
    """A setting by its dotted name; None where it is not given."""
    value: Any = settings
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def sentence(settings: Mapping[str, Any], template: str, *paths: str) -> str:
    """The template filled with settings; empty where one of them is not known."""
    values = [setting(settings, path) for path in paths]
    return "" if any(value is None for value in values) else template.format(*values)


def joined(sentences: Sequence[str]) -> str:
    """The sentences that there are, as one text."""
    return " ".join(filter(None, sentences))
