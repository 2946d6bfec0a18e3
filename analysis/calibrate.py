"""`make calibrate`: what the intervals and verdicts do on simulated studies of which the truth is known.

Each scenario draws many studies of 27 tasks, analyses each as a real one, and counts how often what was said is true.
The result is a table for docs/calibration.md; the test suite runs the same code on fewer studies.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from aggregation_lab.files import write_text
from analysis.across import across_tasks
from analysis.gains import Contrast, PairedGain, pair_all
from analysis.moderation import moderate
from analysis.pooling import tasks_of_this_kind, these_tasks
from analysis.simulate import Design, Simulated, simulate
from analysis.uncertainty import Estimate, percentile_interval
from analysis.verdicts import BENEFIT, HARM, NO_LOSS, judge
from analysis.within import within_tasks

MARGIN = 0.02
DRAWS = 300
CONTRAST = Contrast("AU", "TS")


@dataclass(frozen=True)
class Scenario:
    """A design, and what is counted on it: a function of one simulated study and its seed that returns figures.

    `bounds` has the least and largest mean that a figure may have.
    """

    name: str
    design: Design
    count: Callable[[Simulated, int], dict[str, float]]
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def _estimates(pairs: Sequence[PairedGain]) -> list[Estimate]:
    return moderate(
        [each.estimate() for each in pairs], [len(each.seeds) for each in pairs], [each.subjects for each in pairs]
    )


def _truth(simulated: Simulated, pairs: Sequence[PairedGain], fraction: float) -> np.ndarray:
    truth = simulated.truth
    own = truth[(truth["contrast"] == CONTRAST.name) & (truth["fraction"] == fraction)].set_index("task")["gain"]
    return own.loc[[each.task for each in pairs]].to_numpy()


def count_verdicts(simulated: Simulated, seed: int) -> dict[str, float]:
    """Coverage of intervals per task and pooled, false and true verdicts, of one study at full data."""
    pairs = pair_all(simulated.scores(DRAWS, seed), CONTRAST, 1.0)
    true = _truth(simulated, pairs, 1.0)
    found = _estimates(pairs)
    value, se, df = (np.array([getattr(each, name) for each in found]) for name in ("value", "se", "df"))
    verdict = judge(value, se, df, np.full(len(value), MARGIN))["verdict"].to_numpy()
    raw = judge(value, se, df, np.full(len(value), MARGIN), correction="none")
    intervals = np.array([each.interval() for each in found])
    plain = np.array([percentile_interval(each.draws, seed) for each in pairs if each.draws is not None])
    _, low, high, _ = these_tasks(pairs)
    kind = tasks_of_this_kind(pairs)
    expected = simulated.design.levels["AU"]
    said = np.isin(verdict, [HARM, BENEFIT])
    wrong = ((verdict == HARM) & (true >= 0)) | ((verdict == BENEFIT) & (true <= 0))
    harmful = true < 0
    at_margin = true <= -MARGIN + 1e-12
    return {
        "coverage": _share(_inside(intervals, true)),
        "coverage_percentile": _share(_inside(plain, true)),
        "coverage_these": float(low <= true.mean() <= high),
        "coverage_kind": float(kind.low <= expected <= kind.high) if not simulated.design.type_effects else np.nan,
        "fdr": wrong.sum() / max(1, said.sum()),
        "false_harm": ((verdict == HARM) & (true >= 0)).sum() / max(1, (verdict == HARM).sum()),
        "harm_found": _share(verdict[harmful] == HARM),
        "no_loss_error": _share((raw["p_loss"].to_numpy() <= 0.025)[at_margin]),
        "no_loss_verdict_error": _share((verdict == NO_LOSS)[at_margin]),
        "no_loss_found": _share((verdict == NO_LOSS)[true >= 0]),
    }


def count_scale(simulated: Simulated, seed: int) -> dict[str, float]:
    """Slopes and crossovers, within tasks and across them, of one study with several fractions."""
    design = simulated.design
    scores = simulated.scores(DRAWS, seed)
    by_fraction = [(share, pair_all(scores, CONTRAST, share)) for share in design.fractions]
    across, _, _ = across_tasks(by_fraction[-1][1], CONTRAST, max(design.fractions))
    within, lines = within_tasks(by_fraction, CONTRAST, set())
    slope, star = design.slopes["AU"], _true_crossing(design)
    mixed, ols = across[across["scope"] == "all"].set_index("method").loc[["mixed model", "OLS"]].to_dict("records")
    own = within[within["level"] == "task"]
    pooled = within[(within["level"] == "pooled") & (within["name"] == "all")].iloc[0]
    task_stars = _task_crossings(simulated)
    return {
        "slope_mixed": mixed["slope"] - slope,
        "slope_ols": ols["slope"] - slope,
        "slope_within": pooled["slope"] - slope,
        "coverage_mixed": float(mixed["low"] <= slope <= mixed["high"]),
        "coverage_ols": float(ols["low"] <= slope <= ols["high"]),
        "coverage_within": float(pooled["low"] <= slope <= pooled["high"]),
        "coverage_task_slope": _share(((own["low"] <= slope) & (own["high"] >= slope)).to_numpy()),
        "crossover_across": _crossing(mixed, star),
        "crossover_found": float(np.isfinite(mixed["n_star"])),
        "crossover_task": _mean([_crossing(row, task_stars[row["name"]]) for row in own.to_dict("records")]),
        "band_task": _mean(
            [
                _in_band(lines[(lines["level"] == "task") & (lines["name"] == name)], at)
                for name, at in task_stars.items()
            ]
        ),
    }


def _true_crossing(design: Design) -> float:
    return float(design.n_ref * 2 ** (-design.levels["AU"] / design.slopes["AU"]))


def _task_crossings(simulated: Simulated) -> dict[str, float]:
    """n at which each task's own true line meets zero."""
    truth = simulated.truth[simulated.truth["fraction"] == 1.0]
    slope = simulated.design.slopes["AU"]
    return {row["task"]: float(row["n_train"] * 2 ** (-row["gain"] / slope)) for row in truth.to_dict("records")}


