"""Which experts the tasks of the all-task model use, and which tasks are routed alike."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh

from analysis.figures.canvas import Target
from analysis.figures.choices import Palette, colormap
from analysis.figures.marks import heat_map_rows
from analysis.figures.style import COLUMN, GREY, SMALL, WIDE
from analysis.figures.view import Choices, NothingToDraw, View, drawn_from

_JOINT = "AU"


def routing_usage(
    usage: pd.DataFrame,
    gains: pd.DataFrame | None = None,
    *,
    ax: Target | None = None,
    tasks: Iterable[str] | None = None,
    order: Iterable[str] | None = None,
    labels: Mapping[str, str] | None = None,
    palette: Palette | None = None,
) -> Target:
    """Tasks by block and expert: mean gate weight in AU.

    Args:
        usage: the frame `usage`.
        gains: the frame `gains`, by which 60 tasks are chosen where there are more.
        ax: where to draw.
        tasks: the tasks to show.
        order: tasks from top to bottom.
        labels: what to write instead of the name of a task.
        palette: a colormap of matplotlib by its name, or colours from low to high.

    Returns the Axes. Raises `ResultsError` for a name that is not there.
    """
    return drawn_from(draw_usage, {"usage": usage, "gains": gains}, Choices(ax, tasks, order, labels, palette))


def draw_usage(view: View) -> pd.DataFrame:
    """The body of `routing_usage`."""
    rows = view["usage"]
    rows = rows[rows["aggregation"] == _joint(view)]
    if rows.empty:
        raise NothingToDraw("routing of AU")
    rows = view.sorted(rows, "block", "expert")
    rows, line = view.fewer_tasks(rows)
    tasks, groups = _tasks(rows)
    table = rows.pivot(index="task", columns=["block", "expert"], values="share").reindex(index=tasks)
    table = table.sort_index(axis=1)
    blocks = [int(block) for block in table.columns.get_level_values("block")]
    experts = [str(expert) for expert in table.columns.get_level_values("expert")]
    size = (WIDE if len(blocks) > 12 else COLUMN, 0.75 + 0.135 * len(tasks))
    (ax,) = view.canvas.panels((1, 1), size)
    # Zero at the bottom: a share that is twice as large looks twice as strong.
    colours = colormap(view.choices.palette, "cividis")
    image = ax.pcolormesh(table.to_numpy(float), cmap=colours, vmin=0, vmax=float(np.nanmax(table)))
    starts = [column for column in range(1, len(blocks)) if blocks[column] != blocks[column - 1]]
    for column in starts:
        ax.axvline(column, color="white", lw=2.6)
    ax.set_xticks(np.arange(len(experts)) + 0.5, experts)
    for block in sorted(set(blocks)):
        columns = [column for column, name in enumerate(blocks) if name == block]
        ax.text((columns[0] + columns[-1] + 1) / 2, -0.25, f"block {block}", ha="center", va="bottom", fontsize=SMALL)
    ax.set_xlabel("expert")
    heat_map_rows(ax, tasks, groups, len(blocks), "white", 1.6)
    _bar(view, ax, image, "mean gate weight")
    view.canvas.note_above(line)
    return rows


def routing_similarity(
    similarity: pd.DataFrame,
    usage: pd.DataFrame | None = None,
    gains: pd.DataFrame | None = None,
    *,
    ax: Target | None = None,
    tasks: Iterable[str] | None = None,
    order: Iterable[str] | None = None,
    labels: Mapping[str, str] | None = None,
    palette: Palette | None = None,
) -> Target:
    """Tasks by tasks: how alike they are routed in AU.

    Args:
        similarity: the frame `similarity`.
        usage: the frame `usage`, which has the clinical group of each task.
        gains: the frame `gains`, by which 60 tasks are chosen where there are more.
        ax: where to draw.
        tasks: the tasks to show.
        order: tasks from top to bottom and left to right.
        labels: what to write instead of the name of a task.
        palette: a colormap of matplotlib by its name, or colours from low to high.

    Returns the Axes. Raises `ResultsError` for a name that is not there.
    """
    return drawn_from(
        draw_similarity,
        {"similarity": similarity, "usage": usage, "gains": gains},
        Choices(ax, tasks, order, labels, palette),
    )


def draw_similarity(view: View) -> pd.DataFrame:
    """The body of `routing_similarity`."""
    rows = view["similarity"]
    rows = rows[rows["aggregation"] == _joint(view)]
    if rows.empty:
        raise NothingToDraw("routing of AU")
    rows, line = view.fewer_tasks(rows)
    rows = rows[rows["other"].isin(rows["task"])]
    about = view["usage"].drop_duplicates("task").set_index("task")["group"]
    named = view.sorted(rows.assign(group=rows["task"].map(about).fillna("")))
    tasks, groups = _tasks(named)
    table = rows.pivot(index="task", columns="other", values="similarity").reindex(index=tasks, columns=tasks)
    values = table.to_numpy(float, copy=True)
    np.fill_diagonal(values, np.nan)  # a task is like itself: no news, and it would take the top of the scale
    wide = len(tasks) > 12
    size = (WIDE if wide else COLUMN, 1.5 + 0.135 * len(tasks) + (0.6 if wide else 0.0))
    (ax,) = view.canvas.panels((1, 1), size)
    ax.set_facecolor("#DDDDDD")
    image = ax.pcolormesh(values, cmap=colormap(view.choices.palette, "cividis"))
    ax.set_xticks(np.arange(len(tasks)) + 0.5, tasks, rotation=90)
    heat_map_rows(ax, tasks, groups, len(tasks), "white", 1.6)
    for column in range(1, len(groups)):
        if groups[column] != groups[column - 1]:
            ax.plot([column, column], [0, len(tasks)], color="white", lw=1.6)
    _bar(view, ax, image, "similarity of routing")
    view.canvas.note_above(line)
    return rows


def _joint(view: View) -> str:
    """The all-task model, as it is called in the frames."""
    return (view.choices.labels or {}).get(_JOINT, _JOINT)


def _tasks(rows: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Tasks in order, and the clinical group of each."""
    first = rows.drop_duplicates("task")
    return list(first["task"]), list(first["group"])


def _bar(view: View, ax: Axes, image: QuadMesh, label: str) -> None:
    bar = view.canvas.figure.colorbar(image, ax=ax, aspect=30, pad=0.015, fraction=0.05)
    bar.set_label(label)
    bar.outline.set_edgecolor(GREY)
    bar.outline.set_linewidth(0.4)
