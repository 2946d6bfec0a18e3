"""The guideline as a map: which aggregation to train for a task of this type, group and size."""

from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.patches import Patch

from analysis.figures.selection import fewer_groups
from analysis.figures.theme import (
    COLUMN,
    SMALL,
    Drawn,
    add_legend,
    aggregation_colour,
    improving_handle,
    log_n_axis,
    margin_arrow,
    new_figure,
    say_above,
    themed,
)
from analysis.result import Analysis
from analysis.statistics.verdicts import UNDECIDED
from analysis.tables.order import records

_NEUTRAL: dict[str, Any] = {"facecolor": "#F2F2F2", "edgecolor": "#B5B5B5", "hatch": "//////", "linewidth": 0.0}


_ROOM = 1.5
"""Ratio of sizes from which a chance fits into a bar."""


@themed
def guideline_map(analysis: Analysis) -> Drawn | None:
    """A bar per type and group over the sizes that were seen, coloured by advice; undecided is hatched grey.

    In a bar stands the chance that a new task gains, under the best joint model where TS is advised.
    """
    rows = analysis.frames["guidelines"]
    rows = rows[(rows["n_low"] > 0) & (rows["n_high"] > 0)]
    if rows.empty:
        return None
    rows, said = fewer_groups(rows, "group")
    order, kind = [], None
    for row in records(rows.drop_duplicates(["type", "group"])):
        if row["type"] != kind:
            order.append((row["type"], ""))
            kind = row["type"]
        order.append((row["type"], row["group"]))
    figure = new_figure(COLUMN, 0.8 + 0.15 * len(order))
    ax = figure.subplots()
    for row in records(rows):
        at = order.index((row["type"], row["group"]))
        low, high = (
            (row["n_low"], row["n_high"])
            if row["n_high"] > row["n_low"]
            else (row["n_low"] / 1.04, row["n_low"] * 1.04)
        )
        look = (
            _NEUTRAL
            if row["advice"] == UNDECIDED
            else {"facecolor": aggregation_colour(row["advice"], analysis), "edgecolor": "white", "linewidth": 0.4}
        )
        ax.barh([at], [high - low], left=low, height=0.78, **look)
        if row["advice"] != UNDECIDED and high > low * _ROOM:
            said = f"{100 * row['chance']:.0f} %"
            ax.text((low * high) ** 0.5, at, said, ha="center", va="center", fontsize=SMALL, color="white")
    for task_type, group in rows.loc[rows["base_improving"] > 0, ["type", "group"]].drop_duplicates().to_numpy():
        margin_arrow(ax, order.index((task_type, group)))
    ax.set_yticks(range(len(order)), [group or kind for kind, group in order])
    for label, (_, group) in zip(ax.get_yticklabels(), order, strict=True):
        label.set_fontweight("normal" if group else "bold")
    ax.set_ylim(len(order) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    log_n_axis(ax, rows["n_low"].min(), rows["n_high"].max())
    ax.set_xlabel("training cases of the task")
    advised = [name for name in [*analysis.study.aggregations] if name in set(rows["advice"])]
    handles: list[Artist] = [Patch(color=aggregation_colour(name, analysis), label=name) for name in advised]
    if (rows["advice"] == UNDECIDED).any():
        handles.append(Patch(**_NEUTRAL, label=UNDECIDED))
    handles.append(improving_handle())
    add_legend(figure, handles, loc="outside lower center", ncols=3)
    say_above(figure, said)
    return figure, pd.DataFrame(rows)
