"""Gains by task as a forest of intervals: which tasks gain, which lose, and how surely."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis.figures.axes import interval_axis, stacked, text_inches, width_beside
from analysis.figures.canvas import Target
from analysis.figures.choices import Palette
from analysis.figures.marks import (
    Looks,
    error_bars,
    improving_handle,
    interval_on_mark,
    margin_arrow,
    verdict_handles,
    verdict_mark,
)
from analysis.figures.style import COLUMN, GAIN_LABELS, GREY, INK, PALE, VERDICT_LOOKS, WIDE
from analysis.figures.view import Choices, NothingToDraw, View, drawn_from
from analysis.settings import Scale, farthest_gain
from analysis.statistics.uncertainty import CASES
from analysis.statistics.verdicts import SAME_MODEL, UNDECIDED, VERDICTS
from analysis.tables.order import against_base, at_full, records, unit_free

_ROW = 0.148
"""Inches per row."""

_MARK = 4.6
"""Points that a mark is wide, with its edge."""

_PANEL = 0.85
"""Inches of a panel in which three ticks stand apart."""


def gains_forest(
    gains: pd.DataFrame,
    pooled: pd.DataFrame | None = None,
    *,
    ax: Target | None = None,
    tasks: Iterable[str] | None = None,
    order: Iterable[str] | None = None,
    labels: Mapping[str, str] | None = None,
    palette: Palette | None = None,
    scale: Scale = "absolute",
) -> Target:
    """Forest plot of gains at full data: a panel per contrast, a row per task under its clinical group, means below.

    Args:
        gains: the frame `gains`. Two intervals of a row: the bar decides between benefit and harm, the upright stroke
            is the largest loss not ruled out; grey is the margin.
        pooled: the frame `pooled`, for the means; they stay those of all its tasks.
        ax: where to draw: several panels replace an Axes.
        tasks: the tasks to show; without them the 60 with the surest gains.
        order: tasks in the order in which they are to stand; a task stays under its group.
        labels: what to write instead of the name of a task, group or contrast.
        palette: colours of verdicts, by name or in the order of the legend.
        scale: what the gains are measured in.

    Returns the Axes where there is one contrast, else the figure. Raises `ResultsError` for a name that is not there.
    """
    return drawn_from(
        draw_forest, {"gains": gains, "pooled": pooled}, Choices(ax, tasks, order, labels, palette), scale
    )


def draw_forest(view: View) -> pd.DataFrame:
    """The body of `gains_forest`."""
    gains = at_full(unit_free(view["gains"]))
    if gains.empty:
        raise NothingToDraw("gains on a unit-free scale")
    names = against_base(gains)
    gains, line = view.fewer_tasks(gains[gains["contrast"].isin(names)], gains)
    gains = view.sorted(gains)
    pooled = at_full(view["pooled"])
    pooled = pooled[pooled["contrast"].isin(names)]
    rows = _forest_rows(gains, pooled)
    shown = [index for index, (kind, _, _) in enumerate(rows) if kind != "space"]
    width = width_beside((label for _, label, _ in rows), len(names), _PANEL) if len(names) <= 2 else WIDE
    axes = view.canvas.panels((1, len(names)), (width, 0.95 + _ROW * len(rows)), sharex=True, sharey=True)
    overall = pooled[pooled["level"] == "overall"]
    by_cases = gains[gains["basis"] == CASES]
    low = pd.concat(
        [gains["low_adjusted"], by_cases["low"], -gains["supported_margin"], pooled["low"], overall["low_new"]]
    )
    high = pd.concat([gains["high_adjusted"], by_cases["high"], pooled["high"], overall["high_new"]])
    interval_axis(axes, gains["gain"], low, high, most=farthest_gain(view.scale))
    first, last = axes[0].get_xlim()
    panel = 72 * (width - text_inches(label for _, label, _ in rows)) / len(names)
    covered = _MARK * (last - first) / panel  # what a mark covers of the axis, about
    present = [name for name in (*VERDICTS, SAME_MODEL) if name in set(gains["verdict"])]
    looks = view.looks({name: VERDICT_LOOKS[name] for name in present}, VERDICT_LOOKS)
    for ax, contrast in zip(axes, names, strict=True):
        by_task = {row["task"]: row for row in records(gains[gains["contrast"] == contrast])}
        means = {(row["level"], row["name"]): row for row in records(pooled[pooled["contrast"] == contrast])}
        ax.axvline(0, color=INK, lw=0.6, zorder=1)
        for at, (kind, _, key) in enumerate(rows):
            if kind == "task" and key[0] in by_task:
                _task_row(ax, by_task[key[0]], at, looks, covered)
            elif kind == "mean" and key[:2] in means:
                _mean_row(ax, means[key[0], key[1]], at, key[2], covered)
        ax.set_title(stacked(contrast, len(names)), pad=3)
        ax.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
        ax.tick_params(axis="y", length=0)
    axes[0].set_ylim(len(rows) - 0.4, -0.7)
    axes[0].set_yticks(shown, [rows[index][1] for index in shown])
    for tick, index in zip(axes[0].get_yticklabels(), shown, strict=True):
        tick.set_fontweight("normal" if rows[index][0] == "task" else "bold")
    _label_axes(axes, GAIN_LABELS[view.scale])
    handles: list[Artist] = [*verdict_handles(looks)]
    if len(by_cases):
        handles.append(Line2D([], [], color=GREY, lw=1.0, ls=":", label="test cases alone, no verdict"))
    handles += [
        Patch(color=PALE, label="loss within margin"),
        Line2D([], [], marker="|", ms=6, mew=1.1, color=GREY, ls="none", label="loss not ruled out"),
        Line2D([], [], marker="D", ms=3.6, color=INK, lw=1.0, label="mean, these tasks"),
        Line2D([], [], marker="D", ms=3.6, color=GREY, mfc="white", lw=1.0, label="median, tasks of this kind"),
        improving_handle(),
    ]
    view.canvas.legend(handles, loc="outside lower center", ncols=2 if width == COLUMN else 4)
    view.canvas.note_above(line)
    return pd.concat([gains.assign(part="task"), pooled.assign(part="mean")], ignore_index=True)


def _label_axes(axes: Sequence[Axes], label: str) -> None:
    """The label under every panel; where panels are too narrow, between two, or under one of many."""
    if len(axes) == 2:
        axes[0].set_xlabel(label, x=1.05)
        return
    for ax in axes if len(axes) < 4 else axes[len(axes) // 2 :: len(axes)]:
        ax.set_xlabel(label)


def _forest_rows(gains: pd.DataFrame, pooled: pd.DataFrame) -> list[tuple[str, str, tuple[str, ...]]]:
    """What each row from top to bottom is: kind, label and key."""
    rows: list[tuple[str, str, tuple[str, ...]]] = []
    several = set(pooled.loc[(pooled["level"] == "group") & (pooled["tasks"] > 1), "name"])
    for group, members in gains.groupby("group", sort=False):
        rows.append(("mean" if group in several else "heading", str(group), ("group", str(group), "these")))
        rows += [("task", str(task), (str(task),)) for task in members["task"].unique()]
    if pooled.empty:
        return rows
    rows.append(("space", "", ()))
    types = pooled[(pooled["level"] == "type") & (pooled["tasks"] > 1)]
    rows += [("mean", str(name), ("type", str(name), "these")) for name in sorted(types["name"].unique())]
    rows += [
        ("mean", "all tasks", ("overall", "all", "these")),
        ("mean", "median, as a sample", ("overall", "all", "new")),
    ]
    return rows


def _task_row(ax: Axes, row: dict[str, Any], at: int, looks: Looks, covered: float) -> None:
    margin = row["margin"]
    if pd.notna(margin):
        ax.fill_between([-margin, 0], at - 0.5, at + 0.5, color=PALE, lw=0, zorder=0)
    look = looks.get(row["verdict"], (GREY, "o"))
    if row["basis"] == CASES:
        error_bars(ax, row["low"], row["high"], at, GREY, ls=":")
    else:
        error_bars(ax, row["low_adjusted"], row["high_adjusted"], at, look[0])
    if pd.notna(margin) and row["supported_margin"] > 0:
        ax.plot([-row["supported_margin"]], [at], marker="|", ms=6, mew=1.1, color=look[0], ls="none", zorder=3)
    hollow = row["verdict"] == UNDECIDED
    verdict_mark(ax, row["gain"], at, *look, hollow=hollow)
    if row["verdict"] != SAME_MODEL:
        interval_on_mark(
            ax, row["gain"], row["low_adjusted"], row["high_adjusted"], at, look[0] if hollow else "white", covered
        )
    if bool(row["base_improving"]):
        margin_arrow(ax, at)


def _mean_row(ax: Axes, row: dict[str, Any], at: int, kind: str, covered: float) -> None:
    these = kind == "these"
    value, low, high = ("gain", "low", "high") if these else ("median", "low_new", "high_new")
    colour = INK if these else GREY
    error_bars(ax, row[low], row[high], at, colour)
    style: Any = {"marker": "D", "ms": 3.6, "mfc": colour if these else "white", "mec": colour, "ls": "none"}
    ax.plot([row[value]], [at], zorder=3, **style)
    interval_on_mark(ax, row[value], row[low], row[high], at, "white" if these else colour, covered)
    if pd.notna(row["base_improving"]) and row["base_improving"] > 0:
        margin_arrow(ax, at)