def _crossing(row: dict, star: float) -> float:
    """Whether the limits of a reported crossover hold the true one; NaN where none is reported."""
    if not np.isfinite(row["n_star"]):
        return np.nan
    return float(not (row["n_star_low"] > star or row["n_star_high"] < star))  # a missing limit is open


def _in_band(line: pd.DataFrame, at: float) -> float:
    """Whether the band holds zero at the true crossing; NaN where that lies outside the sizes seen."""
    if line.empty or not line["n"].min() <= at <= line["n"].max():
        return np.nan
    nearest = line.iloc[int(np.abs(np.log(line["n"].to_numpy() / at)).argmin())]
    return float(nearest["low"] <= 0 <= nearest["high"])


def _inside(intervals: np.ndarray, true: np.ndarray) -> np.ndarray:
    return (intervals[:, 0] <= true) & (true <= intervals[:, 1])


def _share(flags: np.ndarray) -> float:
    return float(np.mean(flags)) if len(flags) else np.nan


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else np.nan


_EFFECT = {"AU": 0.0}
BASE = Design(levels=_EFFECT)


def scenarios() -> list[Scenario]:
    """No effect, harm in some tasks, a loss as large as the margin, clustered cases, AUC, power, and data scale."""
    harmed = BASE.with_(type_effects={"segmentation": -0.06}, joint_seed_sd=0.005)
    at_margin = BASE.with_(levels={"AU": -MARGIN})
    loss = BASE.with_(levels={"AU": -0.03})
    found = [
        Scenario(f"{name}, {seeds} seeds", design.with_(seeds=seeds), count_verdicts)
        for seeds in (3, 5, 10)
        for name, design in (
            ("no effect", BASE),
            ("harm in one task of four, joint seeds", harmed),
            ("loss as large as the margin", at_margin),
        )
    ]
    scattered = BASE.with_(seeds=3, seed_sd=0.03, group_sd=0.02, task_sd=0.02, interaction_sd=0.02)
    clustered = BASE.with_(cases_per_subject=3, subjects=40)
    found += [
        Scenario("seeds scatter most, groups differ, 3 seeds", scattered, count_verdicts),
        Scenario("three images per subject, 5 seeds", clustered, count_verdicts),
        Scenario("AUC, 3 seeds", BASE.with_(auc=True, seeds=3), count_verdicts),
    ]
    sizes = [(3, 100), (10, 100), (5, 50), (5, 200)]
    found += [
        Scenario(f"loss of 0.03, {s} seeds, {n} subjects", loss.with_(seeds=s, subjects=n), count_verdicts)
        for s, n in sizes
    ]
    scale = BASE.with_(
        fractions=(0.25, 0.5, 1.0), slopes={"AU": 0.02}, group_sd=0.01, task_sd=0.02, types=("segmentation",)
    )
    found += [
        Scenario(f"data scale: 0.02 per doubling, {seeds} seeds", scale.with_(seeds=seeds), count_scale)
        for seeds in (3, 5)
    ]
    return found


