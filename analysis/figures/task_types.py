"""Type sensitivity: what the task type does to gains."""

from collections.abc import Iterable, Mapping

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from analysis.figures.axes import interval_axis, width_beside
from analysis.figures.canvas import Target
from analysis.figures.choices import Palette
from analysis.figures.marks import contrast_handles, dodge, error_bars, improving_handle, margin_arrow
from analysis.figures.selection import fewer_groups
from analysis.figures.style import GAIN_LABELS, INK
from analysis.figures.view import Choices, NothingToDraw, View, drawn_from
from analysis.settings import Scale, farthest_gain
from analysis.tables.cells import p_value
from analysis.tables.order import against_base, at_full, records

_PANEL = 1.1
"""Inches of a panel at least."""


def type_sensitivity(
    sensitivity: pd.DataFrame,
    type_test: pd.DataFrame | None = None,
    *,
    ax: Target | None = None,
    order: Iterable[str] | None = None,
    labels: Mapping[str, str] | None = None,
    palette: Palette | None = None,
    scale: Scale = "absolute",
) -> Target:
    """Mean gain of each task type, and the shares of its tasks that are harmed and that are below zero.

    Args:
        sensitivity: the frame `sensitivity`.
        type_test: the frame `type_test`; its p stands in the legend.
        ax: where to draw: two panels replace an Axes.
        order: task types from top to bottom.
        labels: what to write instead of the name of a contrast.
        palette: colours of contrasts or of their joint aggregations, by name or in the order of the legend.
        scale: what the gains are measured in.

    Returns the figure. Raises `ResultsError` for a name that is not there.
    """
    return drawn_from(
        draw_types,
        {"sensitivity": sensitivity, "type_test": type_test},
        Choices(ax, None, order, labels, palette),
        scale,
    )


def draw_types(view: View) -> pd.DataFrame:
    """The body of `type_sensitivity`."""
    rows = at_full(view["sensitivity"])
    if rows.empty:
        raise NothingToDraw("mean gains by type")
    names = against_base(rows)
    rows = rows[rows["contrast"].isin(names)]
    rows, line = fewer_groups(rows, "type")
    types, colours = view.ordered(sorted(rows["type"].unique())), view.colours_of_contrasts(rows)
    size = (width_beside(types, 2, _PANEL), 0.95 + 0.17 * len(types) * (len(names) + 0.4))
    left, right = view.canvas.panels((1, 2), size, wspace=0.1, sharey=True, width_ratios=(1.6, 1))
    interval_axis([left], rows["gain"], rows["low"], rows["high"], most=farthest_gain(view.scale))
    for row in records(rows):
        at = types.index(row["type"]) + dodge(names.index(row["contrast"]), len(names))
        colour = colours[row["contrast"]]
        error_bars(left, row["low"], row["high"], at, colour, lw=1.3)
        left.plot([row["gain"]], [at], marker="o", color=colour, ms=4, zorder=3)
        if row["base_improving"] > 0:
            margin_arrow(left, at, colour)
        height = 0.62 / len(names)
        for share, face, width in ((row["negative"], "white", 0.8), (row["harmed"], colour, 0.0)):
            if share > 0:
                right.barh([at], [share], height=height, ec=colour, fc=face, lw=width)
    # An unfinished study compares more tasks under one contrast than under another.
    counts = {str(name): dict.fromkeys(sorted(count)) for name, count in rows.groupby("type")["tasks"]}
    left.set_yticks(range(len(types)), [f"{name} ({', '.join(map(str, counts[name]))})" for name in types])
    left.set_ylim(len(types) - 0.45, -0.55)
    left.tick_params(axis="y", length=0)
    right.tick_params(axis="y", length=0)
    left.axvline(0, color=INK, lw=0.6, zorder=1)
    left.set_xlabel(GAIN_LABELS[view.scale])
    left.xaxis.set_major_locator(MaxNLocator(4))
    right.set_xlim(0, 1)
    right.xaxis.set_major_formatter(PercentFormatter(1))
    right.set_xticks([0, 0.5, 1])
    right.set_xlabel("share of tasks")
    tests = at_full(view["type_test"])
    handles = contrast_handles(names, colours)
    for handle, name in zip(handles, names, strict=True):
        p = tests.loc[tests["contrast"] == name, "p"]
        if len(p) and pd.notna(p.iloc[0]):
            handle.set_label(f"{name} (types differ: p = {p_value(p.iloc[0])})".replace("= <", "< "))
    handles += [
        Line2D([], [], marker="s", ls="none", ms=5, color=INK, label="harmed"),
        Line2D([], [], marker="s", ls="none", ms=5, mfc="white", mec=INK, label="negative estimate"),
        improving_handle(),
    ]
    view.canvas.legend(handles, loc="outside lower center", ncols=1 if len(names) > 2 else 2)
    view.canvas.note_above(line)
    return rows
