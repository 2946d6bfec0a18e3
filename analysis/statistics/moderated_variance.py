"""Borrowing the scatter over seeds from other tasks of the same type, with the uncertainty of what is borrowed.

Three seeds give a variance with two degrees of freedom: a task whose three gains happen to agree gets a standard error
near zero, and among 27 tasks one always does. Scores of one task type scatter alike, those of another type may scatter
ten times as much. So the variances s_t^2 of paired gains over seeds are seen as

    d_t s_t^2 / sigma_t^2 ~ chi-squared(d_t),   log sigma_t^2 ~ normal(mu of the type, tau^2)

with a flat prior on mu of each type by itself and a flat one on tau, common to all types, over `_SPREADS`. This is the
moderated t of Smyth (Stat. Appl. Genet. Mol. Biol. 3, 2004) with the prior integrated out instead of estimated: few
tasks of a type lend little, a type with one task is judged by its own t with S - 1 degrees of freedom, and a task with
one pair of seeds gets what its type predicts, which is wide.

A normal spread of log variances draws a single noisy task among quiet ones far to their side: its interval held in 0.79
of the cases. So a task whose seeds scatter more than those of the other tasks of its type together, by an F test at
`NOISY`, has an interval no narrower than as a type by itself: of the others it takes what makes its interval wider, not
what makes it narrower. (In the intent of Phipson et al., Ann. Appl. Stat. 10, 2016, who take outliers off the prior,
but estimate their share, for which a study has too few tasks.) Of tasks that scatter alike one in ten is told so by
chance.

The variance of a gain is then, with V_mean that of the resampled mean and V_both what seeds and cases do together,

    V = max(sigma_t^2 / S, V_both) + max(0, V_mean - V_both)

or sigma_t^2 / S alone where every replicate has a test fold of its own, so that its scatter holds the cases. V_mean and
V_both, estimates themselves, are spread by chi-squared with n - 1 and (n - 1)(S - 1) degrees of freedom for n subjects:
the plain difference of the two is often 0 by chance with few subjects, which would hide the cases.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy import special, stats

from analysis.statistics.matched_t import matched_t
from analysis.statistics.uncertainty import BORROWED, BORROWED_AND_CASES, CASES, NONE, GainEstimate

_SPREADS = np.array([0.1, 0.3, 0.6, 1.0, 1.5, 2.2, 3.0])
"""Values of tau, the standard deviation of log variances within a type."""

_BELOW, _ABOVE = 7.0, 11.0
"""How far the grid of log sigma^2 reaches beyond the smallest and the largest log s^2."""

NOISY = 0.1
"""Level of the test by which a task scatters more than the others of its type."""

_LEAST = 1e-5
"""Share of the median variance below which a variance is taken for rounding."""


def moderate(
    estimates: Sequence[GainEstimate],
    seeds: Sequence[int],
    subjects: Sequence[int],
    types: Sequence[str],
    scatter: Sequence[tuple[float, float]] | None = None,
) -> list[GainEstimate]:
    """The estimates of one contrast and fraction with moderated seed variances; `types` tells which tasks are alike.

    A task with one pair, or whose gains do not vary at all, borrows from its type. Where no task of the type has two
    pairs that differ, its estimates stay as they are. `scatter` is what tells a noisy task: a variance over seeds with
    its degrees of freedom, that of the gains where it is not given.
    """
    variance = np.array([estimate.v_seed * count for estimate, count in zip(estimates, seeds, strict=True)], float)
    # A variance far below all others is rounding of the scores, and tells nothing.
    known = variance > _LEAST * np.median(variance[variance > 0]) if (variance > 0).any() else variance > 0
    df = np.where(known, np.array(seeds, float) - 1, 0.0)
    labels = np.array(types, dtype=object)
    chosen = np.flatnonzero(np.isin(labels, list(set(labels[df > 0])))).tolist()
    if not chosen:
        return list(estimates)
    measured = _Measured(estimates, seeds, subjects, variance, df)
    moderated = measured.moderated(chosen, labels)
    shown = np.column_stack([variance, df]) if scatter is None else np.array(scatter, float).reshape(-1, 2)
    apart = np.flatnonzero(noisy(shown[:, 0], np.where(known, shown[:, 1], 0.0), labels)).tolist()
    if apart:
        alone = measured.moderated(apart, np.arange(len(df)).astype(object))
        for i in apart:
            if _reach(alone[i]) > _reach(moderated[i]):
                moderated[i] = replace(alone[i], own_scatter=True)
    return moderated


@dataclass(frozen=True, eq=False)
class _Measured:
    """Estimates of T tasks, with what is known of the scatter of each: s_t^2 with its degrees of freedom."""

    estimates: Sequence[GainEstimate]
    seeds: Sequence[int]
    subjects: Sequence[int]
    variance: np.ndarray
    df: np.ndarray

    def moderated(self, chosen: Sequence[int], labels: np.ndarray) -> list[GainEstimate]:
        """The estimates, those of `chosen` moderated among themselves; `labels` tells which are alike."""
        moderated, at = list(self.estimates), list(chosen)
        theta, posterior = log_variance_posterior(self.variance[at], self.df[at], labels[at])
        sigma = np.exp(theta)
        seed_se, seed_df = matched_t(np.tile(sigma, (len(at), 1)), posterior)
        binned = []
        for row, i in zip(posterior, at, strict=True):
            values, shares = _total(self.estimates[i], self.seeds[i], self.subjects[i], sigma)
            binned.append(_binned(values, np.outer(row, shares).ravel()))
        se, total_df = matched_t(np.array([values for values, _ in binned]), np.array([shares for _, shares in binned]))
        for k, i in enumerate(at):
            basis = self.estimates[i].basis
            moderated[i] = replace(
                self.estimates[i],
                v_seed=float(seed_se[k] ** 2) / self.seeds[i],
                matched_se=float(se[k]),
                df=float(total_df[k]),
                seed_df=float(seed_df[k]),
                basis=_BORROWED_BASIS.get(basis, basis),
            )
        return moderated


def noisy(variance: np.ndarray, df: np.ndarray, types: np.ndarray) -> np.ndarray:
    """Which of T tasks scatter more than the others of their type do together, by a one-sided F test at `NOISY`.

    `variance` are estimates with `df` degrees of freedom, 0 where nothing is known; a task without others is not noisy.
    """
    found = np.zeros(len(df), bool)
    for name in set(types.tolist()):
        of_type = types == name
        others_df = df[of_type].sum() - df[of_type]
        others = (df * variance)[of_type].sum() - (df * variance)[of_type]
        tested = (df[of_type] > 0) & (others_df > 0) & (others > 0)
        ratio = variance[of_type][tested] * others_df[tested] / others[tested]
        found[np.flatnonzero(of_type)[tested]] = stats.f.sf(ratio, df[of_type][tested], others_df[tested]) < NOISY
    return found


def _reach(estimate: GainEstimate) -> float:
    low, high = estimate.interval()
    return high - low


_BORROWED_BASIS = {CASES: BORROWED_AND_CASES, NONE: BORROWED}


def log_variance_posterior(variance: np.ndarray, df: np.ndarray, types: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Grid of log sigma^2 (L), and the posterior of every task on it (T x L, rows sum to 1).

    `variance` are the T estimates s_t^2 with `df` degrees of freedom, 0 where nothing is known of a task by itself.
    """
    seen = df > 0
    logs = np.log(np.where(seen, variance, 1.0))
    step = float(np.clip(0.6 * np.sqrt(2 / df.max()), 0.05, 0.4))  # finer than the sharpest likelihood
    theta = np.arange(logs[seen].min() - _BELOW, logs[seen].max() + _ABOVE, step)
    ratio = logs[:, None] - theta
    # exp(ratio) may overflow where the likelihood is zero anyway.
    likelihood = np.exp(df[:, None] / 2 * (1 + ratio - np.exp(np.minimum(ratio, 50.0))))
    centres = theta[::2]
    prior = np.exp(-0.5 * ((theta[:, None, None] - centres[:, None]) / _SPREADS) ** 2)
    prior = (prior / prior.sum(0)).reshape(len(theta), -1)  # L x (centres and spreads)
    marginal = np.maximum(likelihood @ prior, 1e-250)
    weights = _hyper_weights(np.log(marginal).reshape(len(df), len(centres), len(_SPREADS)), types)
    posterior = likelihood * ((weights.reshape(len(df), -1) / marginal) @ prior.T)
    return theta, posterior / posterior.sum(1, keepdims=True)


