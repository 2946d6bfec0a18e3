"""The one look of all figures: sizes for a two-column paper, colours that colour-blind readers can tell apart, fonts.

Verdicts, aggregations and task types each have their own colours, and markers beside them, so that nothing rests on
colour alone. Colours of verdicts and aggregations: Okabe and Ito (2008); of types: Tol, "muted" (2021).
"""

from collections.abc import Callable, Sequence
from functools import cache, wraps
from io import BytesIO
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.path import Path as Path2D
from matplotlib.textpath import TextPath
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from matplotlib.transforms import Affine2D

from aggregation_lab.files import write_atomic, write_text
from aggregation_lab.storage.spreadsheet_csv import csv_text
from aggregation_lab.tasks import TaskType
from analysis.figures.labels import BASE, families, labelled, named_again
from analysis.figures.selection import fewer_contrasts
from analysis.result import Analysis
from analysis.statistics.verdicts import BENEFIT, HARM, NO_LOSS, SAME_MODEL, UNDECIDED
from analysis.tables.cells import IMPROVING

COLUMN, WIDE = 3.35, 6.9
"""Width in inches of one column and of both columns of a paper."""

SMALL = 6.5
"""Smallest text in points."""

INK, GREY, PALE = "#222222", "#7F7F7F", "#E4E4E4"

RC: Any = {
    "font.family": families(),  # the first comes with matplotlib: figures look alike everywhere, and have the arrows
    "text.parse_math": False,  # a name with two dollars is no formula
    "text.usetex": False,
    "font.size": 7.0,
    "axes.labelsize": 7.0,
    "axes.titlesize": 7.0,
    "axes.titleweight": "bold",
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.2,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "lines.linewidth": 1.0,
    "lines.markersize": 4.0,
    "figure.dpi": 300,  # the layout is found at the resolution of the PNG: letters are wider at another
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "pdf.fonttype": 42,  # whole TrueType fonts: text stays text
    "svg.fonttype": "path",  # letters as outlines: looks alike in a browser without the font
    "svg.hashsalt": "aggregation_lab",
}

VERDICT_LOOKS = {
    BENEFIT: ("#0072B2", "^"),
    NO_LOSS: ("#00875F", "s"),
    UNDECIDED: ("#8F8F8F", "o"),
    HARM: ("#D55E00", "v"),
    SAME_MODEL: ("#C4C4C4", "x"),
}
"""Colour and marker; undecided is drawn hollow."""

AGGREGATION_COLOURS = {"TS": "#333333", "CG": "#E69F00", "AU": "#CC79A7"}
_OWN = ("#56B4E9", "#117733", "#882255", "#999933")
"""For partitions of the user's, in alphabetical order."""

TYPE_LOOKS = {
    str(TaskType.SEGMENTATION): ("#332288", "o"),
    str(TaskType.CLASSIFICATION): ("#999933", "s"),
    str(TaskType.DETECTION): ("#882255", "^"),
    str(TaskType.REGRESSION): ("#66BBDD", "D"),
}

DIVERGING = LinearSegmentedColormap.from_list("harm_benefit", ["#A63603", "#F4A582", "#FAFAFA", "#92C5DE", "#05518F"])
"""Vermilion below zero, blue above, like the verdicts."""

GAIN_LABELS = {
    "absolute": "gain (unit-free score)",
    "relative": "gain (share of the base score)",
    "standardised": "gain (sd over seeds)",
}

Drawn = tuple[Figure, pd.DataFrame]
Draw = Callable[[Analysis], Drawn | None]


def themed(draw: Draw) -> Draw:
    """Draw with the settings above, whatever the caller's are: contrasts that fit, names as labels that can be drawn.

    The numbers beside the figure keep the names.
    """

    @wraps(draw)
    def inside(analysis: Analysis) -> Drawn | None:
        chosen, said = fewer_contrasts(analysis)
        shown, names = labelled(chosen)
        with matplotlib.rc_context(RC):
            drawn = draw(shown)
            if drawn is None:
                return None
            figure, data = drawn
            say_above(figure, said)
        return figure, named_again(data, names)

    return inside


def say_above(figure: Figure, said: str) -> None:
    """A line above all panels, beside what stands there; nothing where there is nothing to say."""
    if said:
        before = figure.get_suptitle()
        figure.suptitle(f"{before}; {said}" if before else said, fontsize=SMALL, fontweight="normal")


def add_legend(figure: Figure, handles: Sequence[Any], **how: Any) -> None:
    """A legend outside the panels, also of names that begin with an underscore, which matplotlib would leave out."""
    texts = [str(handle.get_label()) for handle in handles]
    legend = figure.legend(handles=list(handles), labels=[f"x{text}" for text in texts], **how)
    for shown, text in zip(legend.get_texts(), texts, strict=True):
        shown.set_text(text)


def new_figure(width: float, height: float, wspace: float = 0.02) -> Figure:
    """A figure of that size in inches; `wspace` is the space between panels as a share of their width."""
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(wspace=wspace))


def aggregation_colour(name: str, analysis: Analysis) -> str:
    """The same colour for an aggregation in every figure."""
    if name in AGGREGATION_COLOURS:
        return AGGREGATION_COLOURS[name]
    own = sorted(set(analysis.study.aggregations) - set(AGGREGATION_COLOURS))
    return _OWN[own.index(name) % len(_OWN)] if name in own else GREY


def contrast_colours(rows: pd.DataFrame, analysis: Analysis) -> dict[str, str]:
    """The colour of each contrast of the rows: that of its joint aggregation, grey off the common base."""
    common = next(iter(analysis.study.aggregations), "TS")
    sides = rows[["contrast", "joint", "base"]].drop_duplicates().itertuples(index=False, name=None)
    return {name: aggregation_colour(joint, analysis) if base == common else GREY for name, joint, base in sides}


