"""Which rows of a frame are shown, and in which order: the same in tables and figures."""

from typing import Any

import pandas as pd

from analysis.contrasts import default_sides
from analysis.frames import at_full as at_full


def by_task(rows: pd.DataFrame) -> pd.DataFrame:
    """Contrasts as they come, and in each the tasks by clinical group and name."""
    keys = [name for name in ("contrast", "group", "task") if name in rows]
    if "contrast" in rows:
        rank = {name: index for index, name in enumerate(rows["contrast"].unique())}
        rows = rows.assign(contrast=pd.Categorical(rows["contrast"], categories=list(rank), ordered=True))
    return rows.sort_values(keys, kind="stable", ignore_index=True)


def against_base(rows: pd.DataFrame) -> list[str]:
    """The contrast of every joint aggregation with its default base: the common one, TS if there is one, which is that
    of the first row, or that trained twice."""
    return list(default_sides(rows, str(rows["base"].iloc[0])))


def unit_free(gains: pd.DataFrame) -> pd.DataFrame:
    """The frame `gains` without those that have a unit of their own, such as pixels."""
    return gains[gains["gain_unit"] == "1"]


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries by column name."""
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]
