"""Marks that several figures share: intervals, verdicts, arrows, and lines between groups."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.path import Path as Path2D
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D

from analysis.figures.labels import BASE
from analysis.figures.style import INK
from analysis.statistics.verdicts import UNDECIDED
from analysis.tables.cells import IMPROVING

Looks = Mapping[str, tuple[str, str]]
"""Colour and marker by name."""


def error_bars(
    ax: Axes, low: float, high: float, at: float, colour: str, *, vertical: bool = False, **look: Any
) -> None:
    """An interval, if there is one; an arrow head where it leaves the axis. Set the axis first."""
    if pd.isna(low) or pd.isna(high):
        return
    first, last = ax.get_ylim() if vertical else ax.get_xlim()
    style: Any = {"lw": 1.0, "zorder": 2} | look

    def draw(along: list[float], **how: Any) -> None:
        across = [at] * len(along)
        ax.plot(*((across, along) if vertical else (along, across)), color=colour, **how)

    draw([max(low, first), min(high, last)], solid_capstyle="butt", **style)
    markers = ("v", "^") if vertical else ("<", ">")
    for beyond, edge, marker in ((low < first, first, markers[0]), (high > last, last, markers[1])):
        if beyond:
            draw([edge], marker=marker, ms=3, clip_on=False, ls="none")


def interval_on_mark(ax: Axes, value: float, low: float, high: float, at: float, colour: str, covered: float) -> None:
    """A horizontal interval once more, on the mark at `value` that hides it and is `covered` wide, in data; nothing of
    one that shows on both sides of its mark."""
    if pd.notna(low) and pd.notna(high) and high - low < 1.6 * covered:
        ends = [max(low, value - 0.42 * covered), min(high, value + 0.42 * covered)]
        ax.plot(ends, [at, at], color=colour, lw=0.9, solid_capstyle="butt", zorder=4)


def fitted_band(ax: Axes, line: pd.DataFrame, along: str, colour: str, **look: Any) -> None:
    """A line `fit` over the column `along` with its band from `low` to `high`, if there is one; arrow heads where the
    band leaves the axis, as those of `error_bars`. Set the axis first."""
    band, at = line[["low", "high"]].astype(float), line[along].astype(float)
    ax.fill_between(at, band["low"], band["high"], color=colour, alpha=0.14, lw=0)
    ax.plot(at, line["fit"], color=colour, **look)
    first, last = ax.get_ylim()
    for beyond, edge, marker in ((first - band["low"], first, "v"), (band["high"] - last, last, "^")):
        ends = beyond.iloc[[0, -1]] if len(beyond) else beyond
        for index in ends.index[ends > 0]:  # a band is widest at its ends
            ax.plot([at[index]], [edge], marker=marker, ms=3, color=colour, clip_on=False, ls="none")


def verdict_mark(ax: Axes, x: float, y: float, colour: str, marker: str, *, hollow: bool) -> None:
    """The marker of a verdict; `hollow` where it is undecided."""
    face = "white" if hollow else colour
    ax.plot([x], [y], marker=marker, ms=4.2, mfc=face, mec=colour, mew=0.9, ls="none", zorder=3)


def verdict_handles(looks: Looks) -> list[Line2D]:
    """Legend entries of verdicts."""
    faces = {name: "white" if name == UNDECIDED else colour for name, (colour, _) in looks.items()}
    return [
        Line2D([], [], marker=marker, ms=4.2, mfc=faces[name], mec=colour, ls="none", label=name)
        for name, (colour, marker) in looks.items()
    ]


def margin_arrow(ax: Axes, at: float, colour: str = INK) -> None:
    """An arrow at the right edge of a row: a base model behind it was still improving."""
    anchor: Any = {"xycoords": ("axes fraction", "data"), "ha": "center", "va": "center"}
    beside: Any = {"xytext": (7, 0), "textcoords": "offset points"}  # of the arrow head of an interval
    ax.annotate(IMPROVING, (1.0, at), color=colour, fontsize=7, **anchor, **beside)


@cache
def improving_marker() -> Path2D:
    """The arrow as a marker; not as a formula, since text is never read as one here."""
    arrow = TextPath((0, 0), IMPROVING, size=10, prop=FontProperties(family=BASE))
    return arrow.transformed(Affine2D().translate(*(-arrow.get_extents().get_points().mean(0))))


def improving_handle(text: str = "base still improving") -> Line2D:
    """Legend entry of the arrow."""
    return Line2D([], [], marker=improving_marker(), color=INK, ls="none", ms=5, mew=0.2, label=text)


def heat_map_rows(ax: Axes, tasks: Sequence[str], groups: Sequence[str], width: float, colour: str, lw: float) -> None:
    """Tasks as the rows of a heat map from top to bottom, with lines between their clinical groups."""
    for row in range(1, len(groups)):
        if groups[row] != groups[row - 1]:
            ax.plot([0, width], [row, row], color=colour, lw=lw, clip_on=False)
    ax.set_yticks([row + 0.5 for row in range(len(tasks))], tasks)
    ax.set_ylim(len(tasks), 0)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def dodge(index: int, count: int) -> float:
    """How far above or below its row the mark of one of `count` contrasts stands."""
    return (index - (count - 1) / 2) * 0.68 / count


def contrast_handles(names: list[str], colours: Mapping[str, str]) -> list[Line2D]:
    """Legend entries of contrasts."""
    return [Line2D([], [], marker="o", ms=4, color=colours[name], label=name) for name in names]
