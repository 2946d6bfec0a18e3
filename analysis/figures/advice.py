"""The guideline as a map: which aggregation to train for a task of this type, group and size."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.patches import Patch

from aggregation_lab.text import whole_per_cent
from analysis.figures.axes import log_n_axis, text_inches, width_beside
from analysis.figures.canvas import Target
from analysis.figures.choices import Palette
from analysis.figures.marks import improving_handle, margin_arrow
from analysis.figures.selection import fewer_groups
from analysis.figures.style import GREY, SMALL
from analysis.figures.view import Choices, NothingToDraw, View, drawn_from
from analysis.statistics.verdicts import UNDECIDED
from analysis.tables.order import records

_NEUTRAL: dict[str, Any] = {"facecolor": "#F2F2F2", "edgecolor": "#B5B5B5", "hatch": "//////", "linewidth": 0.0}

_BARS, _EDGE = 2.0, 0.3
"""Inches of the axis at least, and of what stands beside it and its labels."""


def guideline_map(
    guidelines: pd.DataFrame,
    *,
    ax: Target | None = None,
    order: Iterable[str] | None = None,
    labels: Mapping[str, str] | None = None,
    palette: Palette | None = None,
) -> Target:
    """A bar per type and group over the sizes that were seen, coloured by advice; undecided is hatched grey.

    In a bar stands the chance that a new task gains, under the best joint model where the base is advised.

    Args:
        guidelines: the frame `guidelines`.
        ax: where to draw.
        order: task types from top to bottom.
        labels: what to write instead of the name of a clinical group or aggregation.
        palette: colours of aggregations, by name or in the order of the legend.

    Returns the Axes. Raises `ResultsError` for a name that is not there.
    """
    return drawn_from(draw_guidelines, {"guidelines": guidelines}, Choices(ax, None, order, labels, palette))


def draw_guidelines(view: View) -> pd.DataFrame:
    """The body of `guideline_map`."""
    rows = view["guidelines"]
    rows = rows[(rows["n_low"] > 0) & (rows["n_high"] > 0)]
    if rows.empty:
        raise NothingToDraw("guideline: too few tasks, or no n_train")
    rows, line = fewer_groups(rows, "group")
    lines = _lines(rows, view.ordered(list(rows["type"].unique())))
    names = [group or kind for kind, group in lines]
    width = width_beside(names, 1, _BARS)
    inches = (width - text_inches(names) - _EDGE) / np.log(1.25 * rows["n_high"].max() / rows["n_low"].min())
    (ax,) = view.canvas.panels((1, 1), (width, 0.8 + 0.15 * len(lines)))
    advised = [name for name in view.aggregations if name in set(rows["advice"])]
    colours = view.colours_of_aggregations(advised)
    for row in records(rows):
        at = lines.index((row["type"], row["group"]))
        low, high = row["n_low"], row["n_high"]
        if high <= low:
            low, high = low / 1.04, low * 1.04
        undecided = row["advice"] == UNDECIDED
        look = _NEUTRAL if undecided else {"fc": colours.get(row["advice"], GREY), "ec": "white", "lw": 0.4}
        ax.barh([at], [high - low], left=low, height=0.78, **look)
        chance = whole_per_cent(row["chance"])
        if not undecided and np.log(high / low) * inches > text_inches([chance]):
            ax.text((low * high) ** 0.5, at, chance, ha="center", va="center", fontsize=SMALL, color="white")
    for task_type, group in rows.loc[rows["base_improving"] > 0, ["type", "group"]].drop_duplicates().to_numpy():
        margin_arrow(ax, lines.index((task_type, group)))
    ax.set_yticks(range(len(lines)), names)
    for label, (_, group) in zip(ax.get_yticklabels(), lines, strict=True):
        label.set_fontweight("normal" if group else "bold")
    ax.set_ylim(len(lines) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    log_n_axis(ax, rows["n_low"].min(), rows["n_high"].max())
    ax.set_xlabel("training cases of the task")
    handles: list[Artist] = [Patch(color=colours[name], label=name) for name in advised]
    if (rows["advice"] == UNDECIDED).any():
        handles.append(Patch(**_NEUTRAL, label=UNDECIDED))
    handles.append(improving_handle())
    view.canvas.legend(handles, loc="outside lower center", ncols=3)
    view.canvas.note_above(line)
    return rows


def _lines(rows: pd.DataFrame, types: Sequence[str]) -> list[tuple[str, str]]:
    """What each line from top to bottom is: a type alone as a heading, then the type with each of its groups."""
    lines = []
    for task_type in types:
        groups = rows.loc[rows["type"] == task_type, "group"].unique()
        lines += [(task_type, ""), *((task_type, str(group)) for group in groups)]
    return lines
