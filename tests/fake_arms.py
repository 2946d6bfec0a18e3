"""Made-up frames across arms, for `fake_analysis`."""

from itertools import product

import numpy as np
import pandas as pd

from analysis.arms.capacity import OPERATIONS, PARAMETERS
from analysis.arms.comparisons import CHANGE, EFFECT, GAIN
from analysis.frames import FRAMES
from analysis.statistics.verdicts import LARGER, NO_CHANGE, SMALLER, UNDECIDED
from tests.fake_gains import pooled

ARMS = {"plain": 6e6, "experts": 9e6, "wide": 22e6}
"""Parameters of each arm, the base arm first."""


def arms(gains: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Every frame of `analysis.frames.arms`: gains in three arms, and what changes from the first to the others."""
    random = np.random.default_rng(1)
    in_arm = [
        gains[[name for name in gains if name in FRAMES["arm_gains"]]].assign(
            arm=arm, base_arm=arm, unit="1", gain=gains["gain"] + random.normal(0, 0.01, len(gains)), runs="a b"
        )
        for arm in ARMS
    ]
    changes, means = [], []
    for arm, rows in zip(ARMS, in_arm, strict=True):
        means.append(pooled(rows).assign(kind=GAIN, arm=arm, base_arm=arm))
        if arm != "plain":
            for kind, label in ((CHANGE, None), (EFFECT, "AU")):
                own = rows if label is None else rows[rows["contrast"] == "AU-TS"].assign(contrast=label)
                changes.append(_changed(own, random).assign(kind=kind, arm=arm, base_arm="plain"))
                means.append(pooled(own.assign(gain=own["gain"] / 3)).assign(kind=kind, arm=arm, base_arm="plain"))
    return {
        "arm_gains": pd.concat(in_arm, ignore_index=True),
        "arm_changes": pd.concat(changes, ignore_index=True),
        "arm_means": pd.concat(means, ignore_index=True),
        **_capacity(sorted(set(gains["contrast"])), gains, random),
    }


def _changed(rows: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    dropped = ["gain", "joint_score", "base_score", "p_loss", "p_loss_adjusted", "supported_margin", "exceeds_margin"]
    change = rows["gain"] / 2 + random.normal(0, 0.01, len(rows))
    low, high = change - 2 * rows["se"], change + 2 * rows["se"]
    verdict = np.select(
        [(low > -0.02) & (high < 0.02), low > 0, high < 0], [NO_CHANGE, LARGER, SMALLER], default=UNDECIDED
    )
    equivalence = {"p_equivalent": 0.2, "p_equivalent_adjusted": 0.3}
    sides = {"in_arm": rows["gain"] + change, "in_base_arm": rows["gain"], "change": change}
    limits = {"low": low, "high": high, "low_adjusted": low - 0.01, "high_adjusted": high + 0.01}
    return rows.drop(columns=dropped).assign(**sides, **limits, **equivalence, verdict=verdict)


def _capacity(contrasts: list[str], gains: pd.DataFrame, random: np.random.Generator) -> dict[str, pd.DataFrame]:
    slopes, points, lines = [], [], []
    about = gains.drop_duplicates("task")
    for contrast, measure in product(contrasts, (PARAMETERS, OPERATIONS)):
        sizes = {arm: size * (1 if measure == PARAMETERS else 900) for arm, size in ARMS.items()}
        ends = {"size_min": min(sizes.values()), "size_max": max(sizes.values())}
        shared = {"contrast": contrast, "fraction": 1.0, "series": ", ".join(ARMS), "measure": measure}
        scopes = [("task", row.task, row.type, row.group, 1) for row in about.itertuples()]
        for level, name, kind, group, tasks in (*scopes, ("pooled", "all", "all", "all", len(about))):
            slope = {"slope": 0.002, "low": -0.004, "high": 0.008, "p": 0.4, "arms": 3, "base_improving": name == "all"}
            slopes.append(
                shared | {"level": level, "name": name, "type": kind, "group": group, "tasks": tasks} | ends | slope
            )
        level = -0.02 if contrast == "CG-TS" else 0.01
        for arm, size in sizes.items():
            gain = level + 0.002 * np.log2(size / ends["size_min"]) + random.normal(0, 0.003)
            points.append(
                shared
                | {
                    "arm": arm,
                    "size": size,
                    "tasks": len(about),
                    "gain": gain,
                    "low": gain - 0.012,
                    "high": gain + 0.012,
                }
            )
        grid = np.geomspace(ends["size_min"], ends["size_max"], 60)
        fit = level + 0.002 * np.log2(grid / ends["size_min"])
        lines.append(pd.DataFrame(shared | {"size": grid, "fit": fit, "low": fit - 0.01, "high": fit + 0.01}))
    return {
        "capacity": pd.DataFrame(slopes),
        "capacity_gains": pd.DataFrame(points),
        "capacity_line": pd.concat(lines, ignore_index=True),
    }
