"""How the rule of `until: converged` fares on learning curves of known truth: a saturating exponential and noise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from aggregation_lab.config import TrainingConfig
from aggregation_lab.training.convergence import TOLERANCE, rise
from aggregation_lab.training.course import is_evaluated
from runners.bench.longer import LONGER
from runners.bench.measuring import Table
from runners.bench.setting import Setting

BUDGET, EVALUATIONS, CAP = 60, 6, 5
GAIN = 0.4
"""Unit-free score that a curve gains in the end."""
SLOWEST = 2.0
"""Time constants of the curves are drawn evenly from 0 to so many budgets."""
NOISE = (0.0, 0.01, 0.02, 0.05)
"""Standard deviation of a validation score: 0.05 is the standard error of an AUC of 0.8 from some 80 cases."""
CURVES = 1000

Rise = Callable[[Sequence[int], Sequence[float]], float]


def _smoothed(steps: Sequence[int], scores: Sequence[float]) -> float:
    return rise(steps, scores, PATIENCE)


def _raw(steps: Sequence[int], scores: Sequence[float]) -> float:
    late = np.asarray(steps) > (1 - PATIENCE) * steps[-1]
    return float(np.max(np.asarray(scores)[late]) - np.max(np.asarray(scores)[~late]))


PATIENCE = TrainingConfig().patience
RULES: dict[str, Rise] = {"best running median of three": _smoothed, "best score": _raw}
"""The second is what the flag of a run to its budget looks at, whose last third has the same validations here."""


@dataclass(frozen=True)
class _Curve:
    truth: np.ndarray
    seen: np.ndarray
    steps: tuple[int, ...]

    def until(self, step: int) -> tuple[list[int], list[float]]:
        known = [at for at in self.steps if at <= step]
        return known, self.seen[: len(known)].tolist()


def stopping(setting: Setting) -> Table:
    """For each rule and noise: hits and false alarms at the budget, against whether the true score rises by more than
    `TOLERANCE` when training goes on by half; then the length of the runs that the rule ends, and what that costs."""
    rows = []
    for name, measured in RULES.items():
        for noise in NOISE:
            curves = [_draw(np.random.default_rng([seed, round(1000 * noise)]), noise) for seed in range(CURVES)]
            said = np.array([measured(*curve.until(BUDGET)) > TOLERANCE for curve in curves])
            rows.append((name, noise, *_rates(said, curves), *_ended(curves, measured)))
    columns = ("rule", "noise", "hits", "false alarms", "budgets, median", "of them at the cap", "score given away")
    note = (
        f"{CURVES:,} curves each, time constants evenly from 0 to {SLOWEST:g} budgets, {GAIN:g} gained in the end, "
        f"{EVALUATIONS} validations in a budget, cap {CAP} budgets. Given away: true score at the cap minus that at "
        "the end, mean."
    )
    return Table("Rules of stopping on simulated curves", columns, tuple(rows), note)


def _draw(random: np.random.Generator, noise: float) -> _Curve:
    steps = tuple(step for step in range(1, CAP * BUDGET + 1) if is_evaluated(step, BUDGET, EVALUATIONS))
    slowness = BUDGET * random.uniform(0.01, SLOWEST)
    truth = 0.5 + GAIN * (1 - np.exp(-np.arange(CAP * BUDGET + 1) / slowness))
    return _Curve(truth, truth[list(steps)] + random.normal(0, noise, len(steps)), steps)


def _rates(said: np.ndarray, curves: Sequence[_Curve]) -> tuple[float, float]:
    """Shares flagged: of the curves that rise, and of the others."""
    rises = np.array([curve.truth[round(LONGER * BUDGET)] - curve.truth[BUDGET] > TOLERANCE for curve in curves])
    return float(said[rises].mean()), float(said[~rises].mean())


def _ended(curves: Sequence[_Curve], measured: Rise) -> tuple[float, float, float]:
    """Length in budgets (median), share that the cap ended, true score given away (mean)."""
    last = CAP * BUDGET
    ends = []
    for curve in curves:
        asked = (step for step in curve.steps if step >= BUDGET)
        ends.append(next((step for step in asked if measured(*curve.until(step)) <= TOLERANCE), last))
    given = [curve.truth[last] - curve.truth[end] for curve, end in zip(curves, ends, strict=True)]
    return float(np.median(ends)) / BUDGET, float(np.mean([end == last for end in ends])), float(np.mean(given))