def _hyper_weights(log_marginal: np.ndarray, types: np.ndarray) -> np.ndarray:
    """Posterior of centre and spread for each task's type, from all tasks: T x centres x spreads.

    Types have centres of their own and share the spread, of which each tells through its own tasks.
    """
    names, index = np.unique(types.astype(str), return_inverse=True)
    of_type = np.stack([log_marginal[index == k].sum(0) for k in range(len(names))])
    of_spread = special.logsumexp(of_type, axis=1)
    others = of_spread.sum(0) - of_spread
    joint = of_type + others[:, None, :]
    return np.exp(joint - special.logsumexp(joint, axis=(1, 2), keepdims=True))[index]


def _total(estimate: GainEstimate, seeds: int, subjects: int, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values that V can take, (sigma, cases) flattened, and the probability of each value of the part from cases."""
    of_seeds = sigma / seeds
    if estimate.rotating or not estimate.has_cases:
        return of_seeds, np.ones(1)
    mean, shares = _inverse_chi_squared(subjects - 1.0, _EDGES)
    mean = estimate.v_mean * mean
    both, both_shares = np.zeros(1), np.ones(1)
    if seeds > 1 and estimate.v_both > 0:
        both, both_shares = _inverse_chi_squared((subjects - 1.0) * (seeds - 1.0), _COARSE)
        both = estimate.v_both * both
    values = np.maximum(of_seeds[:, None, None], both) + np.maximum(0.0, mean[:, None] - both)
    return values.ravel(), np.outer(shares, both_shares).ravel()


_EDGES = (0.0, 1e-4, 1e-3, 5e-3, 0.02, 0.05, *np.linspace(0.1, 1.0, 10))
"""Probabilities between which chi-squared is stood for by one value: close where the variance is large."""

_COARSE = (*np.linspace(0.0, 1.0, 7),)


@lru_cache(maxsize=4096)
def _inverse_chi_squared(df: float, edges: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """df / chi-squared(df) as a few values with their probabilities."""
    limits = np.array(edges)
    return df / stats.chi2.ppf((limits[1:] + limits[:-1]) / 2, df), np.diff(limits)


_BINS = 160


def _binned(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A distribution of variances on `_BINS` values, equally far apart on the logarithmic scale."""
    logs = np.log(values)
    low, high = logs.min(), logs.max()
    width = max(high - low, 1e-9) / (_BINS - 1)
    shares = np.bincount(np.rint((logs - low) / width).astype(int), weights, _BINS)
    return np.exp(low + width * np.arange(_BINS)), shares
