"""Predicted against measured gains: what a model says of tasks, and of sets, that it has not seen."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.figures.canvas import Target
from analysis.figures.choices import Palette
from analysis.figures.marks import error_bars
from analysis.figures.style import GREY, INK, SMALL, WIDE
from analysis.figures.view import Choices, NothingToDraw, View, drawn_from
from analysis.tables.cells import number
from analysis.tables.order import records


def gains_predicted(
    predicted_gains: pd.DataFrame,
    *,
    ax: Target | None = None,
    tasks: Iterable[str] | None = None,
    labels: Mapping[str, str] | None = None,
    palette: Palette | None = None,
) -> Target:
    """Predicted against measured gains over TS on validation cases, a point for each task in each trained set.

    Args:
        predicted_gains: the frame `predicted_gains`.
        ax: where to draw: two panels replace an Axes, where several sets were trained.
        tasks: the tasks to show.
        labels: what to write instead of the name of an aggregation.
        palette: colours of aggregations, by name or in the order of the legend.

    Returns the Axes where one panel is drawn, else the figure. Raises `ResultsError` for a name that is not there.
    """
    return drawn_from(draw_predictions, {"predicted_gains": predicted_gains}, Choices(ax, tasks, None, labels, palette))


def draw_predictions(view: View) -> pd.DataFrame:
    """The body of `gains_predicted`."""
    rows = view["predicted_gains"]
    if rows.empty:
        raise NothingToDraw("gains of two aggregations beside TS on validation cases")
    names = list(dict.fromkeys(rows["aggregation"]))
    colours = view.colours_of_aggregations(names)
    kinds = {"predicted": "task left out"}
    if rows["predicted_set"].notna().any():
        kinds["predicted_set"] = "set left out"
    axes = view.canvas.panels((1, len(kinds)), (WIDE, 2.9), wspace=0.06, sharex=True, sharey=True)
    shown = rows[["gain", *kinds]].to_numpy(float)
    low, high = min(0.0, float(np.nanmin(shown))), max(0.0, float(np.nanmax(shown)))
    room = 0.08 * ((high - low) or 0.01)
    for axis, (column, title) in zip(axes, kinds.items(), strict=True):
        axis.set_xlim(low - room, high + room)
        axis.set_ylim(low - room, high + room)
        _panel(axis, rows, column, colours)
        axis.set_title(title, loc="left")
        axis.set_xlabel("measured gain over TS (validation)")
    axes[0].set_ylabel("predicted gain")
    handles = [Line2D([], [], marker="o", ms=4, ls="none", color=colours[name], label=name) for name in names]
    handles.append(Line2D([], [], color=GREY, lw=0.8, ls="--", label="as predicted"))
    view.canvas.legend(handles, loc="outside lower center", ncols=min(len(handles), 6))
    return rows


_RANK = {"predicted": "rank_correlation", "predicted_set": "rank_correlation_set"}
"""Columns of the correlation over all rows, whichever are shown, by that of the prediction."""


def _panel(ax: Axes, rows: pd.DataFrame, column: str, colours: Mapping[str, str]) -> None:
    """Points with the limits of the prediction where tasks are left out, and the line on which all would be right."""
    ax.axline((0, 0), slope=1, color=GREY, lw=0.8, ls="--", zorder=1)
    ax.axhline(0, color=INK, lw=0.4, zorder=1)
    ax.axvline(0, color=INK, lw=0.4, zorder=1)
    for row in records(rows):
        colour = colours[row["aggregation"]]
        if column == "predicted":
            error_bars(ax, row["low"], row["high"], row["gain"], colour, vertical=True, lw=0.6, alpha=0.5)
        ax.plot([row["gain"]], [row[column]], marker="o", ms=4, color=colour, ls="none", zorder=3)
    rank = float(rows[_RANK[column]].iloc[0])
    if np.isfinite(rank):
        text = f"rank correlation {number(rank, 2)}"
        ax.annotate(text, (0.02, 0.98), xycoords="axes fraction", va="top", fontsize=SMALL)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5))
