"""The per-task table of a study: every aggregation beside the floor, mean and standard deviation over seeds."""

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table

from aggregation_lab.aggregation import FLOOR
from aggregation_lab.tasks import METRICS, TaskType


def scoreboard(
    scores: pd.DataFrame, aggregations: list[str], fraction: float, metric: str | None = None
) -> pd.DataFrame:
    """One row per task and aggregation, the floor included, of each task's primary metric (or `metric`) on test.

    Columns: task, type, group, metric, direction, aggregation, mean, sd (missing with one seed), seeds, floor,
    beats_floor. Undefined values are left out of the mean; `seeds` counts the others. Tasks of which no row is left,
    because they lack the metric, are left out.
    """
    primary = scores["type"].map(lambda name: metric or TaskType.of(name).primary.name)
    rows = scores[(scores["split"] == "test") & (scores["fraction"] == fraction) & (scores["metric"] == primary)]
    keys = ["group", "task", "type", "metric", "direction", "aggregation"]
    table = rows.groupby(keys, as_index=False)["value"].agg(mean="mean", sd="std", seeds="count")
    floor = table[table["aggregation"] == FLOOR].set_index("task")["mean"]
    table["floor"] = table["task"].map(floor)
    sign = table["metric"].map(lambda name: 1 if METRICS[name].higher_is_better else -1)
    table["beats_floor"] = sign.astype(float) * (table["mean"] - table["floor"].astype(float)) > 0
    order = {name: index for index, name in enumerate([*aggregations, FLOOR])}
    table = table[table["aggregation"].isin(order)].assign(order=table["aggregation"].map(order))
    return table.sort_values(["group", "task", "order"], ignore_index=True).drop(columns="order")


def on_screen(board: pd.DataFrame, aggregations: list[str], title: str) -> Table:
    """The table as people read it: a row per task, a column per aggregation; `*` marks a mean better than the floor.

    Where the aggregations of a task have different numbers of seeds, each cell says its own.
    """
    screen = Table(title=title, title_justify="left", caption="* mean better than the floor", caption_justify="left")
    screen.box, screen.pad_edge = SIMPLE_HEAD, False
    screen.add_column("group")
    screen.add_column("task", no_wrap=True)
    screen.add_column("metric", no_wrap=True)
    for name in [*aggregations, FLOOR]:
        screen.add_column(name, justify="right", no_wrap=True)
    for (group, task), rows in board.groupby(["group", "task"], sort=False):
        by_name = {row["aggregation"]: row for row in rows.to_dict("records")}
        uneven = rows.loc[rows["aggregation"] != FLOOR, "seeds"].nunique() > 1
        cells = [_cell(by_name.get(name), uneven) for name in [*aggregations, FLOOR]]
        direction = "up" if rows["direction"].iloc[0] == "higher" else "down"
        screen.add_row(str(group), str(task), f"{rows['metric'].iloc[0]} ({direction})", *cells)
    return screen


def _cell(row: dict | None, with_seeds: bool) -> str:
    if row is None or pd.isna(row["mean"]):
        return "-"
    digits = 3 if METRICS[row["metric"]].unit == "1" else 1
    mean = f"{row['mean']:.{digits}f}"
    if row["aggregation"] == FLOOR:
        return mean
    spread = "" if pd.isna(row["sd"]) else f" ± {row['sd']:.{digits}f}"
    count = f" ({row['seeds']} seed{'s' if row['seeds'] > 1 else ''})" if with_seeds else ""
    return f"{mean}{spread}{count}{' *' if row['beats_floor'] else '  '}"


def summary(board: pd.DataFrame, aggregations: list[str], reference: str | None = None) -> str:
    """One line: in how many tasks the mean is better than the floor, by aggregation and under any but the reference."""
    counts = []
    for name in [*aggregations, *([reference] if reference else [])]:
        rows = board[board["aggregation"] == name]
        if len(rows):
            counts.append(f"{name} {int(rows['beats_floor'].sum())}/{len(rows)}")
    trained = board[board["aggregation"].isin(aggregations)]
    if trained.empty:
        return "none of the runs of this table has finished yet"
    anywhere = trained.groupby("task")["beats_floor"].any()
    return f"tasks with a mean better than the floor: {', '.join(counts)}, any {int(anywhere.sum())}/{len(anywhere)}"
