"""Where gains and losses of single cases lie: under both aggregations, and by class, image source and size."""

import posixpath
from collections.abc import Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.cases.parts import BY, parted
from analysis.figures.canvas import Canvas, NewFigure
from analysis.figures.labels import label
from analysis.figures.style import GREY, INK, PALE, PLAIN_TEXT, SMALL, VERDICT_LOOKS, WIDE
from analysis.statistics.verdicts import BENEFIT, HARM

MOST_PARTS = 8
"""Parts of one kind that are drawn, those with most cases."""

MOST_DOTS = 100
"""Cases above which parts are bars, and subjects are not joined: more of them hide each other, and weigh."""

_CAPTION = (
    "Left: a dot for each test case{joined}; below the diagonal the joint aggregation loses. Right: differences of the "
    "same cases by what is known of them; {shown}stroke: median, number of cases behind the name. No verdict is made "
    "from single cases."
)


def caption(cases: int) -> str:
    """What the figure of so many cases shows."""
    if cases <= MOST_DOTS:
        return _CAPTION.format(joined=", thin lines join cases of one subject", shown="")
    return _CAPTION.format(joined="", shown="bar: the middle half of them, line: the middle eight tenths, ")


def case_figure(rows: pd.DataFrame, new_figure: NewFigure = Figure) -> tuple[Figure, pd.DataFrame]:
    """Both side by side, and the rows they show: without names of cases and subjects."""
    canvas, parts = Canvas(None, new_figure), _parts(rows)
    with matplotlib.rc_context(PLAIN_TEXT):
        left, right = canvas.panels((1, 2), (WIDE, max(2.8, _height(parts))), gridspec_kw={"width_ratios": (1, 1.25)})
        _scatter(left, rows)
        _spread(right, rows, parts)
    figure = canvas.figure
    assert isinstance(figure, Figure)
    numbers = pd.factorize(rows["subject"])[0] + 1
    return figure, rows.drop(columns=["case", "subject"]).assign(subject_number=numbers)


def _scatter(ax: Axes, rows: pd.DataFrame) -> None:
    base, joint = rows["base_score"].to_numpy(float), rows["joint_score"].to_numpy(float)
    joined = [[np.nan, np.nan]]  # one line with gaps, which takes a tenth of the bytes of a line for each subject
    for _, own in rows.groupby("subject") if len(rows) <= MOST_DOTS else ():
        if 1 < len(own) <= 50:
            joined += [*own.sort_values("base_score")[["base_score", "joint_score"]].to_numpy(float), [np.nan, np.nan]]
    ax.plot(*np.array(joined).T, color=GREY, lw=0.4, alpha=0.5, zorder=1)
    for sign, name in ((-1, HARM), (1, BENEFIT), (0, None)):
        chosen = np.sign(joint - base) == sign
        colour, marker = VERDICT_LOOKS.get(name or "", (GREY, "o"))
        ax.scatter(base[chosen], joint[chosen], s=14, c=colour, marker=marker, alpha=0.75, lw=0, zorder=2)
    low, high = float(min(base.min(), joint.min())), float(max(base.max(), joint.max()))
    beyond = 0.04 * (high - low) or 0.05
    limits = (low - beyond, high + beyond)
    ax.plot(limits, limits, color=INK, lw=0.6, zorder=0)
    ax.set(xlim=limits, ylim=limits, aspect="equal", anchor="N")
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.yaxis.set_major_locator(MaxNLocator(4))
    first = rows.iloc[0]
    ax.set_xlabel(f"{label(first['base'])}: {label(first['score'])}")
    ax.set_ylabel(f"{label(first['joint'])}: {label(first['score'])}")


Parts = Sequence[tuple[str, str, pd.DataFrame]]


def _parts(rows: pd.DataFrame) -> Parts:
    """All cases, then the largest parts of each kind in their order."""
    whole: list[tuple[str, str, pd.DataFrame]] = [("", "all", rows)]
    found = list(parted(rows))
    for by in BY:
        own = [part for part in found if part[0] == by]
        names = [name for _, name, _ in own]
        shared = posixpath.commonpath(names) if by == "source" and all(names) and len(names) > 1 else ""
        own = [(by, name.removeprefix(shared).strip("/") or name, part) for _, name, part in own]
        largest = sorted((len(part) for _, _, part in own), reverse=True)[:MOST_PARTS]
        whole += [part for part in own if len(part[2]) >= largest[-1]][:MOST_PARTS]
    return whole


def _height(parts: Parts) -> float:
    return 0.7 + 0.24 * (len(parts) + len({by for by, _, _ in parts}))


def _spread(ax: Axes, rows: pd.DataFrame, parts: Parts) -> None:
    """A row for each part, from top to bottom; a row of space with a heading before each kind."""
    random = np.random.default_rng(0)  # dots are scattered across their row so that all can be seen
    at, ticks, names, before = 0.0, [], [], ""
    for by, name, part in parts:
        if by != before:
            at += 1
            ax.annotate(BY[by], (0, at), xycoords=("axes fraction", "data"), xytext=(-4, 0), ha="right", va="center",
                        textcoords="offset points", fontsize=SMALL, fontweight="bold")  # fmt: skip
            at, before = at + 1, by
        gain = part["gain"].to_numpy(float)
        if len(rows) > MOST_DOTS:
            low, lower, upper, high = np.quantile(gain, (0.1, 0.25, 0.75, 0.9))
            ax.plot([low, high], [at, at], color=GREY, lw=0.8, zorder=1)
            ax.barh(at, upper - lower, 0.5, lower, color=PALE, ec=GREY, lw=0.6, zorder=2)
        else:
            _dots(ax, gain, at, random)
        middle = float(np.median(gain))
        ax.plot([middle, middle], [at - 0.4, at + 0.4], color=INK, lw=1.4, zorder=3)
        ticks.append(at)
        names.append(f"{label(name, 30)} ({len(part)})")
        at += 1
    ax.axvline(0, color=GREY, lw=0.6, zorder=0)
    ax.set_yticks(ticks, names)
    ax.set_ylim(max(at, 4.0) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    first = rows.iloc[0]
    ax.set_xlabel(f"{label(first['joint'])} minus {label(first['base'])}")


def _dots(ax: Axes, gain: np.ndarray, at: float, random: np.random.Generator) -> None:
    """The cases of one part, losses and gains in their colours."""
    for sign, verdict in ((-1, HARM), (1, BENEFIT), (0, None)):
        chosen = np.sign(gain) == sign
        across = at + random.uniform(-0.28, 0.28, int(chosen.sum()))
        colour = VERDICT_LOOKS.get(verdict or "", (GREY, "o"))[0]
        ax.scatter(gain[chosen], across, s=8, c=colour, alpha=0.6, lw=0, zorder=2)
