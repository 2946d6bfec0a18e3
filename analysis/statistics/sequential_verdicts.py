"""Verdicts on many tasks at once where the data were looked at several times: the family of `verdicts.judge`.

Each test has a sequential p over its looks (`group_sequential`), which is corrected over the family as any p is: it is
valid whenever the task stopped, for whatever reason, so the tasks may stop each at its own time and because of each
other. Intervals are repeated confidence intervals (Jennison and Turnbull 1989, J. R. Stat. Soc. B 51): that of each
look at its nominal level, and of all looks what they have in common, so that an adjusted one excludes 0 where the
corrected test rejects. The estimate is that of the last look; where a task stopped early it tends to lie too far from
0, and where later looks took much of it back it lies outside what the looks have in common: the interval is then
widened to it, which can only make it hold more often.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.settings import Correction
from analysis.statistics.group_sequential import Look, nominal_level, sequential_p
from analysis.statistics.verdicts import Tests, adjust_once, each_its_own, level_of_next, power, verdict_of


@dataclass(frozen=True, eq=False)
class Looked:
    """What T tests showed at K looks (K x T): `gain`, `se` and `df`, and the number of `replicates`; NaN where a test
    had nothing new, or no standard error. `shares` (K) are those of the plan after which the looks were made."""

    gain: np.ndarray
    se: np.ndarray
    df: np.ndarray
    replicates: np.ndarray
    shares: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Where something was tested."""
        return np.isfinite(self.gain) & np.isfinite(self.se) & (self.se > 0) & np.isfinite(self.replicates)

    def intervals(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Limits of the repeated confidence intervals with two-sided error rate `level`, T each; NaN without a look.

        Where what those of the looks have in common leaves out the estimate of the last look, it is widened to it.
        """
        low, high = self.in_common(level)
        estimate = _last(self.gain, self.known)
        return np.minimum(low, estimate), np.maximum(high, estimate)

    def in_common(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """What the intervals of all looks have in common; where that is nothing, the interval of the last, which holds
        by itself at the same level."""
        low, high = np.full((2, self.gain.shape[1]), np.nan)
        for test, rows in self._tests():
            reach = self._reach(test, rows, level / 2)
            lows, highs = self.gain[rows, test] - reach, self.gain[rows, test] + reach
            low[test], high[test] = lows.max(), highs.min()
            if low[test] > high[test]:
                low[test], high[test] = lows[-1], highs[-1]
        return low, high

    def last_levels(self, level: float) -> np.ndarray:
        """Nominal two-sided level of the last look of each test, T."""
        found = np.full(self.gain.shape[1], level)
        for test, rows in self._tests():
            found[test] = 2 * nominal_level(level / 2, self._looks(test, rows))
        return found

    def one_sided(self, above: np.ndarray) -> np.ndarray:
        """Sequential p of a true gain of at most `above` (T), NaN where nothing was tested."""
        found = np.full(self.gain.shape[1], np.nan)
        for test, rows in self._tests():
            if np.isfinite(above[test]):
                ratio = (self.gain[rows, test] - above[test]) / self.se[rows, test]
                found[test] = sequential_p(stats.t.sf(ratio, self.df[rows, test]), self._looks(test, rows))
        return found

    def mirrored(self) -> "Looked":
        """The same tests of losses."""
        return Looked(-self.gain, self.se, self.df, self.replicates, self.shares)

    def _tests(self) -> list[tuple[int, np.ndarray]]:
        known = self.known
        return [(test, np.flatnonzero(known[:, test])) for test in np.flatnonzero(known.any(0)).tolist()]

    def _looks(self, test: int, rows: np.ndarray) -> tuple[Look, ...]:
        return tuple(zip(self.shares[rows].tolist(), self.replicates[rows, test].tolist(), strict=True))

    def _reach(self, test: int, rows: np.ndarray, one_sided: float) -> np.ndarray:
        looks = self._looks(test, rows)
        levels = [nominal_level(one_sided, looks[: look + 1]) for look in range(len(rows))]
        return stats.t.isf(levels, self.df[rows, test]) * self.se[rows, test]


def judge_looks(
    looked: Looked,
    margin: np.ndarray,
    *,
    correction: Correction = "BH",
    alpha: float = 0.05,
    tests: Tests | None = None,
) -> pd.DataFrame:
    """One family, the columns of `verdicts.judge`, whose `tests` it takes.

    With one look, after all of the plan, it is that function.
    """
    margin = np.asarray(margin, float)
    tests, nothing = tests or each_its_own(len(margin)), np.zeros(len(margin))
    up, down = looked.one_sided(nothing), looked.mirrored().one_sided(nothing)
    p = np.minimum(1.0, 2 * np.minimum(up, down))
    p_adjusted, step = adjust_once(p, tests.difference, correction, alpha)
    next_level = level_of_next(p_adjusted, tests.difference, correction, alpha)
    p_loss = looked.one_sided(-margin)
    p_loss_adjusted, loss_step = adjust_once(p_loss, tests.loss, correction, alpha / 2)
    low, high = looked.intervals(step)
    floor, _ = looked.in_common(2 * loss_step)
    verdict = verdict_of(p_adjusted <= alpha, up < down, p_loss_adjusted <= alpha / 2)
    se, df = (_last(values, looked.known) for values in (looked.se, looked.df))
    return pd.DataFrame(
        {
            "p": p,
            "p_adjusted": p_adjusted,
            "low_adjusted": low,
            "high_adjusted": high,
            "p_loss": p_loss,
            "p_loss_adjusted": p_loss_adjusted,
            "verdict": verdict,
            "supported_margin": np.where(np.isfinite(margin), np.maximum(0.0, -floor), np.nan),
            "power": power(margin, se, np.nan_to_num(df, nan=1.0), looked.last_levels(next_level)),
        }
    )


def _last(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The value of each test at its last look, NaN without one."""
    if not len(known):
        return np.full(values.shape[1], np.nan)
    at = len(known) - 1 - known[::-1].argmax(0)
    return np.where(known.any(0), values[at, np.arange(values.shape[1])], np.nan)
