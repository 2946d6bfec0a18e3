"""Gain against the number of training cases: across tasks (observation) and within tasks (intervention)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import offset_copy

from analysis.figures.axes import interval_axis, log_n_axis
from analysis.figures.canvas import Target
from analysis.figures.choices import Palette
from analysis.figures.marks import Looks, error_bars, fitted_band, improving_handle, improving_marker
from analysis.figures.style import COLUMN, GAIN_LABELS, INK, SMALL, TYPE_LOOKS
from analysis.figures.view import Choices, NothingToDraw, View, drawn_from
from analysis.settings import Scale, farthest_gain
from analysis.statistics.verdicts import SAME_MODEL
from analysis.tables.cells import crossing
from analysis.tables.order import against_base, at_full, records, unit_free

_PANEL = 1.75
"""Inches of height per panel."""

_SINGLE = 200
"""Most points whose intervals are drawn one by one, with a head where they leave the axis."""

_TITLE_PAD = 5.0
"""Points above the axis, clear of the heads of intervals that run off it."""


def scale_across(
    gains: pd.DataFrame,
    across: pd.DataFrame | None = None,
    across_line: pd.DataFrame | None = None,
    *,
    ax: Target | None = None,
    tasks: Iterable[str] | None = None,
    labels: Mapping[str, str] | None = None,
    palette: Palette | None = None,
    scale: Scale = "absolute",
) -> Target:
    """One panel per contrast: a point per task with its interval, the mixed model's line and the crossover.

    Args:
        gains: the frame `gains`.
        across: the frame `across`: n* and what is known of the crossover.
        across_line: the frame `across_line`: the line and its band, those of all tasks.
        ax: where to draw: several panels replace an Axes.
        tasks: the tasks to show.
        labels: what to write instead of the name of a contrast.
        palette: colours of task types, by name or in the order of the legend.
        scale: what the gains are measured in.

    Returns the Axes where there is one contrast, else the figure. Raises `ResultsError` for a name that is not there.
    """
    frames = {"gains": gains, "across": across, "across_line": across_line}
    return drawn_from(draw_across, frames, Choices(ax, tasks, None, labels, palette), scale)


def draw_across(view: View) -> pd.DataFrame:
    """The body of `scale_across`."""
    gains = at_full(_comparable(view))
    if gains["n_train"].nunique() < 2:
        raise NothingToDraw("gains of tasks that differ in n_train")
    gains = gains[gains["contrast"].isin(against_base(gains))]
    lines, fits = view["across_line"], view["across"]
    lines = lines[(lines["scope"] == "all") & lines["contrast"].isin(gains["contrast"])]
    fits = fits[(fits["scope"] == "all") & (fits["method"] == "mixed model")]
    bands = lines.groupby("contrast").agg(low=("low", "min"), high=("high", "max"))
    label = "training cases of the task (different tasks: observation)"
    return _panels(view, gains, lines, fits, _points, label, pd.concat([gains, bands]))


def scale_within(
    gains: pd.DataFrame,
    within: pd.DataFrame | None = None,
    within_line: pd.DataFrame | None = None,
    *,
    ax: Target | None = None,
    tasks: Iterable[str] | None = None,
    labels: Mapping[str, str] | None = None,
    palette: Palette | None = None,
    scale: Scale = "absolute",
) -> Target:
    """One panel per contrast: each task at every fraction of its data, and the pooled line.

    Args:
        gains: the frame `gains`.
        within: the frame `within`: n* and what is known of the crossover.
        within_line: the frame `within_line`: the line and its band, those of all tasks.
        ax: where to draw: several panels replace an Axes.
        tasks: the tasks to show.
        labels: what to write instead of the name of a contrast.
        palette: colours of task types, by name or in the order of the legend.
        scale: what the gains are measured in.

    Returns the Axes where there is one contrast, else the figure. Raises `ResultsError` for a name that is not there.
    """
    frames = {"gains": gains, "within": within, "within_line": within_line}
    return drawn_from(draw_within, frames, Choices(ax, tasks, None, labels, palette), scale)


def draw_within(view: View) -> pd.DataFrame:
    """The body of `scale_within`."""
    gains = _comparable(view)
    if gains["fraction"].nunique() < 2:
        raise NothingToDraw("gains at two fractions or more")
    lines, fits = view["within_line"], view["within"]
    lines = lines[(lines["level"] == "pooled") & (lines["name"] == "all")]
    fits = fits[(fits["level"] == "pooled") & (fits["name"] == "all")]
    return _panels(view, gains, lines, fits, _curves, "training cases (same tasks, less data: intervention)")


def _comparable(view: View) -> pd.DataFrame:
    gains = unit_free(view["gains"])
    known = (gains["n_train"] > 0) & gains["gain"].notna()
    return gains[known & (gains["verdict"] != SAME_MODEL)]


def _panels(
    view: View,
    gains: pd.DataFrame,
    lines: pd.DataFrame,
    fits: pd.DataFrame,
    draw: Callable[[Axes, pd.DataFrame, Looks], None],
    label: str,
    limits: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """`limits` are intervals (low, high) that the vertical axis is made for; else it holds all that is drawn."""
    names = against_base(gains)
    gains, lines = gains[gains["contrast"].isin(names)], lines[lines["contrast"].isin(names)]
    by_contrast = {row["contrast"]: row for row in records(fits)}
    size = (COLUMN, 0.75 + _PANEL * len(names))
    axes = view.canvas.panels((len(names), 1), size, sharex=True, sharey=True)
    looks = view.looks({name: TYPE_LOOKS.get(name, (INK, "o")) for name in sorted(gains["type"].unique())}, TYPE_LOOKS)
    if limits is not None:
        interval_axis(axes, gains["gain"], limits["low"], limits["high"], vertical=True, most=farthest_gain(view.scale))
    for ax, contrast in zip(axes, names, strict=True):
        points, line = gains[gains["contrast"] == contrast], lines[lines["contrast"] == contrast]
        draw(ax, points, looks)
        if len(line):
            fitted_band(ax, line, "n", INK, lw=1.4, zorder=4)
        if contrast in by_contrast and len(line):
            _crossover(ax, by_contrast[contrast], (line["n"].min(), line["n"].max()))
        ax.axhline(0, color=INK, lw=0.6, zorder=1)
        ax.set_title(contrast, loc="left", pad=_TITLE_PAD)
        if limits is None:
            ax.margins(y=0.12)
        ax.yaxis.set_major_locator(MaxNLocator(5))
        ax.set_ylabel(GAIN_LABELS[view.scale])
    log_n_axis(axes[0], gains["n_train"].min(), gains["n_train"].max())
    for ax, contrast in zip(axes, names, strict=True):
        _arrows(ax, gains[gains["contrast"] == contrast], None if limits is None else INK, looks)
    axes[-1].set_xlabel(label)
    _legend(view, looks)
    return pd.concat([gains.assign(part="task"), lines.assign(part="line")], ignore_index=True)


def _points(ax: Axes, gains: pd.DataFrame, looks: Looks) -> None:
    for task_type, points in gains.groupby("type", sort=True):
        colour, marker = looks[str(task_type)]
        bars = points[["low", "high", "n_train"]].to_numpy(float)
        if len(bars) > _SINGLE:
            first, last = ax.get_ylim()
            low, high, at = bars[np.isfinite(bars).all(1)].T
            ax.vlines(at, np.maximum(low, first), np.minimum(high, last), color=colour, lw=0.3, alpha=0.3)
            bars = bars[:0]
        for low, high, at in bars:
            error_bars(ax, low, high, at, colour, vertical=True, lw=0.7, alpha=0.6)
        style: Any = {"marker": marker, "color": colour, "ms": 4, "mec": "white", "mew": 0.4, "ls": "none", "zorder": 3}
        ax.plot(points["n_train"], points["gain"], **style)


def _curves(ax: Axes, gains: pd.DataFrame, looks: Looks) -> None:
    for _, curve in gains.sort_values("n_train").groupby("task", sort=True):
        colour, marker = looks[str(curve["type"].iloc[0])]
        style: Any = {"color": colour, "lw": 0.7, "alpha": 0.6, "marker": marker, "ms": 2.6, "mew": 0, "zorder": 2}
        ax.plot(curve["n_train"], curve["gain"], **style)


_AXIS = (72 * (COLUMN - 0.6), 72 * (_PANEL - 0.3))
"""Points that a panel is wide and high, about, before it is laid out."""

_ROOM = 7.0
"""Points to the next mark that are room enough for an arrow."""

_BESIDE = ((4.0, 3.5), (-4.0, 3.5), (4.0, -3.5), (-4.0, -3.5))
"""Points from a mark to its arrow."""


def _arrows(ax: Axes, gains: pd.DataFrame, colour: str | None, looks: Looks) -> None:
    """An arrow beside each gain whose base was still improving, in its type's colour without a `colour`: on the side
    that is farthest from other marks. Set both axes first."""
    (left, right), (low, high) = np.log(ax.get_xlim()), ax.get_ylim()
    across = (np.log(gains["n_train"].to_numpy(float)) - left) / (right - left) * _AXIS[0]
    up = (gains["gain"].to_numpy(float) - low) / (high - low) * _AXIS[1]
    look: Any = {"marker": improving_marker(), "ms": 4, "mew": 0.2, "ls": "none", "clip_on": False, "zorder": 5}
    for place, row in enumerate(records(gains)):
        if not bool(row["base_improving"]):
            continue
        x, y = np.delete(across, place) - across[place], np.delete(up, place) - up[place]
        near = [min(_ROOM, float(np.hypot(x - dx, y - dy).min(initial=_ROOM))) for dx, dy in _BESIDE]
        dx, dy = _BESIDE[int(np.argmax(near))]
        beside = offset_copy(ax.transData, ax.get_figure(root=True), x=dx, y=dy, units="points")
        ax.plot([row["n_train"]], [row["gain"]], transform=beside, color=colour or looks[row["type"]][0], **look)


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


def _legend(view: View, looks: Looks) -> None:
    handles = [
        Line2D([], [], color=colour, marker=marker, ms=4, ls="none", label=name)
        for name, (colour, marker) in looks.items()
    ]
    handles += [Line2D([], [], color=INK, lw=1.4, label="fit, 95 % band"), improving_handle()]
    view.canvas.legend(handles, loc="outside lower center", ncols=3)
