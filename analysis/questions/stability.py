"""RQ4: is AU steadier than CG over clinical groups and amounts of data?

A cell is a clinical group at a fraction; its gain is the mean over the group's tasks. Spread is the standard deviation
over cells. The cells of one group go together, so intervals come from leaving out one group at a time (jackknife, t
with groups - 1). CG and AU are compared on the same cells, of the tasks that both have there: difference of spreads by
the jackknife, its p by the test of Pitman and Morgan (1939) for paired variances.

Chance in the gains adds to the spread of both, and not alike: a seed of AU, one model, moves all groups together, which
is no spread, a seed of CG each group by itself. What seeds do is known from the scatter over them, with C their
covariance of K cell means (K x K), so that the difference is that of the spreads without it,

    N = (tr C - sum C / K) / (K - 1),   (s_CG^2 - N_CG - s_AU^2 + N_AU) / (s_CG + s_AU)

which is s_CG - s_AU where seeds do nothing. Spreads, worst cells and shares of each are as they were seen.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from analysis.contrasts import Contrast
from analysis.frames import frame
from analysis.gains import PairedGain
from analysis.questions.common_cells import Common, cell_means, common_cells
from analysis.questions.means import poolable, these_tasks
from analysis.statistics.verdicts import HARM, SAME_MODEL

FEWEST_GROUPS = 3
"""Groups below which no spread is given."""


def difference_label(first: str, second: str) -> str:
    """`CG-TS minus AU-TS`: what rows are called that compare the spreads of two contrasts."""
    return f"{first} minus {second}"


def stability(
    pooled: pd.DataFrame,
    gains: pd.DataFrame,
    contrasts: Sequence[Contrast],
    pairs: Mapping[tuple[Contrast, float], Sequence[PairedGain]],
) -> pd.DataFrame:
    """The frame `stability` from the frames `pooled` (level group) and `gains`, and the pairs that they are of: over
    all cells, and per fraction.

    `contrasts` are those against the common base. Rows named `CG-TS minus AU-TS` compare two of them on the tasks that
    both have in a cell: a positive spread means that AU is steadier.
    """
    cells = pooled[(pooled["level"] == "group") & (pooled["tasks"] > 0)]
    scopes: list[tuple[str, list[float]]] = [("all fractions", sorted(set(cells["fraction"])))]
    if len(scopes[0][1]) > 1:
        scopes += [(f"fraction {share:g}", [share]) for share in scopes[0][1]]
    members = _members(pairs)
    of_joint = {contrast.joint: contrast.name for contrast in contrasts}
    compared = [of_joint[name] for name in ("CG", "AU") if name in of_joint]
    common = common_cells(pairs, *compared) if len(compared) == 2 else {}
    rows = []
    for scope, shares in scopes:
        chosen = cells[cells["fraction"].isin(shares)]
        for contrast in contrasts:
            name = contrast.name
            of_contrast = chosen[chosen["contrast"] == name]
            if of_contrast["name"].nunique() >= FEWEST_GROUPS:
                tasks = gains[(gains["contrast"] == name) & gains["fraction"].isin(shares)]
                tasks = tasks[tasks["verdict"] != SAME_MODEL]
                rows.append({**contrast.columns, "scope": scope} | _one(of_contrast, tasks, members))
        both = {cell: tasks for cell, tasks in common.items() if cell[1] in shares}
        if len({group for group, _ in both}) >= FEWEST_GROUPS:
            about = {"contrast": difference_label(*compared), "joint": "CG", "base": "AU", "scope": scope}
            rows.append(about | _difference(both))
    return frame("stability", rows)


Members = Mapping[tuple[str, str, float], Sequence[PairedGain]]
"""The pairs behind each cell: of a contrast, a clinical group and a fraction."""


def _members(pairs: Mapping[tuple[Contrast, float], Sequence[PairedGain]]) -> Members:
    found: dict[tuple[str, str, float], list[PairedGain]] = {}
    for (contrast, share), of_contrast in pairs.items():
        for pair in poolable(of_contrast):
            found.setdefault((contrast.name, pair.group, share), []).append(pair)
    return found


def _one(cells: pd.DataFrame, tasks: pd.DataFrame, members: Members) -> dict[str, object]:
    values, groups = cells["gain"].to_numpy(float), cells["name"].to_numpy(str)
    spread, low, high = _jackknife(lambda keep: float(values[keep].std(ddof=1)), groups)
    worst = cells.iloc[int(cells["gain"].to_numpy().argmin())]
    # The worst of many cells is chosen for being low: its interval is widened for that choice (Bonferroni).
    behind = members[worst["contrast"], worst["name"], worst["fraction"]]
    _, worst_low, worst_high, _ = these_tasks(behind, 1 - 0.05 / len(cells))
    negative, count = int((tasks["gain"] < 0).sum()), len(tasks)
    negative_low, negative_high = proportion_confint(negative, count, method="wilson")
    return {
        "cells": len(cells),
        "spread": spread,
        "spread_low": max(0.0, low) if np.isfinite(low) else low,
        "spread_high": high,
        "worst": float(worst["gain"]),
        "worst_low": worst_low,
        "worst_high": worst_high,
        "worst_cell": f"{worst['name']}, fraction {worst['fraction']:g}",
        "harmed": float((tasks["verdict"] == HARM).mean()),
        "negative": negative / count,
        "negative_low": float(negative_low),
        "negative_high": float(negative_high),
        "base_improving": int(tasks["base_improving"].astype(bool).sum()),
    }


def _difference(common: Common) -> dict[str, object]:
    first, second = cell_means(common).T
    groups = np.array([group for group, _ in common])
    noise = (seed_noise([[tasks[side] for tasks in own] for own in common.values()]) for side in (0, 1))
    spread, low, high = _jackknife(_freed(first, second, *noise), groups)
    worst, worst_low, worst_high = _jackknife(lambda keep: float(first[keep].min() - second[keep].min()), groups)
    negative, negative_low, negative_high = _jackknife(
        lambda keep: float((first[keep] < 0).mean() - (second[keep] < 0).mean()), groups
    )
    return {
        "cells": len(common),
        "spread": spread,
        "spread_low": low,
        "spread_high": high,
        "worst": worst,
        "worst_low": worst_low,
        "worst_high": worst_high,
        "worst_cell": "",
        "negative": negative,
        "negative_low": negative_low,
        "negative_high": negative_high,
    }


def seed_noise(cells: Sequence[Sequence[PairedGain]]) -> np.ndarray:
    """Covariance (K x K) that seeds give the means of K cells, each of the tasks of its pairs.

    As in `shared_variance.seed_covariance` seeds stay whole, over all cells, and a task with a single seed scatters by
    itself as the others do on average. NaN where no task has two seeds that differ.
    """
    names = sorted({name for members in cells for pair in members for name in pair.replicates.names})
    column = {name: place for place, name in enumerate(names)}
    residual, alone, scatter = np.zeros((len(cells), len(names))), np.zeros(len(cells)), list[float]()
    for row, members in enumerate(cells):
        for pair in members:
            own = pair.replicates
            if not pair.differs:
                alone[row] += 1 / len(members) ** 2
                continue
            count = len(own.values)
            away = np.sqrt(count / (count - 1)) / (count * len(members)) * (own.values - own.values.mean())
            residual[row, [column[name] for name in own.names]] += away
            scatter.append(float(own.values.var(ddof=1)))
    if not scatter:
        return np.full((len(cells), len(cells)), np.nan)
    return residual @ residual.T + np.diag(alone * np.mean(scatter))


def _freed(
    first: np.ndarray, second: np.ndarray, first_noise: np.ndarray, second_noise: np.ndarray
) -> Callable[[np.ndarray], float]:
    """Spread of the first gains minus that of the second over the cells kept, without what seeds do to either."""

    def difference(keep: np.ndarray) -> float:
        spreads = [float(values[keep].std(ddof=1)) for values in (first, second)]
        of_seeds = [_spread_of(noise[np.ix_(keep, keep)]) for noise in (first_noise, second_noise)]
        squares = spreads[0] ** 2 - of_seeds[0] - (spreads[1] ** 2 - of_seeds[1])
        return squares / sum(spreads) if sum(spreads) else 0.0

    return difference


def _spread_of(covariance: np.ndarray) -> float:
    """Expected variance over K cells of what has this covariance (K x K)."""
    count = len(covariance)
    return float(np.trace(covariance) - covariance.sum() / count) / (count - 1)


def spread_p(common: Common, estimate: float) -> float:
    """Two-sided p that two contrasts spread equally over groups (mean of a group over its fractions).

    Pitman-Morgan: equal variances of pairs mean no correlation between sum and difference. NaN below four groups, 1
    where the difference is on the other side than the `estimate`.
    """
    if not common:
        return float("nan")
    groups = [group for group, _ in common]
    first, second = pd.DataFrame(cell_means(common)).groupby(groups).mean().to_numpy().T
    return _pitman_morgan(first, second, estimate)


def spread_difference(first: Sequence[PairedGain], second: Sequence[PairedGain]) -> tuple[float, float, float, float]:
    """Spread of the first gains minus that of the second over the same tasks, without what seeds do to either:
    estimate, limits and two-sided p.

    Limits by the jackknife over clinical groups, p by Pitman-Morgan over tasks. NaN with fewer than three groups.
    """
    groups = np.array([pair.group for pair in second])
    if len(np.unique(groups)) < FEWEST_GROUPS:
        return (float("nan"),) * 4
    one, other = (np.array([pair.gain for pair in pairs]) for pairs in (first, second))
    noise = (seed_noise([[pair] for pair in pairs]) for pairs in (first, second))
    spread = _jackknife(_freed(one, other, *noise), groups)
    return *spread, _pitman_morgan(one, other, spread[0])


def _pitman_morgan(first: np.ndarray, second: np.ndarray, estimate: float) -> float:
    """p of equal variances of pairs, 1 where they differ to the other side than the `estimate`.

    NaN below four pairs, or where one of sum and difference does not vary.
    """
    total, change = first + second, first - second
    if len(first) < 4 or np.std(total) == 0 or np.std(change) == 0:
        return float("nan")
    found = stats.pearsonr(total, change)
    return 1.0 if found.statistic * estimate < 0 else float(found.pvalue)


def _jackknife(statistic: Callable[[np.ndarray], float], groups: np.ndarray) -> tuple[float, float, float]:
    """A statistic of the cells kept, with its interval from leaving out one group at a time."""
    names = np.unique(groups)
    whole = statistic(np.ones(len(groups), bool))
    without = np.array([statistic(groups != name) for name in names])
    count = len(names)
    if count < FEWEST_GROUPS or not np.isfinite(without).all():
        return whole, float("nan"), float("nan")
    se = float(np.sqrt((count - 1) / count * ((without - without.mean()) ** 2).sum()))
    reach = float(stats.t.ppf(0.975, count - 1)) * se
    return whole, whole - reach, whole + reach
