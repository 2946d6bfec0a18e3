"""Gain against the number of training cases: across tasks (observation) and within tasks (intervention)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import offset_copy

from analysis.figures.theme import (
    COLUMN,
    INK,
    SMALL,
    Drawn,
    add_legend,
    error_bars,
    gain_label,
    improving_handle,
    improving_marker,
    interval_axis,
    log_n_axis,
    new_figure,
    themed,
    type_look,
)
from analysis.result import Analysis
from analysis.statistics.verdicts import SAME_MODEL
from analysis.tables.cells import crossing
from analysis.tables.order import against_base, at_full, records, unit_free

_PANEL = 1.75
"""Inches of height per panel."""

_SINGLE = 200
"""Most points whose intervals are drawn one by one, with a head where they leave the axis."""

_TITLE_PAD = 5.0
"""Points above the axis, clear of the heads of intervals that run off it."""


@themed
def scale_across(analysis: Analysis) -> Drawn | None:
    """One panel per contrast: a point per task with its interval, the mixed model's line and the crossover."""
    gains = at_full(_comparable(analysis))
    if gains["n_train"].nunique() < 2:
        return None
    gains = gains[gains["contrast"].isin(against_base(gains))]
    lines, fits = analysis.frames["across_line"], analysis.frames["across"]
    lines = lines[(lines["scope"] == "all") & lines["contrast"].isin(gains["contrast"])]
    fits = fits[(fits["scope"] == "all") & (fits["method"] == "mixed model")]
    bands = lines.groupby("contrast").agg(low=("low", "min"), high=("high", "max"))
    label = "training cases of the task (different tasks: observation)"
    return _panels(analysis, gains, lines, fits, _points, label, pd.concat([gains, bands]))


@themed
def scale_within(analysis: Analysis) -> Drawn | None:
    """One panel per contrast: each task at every fraction of its data, and the pooled line."""
    gains = _comparable(analysis)
    if gains["fraction"].nunique() < 2:
        return None
    lines, fits = analysis.frames["within_line"], analysis.frames["within"]
    lines = lines[(lines["level"] == "pooled") & (lines["name"] == "all")]
    fits = fits[(fits["level"] == "pooled") & (fits["name"] == "all")]
    return _panels(analysis, gains, lines, fits, _curves, "training cases (same tasks, less data: intervention)")


def _comparable(analysis: Analysis) -> pd.DataFrame:
    gains = unit_free(analysis.frames["gains"], analysis.settings.scale)
    known = (gains["n_train"] > 0) & gains["gain"].notna()
    return gains[known & (gains["verdict"] != SAME_MODEL)]


