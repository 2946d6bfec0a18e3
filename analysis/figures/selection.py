"""Which tasks and contrasts a figure shows where there are too many for a page; all of them stand in the tables."""

from dataclasses import replace

import pandas as pd

from analysis.result import Analysis

MOST_TASKS = 60
MOST_CONTRASTS = 6
MOST_GROUPS = 40


def fewer_contrasts(analysis: Analysis) -> tuple[Analysis, str]:
    """The analysis with the contrasts of the largest mean gains, and a line that says so; nothing where all fit."""
    gains = analysis.frames["gains"]
    means = gains.groupby("contrast", sort=False)["gain"].mean()
    if len(means) <= MOST_CONTRASTS:
        return analysis, ""
    chosen = set(means.abs().nlargest(MOST_CONTRASTS).index)
    frames = {
        name: rows[rows["contrast"].isin(chosen)] if "contrast" in rows else rows
        for name, rows in analysis.frames.items()
    }
    return replace(analysis, frames=frames), f"{MOST_CONTRASTS} of {len(means):,} contrasts, the largest mean gains"


def fewer_tasks(rows: pd.DataFrame, gains: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The rows of the tasks with the surest gains, and a line that says so; nothing where all fit a page."""
    count = rows["task"].nunique()
    if count <= MOST_TASKS:
        return rows, ""
    surest = gains.assign(p=gains["p"].fillna(1.0), size=-gains["gain"].abs())
    order = surest.sort_values(["p", "size", "task"], kind="stable")["task"].drop_duplicates()
    chosen = [*order[order.isin(rows["task"])], *sorted(set(rows["task"]) - set(order))][:MOST_TASKS]
    return rows[rows["task"].isin(chosen)], f"{MOST_TASKS} of {count:,} tasks, the surest gains"


def fewer_groups(rows: pd.DataFrame, column: str) -> tuple[pd.DataFrame, str]:
    """The rows of the first values of a column, and a line that says so; nothing where all fit a page."""
    values = sorted(rows[column].unique())
    if len(values) <= MOST_GROUPS:
        return rows, ""
    return rows[rows[column].isin(values[:MOST_GROUPS])], f"{MOST_GROUPS} of {len(values):,}, the first by name"
