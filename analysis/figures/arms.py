"""Arms: gains of every task in every arm, and gains against the size of the model."""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from analysis.figures.axes import interval_axis, stacked
from analysis.figures.canvas import Target
from analysis.figures.choices import Palette
from analysis.figures.heat_map import columns_that_fit, draw_cells
from analysis.figures.marks import error_bars, fitted_band
from analysis.figures.style import COLUMN, GAIN_LABELS, INK, SMALL
from analysis.figures.view import Choices, NothingToDraw, View, drawn_from
from analysis.settings import farthest_gain
from analysis.tables.order import against_base, at_full, records

_MOST_COLUMNS = 12
"""Arms and contrasts that a page has room for, with names that are short."""


def arms_heat_map(
    arm_gains: pd.DataFrame,
    *,
    ax: Target | None = None,
    tasks: Iterable[str] | None = None,
    order: Iterable[str] | None = None,
    labels: Mapping[str, str] | None = None,
    palette: Palette | None = None,
) -> Target:
    """Heat map of gains at full data in every arm: tasks by contrasts and arms, with the mark of the verdict.

    Args:
        arm_gains: the frame `arm_gains`.
        ax: where to draw.
        tasks: the tasks to show; without them the 60 with the surest gains.
        order: tasks from top to bottom.
        labels: what to write instead of the name of a task, contrast or arm.
        palette: a colormap of matplotlib by its name, or colours from loss to gain.

    Returns the Axes. Raises `ResultsError` for a name that is not there.
    """
    return drawn_from(draw_arms, {"arm_gains": arm_gains}, Choices(ax, tasks, order, labels, palette))


def draw_arms(view: View) -> pd.DataFrame:
    """The body of `arms_heat_map`."""
    rows = view["arm_gains"]
    gains = at_full(rows[rows["unit"] == "1"]) if len(rows) else rows
    if gains["arm"].nunique() < 2:
        raise NothingToDraw("gains in two arms or more")
    gains = view.sorted(gains[gains["contrast"].isin(against_base(gains))])
    gains, line = view.fewer_tasks(gains, gains)
    column = gains["contrast"] + "\n" + gains["arm"]
    contrasts, arms = list(dict.fromkeys(rows["contrast"])), list(dict.fromkeys(rows["arm"]))
    present = set(column)
    names = [name for name in map("\n".join, product(contrasts, arms)) if name in present]
    lines = 1 if len(names) <= columns_that_fit(gains) else 2
    most = min(_MOST_COLUMNS, columns_that_fit(gains, lines))
    if len(names) > most:
        left_out = "" if len(names) > most + 2 else ", without " + ", ".join(names[most:]).replace("\n", " ")
        line = "; ".join(filter(None, [line, f"{most} of {len(names)} columns{left_out}"]))
        names = names[:most]
    shown = column.isin(names)
    titles = {name: "\n".join(stacked(part, len(names)) for part in name.split("\n")) for name in names}
    draw_cells(view, gains[shown], column[shown], titles, lines=lines)
    view.canvas.note_above(line)
    return gains[shown]


def capacity_trend(
    capacity_gains: pd.DataFrame,
    capacity_line: pd.DataFrame | None = None,
    *,
    ax: Target | None = None,
    labels: Mapping[str, str] | None = None,
    palette: Palette | None = None,
) -> Target:
    """Mean gain against the size of the model, over arms that differ in capacity alone, a line per aggregation.

    Args:
        capacity_gains: the frame `capacity_gains`: the mean gain in every arm with its interval.
        capacity_line: the frame `capacity_line`: the pooled lines with their bands.
        ax: where to draw: several panels replace an Axes.
        labels: what to write instead of the name of a contrast or arm.
        palette: colours of aggregations or contrasts, by name or in the order of the legend.

    Returns the Axes where size is counted in one way, else the figure. Raises `ResultsError` for a name that is not
    there.
    """
    frames = {"capacity_gains": capacity_gains, "capacity_line": capacity_line}
    return drawn_from(draw_capacity, frames, Choices(ax, None, None, labels, palette))


