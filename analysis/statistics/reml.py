"""Restricted maximum likelihood for tasks nested in groups, in time proportional to the rows.

y = X beta + u_group + v_task + e has the covariance s^2 (I + a Z_t Z_t' + b Z_g Z_g'), whose inverse and determinant
are those of rank-one changes, one per task and one per group (Searle, Casella and McCulloch 1992, chapter 6). beta and
s^2 are profiled out, which leaves two ratios to search for. A dense solver takes minutes for some thousand tasks.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import optimize

_STARTS = (1.0, 0.1)
"""Ratios of the random effects' variances to the rest from which the search starts, until one converges."""

_LARGEST = 20.0
"""Largest log(1 + ratio): beyond, the rest is nothing but rounding."""


@dataclass(frozen=True, eq=False)
class Nested:
    """Which task each row is of, and which group each task."""

    task_of_row: np.ndarray
    group_of_task: np.ndarray

    @cached_property
    def sizes(self) -> np.ndarray:
        """Rows of each task."""
        return np.bincount(self.task_of_row, minlength=len(self.group_of_task)).astype(float)

    def sums(self, columns: np.ndarray) -> np.ndarray:
        """Sum of each column over the rows of each task, tasks x columns."""
        count = len(self.group_of_task)
        return np.column_stack([np.bincount(self.task_of_row, weights=column, minlength=count) for column in columns.T])

    def within(self, columns: np.ndarray, a: float) -> np.ndarray:
        """M' (I + a Z_t Z_t')^-1 M of the columns M."""
        sums = self.sums(columns)
        return columns.T @ columns - (sums * (a / (1 + a * self.sizes))[:, None]).T @ sums


def reml(
    y: np.ndarray, x: np.ndarray, nested: Nested, *, tasks: bool, groups: bool
) -> tuple[tuple[float, float, float], bool]:
    """Variances of group, task and rest, and whether the search converged. An effect that is not asked for is 0."""
    both = np.column_stack([x, y])
    free, size = len(y) - x.shape[1], x.shape[1]
    squares, order = both.T @ both, np.argsort(nested.group_of_task, kind="stable")
    sums, sizes = nested.sums(both)[order], nested.sizes[order]
    starts = np.flatnonzero(np.diff(nested.group_of_task[order], prepend=-1))

    def parts(logs: np.ndarray) -> tuple[float, float]:
        """log determinants, and the residual sum of squares."""
        a, b = _ratios(logs, tasks=tasks, groups=groups)
        whole = 1 + a * sizes
        products = squares - (sums * (a / whole)[:, None]).T @ sums
        of_group = np.add.reduceat(sums / whole[:, None], starts)
        weight = 1 + b * np.add.reduceat(sizes / whole, starts)
        products = products - (of_group * (b / weight)[:, None]).T @ of_group
        inner = products[:size, :size]
        rest = products[size, size] - products[:size, size] @ np.linalg.solve(inner, products[:size, size])
        determinants = np.log(whole).sum() + np.log(weight).sum() + np.linalg.slogdet(inner)[1]
        return float(determinants), max(float(rest), 1e-12 * free)  # its logarithm stays finite where a fit is exact

    def deviance(logs: np.ndarray) -> float:
        determinants, rest = parts(logs)
        return determinants + free * float(np.log(rest))

    effects = int(tasks) + int(groups)
    # The deviance is flat near an absent effect: the default tolerances stop before the optimum.
    how = {"method": "L-BFGS-B", "bounds": [(0.0, _LARGEST)] * effects, "options": {"ftol": 1e-12, "gtol": 1e-7}}
    for start in _STARTS:
        best = optimize.minimize(deviance, np.full(effects, np.log1p(start)), **how)
        if best.success:
            break
    a, b = _ratios(best.x, tasks=tasks, groups=groups)
    variance = max(parts(best.x)[1] / free, 1e-12)
    return (b * variance, a * variance, variance), bool(best.success)


def _ratios(logs: np.ndarray, *, tasks: bool, groups: bool) -> tuple[float, float]:
    """The variances of task and group over that of the rest, from log(1 + ratio).

    Not from square roots: their slope is 0 at 0, where a search would stop although larger values are likelier.
    """
    ratios = np.expm1(logs)
    return (float(ratios[0]) if tasks else 0.0), (float(ratios[-1]) if groups else 0.0)
