"""Intervals of a value whose variance is a sum of independent estimates, each on degrees of freedom of its own.

    half width = sqrt(sum of t(df_k)^2 v_k)

Covers at least as often as it says, whatever the true variances are (Banerjee 1960, Sankhya 22). Satterthwaite's single
t is too sure where a part with few degrees of freedom happens to come out small: two seeds have one degree.
"""

from collections.abc import Sequence

import numpy as np
from scipy import optimize, stats

VariancePart = tuple[float, float]
"""A variance and its degrees of freedom."""


def reach(parts: Sequence[VariancePart], level: float = 0.95) -> float:
    """Half width of the two-sided interval; NaN where a variance is unknown or all of them are 0."""
    variances, dfs = np.array(parts, float).T
    if not np.isfinite(variances).all() or variances.sum() <= 0:
        return float("nan")
    return float(np.sqrt((stats.t.ppf(0.5 + level / 2, dfs) ** 2 * variances).sum()))


def p_value(value: float, parts: Sequence[VariancePart]) -> float:
    """Two-sided p of 0: one minus the level at which the interval reaches 0. NaN where there is no interval."""
    if not np.isfinite(reach(parts)):
        return float("nan")

    def beyond(p: float) -> float:
        return reach(parts, 1 - p) - abs(value)

    if beyond(_SMALLEST) < 0:
        return _SMALLEST
    return 1.0 if beyond(1 - _SMALLEST) > 0 else float(optimize.brentq(beyond, _SMALLEST, 1 - _SMALLEST))


_SMALLEST = 1e-9
