"""RQ4: is AU steadier than CG over clinical groups and amounts of data?

A cell is a clinical group at a fraction; its gain is the mean over the group's tasks. Spread is the standard deviation
over cells. The cells of one group go together, so intervals come from leaving out one group at a time (jackknife, t
with groups - 1). CG and AU are compared on the same cells: difference of spreads by the jackknife, its p by the test of
Pitman and Morgan (1939) for paired variances. Chance in the gains adds to the spread of both.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from analysis.frames import frame
from analysis.gains import Contrast
from analysis.statistics.verdicts import HARM, SAME_MODEL

FEWEST_GROUPS = 3
"""Groups below which no spread is given."""

DIFFERENCE = "CG-TS minus AU-TS"
"""Label of the rows that compare the two."""


def stability(pooled: pd.DataFrame, gains: pd.DataFrame, contrasts: Sequence[Contrast]) -> pd.DataFrame:
    """The frame `stability` from the frames `pooled` (level group) and `gains`: over all cells, and per fraction.

    `contrasts` are those against the common base. Rows named `CG-TS minus AU-TS` compare two of them on their common
    cells: a positive spread means that AU is steadier.
    """
    cells = pooled[(pooled["level"] == "group") & (pooled["tasks"] > 0)]
    scopes: list[tuple[str, list[float]]] = [("all fractions", sorted(set(cells["fraction"])))]
    if len(scopes[0][1]) > 1:
        scopes += [(f"fraction {share:g}", [share]) for share in scopes[0][1]]
    names = [contrast.name for contrast in contrasts]
    rows = []
    for scope, shares in scopes:
        chosen = cells[cells["fraction"].isin(shares)]
        for contrast in contrasts:
            name = contrast.name
            of_contrast = chosen[chosen["contrast"] == name]
            if of_contrast["name"].nunique() >= FEWEST_GROUPS:
                tasks = gains[(gains["contrast"] == name) & gains["fraction"].isin(shares)]
                tasks = tasks[tasks["verdict"] != SAME_MODEL]
                rows.append({**contrast.columns, "scope": scope} | _one(of_contrast, tasks))
        if {"CG-TS", "AU-TS"} <= set(names):
            both = chosen.pivot_table(index=["name", "fraction"], columns="contrast", values="gain")
            both = both.reindex(columns=["CG-TS", "AU-TS"]).dropna()
            if both.index.get_level_values("name").nunique() >= FEWEST_GROUPS:
                about = {"contrast": DIFFERENCE, "joint": "CG", "base": "AU", "scope": scope}
                rows.append(about | _difference(both))
    return frame("stability", rows)


def _one(cells: pd.DataFrame, tasks: pd.DataFrame) -> dict[str, object]:
    values, groups = cells["gain"].to_numpy(float), cells["name"].to_numpy(str)
    spread, low, high = _jackknife(lambda keep: float(values[keep].std(ddof=1)), groups)
    worst = cells.iloc[int(cells["gain"].to_numpy().argmin())]
    # The worst of many cells is chosen for being low: its interval is widened for that choice (Bonferroni).
    worst_low, worst_high = _widened(worst, len(cells))
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


def _widened(cell: pd.Series, cells: int) -> tuple[float, float]:
    """The cell's interval, scaled from level 0.95 to 1 - 0.05 / cells by the normal quantiles."""
    factor = float(stats.norm.isf(0.025 / cells) / stats.norm.isf(0.025))
    return cell["gain"] - factor * (cell["gain"] - cell["low"]), cell["gain"] + factor * (cell["high"] - cell["gain"])


def _difference(both: pd.DataFrame) -> dict[str, object]:
    first, second = both.iloc[:, 0].to_numpy(float), both.iloc[:, 1].to_numpy(float)
    groups = both.index.get_level_values("name").to_numpy(str)
    spread, low, high = _jackknife(lambda keep: float(first[keep].std(ddof=1) - second[keep].std(ddof=1)), groups)
    worst, worst_low, worst_high = _jackknife(lambda keep: float(first[keep].min() - second[keep].min()), groups)
    negative, negative_low, negative_high = _jackknife(
        lambda keep: float((first[keep] < 0).mean() - (second[keep] < 0).mean()), groups
    )
    return {
        "cells": len(both),
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


def spread_p(pooled: pd.DataFrame, first: str, second: str) -> float:
    """Two-sided p that two contrasts spread equally over groups (mean of a group over its fractions).

    Pitman-Morgan: equal variances of pairs mean no correlation between sum and difference. NaN below four groups.
    """
    cells = pooled[(pooled["level"] == "group") & pooled["contrast"].isin([first, second])]
    means = cells.pivot_table(index="name", columns="contrast", values="gain").dropna()
    if {first, second} - set(means.columns):
        return float("nan")
    return _pitman_morgan(means[first].to_numpy(), means[second].to_numpy())


def spread_difference(first: np.ndarray, second: np.ndarray, groups: np.ndarray) -> tuple[float, float, float, float]:
    """Spread of the first gains minus that of the second, over the same tasks: estimate, limits and two-sided p.

    Limits by the jackknife over clinical groups, p by Pitman-Morgan over tasks. NaN with fewer than three groups.
    """
    if len(np.unique(groups)) < FEWEST_GROUPS:
        return (float("nan"),) * 4
    spread = _jackknife(lambda keep: float(first[keep].std(ddof=1) - second[keep].std(ddof=1)), groups)
    return *spread, _pitman_morgan(first, second)


def _pitman_morgan(first: np.ndarray, second: np.ndarray) -> float:
    """p of equal variances of pairs; NaN below four pairs, or where one of sum and difference does not vary."""
    total, change = first + second, first - second
    if len(first) < 4 or np.std(total) == 0 or np.std(change) == 0:
        return float("nan")
    return float(stats.pearsonr(total, change).pvalue)


def _jackknife(statistic, groups: np.ndarray) -> tuple[float, float, float]:
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
