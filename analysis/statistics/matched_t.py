"""A Student t with the tails of a normal estimate whose variance is itself uncertain.

If a gain is normal given its variance V, and V has a known distribution, P(|gain - true| > x) is the mean over V of the
normal tail. A t with the same tails at two levels stands in for that mixture, so that intervals, tests and power need
only a standard error and degrees of freedom. Where V is scaled inverse chi-squared, the t is exact; where V is the sum
of two such parts it is the Behrens-Fisher distribution (Behrens 1929, Fisher 1935) to about one per cent of its width.
Matching the first two moments of 1 / V instead (as Satterthwaite does) is too narrow in the far tail, where corrected
verdicts lie.
"""

import numpy as np
from scipy import special, stats

_LEVELS = (0.05, 0.001)
"""Two-sided error rates at which the tails agree: that of one interval, and that of a verdict among many tasks."""

_DF = np.concatenate([np.geomspace(1.0, 1000.0, 400), [1e6]])
_RATIO = stats.t.isf(_LEVELS[1] / 2, _DF) / stats.t.isf(_LEVELS[0] / 2, _DF)
"""How much farther out the second limit lies than the first: falls with the degrees of freedom."""

_STEPS = 60
"""Halvings when a limit is sought: from a factor of e^40 down to rounding."""


def matched_t(variances: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard error and degrees of freedom of each of T estimates (T values each).

    `variances` (T x K, positive) are the values that V can take, `weights` (T x K, rows sum to 1) their probabilities.
    """
    near, far = (_limit(variances, weights, level) for level in _LEVELS)
    df = np.interp(-far / near, -_RATIO, _DF)  # np.interp wants ascending points
    return near / stats.t.isf(_LEVELS[0] / 2, df), df


def _limit(variances: np.ndarray, weights: np.ndarray, level: float) -> np.ndarray:
    """x with P(|gain - true| > x) = level, by bisection of log x."""
    spread = np.sqrt(variances)
    middle = np.log(spread.max(1))
    low, high = middle - 40.0, middle + 5.0
    for _ in range(_STEPS):
        centre = (low + high) / 2
        beyond = 2 * (weights * special.ndtr(-np.exp(centre)[:, None] / spread)).sum(1)
        low, high = np.where(beyond > level, centre, low), np.where(beyond > level, high, centre)
    return np.exp((low + high) / 2)
