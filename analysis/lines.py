"""A fitted straight line in log2 n, its band, and where it crosses zero."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

STARTS, STOPS, NONE, UNDETERMINED = "starts paying", "stops paying", "none in range", "undetermined"

_GRID = 4001


@dataclass(frozen=True, eq=False)
class Line:
    """gain(x) = level + slope (x - centre), x = log2 n on [x_min, x_max]; `cov` of (level, slope), with `df`.

    `slope_df` is given where the slope's variance has degrees of freedom of its own.
    """

    level: float
    slope: float
    cov: np.ndarray
    df: float
    centre: float
    x_min: float
    x_max: float
    slope_df: float | None = None

    def band(self, x: np.ndarray, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Line, lower and upper pointwise limit at x."""
        away = np.asarray(x, float) - self.centre
        fit = self.level + self.slope * away
        variance = self.cov[0, 0] + 2 * away * self.cov[0, 1] + away**2 * self.cov[1, 1]
        reach = stats.t.ppf(0.5 + confidence / 2, self.df) * np.sqrt(np.maximum(variance, 0.0))
        return fit, fit - reach, fit + reach

    def slope_interval(self) -> tuple[float, float, float]:
        """Lower and upper 95 % limit of the slope, and its two-sided p."""
        se = float(np.sqrt(self.cov[1, 1]))
        if not np.isfinite(se) or se == 0:
            return float("nan"), float("nan"), float("nan")
        df = self.df if self.slope_df is None else self.slope_df
        reach = float(stats.t.ppf(0.975, df)) * se
        return self.slope - reach, self.slope + reach, float(2 * stats.t.sf(abs(self.slope) / se, df))

    def crossover(self) -> dict[str, object]:
        """n_star with its limits, and what happens there.

        The limits enclose every n in range at which a gain of 0 lies inside the band (Fieller 1954); a limit that
        reaches the end of the range is missing, since the true one may lie beyond. A crossover is named only where the
        slope differs from 0. "None in range": the band excludes a gain of 0 at every size seen. "Undetermined": the
        data do not tell.
        """
        x = np.linspace(self.x_min, self.x_max, _GRID)
        _, low, high = self.band(x)
        possible = (low <= 0) & (high >= 0)
        slope_low, slope_high, _ = self.slope_interval()
        at = self.centre - self.level / self.slope if self.slope else float("nan")
        inside = bool(self.x_min <= at <= self.x_max)
        unknown = {"n_star": float("nan"), "n_star_low": float("nan"), "n_star_high": float("nan")}
        if not np.isfinite(low).all():
            return {**unknown, "crossover": UNDETERMINED}
        if inside and (slope_low > 0 or slope_high < 0):
            return {
                "n_star": float(2**at),
                "n_star_low": float("nan") if possible[0] else float(2 ** x[possible].min()),
                "n_star_high": float("nan") if possible[-1] else float(2 ** x[possible].max()),
                "crossover": STARTS if self.slope > 0 else STOPS,
            }
        return {**unknown, "crossover": UNDETERMINED if possible.any() else NONE}

    def grid(self, points: int = 60) -> dict[str, np.ndarray]:
        """Columns n, fit, low, high over the range, for drawing."""
        x = np.linspace(self.x_min, self.x_max, points)
        fit, low, high = self.band(x)
        return {"n": 2**x, "fit": fit, "low": low, "high": high}
