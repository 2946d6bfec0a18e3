"""Rows of the trivial predictor: one that names no fraction, or no arm, stands beside the models of each."""

import pandas as pd

from aggregation_lab.aggregation import FLOOR

_PLACES = ["arm", "fraction"]


def floors_everywhere(rows: pd.DataFrame, unnamed: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """The rows with those of the floor repeated, as it needs no training data.

    `unnamed` says of every row, in the columns arm and fraction, which of the two its cells leave empty; `key` are the
    columns that tell rows apart. Where the floor has a row of its own at a place of its task's models, that one stands.
    """
    is_floor = rows["aggregation"] == FLOOR
    spread = is_floor & unnamed.any(axis=1)
    places = rows.loc[~is_floor, ["task", *_PLACES]].drop_duplicates()
    parts = [rows[~spread]]
    for chosen, own in rows[spread].groupby([unnamed.loc[spread, name] for name in _PLACES]):
        free = [name for name, empty in zip(_PLACES, chosen, strict=True) if empty]
        found = own.drop(columns=free).merge(places, on=["task", *(name for name in _PLACES if name not in free)])
        alone = own[~own["task"].isin(places["task"])]  # tasks without a model
        parts += [found[rows.columns], alone]
    return pd.concat(parts, ignore_index=True).drop_duplicates(key, ignore_index=True)
