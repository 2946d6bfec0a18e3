"""Gains by task and contrast as a heat map."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import Colormap
from matplotlib.ticker import MaxNLocator

from analysis.figures.axes import stacked, text_inches, width_beside
from analysis.figures.canvas import Target
from analysis.figures.choices import Palette, colormap
from analysis.figures.marks import heat_map_rows
from analysis.figures.style import DIVERGING, GAIN_LABELS, INK, SMALL, WIDE
from analysis.figures.view import Choices, NothingToDraw, View, drawn_from
from analysis.settings import Scale
from analysis.tables.cells import IMPROVING, VERDICT_MARKS, number
from analysis.tables.order import at_full, records, unit_free

_GAP = 0.05
"""Inches between the texts of two cells."""

_WIDEST_TICK, _TICK_GAP = "-0.025", 0.15
"""A long label of the colour bar, and inches between two."""


def gains_heat_map(
    gains: pd.DataFrame,
    *,
    ax: Target | None = None,
    tasks: Iterable[str] | None = None,
    order: Iterable[str] | None = None,
    labels: Mapping[str, str] | None = None,
    palette: Palette | None = None,
    scale: Scale = "absolute",
) -> Target:
    """Heat map of gains at full data, tasks by contrasts; in a cell stand the gain and the mark of its verdict.

    Args:
        gains: the frame `gains`.
        ax: where to draw.
        tasks: the tasks to show; without them the 60 with the surest gains.
        order: tasks from top to bottom.
        labels: what to write instead of the name of a task or contrast.
        palette: a colormap of matplotlib by its name, or colours from loss to gain.
        scale: what the gains are measured in.

    Returns the Axes. Raises `ResultsError` for a name that is not there.
    """
    return drawn_from(draw_heat_map, {"gains": gains}, Choices(ax, tasks, order, labels, palette), scale)


def draw_heat_map(view: View) -> pd.DataFrame:
    """The body of `gains_heat_map`."""
    gains = view.sorted(at_full(unit_free(view["gains"])))
    if gains.empty:
        raise NothingToDraw("gains on a unit-free scale")
    gains, line = view.fewer_tasks(gains, gains)
    names = [name for name in dict.fromkeys(view["gains"]["contrast"]) if name in set(gains["contrast"])]
    draw_cells(view, gains, gains["contrast"], {name: stacked(name, len(names)) for name in names})
    view.canvas.note_above(line)
    return gains


def draw_cells(
    view: View, gains: pd.DataFrame, column: pd.Series, titles: Mapping[str, str], *, lines: int = 1
) -> None:
    """A cell for every row of gains with its verdict: tasks in their order by the columns of `titles`; `column` has one
    of these for each row. On two `lines`, the mark stands below the gain."""
    tasks, names = list(gains["task"].unique()), list(titles)
    values = gains.assign(column=column).pivot(index="task", columns="column", values="gain")
    values = values.reindex(index=tasks, columns=names)
    reach = float(np.nanmax(np.abs(values.to_numpy()))) or 1.0
    texts = [_cell(row, lines) for row in records(gains)]
    width = width_beside(tasks, len(names), _column(texts)) if len(names) <= 3 else WIDE
    (ax,) = view.canvas.panels((1, 1), (width, 0.75 + (0.155 if lines == 1 else 0.25) * len(tasks)))
    colours = colormap(view.choices.palette, DIVERGING)
    image = ax.pcolormesh(values.to_numpy(float), cmap=colours, vmin=-reach, vmax=reach, ec="white", lw=0.6)
    for row, name, text in zip(records(gains), column, texts, strict=True):
        x, y = names.index(name) + 0.5, tasks.index(row["task"]) + 0.5
        ax.text(
            x,
            y,
            text,
            ha="center",
            va="center",
            linespacing=1.05,
            fontsize=SMALL,
            color=_ink(row["gain"], reach, colours),
        )
    heat_map_rows(ax, tasks, gains.drop_duplicates("task")["group"].tolist(), len(names), INK, 0.8)
    ax.set_xticks(np.arange(len(names)) + 0.5, list(titles.values()))
    ax.xaxis.tick_top()
    bar = view.canvas.figure.colorbar(image, ax=ax, location="bottom", aspect=40, pad=0.02, shrink=0.9)
    bar.set_label(GAIN_LABELS[view.scale])
    bar.outline.set_visible(False)
    room = 0.9 * (width - text_inches(tasks))
    bar.locator = MaxNLocator(min(8, max(2, int(room / (text_inches([_WIDEST_TICK]) + _TICK_GAP)))))
    bar.update_ticks()


def _cell(row: Mapping[str, Any], lines: int) -> str:
    """What stands in a cell."""
    arrow = IMPROVING if bool(row["base_improving"]) else " "
    between = " " if lines == 1 else "\n"
    return f"{number(row['gain'], signed=True)}{between}{VERDICT_MARKS.get(row['verdict'], '')}{arrow}"


def _column(texts: Iterable[str]) -> float:
    """Inches of a column whose cells hold these texts."""
    return text_inches(line for text in texts for line in text.split("\n")) + _GAP


def columns_that_fit(gains: pd.DataFrame, lines: int = 1) -> int:
    """How many columns of cells, of so many lines each, a page has room for beside the names of the tasks."""
    room = WIDE - text_inches(gains["task"].unique())
    return max(1, int(room / _column(_cell(row, lines) for row in records(gains))))


def _ink(gain: float, reach: float, colours: Colormap | str) -> str:
    """White on a dark cell: of our colormap the ends, of another what its lightness says (ITU-R BT.709)."""
    if colours is DIVERGING or not isinstance(colours, Colormap):
        return "white" if abs(gain) > 0.66 * reach else INK
    red, green, blue, _ = colours((gain / reach + 1) / 2)
    return "white" if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5 else INK
