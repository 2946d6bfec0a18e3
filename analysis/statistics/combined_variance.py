"""Intervals of a value whose variance is a sum of independent estimates, each on degrees of freedom of its own.

    half width = sqrt(sum of t(df_k)^2 v_k)

Covers at least as often as it says, whatever the true variances are (Banerjee 1960, Sankhya 22). Satterthwaite's single
t is too narrow where a part with few degrees of freedom happens to come out small: two seeds have one degree.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import optimize, stats

VariancePart = tuple[float, float]
"""A variance and its degrees of freedom."""

SMALLEST_P = 1e-9


def reach(parts: Sequence[VariancePart], level: float = 0.95) -> float:
    """Half width of the two-sided interval; NaN where a variance is unknown or all of them are 0."""
    variances, dfs = np.array(parts, float).T
    if not np.isfinite(variances).all() or variances.sum() <= 0:
        return float("nan")
    return float(np.sqrt((stats.t.ppf(0.5 + level / 2, dfs) ** 2 * variances).sum()))


def p_value(value: float, parts: Sequence[VariancePart]) -> float:
    """Two-sided p of 0; NaN where there is no interval."""
    if not np.isfinite(reach(parts)):
        return float("nan")
    return p_of_interval(lambda p: abs(value) - reach(parts, 1 - p))


def p_of_interval(distance: Callable[[float], float], least: float = SMALLEST_P) -> float:
    """One minus the level at which an interval reaches 0, no less than `least`.

    `distance` of p is how far the interval of level 1 - p lies from 0, negative where it holds 0.
    """
    if distance(least) > 0:
        return least
    return 1.0 if distance(1 - SMALLEST_P) < 0 else float(optimize.brentq(distance, least, 1 - SMALLEST_P))
