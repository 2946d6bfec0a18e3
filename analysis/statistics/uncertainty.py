"""How far a gain can be off: seeds and test cases as two crossed sources of chance.

A gain is measured once per seed s on the same test cases: D_s, with mean D. Another choice of seeds and another sample
of subjects would each move D. With M the gains of the same models on resampled subjects (resamples x seeds):

    V_seed  = var_s(D_s) / S                          seeds, and what seeds and cases do together
    V_both  = (mean_s var(M_s) - var(mean_s M)) / (S - 1)   what they do together, already in V_seed
    V_case  = var(mean_s M) - V_both                   the cases alone
    SE^2    = max(V_seed, V_both) + V_case,  df by Satterthwaite,  interval D +- t(df) SE

Few seeds can agree by chance; the floor V_both keeps SE from falling below what the cases alone tell. This is two-way
clustering (Cameron, Gelbach and Miller 2011; Owen 2007) with resampled metrics, so AUC, F1 and MCC are
treated like means. Assumptions: seeds are independent; subjects are independent; D is about normal. With three seeds
the percentile interval of the hierarchical bootstrap (`percentile_interval`) is far too short, because three seeds
resampled cannot tell how far a fourth would fall: docs/calibration.md has both. Cases of a drawn subject all come
along: drawing them again within it would count their scatter twice (Davison and Hinkley 1997, section 3.8).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import optimize, special, stats

SEEDS_AND_CASES, SEEDS, CASES, NONE = "seeds and cases", "seeds only", "cases only", "none"
BORROWED_AND_CASES, BORROWED = "borrowed seeds and cases", "borrowed seeds"
"""What an estimate's error rests on. Borrowed: the scatter over seeds is that of other tasks, see
`analysis.statistics.moderated_variance`."""

DECIDES = frozenset({SEEDS_AND_CASES, SEEDS, BORROWED_AND_CASES, BORROWED})
"""Bases on which a verdict may rest: one seed by itself tells nothing of the chance of training."""


@dataclass(frozen=True)
class GainEstimate:
    """A mean and what limits it. `v_seed` and `v_case` are variances of `value`; `basis` says which are known.

    `v_both` is what seeds and cases do together: part of `v_seed`, and the least it can be. `v_mean` is the variance
    over resamples of the mean over seeds. `matched_se` is the standard error of the t that has `df` where
    `analysis.statistics.moderated_variance` found it; else the variances give it. `rotating`: every replicate has
    test cases of its own (`analysis.statistics.replicates`), so that `v_seed` holds all there is.
    """

    value: float
    v_seed: float
    v_case: float
    df: float
    basis: str
    v_both: float = 0.0
    v_mean: float = 0.0
    matched_se: float | None = None
    rotating: bool = False
    seed_df: float = float("nan")
    """Degrees of freedom of `v_seed`, those that other tasks lend among them; NaN where it was not moderated."""
    own_scatter: bool = False
    """Its seeds scatter more than those of the other tasks of its type, so that it keeps its own t."""

    @property
    def se(self) -> float:
        """sqrt(max(V_seed, V_both) + V_case), or the moderated one; NaN without seeds and cases."""
        if self.matched_se is not None:
            return self.matched_se
        least = 0.0 if self.rotating else self.v_both
        return float("nan") if self.basis == NONE else float(np.sqrt(max(self.v_seed, least) + self.v_case))

    @property
    def has_cases(self) -> bool:
        """Whether resampled test cases are part of it."""
        return self.v_mean > 0

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """value +- t(df) SE, see `t_interval`."""
        return t_interval(self.value, self.se, self.df, level)


@lru_cache(2**14)
def t_quantile(share: float, df: float) -> float:
    """Quantile of Student's t; a study with many arms asks for the same ones a hundred thousand times."""
    return float(stats.t.ppf(share, df))


def t_interval(value: float, se: float, df: float, level: float = 0.95) -> tuple[float, float]:
    """Two-sided Student interval; NaN where the standard error is unknown, or 0: no scatter tells nothing of chance."""
    if not np.isfinite(se) or se == 0:
        return float("nan"), float("nan")
    reach = t_quantile(0.5 + level / 2, float(df)) * se
    return value - reach, value + reach


def satterthwaite(variances: np.ndarray, dfs: np.ndarray) -> float:
    """Degrees of freedom of a sum of independent variance estimates (Satterthwaite 1946); at least 1."""
    variances, dfs = np.asarray(variances, float), np.asarray(dfs, float)
    spread = float((variances**2 / dfs).sum())
    return max(1.0, float(variances.sum() ** 2 / spread)) if spread > 0 else float(dfs.max())


ROUNDING = 1e-6
"""Differences that are rounding, as a share of the scores."""


