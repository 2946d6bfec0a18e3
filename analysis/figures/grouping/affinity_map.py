"""How tasks bear on each other, clustered, beside their clinical groups."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy.cluster.hierarchy import dendrogram, linkage
from scipy.spatial.distance import squareform

from aggregation_lab.results import SIGNALS
from analysis.figures.axes import text_inches
from analysis.figures.canvas import Target
from analysis.figures.choices import Palette, colormap
from analysis.figures.marks import heat_map_rows
from analysis.figures.style import DIVERGING, GREY, SMALL, WIDE
from analysis.figures.view import Choices, NothingToDraw, View, drawn_from

_JOINT = "AU"


def affinity_map(
    affinities: pd.DataFrame,
    gains: pd.DataFrame | None = None,
    *,
    ax: Target | None = None,
    tasks: Iterable[str] | None = None,
    labels: Mapping[str, str] | None = None,
    palette: Palette | None = None,
) -> Target:
    """Tasks by tasks: what a step on one does to the other in AU, ordered by average linkage (Sokal and Michener 1958).

    Args:
        affinities: the frame `affinities`, or its rows of one signal: the first of `SIGNALS` that is there is drawn.
        gains: the frame `gains`, by which 60 tasks are chosen where there are more.
        ax: where to draw.
        tasks: the tasks to show.
        labels: what to write instead of the name of a task or group.
        palette: a colormap of matplotlib by its name, or colours from low to high.

    Returns the figure. Raises `ResultsError` for a name that is not there.
    """
    choices = Choices(ax, tasks, None, labels, palette)
    return drawn_from(draw_affinities, {"affinities": affinities, "gains": gains}, choices)


def draw_affinities(view: View) -> pd.DataFrame:
    """The body of `affinity_map`."""
    rows = view["affinities"]
    rows = rows[rows["aggregation"] == (view.choices.labels or {}).get(_JOINT, _JOINT)]
    signal = next((name for name in SIGNALS if (rows["signal"] == name).any()), None)
    if signal is None:
        raise NothingToDraw("affinities of the tasks of AU")
    rows, line = view.fewer_tasks(rows[rows["signal"] == signal])
    rows = rows[rows["other"].isin(rows["task"])]
    names = sorted(set(rows["task"]))
    if len(names) < 2:
        raise NothingToDraw("affinities of two tasks of AU")
    values = rows.pivot(index="task", columns="other", values="mean").reindex(index=names, columns=names)
    tree = linkage(squareform(distances(values.to_numpy(float), far_is_high=SIGNALS[signal].is_distance)), "average")
    drawn = dendrogram(tree, no_plot=True)
    order = [names[leaf] for leaf in drawn["leaves"]]
    values = values.reindex(index=order, columns=order)
    group_of = rows.drop_duplicates("task").set_index("task")["group"]
    shape: dict[str, object] = {"width_ratios": [5, 1]}
    above_and_below = max(1.9, 0.8 + text_inches(names))
    size = (WIDE, above_and_below + 0.145 * len(names))
    heat, branches = view.canvas.panels((1, 2), size, gridspec_kw=shape)
    _cells(view, heat, values, signal)
    beside = heat.secondary_yaxis("right")
    beside.set_yticks(np.arange(len(order)) + 0.5, [group_of[name] for name in order])
    beside.tick_params(length=0, colors=GREY)
    beside.spines[:].set_visible(False)
    _branches(branches, drawn, len(order))
    view.canvas.note_above(line)
    rank = {name: place for place, name in enumerate(order)}
    return rows.sort_values(["task", "other"], key=lambda column: column.map(rank), ignore_index=True)


def distances(values: np.ndarray, *, far_is_high: bool = False) -> np.ndarray:
    """T x T distances for clustering: how far the mean of both directions lies from that of the nearest pair. A pair
    without a value counts as far as the farthest."""
    means = np.where(np.isnan(values), values.T, (values + values.T) / 2)
    means = np.where(np.isnan(means), values, means) * (1 if far_is_high else -1)
    np.fill_diagonal(means, np.nan)
    apart = means - np.nanmin(means)
    apart = np.where(np.isnan(apart), np.nanmax(apart), apart)
    np.fill_diagonal(apart, 0.0)
    return apart


def _cells(view: View, ax: Axes, values: pd.DataFrame, signal: str) -> None:
    shown = values.to_numpy(float)
    reach = float(np.nanmax(np.abs(shown))) or 1.0
    about = SIGNALS[signal]
    low, high = (-reach, reach) if about.signed else (None, None)
    default = DIVERGING if about.signed else "cividis_r" if about.is_distance else "cividis"
    ax.set_facecolor("#DDDDDD")
    image = ax.pcolormesh(shown, cmap=colormap(view.choices.palette, default), vmin=low, vmax=high, ec="white", lw=0.4)
    names = list(values.index)
    ax.set_xticks(np.arange(len(names)) + 0.5, names, rotation=90)
    heat_map_rows(ax, names, [""] * len(names), len(names), "white", 0.0)
    if signal == "lookahead":
        ax.set_xlabel("loss of")
        ax.set_ylabel("step on")
    bar = view.canvas.figure.colorbar(image, ax=ax, location="bottom", aspect=40, pad=0.02, shrink=0.9)
    bar.set_label(about.short, fontsize=SMALL)
    bar.outline.set_visible(False)


def _branches(ax: Axes, drawn: Mapping[str, list[list[float]]], count: int) -> None:
    """The dendrogram, its leaves level with the rows."""
    foot = -0.06 * max(max(height) for height in drawn["dcoord"])  # the nearest pair has the distance 0
    for height, place in zip(drawn["dcoord"], drawn["icoord"], strict=True):
        leaf = [at % 10 == 5 and end in (0, 3) for end, at in enumerate(place)]
        along = [foot if is_leaf else each for is_leaf, each in zip(leaf, height, strict=True)]
        ax.plot(along, [at / 10 for at in place], color=GREY, lw=0.8, solid_joinstyle="miter")
    ax.set_ylim(count, 0)
    ax.set_xlim(left=foot)
    ax.set_axis_off()
