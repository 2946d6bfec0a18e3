"""Which tasks and contrasts a figure shows where there are too many for a page; all of them stand in the tables."""

from collections.abc import Mapping

import pandas as pd

MOST_TASKS = 60
MOST_CONTRASTS = 6
MOST_GROUPS = 40


def fewer_contrasts(frames: Mapping[str, pd.DataFrame]) -> tuple[Mapping[str, pd.DataFrame], str]:
    """The frames with the contrasts of the largest mean gains, and a line that says so; nothing where all fit."""
    if "gains" not in frames:
        return frames, ""
    means = frames["gains"].groupby("contrast", sort=False)["gain"].mean()
    if len(means) <= MOST_CONTRASTS:
        return frames, ""
    largest = set(means.abs().nlargest(MOST_CONTRASTS).index)
    shown = {
        name: rows[rows["contrast"].isin(largest)] if "contrast" in rows else rows for name, rows in frames.items()
    }
    return shown, f"{MOST_CONTRASTS} of {len(means):,} contrasts, the largest mean gains"


def fewer_tasks(rows: pd.DataFrame, gains: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The rows of the tasks with the surest gains, and a line that says so; nothing where all fit a page."""
    count = rows["task"].nunique()
    if count <= MOST_TASKS:
        return rows, ""
    surest = gains.assign(p=gains["p"].fillna(1.0), size=-gains["gain"].abs())
    order = surest.sort_values(["p", "size", "task"], kind="stable")["task"].drop_duplicates()
    chosen = [*order[order.isin(rows["task"])], *sorted(set(rows["task"]) - set(order))][:MOST_TASKS]
    why = "the surest gains" if len(gains) else "the first by name"
    return rows[rows["task"].isin(chosen)], f"{MOST_TASKS} of {count:,} tasks, {why}"


def fewer_groups(rows: pd.DataFrame, column: str) -> tuple[pd.DataFrame, str]:
    """The rows of the first values of a column, and a line that says so; nothing where all fit a page."""
    values = sorted(rows[column].unique())
    if len(values) <= MOST_GROUPS:
        return rows, ""
    return rows[rows[column].isin(values[:MOST_GROUPS])], f"{MOST_GROUPS} of {len(values):,}, the first by name"