def run_scenario(scenario: Scenario, studies: int, workers: int = 1) -> pd.DataFrame:
    """A row of figures per simulated study."""
    one = partial(_one, scenario)
    if workers == 1:
        return pd.DataFrame([one(seed) for seed in range(studies)])
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return pd.DataFrame(list(pool.map(one, range(studies), chunksize=10)))


def _one(scenario: Scenario, seed: int) -> dict[str, float]:
    return scenario.count(simulate(scenario.design, seed), seed)


HEADINGS = {
    "coverage": "coverage, task",
    "coverage_percentile": "same, percentile bootstrap",
    "coverage_these": "coverage, mean of these tasks",
    "coverage_kind": "coverage, mean of such tasks",
    "fdr": "false verdicts (FDR)",
    "false_harm": "false harm",
    "harm_found": "harm found",
    "no_loss_error": "no-loss errors, uncorrected",
    "no_loss_verdict_error": "no-loss errors, verdict",
    "no_loss_found": "no loss found",
    "slope_mixed": "bias of slope, mixed",
    "slope_ols": "bias of slope, OLS",
    "slope_within": "bias of slope, within",
    "coverage_mixed": "coverage of slope, mixed",
    "coverage_ols": "coverage of slope, OLS",
    "coverage_within": "coverage of slope, within",
    "coverage_task_slope": "coverage of slope, one task",
    "crossover_across": "coverage of reported n*, across",
    "crossover_found": "n* reported, across",
    "crossover_task": "coverage of reported n*, one task",
    "band_task": "0 in the band at the true n*, one task",
}


def as_markdown(results: dict[str, pd.DataFrame]) -> str:
    """Means over studies, with the Monte Carlo error of two standard errors."""
    names = list(next(iter(results.values())).columns)
    lines = [
        "| scenario | " + " | ".join(HEADINGS[name] for name in names) + " |",
        "|" + "---|" * (len(names) + 1),
    ]
    for label, table in results.items():
        cells = []
        for name in names:
            values = table[name].dropna()
            error = 2 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
            digits = 4 if name.startswith("slope") else 3
            cells.append(f"{values.mean():.{digits}f} ± {error:.{digits}f}" if len(values) else "-")
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


TABLE = Path(__file__).parents[1] / "docs" / "calibration_table.md"


def main(studies: int = 500) -> None:
    """Run every scenario and write the table; a line per scenario on the way."""
    tables: dict[Callable, dict[str, pd.DataFrame]] = {count_verdicts: {}, count_scale: {}}
    for scenario in scenarios():
        table = run_scenario(scenario, studies, workers=os.cpu_count() or 1)
        tables[scenario.count][scenario.name] = table
        print(f"{scenario.name}: " + ", ".join(f"{name} {table[name].mean():.3f}" for name in table), flush=True)
        write_text(TABLE, "\n\n".join(as_markdown(found) for found in tables.values() if found) + "\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
