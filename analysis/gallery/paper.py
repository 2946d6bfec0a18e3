"""Strips as a figure for a paper: a row for each case, a column for the input, the target and each aggregation."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle as Box
from matplotlib.patheffects import withStroke

from aggregation_lab.errors import ResultsError
from aggregation_lab.tasks.marks import Mark, Rectangle, Region, Shares, Spot
from analysis.figures.labels import label
from analysis.figures.style import INK, PALE, RC, SMALL, WIDE
from analysis.gallery.outlines import outlines
from analysis.gallery.overlay import is_beside_the_image, label_place
from analysis.gallery.page import NOT_KEPT
from analysis.gallery.strips import Strip
from analysis.tables.cells import number

TARGET, SAID = "#F0E442", "#56B4E9"
"""Colours of the target and of a prediction, as on the page."""

_DRAWN = {
    Region: "target: yellow, dashed; prediction: blue, solid",
    Rectangle: "target: yellow, dashed; prediction: blue, solid",
    Spot: "target: yellow rings; prediction: blue crosses",
    Shares: "bars: probabilities of the classes; outlined: the true class",
}
"""What the marks are, behind the title."""

_TALLEST = 9.0
"""Inches that a page has for a figure."""
_HEAD, _TEXT = 0.25, 0.3


def strips_figure(strips: Sequence[Strip], why_none: str = "", title: str = "") -> Figure:
    """One page with the strips, as wide as both columns of a paper. Raises `ResultsError` where there are none."""
    if not strips:
        raise ResultsError(why_none or "no pictures: there are no cases to show")
    with matplotlib.rc_context(RC):
        return _figure(strips, title)


def _figure(strips: Sequence[Strip], title: str) -> Figure:
    columns = 2 + max(len(strip.panels) for strip in strips)
    heights = [WIDE / columns * min(1.4, strip.image.height / strip.image.width) for strip in strips]
    shrink = min(1.0, (_TALLEST - _HEAD - _TEXT * len(strips)) / sum(heights))
    heights = [height * shrink + _TEXT for height in heights]
    figure = Figure(figsize=(WIDE, _HEAD + sum(heights)), layout="constrained")
    grid = figure.subplots(len(strips), columns, squeeze=False, gridspec_kw={"height_ratios": heights})
    if title:
        drawn = "; ".join(dict.fromkeys(_DRAWN[type(mark)] for strip in strips for mark in strip.truth))
        figure.suptitle(f"{label(title, 120)}    {drawn}".rstrip(), fontsize=7)
    for row, strip in enumerate(strips):
        names = ["input", "target", *(panel.name for panel in strip.panels)]
        for ax in grid[row]:
            ax.set_axis_off()
        for ax, name in zip(grid[row], names, strict=False):
            ax.set_axis_on()
            _bare(ax)
            if row == 0:
                ax.set_title(label(name), fontsize=7)
        _fill(list(grid[row]), strip)
    return figure


def _fill(axes: Sequence[Axes], strip: Strip) -> None:
    """The pictures of one row."""
    beside = is_beside_the_image(strip.truth)
    _image(axes[0], strip)
    axes[0].set_xlabel(f"gain {number(strip.row['gain'], 2, signed=True)}", fontsize=SMALL)
    drawn: list[tuple[Axes, Sequence[Mark] | None, str]] = [(axes[1], (), "")]
    drawn += [(ax, panel.marks, panel.text) for ax, panel in zip(axes[2:], strip.panels, strict=False)]
    for ax, marks, text in drawn:
        if marks is None:
            ax.text(0.5, 0.5, NOT_KEPT, transform=ax.transAxes, ha="center", va="center", fontsize=SMALL, wrap=True)
        elif beside:
            _bars(ax, marks, strip.truth)
        else:
            _image(ax, strip)
            _marks(ax, strip.truth, strip, TARGET, "--", numbered=not marks)
            _marks(ax, marks, strip, SAID, "-", numbered=True)
        ax.set_xlabel(label(text), fontsize=SMALL)


def _bare(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)


def _image(ax: Axes, strip: Strip) -> None:
    ax.imshow(np.asarray(strip.image.convert("RGB")), interpolation="antialiased", extent=(0, *strip.image.size, 0))
    ax.set(xlim=(0, strip.image.width), ylim=(strip.image.height, 0))


def _marks(ax: Axes, marks: Sequence[Mark], strip: Strip, colour: str, style: str, *, numbered: bool) -> None:
    cased = [withStroke(linewidth=2.0, foreground="#15181C")]
    tolerance = max(strip.image.size) / 400
    several = numbered and any(isinstance(mark, Region) and mark.index > 1 for mark in marks)
    for mark in marks:
        if isinstance(mark, Region):
            lines = outlines(mark.mask, tolerance)
            for line in lines:
                ax.plot(*line.T, color=colour, ls=style, lw=0.9)
            if lines and several:
                x, y = label_place(lines)
                ax.text(x, y, str(mark.index), color=colour, fontsize=SMALL, ha="center", va="center",
                        path_effects=cased)  # fmt: skip
        elif isinstance(mark, Rectangle):
            corner, size = (mark.left, mark.top), (mark.right - mark.left, mark.bottom - mark.top)
            ax.add_patch(Box(corner, *size, fill=False, ec=colour, ls=style, lw=0.9))
        elif isinstance(mark, Spot):
            ax.plot([mark.x], [mark.y], marker="o" if colour == TARGET else "x", ms=4, mfc="none", mec=colour, mew=0.9)
            if numbered:
                ax.annotate(str(mark.index + 1), (mark.x, mark.y), xytext=(3, 2), textcoords="offset points",
                            color=colour, fontsize=SMALL, path_effects=cased)  # fmt: skip


def _bars(ax: Axes, marks: Sequence[Mark], truth: Sequence[Mark]) -> None:
    said, right = (next((mark.values for mark in each if isinstance(mark, Shares)), ()) for each in (marks, truth))
    count = max(len(said), len(right))
    for index in range(count):
        if index < len(said):
            ax.barh(index, said[index], height=0.62, color=SAID)
        outlined = index < len(right) and right[index] >= 0.5
        ax.barh(index, 1.0, height=0.62, fill=False, ec=INK if outlined else PALE, ls="--" if outlined else "-", lw=0.8)
    ax.set_yticks(range(count), [str(index) for index in range(count)])
    ax.tick_params(length=0, pad=1)
    ax.set(xlim=(-0.05, 1.05), ylim=(count - 0.4, -0.6))
