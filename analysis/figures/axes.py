"""Limits, ticks and titles of axes."""

from collections.abc import Iterable, Sequence
from textwrap import fill
from unicodedata import east_asian_width

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.figures.style import COLUMN, SMALL, WIDE

_LETTER = 0.64
"""Width of a letter of usual text over its size, about; those of East Asian scripts are as wide as they are high."""


def text_inches(texts: Iterable[str]) -> float:
    """About how wide the widest of the texts is in the smallest size, before a figure is made."""
    letters = (sum(1.0 if east_asian_width(letter) in "WF" else _LETTER for letter in text) for text in texts)
    return max(letters, default=0.0) * SMALL / 72


def width_beside(labels: Iterable[str], columns: int, each: float) -> float:
    """Inches of a figure whose `columns` of at least `each` inches stand beside labels: one column of a paper where
    they fit it, else both."""
    return COLUMN if text_inches(labels) + columns * each <= COLUMN else WIDE


def interval_axis(
    axes: Sequence[Axes],
    estimates: pd.Series,
    low: pd.Series,
    high: pd.Series,
    *,
    vertical: bool = False,
    most: float = np.inf,
    room: float = 2.0,
) -> None:
    """Limits of an axis of estimates with intervals: all of them, if the widest does not need `room` times as much.

    Two or three tasks can have an interval so wide that every other one would shrink to a point. The axis then ends
    where four of five limits and every estimate lie within; `error_bars` lets the others run off with an arrow head,
    as all those beyond `most`, the largest value that there can be.
    """
    if estimates.isna().all():
        return
    ends = pd.concat([low, high]).astype(float).abs()
    reach = float(np.nanmax([1.25 * estimates.abs().max(), ends.quantile(0.8)])) or 1.0
    if ends.max() <= room * reach:
        reach = max(reach, ends.max())
    reach = min(reach, most)
    first = max(-reach, float(np.nanmin([low.min(), estimates.min(), 0.0])))
    last = min(reach, float(np.nanmax([high.max(), estimates.max(), 0.0])))
    beyond = (0.12 if vertical else 0.06) * ((last - first) or reach)  # every gain can be exactly 0
    for ax in axes:
        (ax.set_ylim if vertical else ax.set_xlim)(first - beyond, last + beyond)


def log_n_axis(ax: Axes, low: float, high: float) -> None:
    """Training cases on a logarithmic axis with plain numbers: 100, 300, 1000 ..."""
    ax.set_xscale("log")
    low, high = low / 1.12, high * 1.12
    steps = [step * 10**power for power in range(7) for step in (1, 3)]
    ticks = [step for step in steps if low <= step <= high]
    if len(ticks) < 2:
        steps = [step * 10**power for power in range(7) for step in (1, 1.5, 2, 3, 4, 5, 7)]
        ticks = [step for step in steps if low <= step <= high]
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}" if value < 1e4 else f"{value / 1e3:g}k"))
    ax.set_xlim(low, high)


def stacked(name: str, columns: int) -> str:
    """A label over one of several columns, on as many lines as it takes to keep off its neighbours, at most three.

    Too long a contrast of sequential aggregations, such as `(AU>TS)-(TS>TS)`, is broken behind its minus.
    """
    width = max(9, 56 // columns)
    parts = name.replace(")-", ")- ") if len(name) > width else name
    return fill(parts, width, max_lines=3, placeholder="…", break_on_hyphens=False)
