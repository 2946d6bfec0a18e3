"""Which experts the tasks of the all-task model use, and which tasks are routed alike."""

import numpy as np
import pandas as pd

from analysis.figures.selection import fewer_tasks
from analysis.figures.theme import COLUMN, GREY, SMALL, WIDE, Drawn, group_lines, new_figure, say_above, themed
from analysis.result import Analysis

_JOINT = "AU"


@themed
def routing_usage(analysis: Analysis) -> Drawn | None:
    """Tasks by block and expert: mean gate weight in AU."""
    rows = analysis.frames["usage"]
    rows = rows[rows["aggregation"] == _JOINT].sort_values(["group", "task", "block", "expert"], kind="stable")
    if rows.empty:
        return None
    rows, said = fewer_tasks(rows, analysis.frames["gains"])
    tasks, groups = _tasks(rows)
    table = rows.pivot(index="task", columns=["block", "expert"], values="share").reindex(index=tasks)
    table = table.sort_index(axis=1)
    blocks = [int(block) for block in table.columns.get_level_values("block")]
    experts = [str(expert) for expert in table.columns.get_level_values("expert")]
    figure = new_figure(WIDE if len(blocks) > 12 else COLUMN, 0.75 + 0.135 * len(tasks))
    ax = figure.subplots()
    # Zero at the bottom: a share that is twice as large looks twice as strong.
    image = ax.pcolormesh(table.to_numpy(float), cmap="cividis", vmin=0, vmax=float(np.nanmax(table)))
    starts = [place for place in range(1, len(blocks)) if blocks[place] != blocks[place - 1]]
    for place in starts:
        ax.axvline(place, color="white", lw=2.6)
    ax.set_xticks(np.arange(len(experts)) + 0.5, experts)
    for block in sorted(set(blocks)):
        own = [place for place, name in enumerate(blocks) if name == block]
        ax.text((own[0] + own[-1] + 1) / 2, -0.25, f"block {block}", ha="center", va="bottom", fontsize=SMALL)
    ax.set_xlabel("expert")
    _finish(ax, tasks, groups, len(blocks))
    _bar(figure, ax, image, "mean gate weight")
    say_above(figure, said)
    return figure, rows


@themed
def routing_similarity(analysis: Analysis) -> Drawn | None:
    """Tasks by tasks: how alike they are routed in AU."""
    rows = analysis.frames["similarity"]
    rows = rows[rows["aggregation"] == _JOINT]
    if rows.empty:
        return None
    rows, said = fewer_tasks(rows, analysis.frames["gains"])
    rows = rows[rows["other"].isin(rows["task"])]
    about = analysis.frames["usage"].drop_duplicates("task").set_index("task")["group"]
    named = rows.assign(group=rows["task"].map(about).fillna("")).sort_values(["group", "task"], kind="stable")
    tasks, groups = _tasks(named)
    table = rows.pivot(index="task", columns="other", values="similarity").reindex(index=tasks, columns=tasks)
    values = table.to_numpy(float, copy=True)
    np.fill_diagonal(values, np.nan)  # a task is like itself: no news, and it would take the top of the scale
    wide = len(tasks) > 12
    figure = new_figure(WIDE if wide else COLUMN, 1.5 + 0.135 * len(tasks) + (0.6 if wide else 0.0))
    ax = figure.subplots()
    ax.set_facecolor("#DDDDDD")
    image = ax.pcolormesh(values, cmap="cividis")
    ax.set_xticks(np.arange(len(tasks)) + 0.5, tasks, rotation=90)
    _finish(ax, tasks, groups, len(tasks))
    for place in range(1, len(groups)):
        if groups[place] != groups[place - 1]:
            ax.plot([place, place], [0, len(tasks)], color="white", lw=1.6)
    _bar(figure, ax, image, "similarity of routing")
    say_above(figure, said)
    return figure, rows


def _tasks(rows: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Tasks in order, and the clinical group of each."""
    first = rows.drop_duplicates("task")
    return list(first["task"]), list(first["group"])


def _finish(ax, tasks: list[str], groups: list[str], width: int) -> None:
    group_lines(ax, groups, width, "white")
    ax.set_yticks(np.arange(len(tasks)) + 0.5, tasks)
    ax.set_ylim(len(tasks), 0)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _bar(figure, ax, image, label: str) -> None:
    bar = figure.colorbar(image, ax=ax, aspect=30, pad=0.015, fraction=0.05)
    bar.set_label(label)
    bar.outline.set_edgecolor(GREY)
    bar.outline.set_linewidth(0.4)
