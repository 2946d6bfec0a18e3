"""Where a figure is drawn: a new figure of the right size, or the Axes or figure of the caller."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import offset_copy

from aggregation_lab.errors import ResultsError
from analysis.figures.style import RC, SMALL

_BELOW = -36.0
"""Points below an Axes where its tick labels and its label have ended."""

Target = Axes | Figure | SubFigure
NewFigure = Callable[..., Figure]


def known_to_pyplot(**how: Any) -> Figure:
    """A figure that `pyplot.show` and notebooks show."""
    from matplotlib import pyplot  # what writes files needs no windows

    return pyplot.figure(**how)


def shown_once(target: Target) -> Target:
    """In a notebook, a figure that a cell ends with is shown as its value: pyplot then must not show it again."""
    if isinstance(target, Figure) and "inline" in matplotlib.get_backend():
        from matplotlib import pyplot

        pyplot.close(target)
    return target


def figure_on(
    target: Target | None, width: float, height: float, new: NewFigure, wspace: float = 0.02
) -> Figure | SubFigure:
    """The figure to draw in; a new one has this size in inches. In the place of an Axes comes a part of its figure.

    `wspace` is the space between panels as a share of their width. Raises `ResultsError` where an Axes has no place in
    a grid.
    """
    matplotlib.rcParams.update(RC)  # until `render` sets them back
    if target is None:
        return new(figsize=(width, height), layout=ConstrainedLayoutEngine(wspace=wspace))
    if isinstance(target, Figure):
        if target.get_layout_engine() is None:
            target.set_layout_engine(ConstrainedLayoutEngine(wspace=wspace))
        return target
    if isinstance(target, SubFigure):
        return target
    cell = target.get_subplotspec()
    if cell is None:
        raise ResultsError("ax: a figure of several panels needs an Axes of `subplots`, or a figure")
    target.set_axis_off()
    return target.figure.add_subfigure(cell)


Shared = bool | Literal["none", "all", "row", "col"]


def panels(
    target: Target | None,
    shape: tuple[int, int],
    size: tuple[float, float],
    new: NewFigure,
    *,
    wspace: float = 0.02,
    sharex: Shared = False,
    sharey: Shared = False,
    width_ratios: Sequence[float] | None = None,
) -> tuple[Target, list[Axes]]:
    """What is drawn on, and its panels row by row, `shape` (rows, columns); one panel is the caller's Axes itself."""
    if shape == (1, 1) and isinstance(target, Axes):
        return target, [target]
    figure = figure_on(target, *size, new, wspace)
    grid = figure.subplots(*shape, sharex=sharex, sharey=sharey, squeeze=False, width_ratios=width_ratios)
    axes = list(np.asarray(grid).ravel())
    return (axes[0] if shape == (1, 1) else figure), axes


def figure_of(target: Target) -> Figure | SubFigure:
    """The figure behind what is drawn on."""
    return target.figure if isinstance(target, Axes) else target


def add_legend(target: Target, given: Target | None, handles: Sequence[Any], **how: Any) -> None:
    """A legend outside the panels, also of names that begin with an underscore, which matplotlib would leave out.

    On an Axes that the caller gave it stands below: another layout than the caller's knows of no outside.
    """
    texts = [str(handle.get_label()) for handle in handles]
    about: dict[str, Any] = {"handles": list(handles), "labels": [f"x{text}" for text in texts]}
    if isinstance(given, Axes) and target is given:
        lowered = offset_copy(given.transAxes, given.get_figure(root=True), y=_BELOW, units="points")
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.0), "bbox_transform": lowered, "borderaxespad": 0.0}
        legend = given.legend(**about, fontsize=SMALL, frameon=False, **(how | below))
    else:
        legend = figure_of(target).legend(**about, **how)
    for shown, text in zip(legend.get_texts(), texts, strict=True):
        shown.set_text(text)


def say_above(target: Target, given: Target | None, line: str) -> None:
    """A line above all panels, beside what stands there; nothing where there is nothing to say."""
    if not line:
        return
    if isinstance(given, Axes) and target is given:
        given.annotate(line, (0.5, 1.0), xycoords="axes fraction", xytext=(0, 16), textcoords="offset points",
                       ha="center", fontsize=SMALL)  # fmt: skip
        return
    figure = figure_of(target)
    before = figure.get_suptitle()
    figure.suptitle(f"{before}; {line}" if before else line, fontsize=SMALL, fontweight="normal")
