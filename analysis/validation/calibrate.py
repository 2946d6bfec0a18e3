"""`make calibrate`: what the intervals and verdicts do on simulated studies of which the truth is known.

Each scenario draws many studies, analyses each as a real one, and counts how often its statements are true. The result
is docs/calibration_table.md: first every figure that has a bound, and whether it lies inside; then all figures. What
was simulated is kept: stopped at any moment, the same command continues, and one that asks for more studies adds them.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from aggregation_lab.files import write_text
from analysis.validation import advice, arms, crossover, deciding, folds, headline, looks, means, scale, verdicts
from analysis.validation.grouping import scenarios as grouping
from analysis.validation.kept_figures import KeptFigures
from analysis.validation.scenario import Scenario

FAMILIES = (headline, means, advice, arms, crossover, verdicts, scale, folds, deciding, looks, grouping)


def scenarios() -> list[Scenario]:
    """Every scenario, the harsh ones first."""
    return [scenario for family in FAMILIES for scenario in family.scenarios()]


HEADINGS = {
    "coverage": "coverage, task",
    "coverage_percentile": "same, percentile bootstrap",
    "coverage_these": "coverage, mean of these tasks",
    "coverage_kind": "coverage, mean of such tasks",
    "coverage_nadeau_bengio": "coverage, Nadeau-Bengio t",
    "coverage_split": "coverage, task, one split",
    "half_width": "half width, median task",
    "half_width_split": "same, one split of a fold's size",
    "half_width_default": "same, one split of 70:15:15",
    "coverage_change": "coverage, difference of gains, task",
    "coverage_effect": "coverage, effect of the arm, task",
    "coverage_slope": "coverage of slope over sizes, pooled",
    "slope_capacity": "bias of slope over sizes",
    "fdr": "false verdicts (FDR)",
    "false": "false verdicts, share of those given",
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
    "coverage_new_task": "coverage (80 %), gain of a new task",
    "coverage_new_set": "coverage (80 %), gain in a set not trained",
    "coverage_mean": "coverage (80 %), mean gain of the found partition",
    "any_false": "studies with a false verdict",
    "any_false_peeking": "the same, stopped at the first plain verdict",
    "false_fixed": "false, fixed design",
    "right": "true verdicts, share of tasks",
    "right_fixed": "the same, fixed design",
    "right_lost": "true verdicts lost to a fixed design",
    "share_of_runs": "runs over those of the fixed design",
    "share_of_cost": "the same of cost, AU as dear as all of TS",
    "coverage_plain": "coverage, task, plain interval",
    "coverage_noisy": "coverage, the noisy task",
    "coverage_others": "coverage, the other tasks of its type",
    "crossover_across": "coverage of reported n*, across",
    "crossover_found": "n* reported, across",
    "crossover_task": "coverage of reported n*, one task",
    "band_task": "0 in the band at the true n*, one task",
}


def bounds_table(scenarios: Sequence[Scenario], results: Mapping[str, pd.DataFrame]) -> str:
    """A row for every figure that has a bound: measured, bound, and whether it lies inside."""
    lines = ["| scenario | studies | figure | measured | wanted | |", "|---|---|---|---|---|---|"]
    for scenario in scenarios:
        if scenario.name not in results:
            continue
        for name, (low, high) in scenario.bounds.items():
            values = results[scenario.name].get(name, pd.Series(dtype=float)).dropna()
            studies, wanted = str(len(results[scenario.name])), f"{low:g} to {high:g}"
            cells = (scenario.name, studies, heading(name), _cell(name, values), wanted, state(values, low, high))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def state(values: pd.Series, low: float, high: float) -> str:
    """Whether the mean lies inside; a figure that no study has, such as errors of verdicts never given, is not
    measured."""
    if values.empty:
        return "not measured"
    return "inside" if low <= round(values.mean(), 3) <= high else "OUTSIDE"


def heading(name: str) -> str:
    """A figure's name in words."""
    return HEADINGS.get(name, name.replace("_", " "))


def _cell(name: str, values: pd.Series) -> str:
    """Mean over studies with the Monte Carlo error of two standard errors.

    Of a share of studies, whose values are 0 or 1, it is the exact 95 % interval (Clopper and Pearson 1934): none of
    100 studies does not mean never.
    """
    if values.empty:
        return "-"
    if values.isin([0, 1]).all():
        low, high = proportion_confint(int(values.sum()), len(values), method="beta")
        return f"{values.mean():.3f} [{low:.3f}, {high:.3f}]"
    error = 2 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    digits = 4 if name.startswith("slope") else 3
    return f"{values.mean():.{digits}f} ± {error:.{digits}f}"


