"""What partitions cost and score: those that are trained, and those that predictions put forward."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.figures.canvas import Target
from analysis.figures.choices import Palette
from analysis.figures.grouping.beside_marks import beside_marks
from analysis.figures.style import COLUMN, GREY, INK
from analysis.figures.view import Choices, NothingToDraw, View, drawn_from
from analysis.tables.order import records


def partition_costs(
    partitions: pd.DataFrame,
    *,
    ax: Target | None = None,
    labels: Mapping[str, str] | None = None,
    palette: Palette | None = None,
) -> Target:
    """Mean test score of every partition against its worker hours; hollow: predicted, with its number of units, and a
    diamond where the hours are a guess.

    Args:
        partitions: the frame `partitions`.
        ax: where to draw.
        labels: what to write instead of the name of an aggregation.
        palette: colours of aggregations, by name or in the order of the legend.

    Returns the Axes. Raises `ResultsError` for a name that is not there.
    """
    return drawn_from(draw_costs, {"partitions": partitions}, Choices(ax, None, None, labels, palette))


def draw_costs(view: View) -> pd.DataFrame:
    """The body of `partition_costs`."""
    rows = view["partitions"]
    rows = rows[rows["hours"].notna() & rows["score"].notna()]
    if len(rows) < 2:
        raise NothingToDraw("two partitions of known cost and score")
    (ax,) = view.canvas.panels((1, 1), (COLUMN, 2.7))
    trained, found = rows[rows["trained"].astype(bool)], rows[~rows["trained"].astype(bool)]
    best = rows[rows["pareto"].astype(bool)].sort_values("hours")
    ax.step(best["hours"], best["score"], where="post", color=GREY, lw=0.8, zorder=1)
    names = list(trained["partition"])
    colours = view.colours_of_aggregations(names)
    for row in records(trained):
        ax.plot(
            [row["hours"]], [row["score"]], marker="o", ms=4.5, color=colours[row["partition"]], ls="none", zorder=3
        )
    for row in records(found):
        if pd.notna(row["low"]) and pd.notna(row["high"]):
            ends = [row["score"] + row[limit] - row["gain"] for limit in ("low", "high")]
            ax.plot([row["hours"]] * 2, ends, color=INK, lw=0.6, alpha=0.5, zorder=2)
        ax.plot([row["hours"]], [row["score"]], **_hollow(row["hours_guessed"]), zorder=3)
    ax.margins(0.12)
    spots = found.sort_values(["hours", "score", "units"])
    at, trained_at = (rows[["hours", "score"]].to_numpy(float) for rows in (spots, trained))
    beside_marks(ax, at, [f"{units:.0f}" for units in spots["units"]], trained_at)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlabel("worker hours per seed")
    ax.set_ylabel("mean score of the tasks")
    handles = [Line2D([], [], marker="o", ms=4.5, ls="none", color=colours[name], label=name) for name in names]
    for guessed in sorted(found["hours_guessed"].astype(bool).unique()):
        text = "predicted, hours guessed (units)" if guessed else "predicted (units)"
        handles.append(Line2D([], [], **_hollow(guessed), label=text))
    handles.append(Line2D([], [], color=GREY, lw=0.8, label="best for its cost"))
    view.canvas.legend(handles, loc="outside lower center", ncols=2)
    return rows


def _hollow(guessed: bool) -> dict[str, Any]:
    """The mark of a prediction, by whether its hours are a guess, too."""
    return {"marker": "D" if guessed else "o", "ms": 4.0 if guessed else 4.5, "ls": "none", "mfc": "white"} | {
        "mec": INK,
        "mew": 0.9,
    }
