"""Which rows of a frame are shown, and in which order: the same in tables and figures."""

from typing import Any

import pandas as pd

from analysis.frames import at_full as at_full
from analysis.gains import default_sides
from analysis.settings import Scale


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


def unit_free(gains: pd.DataFrame, scale: Scale) -> pd.DataFrame:
    """The frame `gains` without tasks whose absolute gains are in a unit of their own, such as pixels.

    Their scores are negated errors, outside [0, 1]; relative and standardised gains have no unit anyway.
    """
    if scale != "absolute":
        return gains
    return gains[gains["base_score"].between(0, 1) & gains["joint_score"].between(0, 1)]


def with_unit(gains: pd.DataFrame, scale: Scale) -> pd.DataFrame:
    """The frame `gains` and, in the column unit_free, whether each gain is without a unit."""
    return gains.assign(unit_free=gains.index.isin(unit_free(gains, scale).index))


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries by column name."""
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]