def as_markdown(results: Mapping[str, pd.DataFrame]) -> str:
    """All figures of scenarios that count the same: means over studies, with their Monte Carlo error."""
    names = list(dict.fromkeys(str(name) for table in results.values() for name in table))
    lines = ["| scenario | studies | " + " | ".join(map(heading, names)) + " |", "|" + "---|" * (len(names) + 2)]
    for label, table in results.items():
        cells = " | ".join(_cell(name, table.reindex(columns=names)[name].dropna()) for name in names)
        lines.append(f"| {label} | {len(table)} | {cells} |")
    return "\n".join(lines)


TABLE = Path(__file__).parents[2] / "docs" / "calibration_table.md"
OUT = Path("out") / "calibration"

_AT_A_TIME = 20
"""Studies after which the figures of a scenario are written."""


def main(studies: int, *chosen: str, out: Path = OUT, workers: int = 1, table: Path = TABLE) -> None:
    """Simulate what is missing of the first `studies` studies of every scenario, or of those whose name holds one of
    `chosen`; prints a line for each. The table of all that is kept is written beside it, and to `table` as soon as no
    scenario is missing."""
    kept, every = KeptFigures(out), scenarios()
    wanted = [scenario for scenario in every if not chosen or any(part in scenario.name for part in chosen)]
    done = {scenario.name: kept.read(scenario) for scenario in every}
    missing = sum(max(0, studies - len(done[scenario.name])) for scenario in wanted)
    began, simulated = time.monotonic(), 0
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for number, scenario in enumerate(wanted, 1):
            for figures in _more(scenario, done[scenario.name], studies, pool):
                simulated += len(figures) - len(done[scenario.name])
                done[scenario.name] = figures
                kept.keep(scenario, figures)
            means = ", ".join(f"{name} {values.mean():.3f}" for name, values in done[scenario.name].items())
            pace = (time.monotonic() - began) / simulated if simulated else 0.0
            left = f"{number} of {len(wanted)}, about {pace * (missing - simulated) / 60:.0f} minutes left"
            print(f"{scenario.name}: {means} ({left})", flush=True)
            known = {name: rows for name, rows in done.items() if len(rows)}
            for file in (out / table.name, *([table] if len(known) == len(every) else [])):
                write_text(file, report(every, known))


def _more(scenario: Scenario, figures: pd.DataFrame, studies: int, pool: Executor) -> Iterator[pd.DataFrame]:
    """The figures with those of a few more studies each time, until there are so many."""
    for first in range(len(figures), studies, _AT_A_TIME):
        seeds = range(first, min(first + _AT_A_TIME, studies))
        figures = pd.concat([figures, pd.DataFrame(list(pool.map(scenario.figures, seeds)))], ignore_index=True)
        yield figures


def report(wanted: Sequence[Scenario], results: Mapping[str, pd.DataFrame]) -> str:
    """The whole table file."""
    by_count: dict[Callable, dict[str, pd.DataFrame]] = {}
    for scenario in wanted:
        if scenario.name in results:
            by_count.setdefault(scenario.count, {})[scenario.name] = results[scenario.name]
    parts = ["# Calibration", bounds_table(wanted, results), "# All figures"]
    return "\n\n".join([*parts, *(as_markdown(tables) for tables in by_count.values())]) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="analysis.validation.calibrate", description="Do intervals and verdicts hold?"
    )
    parser.add_argument("studies", nargs="?", type=int, default=500, help="simulated studies of each scenario")
    parser.add_argument("chosen", nargs="*", metavar="WORDS", help="scenarios whose names hold one of these; else all")
    parser.add_argument("--out", type=Path, default=OUT, help="keeps the figures here and continues")
    given = parser.parse_args()
    if given.studies < 1:
        parser.error(f"{given.studies} studies: takes 1 or more")
    for words in given.chosen:
        if not any(words in scenario.name for scenario in scenarios()):
            parser.error(f"{words}: no scenario has these words in its name")
    main(given.studies, *given.chosen, out=given.out, workers=os.cpu_count() or 1)
