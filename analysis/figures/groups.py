"""What task types and clinical groups do to gains: type sensitivity, and stability over groups and amounts of data."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from analysis.figures.selection import fewer_groups
from analysis.figures.theme import (
    COLUMN,
    INK,
    SMALL,
    Drawn,
    add_legend,
    contrast_colours,
    error_bars,
    gain_label,
    improving_handle,
    interval_axis,
    margin_arrow,
    new_figure,
    say_above,
    themed,
)
from analysis.result import Analysis
from analysis.tables.cells import p_value
from analysis.tables.order import against_base, at_full, records


@themed
def type_sensitivity(analysis: Analysis) -> Drawn | None:
    """Mean gain of each task type, and the shares of its tasks that are harmed and that are below zero."""
    rows = at_full(analysis.frames["sensitivity"])
    if rows.empty:
        return None
    names = against_base(rows)
    rows = rows[rows["contrast"].isin(names)]
    rows, said = fewer_groups(rows, "type")
    types, colours = sorted(rows["type"].unique()), contrast_colours(rows, analysis)
    figure = new_figure(COLUMN, 0.95 + 0.17 * len(types) * (len(names) + 0.4), wspace=0.1)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.6, 1))
    interval_axis([left], rows["gain"], rows["low"], rows["high"])
    for row in records(rows):
        at = types.index(row["type"]) + _dodge(names.index(row["contrast"]), len(names))
        colour = colours[row["contrast"]]
        error_bars(left, row["low"], row["high"], at, colour, lw=1.3)
        left.plot([row["gain"]], [at], marker="o", color=colour, ms=4, zorder=3)
        if row["base_improving"] > 0:
            margin_arrow(left, at, colour)
        height = 0.62 / len(names)
        for share, look in ((row["negative"], {"fc": "white", "lw": 0.8}), (row["harmed"], {"fc": colour, "lw": 0.0})):
            if share > 0:
                right.barh([at], [share], height=height, ec=colour, **look)
    # An unfinished study compares more tasks under one contrast than under another.
    counts = {str(name): dict.fromkeys(sorted(own)) for name, own in rows.groupby("type")["tasks"]}
    left.set_yticks(range(len(types)), [f"{name} ({', '.join(map(str, counts[name]))})" for name in types])
    left.set_ylim(len(types) - 0.45, -0.55)
    left.tick_params(axis="y", length=0)
    right.tick_params(axis="y", length=0)
    left.axvline(0, color=INK, lw=0.6, zorder=1)
    left.set_xlabel(gain_label(analysis))
    left.xaxis.set_major_locator(MaxNLocator(4))
    right.set_xlim(0, 1)
    right.xaxis.set_major_formatter(PercentFormatter(1))
    right.set_xticks([0, 0.5, 1])
    right.set_xlabel("share of tasks")
    tests = at_full(analysis.frames["type_test"])
    handles = _contrast_handles(names, colours)
    for handle, name in zip(handles, names, strict=True):
        p = tests.loc[tests["contrast"] == name, "p"]
        if len(p) and pd.notna(p.iloc[0]):
            handle.set_label(f"{name} (types differ: p = {p_value(p.iloc[0])})".replace("= <", "< "))
    handles += [
        Line2D([], [], marker="s", ls="none", ms=5, color=INK, label="harmed"),
        Line2D([], [], marker="s", ls="none", ms=5, mfc="white", mec=INK, label="negative estimate"),
        improving_handle(),
    ]
    add_legend(figure, handles, loc="outside lower center", ncols=1 if len(names) > 2 else 2)
    say_above(figure, said)
    return figure, rows


def _dodge(place: int, count: int) -> float:
    return (place - (count - 1) / 2) * 0.68 / count


def _contrast_handles(names: list[str], colours: Mapping[str, str]) -> list[Line2D]:
    return [Line2D([], [], marker="o", ms=4, color=colours[name], label=name) for name in names]


@themed
def stability(analysis: Analysis) -> Drawn | None:
    """Above: mean gain of each clinical group at each fraction. Below: spread, worst cell and share of losses."""
    pooled = analysis.frames["pooled"]
    cells = pooled[(pooled["level"] == "group") & (pooled["tasks"] > 0)]
    if cells.empty:
        return None
    names = against_base(cells)
    cells = cells[cells["contrast"].isin(names)]
    cells, said = fewer_groups(cells, "name")
    groups, colours = sorted(cells["name"].unique()), contrast_colours(cells, analysis)
    summary = analysis.frames["stability"]
    summary = summary[(summary["scope"] == "all fractions") & summary["contrast"].isin(names)]
    upper = 0.14 * len(groups) * max(1.6, 0.75 * len(names))
    lower = 0.55 + 0.17 * len(summary) if len(summary) else 0.0
    figure = new_figure(COLUMN, 0.85 + upper + lower)
    if len(summary):
        grid = figure.add_gridspec(2, 1, height_ratios=(upper, max(0.35, lower - 0.35)))
        ax, below = figure.add_subplot(grid[0]), grid[1].subgridspec(1, 3)
    else:
        ax, below = figure.subplots(), None
    interval_axis([ax], cells["gain"], cells["low"], cells["high"])
    shares = sorted(cells["fraction"].unique())
    for row in records(cells):
        step = shares.index(row["fraction"])
        inner = 0.0 if len(shares) == 1 else (step / (len(shares) - 1) - 0.5) * 0.5 / len(names)
        at = groups.index(row["name"]) + _dodge(names.index(row["contrast"]), len(names)) + inner
        colour = colours[row["contrast"]]
        error_bars(ax, row["low"], row["high"], at, colour, lw=0.7, alpha=0.7)
        ax.plot([row["gain"]], [at], marker="o", color=colour, ms=_size(step, len(shares)), zorder=3)
    for group, contrast in cells.loc[cells["base_improving"] > 0, ["name", "contrast"]].drop_duplicates().to_numpy():
        at = groups.index(group) + _dodge(names.index(contrast), len(names))
        margin_arrow(ax, at, colours[contrast])
    for place in range(1, len(groups)):
        ax.axhline(place - 0.5, color="#DDDDDD", lw=0.5, zorder=0)
    ax.axvline(0, color=INK, lw=0.6, zorder=1)
    ax.set_yticks(range(len(groups)), groups)
    ax.set_ylim(len(groups) - 0.45, -0.55)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(f"group mean, {gain_label(analysis)}")
    if below is not None:
        _summary(figure, below, summary, [name for name in names if name in set(summary["contrast"])], colours)
    handles = _contrast_handles(names, colours)
    if len(shares) > 1:
        handles += [
            Line2D([], [], marker="o", ls="none", color=INK, ms=_size(step, len(shares)), label=f"{share:.0%} of data")
            for step, share in enumerate(shares)
        ]
    handles.append(improving_handle())
    add_legend(figure, handles, loc="outside lower center", ncols=3)
    say_above(figure, said)
    return figure, pd.concat([cells.assign(part="cell"), summary.assign(part="summary")], ignore_index=True)


def _size(step: int, steps: int) -> float:
    return 4.0 if steps == 1 else 2.2 + 2.4 * step / (steps - 1)


def _summary(figure, below, summary: pd.DataFrame, names: list[str], colours: Mapping[str, str]) -> None:
    panels = (("spread", "spread (sd)"), ("worst", "worst cell"), ("negative", "negative share"))
    axes: list[Axes] = []
    for place, (column, label) in enumerate(panels):
        ax = figure.add_subplot(below[place], sharey=axes[0] if axes else None)
        axes.append(ax)
        interval_axis([ax], summary[column], summary[f"{column}_low"], summary[f"{column}_high"])
        for row in summary.to_dict("records"):
            at = names.index(row["contrast"])
            colour = colours[row["contrast"]]
            error_bars(ax, row[f"{column}_low"], row[f"{column}_high"], at, colour, lw=1.3)
            ax.plot([row[column]], [at], marker="o", color=colour, ms=4, zorder=3)
        ax.set_xlabel(label)
        ax.xaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10], min_n_ticks=2))
        ax.tick_params(axis="y", length=0, labelleft=place == 0)
        if column == "worst":
            ax.axvline(0, color=INK, lw=0.6, zorder=1)
        if column != "worst":
            ax.set_xlim(left=0)
    axes[2].xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes[0].set_yticks(range(len(names)), names, fontsize=SMALL)
    axes[0].set_ylim(len(names) - 0.4, -0.6)
