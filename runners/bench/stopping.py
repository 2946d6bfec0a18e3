"""How the rule of `until: converged` fares on learning curves of known truth: a saturating exponential and noise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from aggregation_lab.config import TrainingConfig
from aggregation_lab.training.convergence import TOLERANCE, rise, rising
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
QUICK = 0.7
"""The slowest time constant in units of several tasks: most of them end before the cap, by the rule."""
UNITS, TASKS = 200, (1, 3, 10)

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


def joint_stopping(setting: Setting) -> Table:
    """Where units of one and of several tasks end, without and with the allowance for noise, and what that costs each
    task: the same score should be given away under every aggregation."""
    rows = []
    for noise in NOISE[1:]:
        for tasks in TASKS:
            drawn = [np.random.default_rng([seed, tasks, round(1000 * noise)]) for seed in range(UNITS)]
            units = [[_draw(random, noise, QUICK) for _ in range(tasks)] for random in drawn]
            for allows in (False, True) if tasks > 1 else (False,):
                ends = np.array([_end_of(unit, allows) for unit in units])
                given = [
                    [curve.truth[-1] - curve.truth[end] for curve in unit]
                    for unit, end in zip(units, ends, strict=True)
                ]
                budgets, at_cap = float(np.median(ends)) / BUDGET, float(np.mean(ends == CAP * BUDGET))
                costs = float(np.mean(given)), float(np.max(given, axis=1).mean())
                rows.append((noise, tasks, "yes" if allows else "no", budgets, at_cap, *costs))
    columns = (
        "noise", "tasks", "noise is allowed for", "budgets, median", "of them at the cap", "score given away by a task",
        "by the worst of its unit",
    )  # fmt: skip
    note = f"{UNITS} units each, time constants evenly from 0 to {QUICK:g} budgets, the rest as in the table of rules."
    return Table("Ends of units of several tasks on simulated curves", columns, tuple(rows), note)


def _end_of(unit: Sequence[_Curve], allows: bool) -> int:
    """The step at which no task of a unit rises any more, or the cap."""
    for step in (at for at in unit[0].steps if at >= BUDGET):
        known = [curve.until(step) for curve in unit]
        if allows:
            up = bool(rising(known[0][0], {str(k): seen for k, (_, seen) in enumerate(known)}, PATIENCE, TOLERANCE))
        else:
            up = any(_smoothed(*seen) > TOLERANCE for seen in known)
        if not up:
            return step
    return CAP * BUDGET


def _draw(random: np.random.Generator, noise: float, slowest: float = SLOWEST) -> _Curve:
    steps = tuple(step for step in range(1, CAP * BUDGET + 1) if is_evaluated(step, BUDGET, EVALUATIONS))
    slowness = BUDGET * random.uniform(0.01, slowest)
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
