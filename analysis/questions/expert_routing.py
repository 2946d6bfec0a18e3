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
    seeds, experts, shares = (rows[name].to_numpy() for name in ("seed", "expert", "share"))
    tasks, matched = pd.factorize(rows["task"], sort=True)[0], np.full(len(rows), np.nan)
    for places in rows.groupby([*_UNIT, "block"], sort=False).indices.values():
        matched[places] = _matched(seeds[places], tasks[places], experts[places], shares[places])
    rows = rows.assign(expert=matched).dropna(subset="expert").astype({"expert": rows["expert"].dtype})
    keys = ["aggregation", "task", "group", "block", "expert"]
    means = rows.groupby(keys, as_index=False).agg(share=("share", "mean"))
    return means[list(FRAMES["usage"])]


def _largest(study: StudyTables) -> pd.DataFrame:
    return pd.DataFrame() if study.routing is None else at_full(study.routing)


def _matched(seeds: np.ndarray, tasks: np.ndarray, experts: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The first seed's name of the expert of every row of one unit and block; NaN where it has no partner for it."""
    names, first = np.full(len(experts), np.nan), None
    for seed in np.unique(seeds):
        rows = seeds == seed
        own = _table(tasks[rows], experts[rows], shares[rows])
        first = first or own
        shared = np.intersect1d(first[0], own[0])
        reference, weights = (table[np.searchsorted(known, shared)] for known, _, table in (first, own))
        target, source = linear_sum_assignment(((reference[:, :, None] - weights[:, None, :]) ** 2).sum(0))
        partner = dict(zip(own[1][source].tolist(), first[1][target].tolist(), strict=True))
        names[rows] = [partner.get(expert, np.nan) for expert in experts[rows].tolist()]
    return names


def _table(tasks: np.ndarray, experts: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tasks, experts that have a share, and their shares, T x E; NaN where there is none."""
    tasks, row = np.unique(tasks, return_inverse=True)
    experts, column = np.unique(experts, return_inverse=True)
    table = np.full((len(tasks), len(experts)), np.nan)
    table[row, column] = shares
    used = ~np.isnan(table).all(0)
    return tasks, experts[used], table[:, used]


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