def differ(gains: np.ndarray, size: float = 0.0) -> bool:
    """Whether gains (S, or S x K) differ from seed to seed by more than rounding of scores of this `size`.

    Gains that do not, copies of one run for instance, tell nothing of the chance of training. Copies that were scored
    one by one agree to six digits or so, not to the last one.
    """
    if len(gains) < 2:
        return False
    return float(np.ptp(gains, axis=0).max()) > ROUNDING * max(size, float(np.abs(gains).max()))


def estimate(gains: np.ndarray, draws: np.ndarray | None = None, subjects: int = 0, size: float = 0.0) -> GainEstimate:
    """The mean of per-seed gains (S values) with its two variances.

    `draws` are the gains of the same seeds on resampled subjects (B x S), NaN where undefined; `subjects` is how many
    subjects were resampled (`PairedGain.effective_subjects`), `size` how large scores are (`differ`). One seed, or
    gains that no seed changes: cases only. Fewer than two defined draws or subjects: seeds only. Neither: no interval.
    """
    gains = np.asarray(gains, float)
    seeds = len(gains)
    value = float(gains.mean()) if seeds else float("nan")
    seeds_known = differ(gains, size)
    v_seed = float(gains.var(ddof=1)) / seeds if seeds_known else 0.0
    if draws is None or subjects < 2:
        if not seeds_known:
            return GainEstimate(value, 0.0, 0.0, 1.0, NONE)
        return GainEstimate(value, v_seed, 0.0, seeds - 1.0, SEEDS)
    v_mean, v_each = case_variances(draws, subjects)
    if not np.isfinite(v_mean):
        return estimate(gains, size=size)
    if not seeds_known:
        return GainEstimate(value, 0.0, v_mean, subjects - 1.0, CASES, v_mean=v_mean)
    v_both = max(0.0, (v_each - v_mean) / (seeds - 1))
    v_case = max(0.0, v_mean - v_both)
    df = satterthwaite(np.array([v_seed, v_case]), np.array([seeds - 1.0, subjects - 1.0]))
    return GainEstimate(value, v_seed, v_case, df, SEEDS_AND_CASES, v_both, v_mean)


def case_variances(draws: np.ndarray, subjects: int) -> tuple[float, float]:
    """Variance over resamples of the mean over seeds, and mean over seeds of each seed's variance.

    Resampling n subjects scatters by the variance of n, not n - 1: the factor n / (n - 1) puts that right. Resamples
    in which a gain is undefined are left out.
    """
    kept = draws[np.isfinite(draws).all(1)]
    if len(kept) < 2:
        return float("nan"), float("nan")
    factor = subjects / (subjects - 1)
    return float(kept.mean(1).var(ddof=1)) * factor, float(kept.var(0, ddof=1).mean()) * factor


def two_part_test(
    value: float, variances: tuple[float, float], dfs: tuple[float, float], level: float = 0.95
) -> tuple[float, float, float]:
    """Interval and two-sided p of a value whose variance is the sum of two estimates, the first on few degrees.

    value +- q, with q the quantile of |sqrt(v1) t1 + sqrt(v2) t2|, t1 and t2 independent Student variables (Behrens
    1929, Fisher 1935). Satterthwaite's single t is too sure where the part with few degrees happens to come out small.
    """
    spread = np.sqrt(variances)
    if not np.isfinite(spread).all() or spread.sum() == 0:
        return float("nan"), float("nan"), float("nan")
    if spread.min() == 0:
        kept = int(spread.argmax())
        low, high = t_interval(value, float(spread[kept]), dfs[kept], level)
        return low, high, float(2 * stats.t.sf(abs(value) / spread[kept], dfs[kept]))
    first = spread[0] * stats.t.ppf((np.arange(_NODES) + 0.5) / _NODES, dfs[0])

    def beyond(reach: float) -> float:
        """P(|sum| > reach)."""
        upper, lower = (reach - first) / spread[1], (-reach - first) / spread[1]
        # as `stats.t`, which checks its arguments anew at every step of the search
        return float((special.stdtr(dfs[1], -upper) + special.stdtr(dfs[1], lower)).mean())

    most = float(sum(s * stats.t.ppf(0.5 + level / 2, df) for s, df in zip(spread, dfs, strict=True)))
    reach = optimize.brentq(lambda r: beyond(r) - (1 - level), 0.0, 2 * most, xtol=1e-10)
    return value - reach, value + reach, beyond(abs(value))


_NODES = 512
"""Equally likely values that stand for the first t variable."""


def percentile_interval(draws: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % interval of the plain hierarchical bootstrap: seeds drawn with replacement in each resample of subjects.

    Shown for comparison; it covers too little with few seeds.
    """
    kept = draws[np.isfinite(draws).all(1)]
    chosen = np.random.default_rng(seed).integers(0, kept.shape[1], kept.shape)
    means = np.take_along_axis(kept, chosen, axis=1).mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
