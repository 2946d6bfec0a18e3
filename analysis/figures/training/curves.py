"""Learning curves of every task: was the comparison made between models that had learned what they could?"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from analysis.figures.canvas import Target
from analysis.figures.choices import Palette
from analysis.figures.marks import improving_handle
from analysis.figures.style import SMALL, WIDE
from analysis.figures.view import Choices, NothingToDraw, View, drawn_from
from analysis.tables.cells import IMPROVING

_COLUMNS = 5

_DASHES: Sequence[Any] = ("-", (0, (3, 3)), (1.5, (1.5, 4.5)))
"""A line, and the same line of another aggregation on it, where two train one model: both can be seen."""


def learning_curves(
    curves: pd.DataFrame,
    gains: pd.DataFrame | None = None,
    *,
    ax: Target | None = None,
    tasks: Iterable[str] | None = None,
    order: Iterable[str] | None = None,
    labels: Mapping[str, str] | None = None,
    palette: Palette | None = None,
) -> Target:
    """A panel per task, a line per aggregation and seed; an arrow for each aggregation that was still improving.

    Lines of one model that counts in several aggregations are dashed in turn.

    Args:
        curves: the frame `learning_curves`.
        gains: the frame `gains`, by which 60 tasks are chosen where there are more.
        ax: where to draw: several panels replace an Axes.
        tasks: the tasks to show.
        order: tasks row by row.
        labels: what to write instead of the name of a task or aggregation.
        palette: colours of aggregations, by name or in the order of the legend.

    Returns the Axes where there is one task, else the figure. Raises `ResultsError` for a name that is not there.
    """
    return drawn_from(
        draw_curves, {"learning_curves": curves, "gains": gains}, Choices(ax, tasks, order, labels, palette)
    )


def draw_curves(view: View) -> pd.DataFrame:
    """The body of `learning_curves`."""
    rows = view["learning_curves"]
    if rows.empty:
        raise NothingToDraw("learning curves")
    rows, text = view.fewer_tasks(rows)
    tasks = list(view.sorted(rows)["task"].unique())
    names = [name for name in view.aggregations if name in set(rows["aggregation"])]
    colours = view.colours_of_aggregations(names)
    across = min(_COLUMNS, len(tasks))
    down = -(-len(tasks) // across)
    axes = view.canvas.panels((down, across), (WIDE, 0.6 + 1.15 * down), sharex=True)
    by_task = dict(list(rows.groupby("task")))
    for index, (ax, task) in enumerate(zip(axes, tasks, strict=False)):
        curves = by_task[task]
        rising = set(curves.loc[curves["still_improving"].eq(True), "aggregation"])
        drawn = Counter[tuple[float, ...]]()
        for number, name in enumerate(names):
            colour = colours[name]
            for _, line in curves[curves["aggregation"] == name].groupby("seed"):
                points = tuple(line["share"]) + tuple(line["score"])
                ax.plot(line["share"], line["score"], color=colour, lw=0.8, alpha=0.85, ls=_DASHES[drawn[points]])
                drawn[points] = min(drawn[points] + 1, len(_DASHES) - 1)
            if name in rising:
                x = 0.98 - 0.1 * (len(names) - 1 - number)
                ax.text(x, 0.03, IMPROVING, transform=ax.transAxes, color=colour, ha="right", fontsize=8, weight="bold")
        ax.set_title(task, fontsize=SMALL, fontweight="normal", pad=2)
        ax.yaxis.set_major_locator(MaxNLocator(3))
        ax.xaxis.set_major_formatter(PercentFormatter(1))
        ax.set_xticks([0, 0.5, 1])
        ax.tick_params(labelbottom=index + across >= len(tasks))
    for ax in axes[len(tasks) :]:
        ax.set_visible(False)
    below, beside = "share of the training", "validation score (unit-free)"
    if one := view.canvas.callers_axes:
        one.set(xlabel=below, ylabel=beside)
    else:
        view.canvas.figure.supxlabel(below, fontsize=7)
        view.canvas.figure.supylabel(beside, fontsize=7)
    handles = [Line2D([], [], color=colours[name], label=name) for name in names]
    handles.append(improving_handle("still improving at the end"))
    view.canvas.legend(handles, loc="outside upper center", ncols=min(6, len(handles)))
    view.canvas.note_above(text)
    return rows