def draw_capacity(view: View) -> pd.DataFrame:
    """The body of `capacity_trend`."""
    gains, lines = view["capacity_gains"], view["capacity_line"]
    if gains.empty:
        raise NothingToDraw("gains in arms that differ in capacity alone")
    gains = at_full(gains)
    gains = gains[gains["contrast"].isin(against_base(gains))]
    lines = lines[lines["contrast"].isin(gains["contrast"]) & lines["fraction"].isin(gains["fraction"])]
    measures = list(dict.fromkeys(gains["measure"]))
    axes = view.canvas.panels((len(measures), 1), (COLUMN, 0.7 + 1.75 * len(measures)), sharey=True)
    colours = view.colours_of_contrasts(gains)
    bands = lines.groupby(["contrast", "measure", "series"]).agg(low=("low", "min"), high=("high", "max"))
    limits = pd.concat([gains[["low", "high"]], bands])
    # Two or three bands tell little where they are cut, so that the axis has more room for them than for single tasks.
    interval_axis(
        axes, gains["gain"], limits["low"], limits["high"], vertical=True, most=farthest_gain("absolute"), room=4.0
    )
    for ax, measure in zip(axes, measures, strict=True):
        of_measure = gains[gains["measure"] == measure]
        _panel(ax, of_measure, lines[lines["measure"] == measure], colours)
        _size_axis(ax, of_measure["size"])
        ax.set_xlabel(f"{measure} of the joint model")
        ax.set_ylabel(GAIN_LABELS["absolute"])
    handles = [
        Line2D([], [], color=colour, marker=_MARKERS[place % len(_MARKERS)], ms=4, label=name)
        for place, (name, colour) in enumerate(colours.items())
    ]
    view.canvas.legend(handles, loc="outside lower center", ncols=min(4, len(handles)))
    return pd.concat([gains.assign(part="arm"), lines.assign(part="line")], ignore_index=True)


_MARKERS = "os^Dv"
_DODGE = 0.012
"""How far the points of two contrasts stand apart, as a share of the axis."""


def _panel(ax: Axes, gains: pd.DataFrame, lines: pd.DataFrame, colours: Mapping[str, str]) -> None:
    """The gains in every arm with their intervals, and the pooled line of each series."""
    reach = float(np.log(gains["size"].max() / gains["size"].min()))
    for place, (contrast, colour) in enumerate(colours.items()):
        aside = float(np.exp((place - (len(colours) - 1) / 2) * _DODGE * reach))
        for row in records(gains[gains["contrast"] == contrast]):
            at = row["size"] * aside
            error_bars(ax, row["low"], row["high"], at, colour, vertical=True, lw=0.8)
            marker = _MARKERS[place % len(_MARKERS)]
            ax.plot([at], [row["gain"]], marker=marker, ms=4, color=colour, mec="white", mew=0.4, ls="none", zorder=3)
        for _, line in lines[lines["contrast"] == contrast].groupby("series", sort=False):
            fitted_band(ax, line, "size", colour, lw=1.2, zorder=2.5)
    ax.axhline(0, color=INK, lw=0.6, zorder=1)
    ax.yaxis.set_major_locator(MaxNLocator(5))
    _name_arms(ax, gains.groupby("arm", sort=False)["size"].agg(lambda size: float(np.exp(np.log(size).mean()))))


_LETTER, _LINE = 3.7, 8.0
"""Points that a letter of the smallest text takes, and a line of it."""


def _name_arms(ax: Axes, sizes: pd.Series) -> None:
    """The name of every arm above its size, on a line of its own where names would meet."""
    places = (
        np.log(sizes.sort_values() / sizes.min()) / np.log(1.25**2 * sizes.max() / sizes.min()) * 72 * (COLUMN - 0.6)
    )
    ends: list[float] = []
    for arm, at in places.items():
        half = len(str(arm)) * _LETTER / 2
        lane = next((lane for lane, end in enumerate(ends) if at - half > end), len(ends))
        ends[lane : lane + 1] = [at + half + _LETTER]
        above: Any = {"xytext": (0, 3 + lane * _LINE), "textcoords": "offset points"}
        ax.annotate(
            str(arm), (sizes[arm], 1.0), xycoords=("data", "axes fraction"), ha="center", fontsize=SMALL, **above
        )


_PREFIXES = {1e12: "T", 1e9: "G", 1e6: "M", 1e3: "k"}


def _size_axis(ax: Axes, sizes: pd.Series) -> None:
    """Sizes on a logarithmic axis with plain numbers: 5M, 10M, 20M."""
    ax.set_xscale("log")
    low, high = float(sizes.min()) / 1.25, float(sizes.max()) * 1.25
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        ticks = [step * power for power in powers for step in steps if low <= step * power <= high]
        if len(ticks) >= 3:
            break
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    ax.set_xlim(low, high)


def _short(value: float) -> str:
    unit = next((unit for unit in _PREFIXES if value >= unit), 1.0)
    return f"{value / unit:g}{_PREFIXES.get(unit, '')}"
