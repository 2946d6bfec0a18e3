"""Gains by task as a forest of intervals, and as a heat map: which tasks gain, which lose, and how surely."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis.figures.selection import fewer_tasks
from analysis.figures.theme import (
    COLUMN,
    DIVERGING,
    GREY,
    INK,
    PALE,
    SMALL,
    VERDICT_LOOKS,
    WIDE,
    Drawn,
    add_legend,
    error_bars,
    gain_label,
    group_lines,
    improving_handle,
    interval_axis,
    margin_arrow,
    new_figure,
    say_above,
    stacked,
    themed,
    verdict_handles,
    verdict_mark,
)
from analysis.result import Analysis
from analysis.statistics.uncertainty import CASES
from analysis.tables.cells import IMPROVING, VERDICT_MARKS, number
from analysis.tables.order import against_base, at_full, records, unit_free

_ROW = 0.148
"""Inches per row."""


@themed
def gains_forest(analysis: Analysis) -> Drawn | None:
    """One panel per contrast with TS; a row per task under its clinical group, means below."""
    gains = at_full(unit_free(analysis.frames["gains"], analysis.settings.scale))
    if gains.empty:
        return None
    names = against_base(gains)
    gains, said = fewer_tasks(gains[gains["contrast"].isin(names)], gains)
    gains = gains.sort_values(["group", "task"], kind="stable")
    pooled = at_full(analysis.frames["pooled"])
    pooled = pooled[pooled["contrast"].isin(names)]
    rows = _forest_rows(gains, pooled)
    shown = [place for place, (kind, _, _) in enumerate(rows) if kind != "space"]
    width = COLUMN if len(names) <= 2 else WIDE
    figure = new_figure(width, 0.95 + _ROW * len(rows))
    axes = figure.subplots(1, len(names), sharex=True, sharey=True, squeeze=False)[0]
    overall = pooled[pooled["level"] == "overall"]
    by_cases = gains[gains["basis"] == CASES]
    low = pd.concat(
        [gains["low_adjusted"], by_cases["low"], -gains["supported_margin"], pooled["low"], overall["low_new"]]
    )
    high = pd.concat([gains["high_adjusted"], by_cases["high"], pooled["high"], overall["high_new"]])
    interval_axis(axes, gains["gain"], low, high)
    for ax, contrast in zip(axes, names, strict=True):
        own = {row["task"]: row for row in records(gains[gains["contrast"] == contrast])}
        means = {(row["level"], row["name"]): row for row in records(pooled[pooled["contrast"] == contrast])}
        ax.axvline(0, color=INK, lw=0.6, zorder=1)
        for at, (kind, _, key) in enumerate(rows):
            if kind == "task" and key[0] in own:
                _task_row(ax, own[key[0]], at)
            elif kind == "mean" and key[:2] in means:
                _mean_row(ax, means[key[0], key[1]], at, key[2])
        ax.set_title(stacked(contrast, len(names)), pad=3)
        ax.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
        ax.tick_params(axis="y", length=0)
    axes[0].set_ylim(len(rows) - 0.4, -0.7)
    axes[0].set_yticks(shown, [rows[place][1] for place in shown])
    for tick, place in zip(axes[0].get_yticklabels(), shown, strict=True):
        tick.set_fontweight("normal" if rows[place][0] == "task" else "bold")
    if len(names) == 2:
        axes[0].set_xlabel(gain_label(analysis), x=1.05)  # between two panels of one column, which are too narrow each
    else:
        for ax in axes if len(names) < 4 else axes[len(names) // 2 :: len(names)]:
            ax.set_xlabel(gain_label(analysis))
    handles: list[Artist] = [*verdict_handles(list(gains["verdict"]))]
    if len(by_cases):
        handles.append(Line2D([], [], color=GREY, lw=1.0, ls=":", label="test cases alone, no verdict"))
    handles += [
        Patch(color=PALE, label="loss within margin"),
        Line2D([], [], marker="|", ms=6, mew=1.1, color=GREY, ls="none", label="loss not ruled out"),
        Line2D([], [], marker="D", ms=3.6, color=INK, lw=1.0, label="mean, these tasks"),
        Line2D([], [], marker="D", ms=3.6, color=GREY, mfc="white", lw=1.0, label="median, tasks of this kind"),
        improving_handle(),
    ]
    add_legend(figure, handles, loc="outside lower center", ncols=2 if width == COLUMN else 4)
    say_above(figure, said)
    return figure, pd.concat([gains.assign(part="task"), pooled.assign(part="mean")], ignore_index=True)


def _forest_rows(gains: pd.DataFrame, pooled: pd.DataFrame) -> list[tuple[str, str, tuple[str, ...]]]:
    """What each row from top to bottom is: kind, label and key."""
    rows: list[tuple[str, str, tuple[str, ...]]] = []
    several = set(pooled.loc[(pooled["level"] == "group") & (pooled["tasks"] > 1), "name"])
    for group, members in gains.groupby("group", sort=True):
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


def _task_row(ax: Axes, row: dict[str, Any], at: int) -> None:
    margin = row["margin"]
    if pd.notna(margin):
        ax.fill_between([-margin, 0], at - 0.5, at + 0.5, color=PALE, lw=0, zorder=0)
    colour, _ = VERDICT_LOOKS.get(row["verdict"], (GREY, "o"))
    if row["basis"] == CASES:
        error_bars(ax, row["low"], row["high"], at, GREY, ls=":")
    else:
        error_bars(ax, row["low_adjusted"], row["high_adjusted"], at, colour)
    if pd.notna(margin) and row["supported_margin"] > 0:
        ax.plot([-row["supported_margin"]], [at], marker="|", ms=6, mew=1.1, color=colour, ls="none", zorder=3)
    verdict_mark(ax, row["gain"], at, row["verdict"])
    if bool(row["base_improving"]):
        margin_arrow(ax, at)


def _mean_row(ax: Axes, row: dict[str, Any], at: int, kind: str) -> None:
    low, high = ("low", "high") if kind == "these" else ("low_new", "high_new")
    colour = INK if kind == "these" else GREY
    error_bars(ax, row[low], row[high], at, colour)
    face = colour if kind == "these" else "white"
    ax.plot(
        [row["gain" if kind == "these" else "median"]],
        [at],
        marker="D",
        ms=3.6,
        mfc=face,
        mec=colour,
        ls="none",
        zorder=3,
    )
    if pd.notna(row["base_improving"]) and row["base_improving"] > 0:
        margin_arrow(ax, at)


@themed
def gains_heat_map(analysis: Analysis) -> Drawn | None:
    """Tasks by contrasts, all training data; the mark is the verdict."""
    gains = at_full(unit_free(analysis.frames["gains"], analysis.settings.scale)).sort_values(
        ["group", "task"], kind="stable"
    )
    if gains.empty:
        return None
    gains, said = fewer_tasks(gains, gains)
    names = list(dict.fromkeys(analysis.frames["gains"]["contrast"]))
    names = [name for name in names if name in set(gains["contrast"])]
    tasks = list(gains["task"].unique())
    values = gains.pivot(index="task", columns="contrast", values="gain").reindex(index=tasks, columns=names)
    reach = float(np.nanmax(np.abs(values.to_numpy()))) or 1.0
    figure = new_figure(COLUMN if len(names) <= 3 else WIDE, 0.75 + 0.155 * len(tasks))
    ax = figure.subplots()
    image = ax.pcolormesh(values.to_numpy(float), cmap=DIVERGING, vmin=-reach, vmax=reach, ec="white", lw=0.6)
    for row in records(gains):
        x, y = names.index(row["contrast"]) + 0.5, tasks.index(row["task"]) + 0.5
        strong = abs(row["gain"]) > 0.66 * reach
        arrow = IMPROVING if bool(row["base_improving"]) else " "
        text = f"{number(row['gain'], signed=True)} {VERDICT_MARKS.get(row['verdict'], '')}{arrow}"
        ax.text(x, y, text, ha="center", va="center", fontsize=SMALL, color="white" if strong else INK)
    group_lines(ax, gains.drop_duplicates("task")["group"].tolist(), len(names))
    ax.set_yticks(np.arange(len(tasks)) + 0.5, tasks)
    ax.set_xticks(np.arange(len(names)) + 0.5, [stacked(name, len(names)) for name in names])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.invert_yaxis()
    ax.xaxis.tick_top()
    bar = figure.colorbar(image, ax=ax, location="bottom", aspect=40, pad=0.02, shrink=0.9)
    bar.set_label(gain_label(analysis))
    bar.outline.set_visible(False)
    say_above(figure, said)
    return figure, gains
