"""The typical task: the median gain over tasks, taken as a sample of tasks of their kind.

A mean over such tasks cannot be given an interval that holds. Where one task in ten collapses, half of all studies of
six tasks see no collapse, and their mean is off by more than any scatter they saw. The median and the number of tasks
that gain do not depend on how far one task falls. The interval of the median runs between two order statistics: that n
tasks all lie above it is as likely as n heads (Thompson 1936), whatever the distribution; limits between two tasks are
interpolated (Nyblom 1992). Fewer than six independent tasks have none.

Tasks of one clinical group are alike, so they count as fewer: T / (1 + (m - 1) rho), with m the size of the group that
a task stands in, and rho the correlation within groups of the normal scores of ranks, which no collapse can dominate.
rho is read from F over its 35 % quantile instead of its mean of about 1: from few groups it is too small too often.

What moves all tasks together (`shared_variance`) is added by squares, each part with its own t (Zou and Donner 2008).
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

from analysis.statistics.combined_variance import SMALLEST_P, VariancePart, p_of_interval, reach
from analysis.statistics.looks import Looks

_F_QUANTILE = 0.35

_FEWEST = float(np.log2(2 / (1 - 0.95)))
"""Independent tasks below which not even the outermost two enclose the median at 95 %."""


@dataclass(frozen=True)
class Typical:
    """Median gain, its interval and two-sided p (NaN where none can be given), and how many tasks gain."""

    median: float
    gaining: int
    low: float
    high: float
    p: float


def typical_gain(
    means: np.ndarray, groups: np.ndarray, together: list[VariancePart], looks: Looks | None = None
) -> Typical:
    """`means` has one gain per task, `groups` their clinical groups, `together` what moves all tasks at once. Where
    replicates came by `looks`, interval and p hold for all of them."""
    median, gaining = float(np.median(means)), int((means > 0).sum())
    size = effective_tasks(means, groups)
    unseen = looks is not None and not looks.made
    if size < _FEWEST or not np.isfinite(reach(together)) or np.ptp(means) == 0 or unseen:
        return Typical(median, gaining, *(float("nan"),) * 3)
    low, high = _interval(means, size, together, 0.95 if looks is None else looks.level())
    p = _p(means, size, together)
    return Typical(median, gaining, low, high, p if looks is None else looks.corrected(p))


def effective_tasks(means: np.ndarray, groups: np.ndarray) -> float:
    """The number of independent tasks that say as much of the median as these do."""
    count = len(means)
    names, group_index, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(names) in (1, count):  # how groups differ is not known from one: its tasks stand for it
        return float(count)
    scores = stats.norm.ppf((stats.rankdata(means) - 0.5) / count)
    centres = np.bincount(group_index, scores) / sizes
    between = (sizes * (centres - scores.mean()) ** 2).sum() / (len(names) - 1)
    within = ((scores - centres[group_index]) ** 2).sum() / (count - len(names))
    typical_size = (count - (sizes**2).sum() / count) / (len(names) - 1)
    if within <= 0:
        return float(len(names))
    ratio = between / within / stats.f.ppf(_F_QUANTILE, len(names) - 1, count - len(names))
    share = max(0.0, ratio - 1) / typical_size
    correlation = share / (1 + share)
    return count / (1 + ((sizes**2).sum() / count - 1) * correlation)


def _interval(means: np.ndarray, size: float, together: list[VariancePart], level: float) -> tuple[float, float]:
    rank = optimize.brentq(
        lambda rank: special.betainc(rank, size + 1 - rank, 0.5) - (0.5 + level / 2), 1e-9, (size + 1) / 2
    )
    rank = max(1.0, (len(means) + 1) * rank / (size + 1))
    ordered, ranks = np.sort(means), np.arange(1, len(means) + 1)
    limits = np.interp([rank, len(means) + 1 - rank], ranks, ordered)
    median, common = float(np.median(means)), reach(together, level)
    low, high = np.sqrt((limits - median) ** 2 + common**2)
    return median - float(low), median + float(high)


def _p(means: np.ndarray, size: float, together: list[VariancePart]) -> float:
    """Two-sided p of a median of 0, no less than the tasks can show."""

    def distance(p: float) -> float:
        low, high = _interval(means, size, together, 1 - p)
        return max(low, -high)

    return p_of_interval(distance, max(SMALLEST_P, float(2 ** (1 - size))))
