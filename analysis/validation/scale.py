"""Slopes over data scale and crossovers, within tasks and across them."""

import numpy as np
import pandas as pd

from analysis.pairing import pair_all
from analysis.questions.scale.across_tasks import across_tasks
from analysis.questions.scale.within_tasks import within_tasks
from analysis.validation.design import Design
from analysis.validation.scenario import BASE, CONTRAST, DRAWS, Scenario, mean_of_known, share
from analysis.validation.simulate import Simulated


def scale_frames(simulated: Simulated, draws: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The frames `across`, `within` and `within_line` of one study."""
    scores = simulated.scores(draws, seed)
    by_fraction = [(share, pair_all(scores, CONTRAST, share)) for share in simulated.design.fractions]
    across, _, _ = across_tasks(by_fraction[-1][1])
    return across, *within_tasks(by_fraction)


def count_scale(simulated: Simulated, seed: int) -> dict[str, float]:
    """Slopes and crossovers, within tasks and across them, of one study with several fractions."""
    across, within, lines = scale_frames(simulated, DRAWS, seed)
    slope, star = simulated.design.slopes["AU"], _true_crossing(simulated.design)
    mixed, ols = across[across["scope"] == "all"].set_index("method").loc[["mixed model", "OLS"]].to_dict("records")
    single = within[within["level"] == "task"]
    pooled = within[(within["level"] == "pooled") & (within["name"] == "all")].iloc[0]
    task_stars = task_crossings(simulated)
    bands = {name: line for name, line in lines[lines["level"] == "task"].groupby("name")}
    return {
        "slope_mixed": mixed["slope"] - slope,
        "slope_ols": ols["slope"] - slope,
        "slope_within": pooled["slope"] - slope,
        "coverage_mixed": float(mixed["low"] <= slope <= mixed["high"]),
        "coverage_ols": float(ols["low"] <= slope <= ols["high"]),
        "coverage_within": float(pooled["low"] <= slope <= pooled["high"]),
        "coverage_task_slope": share(((single["low"] <= slope) & (single["high"] >= slope)).to_numpy()),
        "crossover_across": holds(mixed, star),
        "crossover_found": float(np.isfinite(mixed["n_star"])),
        "crossover_task": mean_of_known([holds(row, task_stars[row["name"]]) for row in single.to_dict("records")]),
        "band_task": mean_of_known([_in_band(bands[name], at) for name, at in task_stars.items() if name in bands]),
    }


def _true_crossing(design: Design) -> float:
    return float(design.n_ref * 2 ** (-design.levels["AU"] / design.slopes["AU"]))


def task_crossings(simulated: Simulated) -> dict[str, float]:
    """n at which each task's own true line meets zero; NaN without a slope."""
    truth, slope = simulated.truth[simulated.truth["fraction"] == 1.0], simulated.design.slopes["AU"]
    return {
        row["task"]: float(row["n_train"] * 2 ** (-row["gain"] / slope)) if slope else np.nan
        for row in truth.to_dict("records")
    }


def holds(row: dict, star: float) -> float:
    """Whether the limits of a reported crossover hold the true one, a missing limit being open; NaN without report."""
    if not np.isfinite(row["n_star"]) or not np.isfinite(star):
        return np.nan
    return float(not (row["n_star_low"] > star or row["n_star_high"] < star))


def _in_band(line: pd.DataFrame, at: float) -> float:
    """Whether the band holds zero at the true crossing; NaN where that lies outside the sizes seen."""
    if not line["n"].min() <= at <= line["n"].max():
        return np.nan
    nearest = line.iloc[int(np.abs(np.log(line["n"].to_numpy() / at)).argmin())]
    return float(nearest["low"] <= 0 <= nearest["high"])


def scenarios() -> list[Scenario]:
    """A slope of 0.02 per doubling."""
    scale = BASE.with_(
        fractions=(0.25, 0.5, 1.0), slopes={"AU": 0.02}, group_sd=0.01, task_sd=0.02, types=("segmentation",)
    )
    return [
        Scenario(f"data scale: 0.02 per doubling, {seeds} seeds", scale.with_(seeds=seeds), count_scale)
        for seeds in (3, 5)
    ]
