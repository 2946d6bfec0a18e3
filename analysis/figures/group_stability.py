"""Stability of gains over clinical groups and amounts of data."""

from collections.abc import Iterable, Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.gridspec import GridSpecFromSubplotSpec
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from analysis.figures.axes import interval_axis
from analysis.figures.canvas import Target
from analysis.figures.choices import Palette
from analysis.figures.marks import contrast_handles, dodge, error_bars, improving_handle, margin_arrow
from analysis.figures.selection import fewer_groups
from analysis.figures.style import COLUMN, GAIN_LABELS, INK, SMALL
from analysis.figures.view import Choices, NothingToDraw, View, drawn_from
from analysis.settings import Scale, farthest_gain
from analysis.tables.cells import data_share
from analysis.tables.order import against_base, records


def stability(
    pooled: pd.DataFrame,
    summary: pd.DataFrame | None = None,
    *,
    ax: Target | None = None,
    order: Iterable[str] | None = None,
    labels: Mapping[str, str] | None = None,
    palette: Palette | None = None,
    scale: Scale = "absolute",
) -> Target:
    """Above: mean gain of each clinical group at each fraction. Below: spread, worst cell and share of losses.

    Args:
        pooled: the frame `pooled`.
        summary: the frame `stability`, for the panels below.
        ax: where to draw: the panels replace an Axes.
        order: clinical groups from top to bottom.
        labels: what to write instead of the name of a group or contrast.
        palette: colours of contrasts or of their joint aggregations, by name or in the order of the legend.
        scale: what the gains are measured in.

    Returns the Axes where there is no summary, else the figure. Raises `ResultsError` for a name that is not there.
    """
    return drawn_from(
        draw_stability, {"pooled": pooled, "stability": summary}, Choices(ax, None, order, labels, palette), scale
    )


def draw_stability(view: View) -> pd.DataFrame:
    """The body of `stability`."""
    pooled = view["pooled"]
    cells = pooled[(pooled["level"] == "group") & (pooled["tasks"] > 0)]
    if cells.empty:
        raise NothingToDraw("mean gains by clinical group")
    names = against_base(cells)
    cells = cells[cells["contrast"].isin(names)]
    cells, line = fewer_groups(cells, "name")
    groups, colours = view.ordered(sorted(cells["name"].unique())), view.colours_of_contrasts(cells)
    summary = view["stability"]
    summary = summary[(summary["scope"] == "all fractions") & summary["contrast"].isin(names)]
    upper = 0.14 * len(groups) * max(1.6, 0.75 * len(names))
    lower = 0.55 + 0.17 * len(summary) if len(summary) else 0.0
    size = (COLUMN, 0.85 + upper + lower)
    if len(summary):
        figure = view.canvas.whole(*size)
        grid = figure.add_gridspec(2, 1, height_ratios=(upper, max(0.35, lower - 0.35)))
        ax, below = figure.add_subplot(grid[0]), grid[1].subgridspec(1, 3)
    else:
        (ax,) = view.canvas.panels((1, 1), size)
        below = None
    interval_axis([ax], cells["gain"], cells["low"], cells["high"], most=farthest_gain(view.scale))
    shares = sorted(cells["fraction"].unique())
    for row in records(cells):
        step = shares.index(row["fraction"])
        inner = 0.0 if len(shares) == 1 else (step / (len(shares) - 1) - 0.5) * 0.5 / len(names)
        at = groups.index(row["name"]) + dodge(names.index(row["contrast"]), len(names)) + inner
        colour = colours[row["contrast"]]
        error_bars(ax, row["low"], row["high"], at, colour, lw=0.7, alpha=0.7)
        ax.plot([row["gain"]], [at], marker="o", color=colour, ms=_size(step, len(shares)), zorder=3)
    for group, contrast in cells.loc[cells["base_improving"] > 0, ["name", "contrast"]].drop_duplicates().to_numpy():
        at = groups.index(group) + dodge(names.index(contrast), len(names))
        margin_arrow(ax, at, colours[contrast])
    for row_index in range(1, len(groups)):
        ax.axhline(row_index - 0.5, color="#DDDDDD", lw=0.5, zorder=0)
    ax.axvline(0, color=INK, lw=0.6, zorder=1)
    ax.set_yticks(range(len(groups)), groups)
    ax.set_ylim(len(groups) - 0.45, -0.55)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(f"group mean, {GAIN_LABELS[view.scale]}")
    if below is not None:
        shown = [name for name in names if name in set(summary["contrast"])]
        _summary(view.canvas.figure, below, summary, shown, colours, farthest_gain(view.scale))
    handles = contrast_handles(names, colours)
    if len(shares) > 1:
        handles += [
            Line2D(
                [],
                [],
                marker="o",
                ls="none",
                color=INK,
                ms=_size(step, len(shares)),
                label=f"{data_share(share)} of data",
            )
            for step, share in enumerate(shares)
        ]
    handles.append(improving_handle())
    view.canvas.legend(handles, loc="outside lower center", ncols=3)
    view.canvas.note_above(line)
    return pd.concat([cells.assign(part="cell"), summary.assign(part="summary")], ignore_index=True)


def _size(step: int, steps: int) -> float:
    return 4.0 if steps == 1 else 2.2 + 2.4 * step / (steps - 1)


def _summary(
    figure: Figure | SubFigure,
    below: GridSpecFromSubplotSpec,
    summary: pd.DataFrame,
    names: list[str],
    colours: Mapping[str, str],
    most: float,
) -> None:
    panels = (("spread", "spread (sd)"), ("worst", "worst cell (of all)"), ("negative", "negative share"))
    axes: list[Axes] = []
    for index, (column, label) in enumerate(panels):
        ax = figure.add_subplot(below[index], sharey=axes[0] if axes else None)
        axes.append(ax)
        interval_axis([ax], summary[column], summary[f"{column}_low"], summary[f"{column}_high"], most=most)
        for row in summary.to_dict("records"):
            at = names.index(row["contrast"])
            colour = colours[row["contrast"]]
            error_bars(ax, row[f"{column}_low"], row[f"{column}_high"], at, colour, lw=1.3)
            ax.plot([row[column]], [at], marker="o", color=colour, ms=4, zorder=3)
        ax.set_xlabel(label)
        ax.xaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10], min_n_ticks=2))
        ax.tick_params(axis="y", length=0, labelleft=index == 0)
        if column == "worst":
            ax.axvline(0, color=INK, lw=0.6, zorder=1)
        else:
            ax.set_xlim(left=0)
    axes[2].xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes[0].set_yticks(range(len(names)), names, fontsize=SMALL)
    axes[0].set_ylim(len(names) - 0.4, -0.6)