def type_look(name: str) -> tuple[str, str]:
    return TYPE_LOOKS.get(name, (INK, "o"))


def gain_label(analysis: Analysis) -> str:
    return GAIN_LABELS[analysis.settings.scale]


def interval_axis(
    axes: Sequence[Axes], estimates: pd.Series, low: pd.Series, high: pd.Series, *, vertical: bool = False
) -> None:
    """Limits of an axis of estimates with intervals: all of them, if the widest does not need twice the room.

    Two or three tasks can have an interval so wide that every other one would shrink to a point. The axis then ends
    where four of five limits and every estimate lie within; `error_bars` lets the others run off with an arrow head.
    """
    if estimates.isna().all():
        return
    ends = pd.concat([low, high]).astype(float).abs()
    reach = float(np.nanmax([1.25 * estimates.abs().max(), ends.quantile(0.8)])) or 1.0
    if ends.max() <= 2 * reach:
        reach = max(reach, ends.max())
    first = max(-reach, float(np.nanmin([low.min(), estimates.min(), 0.0])))
    last = min(reach, float(np.nanmax([high.max(), estimates.max(), 0.0])))
    beyond = (0.12 if vertical else 0.06) * ((last - first) or reach)  # every gain can be exactly 0
    for ax in axes:
        (ax.set_ylim if vertical else ax.set_xlim)(first - beyond, last + beyond)


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


def verdict_mark(ax: Axes, x: float, y: float, verdict: str) -> None:
    colour, marker = VERDICT_LOOKS.get(verdict, (GREY, "o"))
    face = "white" if verdict == UNDECIDED else colour
    ax.plot([x], [y], marker=marker, ms=4.2, mfc=face, mec=colour, mew=0.9, ls="none", zorder=3)


def verdict_handles(verdicts: Sequence[str]) -> list[Line2D]:
    """Legend entries of the verdicts that occur, from harm to benefit."""
    handles = []
    for name in (HARM, UNDECIDED, NO_LOSS, BENEFIT, SAME_MODEL):
        if name in set(verdicts):
            colour, marker = VERDICT_LOOKS[name]
            face = "white" if name == UNDECIDED else colour
            handles.append(Line2D([], [], marker=marker, ms=4.2, mfc=face, mec=colour, ls="none", label=name))
    return handles


def margin_arrow(ax: Axes, at: float, colour: str = INK) -> None:
    """An arrow at the right edge of a row: a base model behind it was still improving."""
    place: Any = {"xycoords": ("axes fraction", "data"), "ha": "center", "va": "center"}
    beside: Any = {"xytext": (7, 0), "textcoords": "offset points"}  # of the arrow head of an interval
    ax.annotate(IMPROVING, (1.0, at), color=colour, fontsize=7, **place, **beside)


@cache
def improving_marker() -> Path2D:
    """The arrow as a marker; not as a formula, since text is never read as one here."""
    arrow = TextPath((0, 0), IMPROVING, size=10, prop=FontProperties(family=BASE))
    return arrow.transformed(Affine2D().translate(*(-arrow.get_extents().get_points().mean(0))))


def stacked(name: str, columns: int) -> str:
    """A label over one of several columns, on as many lines as it takes to keep off its neighbours, at most three."""
    return fill(name, max(9, 56 // columns), max_lines=3, placeholder="…", break_on_hyphens=False)


def improving_handle(text: str = "base still improving") -> Line2D:
    return Line2D([], [], marker=improving_marker(), color=INK, ls="none", ms=5, mew=0.2, label=text)


def group_lines(ax: Axes, groups: Sequence[str], width: float, colour: str = INK) -> None:
    """Lines between the clinical groups of a heat map's rows."""
    for place in range(1, len(groups)):
        if groups[place] != groups[place - 1]:
            ax.plot([0, width], [place, place], color=colour, lw=0.8 if colour == INK else 1.6, clip_on=False)


def log_n_axis(ax: Axes, low: float, high: float) -> None:
    """Training cases on a logarithmic axis with plain numbers: 100, 300, 1000 ..."""
    ax.set_xscale("log")
    low, high = low / 1.12, high * 1.12
    steps = [step * 10**power for power in range(7) for step in (1, 3)]
    ticks = [step for step in steps if low <= step <= high]
    if len(ticks) < 2:
        steps = [step * 10**power for power in range(7) for step in (1, 1.5, 2, 3, 4, 5, 7)]
        ticks = [step for step in steps if low <= step <= high]
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}" if value < 1e4 else f"{value / 1e3:g}k"))
    ax.set_xlim(low, high)


def save(figure: Figure, data: pd.DataFrame, stem: str, folder: Path) -> list[Path]:
    """Write PDF, SVG, PNG (300 dpi) and the CSV of what is shown; each file whole or not at all, without dates.

    Raises `AgglabError` where the folder cannot be written.
    """
    written = [folder / f"{stem}.csv"]
    write_text(written[0], csv_text(data))
    with matplotlib.rc_context(RC):
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # the layout is found once, not again for every format
        for ending, metadata in (("pdf", {"CreationDate": None}), ("svg", {"Date": None}), ("png", {})):
            content = BytesIO()
            figure.savefig(content, format=ending, dpi=300, metadata=metadata)
            written.append(folder / f"{stem}.{ending}")
            _write(written[-1], content.getvalue())
    return written


def _write(path: Path, content: bytes) -> None:
    write_atomic(path, lambda stream: stream.write(content))
