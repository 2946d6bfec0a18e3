"""Learning curves of every task: was the comparison made between models that had learned what they could?"""

from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from analysis.figures.selection import fewer_tasks
from analysis.figures.theme import (
    SMALL,
    WIDE,
    Drawn,
    add_legend,
    aggregation_colour,
    improving_handle,
    new_figure,
    say_above,
    themed,
)
from analysis.result import Analysis
from analysis.tables.cells import IMPROVING

_COLUMNS = 5


@themed
def learning_curves(analysis: Analysis) -> Drawn | None:
    """A panel per task, a line per aggregation and seed; an arrow for each aggregation that was still improving."""
    rows = analysis.frames["learning_curves"]
    if rows.empty:
        return None
    rows, said = fewer_tasks(rows, analysis.frames["gains"])
    tasks = list(rows.sort_values(["group", "task"], kind="stable")["task"].unique())
    names = [name for name in analysis.study.aggregations if name in set(rows["aggregation"])]
    across = min(_COLUMNS, len(tasks))
    down = -(-len(tasks) // across)
    figure = new_figure(WIDE, 0.6 + 1.15 * down)
    axes = figure.subplots(down, across, sharex=True, squeeze=False).ravel()
    by_task = dict(list(rows.groupby("task")))
    for place, (ax, task) in enumerate(zip(axes, tasks, strict=False)):
        own = by_task[task]
        rising = set(own.loc[own["still_improving"].eq(True), "aggregation"])
        for number, name in enumerate(names):
            colour = aggregation_colour(name, analysis)
            for _, line in own[own["aggregation"] == name].groupby("seed"):
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
        ax.tick_params(labelbottom=place + across >= len(tasks))
    for ax in axes[len(tasks) :]:
        ax.set_visible(False)
    figure.supxlabel("share of the training budget", fontsize=7)
    figure.supylabel("validation score (unit-free)", fontsize=7)
    handles = [Line2D([], [], color=aggregation_colour(name, analysis), label=name) for name in names]
    handles.append(improving_handle("still improving at the end"))
    add_legend(figure, handles, loc="outside upper center", ncols=min(6, len(handles)))
    say_above(figure, said)
    return figure, rows
