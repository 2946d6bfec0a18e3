"""Which experts serve which tasks, and which tasks are routed alike: from the table `routing` at its largest fraction.

Experts carry no names: expert 0 of one seed may do what expert 2 of another does. Similarity is therefore computed
within each seed. For `usage`, the experts of every seed are first matched, block by block, to those of the unit's first
seed, so that tasks' shares agree best (Kuhn 1955). Matching makes seeds look somewhat more alike than they are, and
experts of different units, or of different blocks, have nothing to do with each other.
"""

from itertools import product

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import jensenshannon

from analysis.frames import FRAMES, at_full, frame
from analysis.study import StudyTables

_UNIT = ["aggregation", "unit"]


def usage(study: StudyTables) -> pd.DataFrame:
    """The frame `usage`: shares of matched experts, mean over seeds; empty without routing."""
    rows = _largest(study)
    if rows.empty:
        return frame("usage", [])
    parts = [_matched(block) for _, block in rows.groupby([*_UNIT, "block"], sort=True)]
    keys = ["aggregation", "task", "group", "block", "expert"]
    shares = pd.concat(parts).groupby(keys, as_index=False).agg(share=("share", "mean"))
    return shares[list(FRAMES["usage"])]


def _largest(study: StudyTables) -> pd.DataFrame:
    return pd.DataFrame() if study.routing is None else at_full(study.routing)


def _matched(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of one unit and block with every seed's experts renamed to the first seed's."""
    wide = rows.pivot(index=["seed", "task"], columns="expert", values="share").sort_index()
    tables = {seed: wide.loc[seed].dropna(axis="columns", how="all") for seed in wide.index.unique("seed")}
    first = next(iter(tables.values()))
    seeds, experts = rows["seed"].to_numpy(), rows["expert"].copy()
    for seed, table in tables.items():
        shared = first.index.intersection(table.index)
        reference, shares = first.loc[shared].to_numpy(), table.loc[shared].to_numpy()
        cost = ((reference[:, :, None] - shares[:, None, :]) ** 2).sum(0)
        target, source = linear_sum_assignment(cost)
        names = dict(zip(table.columns[source], first.columns[target], strict=True))
        experts[seeds == seed] = rows["expert"][seeds == seed].map(names)
    return rows.assign(expert=experts)


def similarity(study: StudyTables) -> pd.DataFrame:
    """The frame `similarity`: every ordered pair of tasks of one unit, a task with itself included.

    1 - Jensen-Shannon distance to base 2 (Lin 1991; Endres and Schindelin 2003), in [0, 1]: 1 for the same experts,
    0 for none in common. Mean over blocks within a seed, then over seeds. Units of one task have no pair; empty without
    routing.
    """
    rows = _largest(study)
    pairs: list[dict[str, object]] = []
    if rows.empty:
        return frame("similarity", [])
    for (aggregation, _), unit in rows.groupby(_UNIT, sort=True):
        members = sorted(unit["task"].unique())
        if len(members) < 2:
            continue
        blocks = list(unit.groupby(["seed", "block"]))
        seeds = np.array([seed for (seed, _), _ in blocks])
        tables = [block.pivot(index="task", columns="expert", values="share").reindex(members) for _, block in blocks]
        by_block = pd.DataFrame([_similarities(table.to_numpy(float)).ravel() for table in tables])
        values = by_block.groupby(seeds).mean().mean()
        for (task, other), value in zip(product(members, members), values, strict=True):
            pairs.append({"aggregation": aggregation, "task": task, "other": other, "similarity": float(value)})
    return frame("similarity", pairs)


def _similarities(weights: np.ndarray) -> np.ndarray:
    """T x T similarities from the weights of T tasks, T x E; NaN for a task without weights."""
    known = np.isfinite(weights).all(1)
    with np.errstate(invalid="ignore"):
        found = 1.0 - jensenshannon(weights[:, None], weights[None], base=2, axis=2)
    # Rounding can make the divergence of two all but equal vectors negative, and its root NaN.
    found[np.isnan(found) & np.outer(known, known)] = 1.0
    return found
