"""A fitted straight line in log2 n, its band, and where it crosses zero."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.statistics.combined_variance import p_value, reach

STARTS, STOPS, NO_CROSSING, UNDETERMINED = "starts paying", "stops paying", "none in range", "undetermined"

LIMITS_LEVEL = 0.99
"""Level of the limits of a crossover.

It is reported only where the slope differs from 0. Of a slope that is too weak for that most of the time, those studies
report one in which it came out large by chance, and limits at 95 % hold in 64 to 94 % of the reports
(docs/calibration.md). A miss at 99 % is so rare in all studies that it is rare in those that report.
"""

_GRID = 4001


@dataclass(frozen=True, eq=False)
class Line:
    """gain(x) = level + slope (x - centre), x = log2 n on [x_min, x_max]; `cov` of (level, slope), with `df`.

    `more` has further covariances, each with its own degrees of freedom, which are kept apart (`combined_variance`);
    beyond 95 % they widen as a normal does, since t with one degree of freedom is 64 standard errors at 99 %.
    `slope_df` is given where the slope's variance in `cov` has degrees of freedom of its own.
    """

    level: float
    slope: float
    cov: np.ndarray
    df: float
    centre: float
    x_min: float
    x_max: float
    slope_df: float | None = None
    more: tuple[tuple[np.ndarray, float], ...] = ()

    def band(self, x: np.ndarray, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Line, lower and upper pointwise limit at x."""
        away = np.asarray(x, float) - self.centre
        fit = self.level + self.slope * away
        wider = stats.norm.ppf(0.5 + confidence / 2) / stats.norm.ppf(0.975)
        squares = stats.t.ppf(0.5 + confidence / 2, self.df) ** 2 * _variance(self.cov, away)
        for cov, df in self.more:
            squares = squares + (wider * stats.t.ppf(0.975, df)) ** 2 * _variance(cov, away)
        half = np.sqrt(squares)
        return fit, fit - half, fit + half

    def slope_interval(self) -> tuple[float, float, float]:
        """Lower and upper 95 % limit of the slope, and its two-sided p."""
        df = self.df if self.slope_df is None else self.slope_df
        parts = [(float(cov[1, 1]), part_df) for cov, part_df in ((self.cov, df), *self.more)]
        half = reach(parts)
        return self.slope - half, self.slope + half, p_value(self.slope, parts)

    def slope_se(self) -> float:
        """Standard error of the slope."""
        return float(np.sqrt(self.cov[1, 1] + sum(cov[1, 1] for cov, _ in self.more)))

    def crossover(self) -> dict[str, object]:
        """n_star with its limits, and what happens there.

        The limits enclose every n in range at which a gain of 0 lies inside the band of `LIMITS_LEVEL` (Fieller 1954);
        a limit that reaches the end of the range is missing, since the true one may lie beyond. A crossover is named
        only where the slope differs from 0. "None in range": the 95 % band excludes a gain of 0 at every size seen.
        "Undetermined": the data do not tell.
        """
        x = np.linspace(self.x_min, self.x_max, _GRID)
        _, low, high = self.band(x)
        slope_low, slope_high, _ = self.slope_interval()
        at = self.centre - self.level / self.slope if self.slope else float("nan")
        inside = bool(self.x_min <= at <= self.x_max)
        unknown: dict[str, object] = dict.fromkeys(("n_star", "n_star_low", "n_star_high"), float("nan"))
        if not np.isfinite(low).all():
            return {**unknown, "crossover": UNDETERMINED}
        if inside and (slope_low > 0 or slope_high < 0):
            _, low, high = self.band(x, LIMITS_LEVEL)
            possible = (low <= 0) & (high >= 0)
            return {
                "n_star": float(2**at),
                "n_star_low": float("nan") if possible[0] else float(2 ** x[possible].min()),
                "n_star_high": float("nan") if possible[-1] else float(2 ** x[possible].max()),
                "crossover": STARTS if self.slope > 0 else STOPS,
            }
        return {**unknown, "crossover": UNDETERMINED if ((low <= 0) & (high >= 0)).any() else NO_CROSSING}

    def columns(self) -> dict[str, object]:
        """What a row of a frame holds of the line: slope, low, high, p and the crossover."""
        low, high, p = self.slope_interval()
        return {"slope": self.slope, "low": low, "high": high, "p": p, **self.crossover()}

    def grid(self) -> dict[str, np.ndarray]:
        """Columns n, fit, low, high at 60 places over the range, for drawing."""
        x = np.linspace(self.x_min, self.x_max, 60)
        fit, low, high = self.band(x)
        return {"n": 2**x, "fit": fit, "low": low, "high": high}


def _variance(cov: np.ndarray, away: np.ndarray) -> np.ndarray:
    """Variance of level + slope x away."""
    return np.maximum(cov[0, 0] + 2 * away * cov[0, 1] + away**2 * cov[1, 1], 0.0)