def _panels(
    analysis: Analysis,
    gains: pd.DataFrame,
    lines: pd.DataFrame,
    fits: pd.DataFrame,
    draw: Callable[[Axes, pd.DataFrame], None],
    label: str,
    limits: pd.DataFrame | None = None,
) -> Drawn:
    """`limits` are intervals (low, high) that the vertical axis is made for; else it holds all that is drawn."""
    names = against_base(gains)
    gains, lines = gains[gains["contrast"].isin(names)], lines[lines["contrast"].isin(names)]
    by_contrast = {row["contrast"]: row for row in records(fits)}
    figure = new_figure(COLUMN, 0.75 + _PANEL * len(names))
    axes = figure.subplots(len(names), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    if limits is not None:
        interval_axis(list(axes), gains["gain"], limits["low"], limits["high"], vertical=True)
    for ax, contrast in zip(axes, names, strict=True):
        own, line = gains[gains["contrast"] == contrast], lines[lines["contrast"] == contrast]
        draw(ax, own)
        if len(line):
            ax.fill_between(
                line["n"], line["low"].astype(float), line["high"].astype(float), color=INK, alpha=0.15, lw=0
            )
            ax.plot(line["n"], line["fit"], color=INK, lw=1.4, zorder=4)
        if contrast in by_contrast and len(line):
            _crossover(ax, by_contrast[contrast], (line["n"].min(), line["n"].max()))
        ax.axhline(0, color=INK, lw=0.6, zorder=1)
        ax.set_title(contrast, loc="left", pad=_TITLE_PAD)
        if limits is None:
            ax.margins(y=0.12)
        ax.yaxis.set_major_locator(MaxNLocator(5))
        ax.set_ylabel(gain_label(analysis))
    log_n_axis(axes[0], gains["n_train"].min(), gains["n_train"].max())
    axes[-1].set_xlabel(label)
    _legend(figure, gains)
    return figure, pd.concat([gains.assign(part="task"), lines.assign(part="line")], ignore_index=True)


def _points(ax: Axes, gains: pd.DataFrame) -> None:
    for kind, own in gains.groupby("type", sort=True):
        colour, marker = type_look(str(kind))
        bars = own[["low", "high", "n_train"]].to_numpy(float)
        if len(bars) > _SINGLE:
            first, last = ax.get_ylim()
            low, high, at = bars[np.isfinite(bars).all(1)].T
            ax.vlines(at, np.maximum(low, first), np.minimum(high, last), color=colour, lw=0.3, alpha=0.3)
            bars = bars[:0]
        for low, high, at in bars:
            error_bars(ax, low, high, at, colour, vertical=True, lw=0.7, alpha=0.6)
        ax.plot(
            own["n_train"], own["gain"], marker=marker, color=colour, ms=4, mec="white", mew=0.4, ls="none", zorder=3
        )
        _arrows(ax, own, INK)


def _curves(ax: Axes, gains: pd.DataFrame) -> None:
    for _, own in gains.sort_values("n_train").groupby("task", sort=True):
        colour, marker = type_look(own["type"].iloc[0])
        ax.plot(own["n_train"], own["gain"], color=colour, lw=0.7, alpha=0.6, marker=marker, ms=2.6, mew=0, zorder=2)
        _arrows(ax, own, colour)


def _arrows(ax: Axes, gains: pd.DataFrame, colour: str) -> None:
    """An arrow beside each gain whose base was still improving."""
    rising = gains[gains["base_improving"].astype(bool)]
    if rising.empty:
        return
    beside = offset_copy(ax.transData, ax.get_figure(root=True), x=4, y=3.5, units="points")
    look: Any = {"marker": improving_marker(), "color": colour, "ms": 4, "mew": 0.2, "ls": "none", "clip_on": False}
    ax.plot(rising["n_train"], rising["gain"], transform=beside, zorder=5, **look)


_LIMITS = ("n_star_low", "n_star_high")


def _crossover(ax: Axes, fit: dict[str, Any], seen: tuple[float, float]) -> None:
    """n* with its interval on the zero line, up to the end of the sizes `seen`; where there is none, why."""
    if pd.isna(fit["n_star"]):
        text = f"crossover: {fit['crossover']}"
    else:
        low, high = (end if pd.isna(fit[name]) else fit[name] for name, end in zip(_LIMITS, seen, strict=True))
        ax.plot([low, high], [0, 0], color=INK, lw=2.4, solid_capstyle="butt", zorder=4)
        ax.plot([fit["n_star"]], [0], marker="o", ms=4.5, mfc="white", mec=INK, mew=1.0, zorder=5)
        text = f"n* = {crossing(fit)}, {fit['crossover']}"
    ax.set_title(text, loc="right", fontsize=SMALL, fontweight="normal", pad=_TITLE_PAD)


def _legend(figure: Figure, gains: pd.DataFrame) -> None:
    handles = []
    for name in sorted(gains["type"].unique()):
        colour, marker = type_look(name)
        handles.append(Line2D([], [], color=colour, marker=marker, ms=4, ls="none", label=name))
    handles += [Line2D([], [], color=INK, lw=1.4, label="fit, 95 % band"), improving_handle()]
    add_legend(figure, handles, loc="outside lower center", ncols=3)
