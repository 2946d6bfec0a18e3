"""Where a figure is drawn: a new figure of the right size, or the Axes or figure of the caller."""

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
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


class Canvas:
    """The Axes or figure of the caller, or a figure that `new` makes; `target` is what was drawn on."""

    def __init__(self, given: Target | None, new: NewFigure) -> None:
        self._given, self._new = given, new
        self.target: Target

    def panels(
        self, shape: tuple[int, int], size: tuple[float, float], *, wspace: float = 0.02, **grid: Any
    ) -> list[Axes]:
        """Panels row by row, `shape` (rows, columns); one panel is the caller's Axes itself. `grid`: see `subplots`."""
        if shape == (1, 1) and isinstance(self._given, Axes):
            self.target = self._given
            return [self._given]
        figure = self.whole(*size, wspace)
        axes = list(figure.subplots(*shape, squeeze=False, **grid).ravel())
        self.target = axes[0] if shape == (1, 1) else figure
        return axes

    def whole(self, width: float, height: float, wspace: float = 0.02) -> Figure | SubFigure:
        """The figure to draw in; a new one has this size in inches. An Axes is replaced by a part of its figure.

        `wspace` is the space between panels as a share of their width. Raises `ResultsError` where an Axes has no cell
        in a grid.
        """
        matplotlib.rcParams.update(RC)  # until `render` sets them back
        layout = ConstrainedLayoutEngine(wspace=wspace)
        if self._given is None:
            self.target = self._new(figsize=(width, height), layout=layout)
        elif isinstance(self._given, Axes):
            cell = self._given.get_subplotspec()
            if cell is None:
                raise ResultsError("ax: a figure of several panels needs an Axes of `subplots`, or a figure")
            self._given.set_axis_off()
            self.target = self._given.figure.add_subfigure(cell)
        else:
            self.target = self._given
            if isinstance(self.target, Figure) and self.target.get_layout_engine() is None:
                self.target.set_layout_engine(layout)
        return self.figure

    @property
    def figure(self) -> Figure | SubFigure:
        """The figure behind what was drawn on."""
        return self.target.figure if isinstance(self.target, Axes) else self.target

    @property
    def callers_axes(self) -> Axes | None:
        """The caller's Axes, if it was drawn on: its layout may leave no room outside, so texts stand beside it."""
        return self._given if isinstance(self._given, Axes) and self.target is self._given else None

    def legend(self, handles: Sequence[Any], **how: Any) -> None:
        """A legend outside the panels, also of names with a leading underscore, which matplotlib would leave out."""
        texts = [str(handle.get_label()) for handle in handles]
        about: dict[str, Any] = {"handles": list(handles), "labels": [f"x{text}" for text in texts]}
        ax = self.callers_axes
        if ax is None:
            legend = self.figure.legend(**about, **how)
        else:
            lowered = offset_copy(ax.transAxes, ax.get_figure(root=True), y=_BELOW, units="points")
            how |= {"loc": "upper center", "bbox_to_anchor": (0.5, 0.0), "bbox_transform": lowered}
            legend = ax.legend(**about, fontsize=SMALL, frameon=False, borderaxespad=0.0, **how)
        for shown, text in zip(legend.get_texts(), texts, strict=True):
            shown.set_text(text)

    def note_above(self, line: str) -> None:
        """A line above all panels, after one that is there already; nothing where `line` is empty."""
        ax = self.callers_axes
        if line and ax is not None:
            ax.annotate(line, (0.5, 1.0), xycoords="axes fraction", xytext=(0, 16), textcoords="offset points",
                        ha="center", fontsize=SMALL)  # fmt: skip
        elif line:
            before = self.figure.get_suptitle()
            self.figure.suptitle(f"{before}; {line}" if before else line, fontsize=SMALL, fontweight="normal")
