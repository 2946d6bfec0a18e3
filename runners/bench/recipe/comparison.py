"""Are the gains of one network as large as another's, over rotating folds?

Every fold gives a pair: what either network gains over the trivial floor on the same test images. The share that A has
of B is the ratio of the means, with the interval of Fieller (1954, J. R. Stat. Soc. B 16): all r at which the mean of
a - r b does not differ from 0 by the paired t. It takes no gain of B for certain, and so has no end where B's mean may
be 0. With K folds t has K - 1 degrees of freedom; the variance over folds is taken as it is (docs/folds.md says what
that leaves out).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95
FEWEST = 3
"""Pairs of which an interval is given."""


@dataclass(frozen=True)
class Share:
    """`ratio` of the means, NaN where the peer has gained nothing; `low` and `high` NaN where there is no interval,
    infinite where it has no end. `verdict` on a goal: met, not met, or not shown, as few or scattered folds can be."""

    ratio: float
    low: float
    high: float
    verdict: str

    @property
    def interval(self) -> str:
        if math.isnan(self.low):
            return "no interval"
        return f"{self.low:.2f} to {self.high:.2f}" if math.isfinite(self.high - self.low) else "without end"


def share_of(ours: np.ndarray, peers: np.ndarray, goal: float) -> Share:
    """Gains of two networks by fold (K each), compared with the share `goal`.

    The goal is met, or not met, where the mean of ours - goal x peers differs from 0 by the two-sided t at `LEVEL`: the
    same as that the interval lies above or below the goal, where it has ends. A peer below the floor counts as at it.
    """
    count, mean, mean_peer = len(ours), float(np.mean(ours)), float(np.mean(peers))
    ratio = mean / mean_peer if mean_peer > 0 else math.nan
    if count < FEWEST:
        return Share(ratio, math.nan, math.nan, "not shown")
    limit = float(stats.t.ppf((1 + LEVEL) / 2, count - 1))
    beyond = ours - goal * peers if mean_peer > 0 else ours
    error, middle = float(np.std(beyond, ddof=1)) / math.sqrt(count), float(np.mean(beyond))
    verdict = "met" if middle > limit * error else "not met" if middle < -limit * error else "not shown"
    return Share(ratio, *_fieller(ours, peers, limit), verdict)


def _fieller(a: np.ndarray, b: np.ndarray, limit: float) -> tuple[float, float]:
    """Ends of the interval for mean(a) / mean(b): the roots of (A - r B)^2 = t^2 var(a - r b) / K in r."""
    covariance = np.cov(a, b) * limit**2 / len(a)
    quadratic = np.mean(b) ** 2 - covariance[1, 1]
    if quadratic <= 0:
        return -math.inf, math.inf
    linear = np.mean(a) * np.mean(b) - covariance[0, 1]
    constant = np.mean(a) ** 2 - covariance[0, 0]
    root = math.sqrt(max(0.0, linear**2 - quadratic * constant))
    return float((linear - root) / quadratic), float((linear + root) / quadratic)
