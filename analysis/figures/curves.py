"""Learning curves of every task: was the comparison made between models that had learned what they could?"""

from collections.abc import Iterable, Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from analysis.figures.canvas import Target, add_legend, figure_of, panels, say_above
from analysis.figures.choices import Palette
from analysis.figures.marks import improving_handle
from analysis.figures.style import SMALL, WIDE
from analysis.figures.view import Choices, Drawn, View, drawn_on, view_of_frames
from analysis.tables.cells import IMPROVING

NEEDS = "learning curves"

_COLUMNS = 5


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

    Args:
        curves: the frame `learning_curves`.
        gains: the frame `gains`, by which 60 tasks are chosen where there are more.
        ax: where to draw: several panels are put in the place of an Axes.
        tasks: the tasks to show.
        order: tasks row by row.
        labels: what to write instead of the name of a task or aggregation.
        palette: colours of aggregations, by name or in the order of the legend.

    Returns the Axes where there is one task, else the figure. Raises `ResultsError` for a name that is not there.
    """
    choices = Choices(ax, tasks, order, labels, palette)
    return drawn_on(draw_curves, view_of_frames({"learning_curves": curves, "gains": gains}, choices), NEEDS)


def draw_curves(view: View) -> Drawn | None:
    """The body of `learning_curves`; None without a curve."""
    rows = view["learning_curves"]
    if rows.empty:
        return None
    rows, text = view.fewer_tasks(rows)
    tasks = list(view.sorted(rows)["task"].unique())
    names = [name for name in view.aggregations if name in set(rows["aggregation"])]
    colours = view.colours_of_aggregations(names)
    across = min(_COLUMNS, len(tasks))
    down = -(-len(tasks) // across)
    given = view.choices.ax
    target, axes = panels(given, (down, across), (WIDE, 0.6 + 1.15 * down), view.new_figure, sharex=True)
    by_task = dict(list(rows.groupby("task")))
    for index, (ax, task) in enumerate(zip(axes, tasks, strict=False)):
        curves = by_task[task]
        rising = set(curves.loc[curves["still_improving"].eq(True), "aggregation"])
        for number, name in enumerate(names):
            colour = colours[name]
            for _, line in curves[curves["aggregation"] == name].groupby("seed"):
                ax.plot(line["share"], line["score"], color=colour, lw=0.8, alpha=0.85)
            if name in rising:
                x = 0.98 - 0.1 * (len(names) - 1 - number)
                ax.text(
                    x, 0.03, IMPROVING, transform=ax.transAxes, color=colour, ha="right", fontsize=8, fontweight="bold"
                )
        ax.set_title(task, fontsize=SMALL, fontweight="normal", pad=2)
        ax.yaxis.set_major_locator(MaxNLocator(3))
        ax.xaxis.set_major_formatter(PercentFormatter(1))
        ax.set_xticks([0, 0.5, 1])
        ax.tick_params(labelbottom=index + across >= len(tasks))
    for ax in axes[len(tasks) :]:
        ax.set_visible(False)
    _label(target, given, "share of the training budget", "validation score (unit-free)")
    handles = [Line2D([], [], color=colours[name], label=name) for name in names]
    handles.append(improving_handle("still improving at the end"))
    add_legend(target, given, handles, loc="outside upper center", ncols=min(6, len(handles)))
    say_above(target, given, text)
    return target, rows


def _label(target: Target, given: Target | None, below: str, beside: str) -> None:
    """Labels of all panels at once; of the Axes itself where the caller gave one."""
    if isinstance(given, Axes) and target is given:
        given.set(xlabel=below, ylabel=beside)
        return
    figure_of(target).supxlabel(below, fontsize=7)
    figure_of(target).supylabel(beside, fontsize=7)
