"""Borrowing the scatter over seeds from the other tasks: moderated t statistics (Smyth 2004).

Three seeds give a variance with two degrees of freedom: a task whose three gains happen to agree gets a standard error
near zero, and among 27 tasks one always does. The variances of all tasks of a family are therefore seen as draws from
one scaled inverse chi-squared distribution, whose scale s0^2 and degrees of freedom d0 are estimated from them; each
task's variance becomes (d0 s0^2 + d s^2) / (d0 + d) with d0 + d degrees of freedom. Where tasks differ much in scatter,
d0 is small and little is borrowed. Source: Smyth, Stat. Appl. Genet. Mol. Biol. 3 (2004), sections 6.2 and 10.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import optimize, special

from analysis.uncertainty import Estimate, satterthwaite

FEWEST_TASKS = 5
"""Tasks below which a common scatter cannot be estimated and nothing is borrowed."""

_ENDLESS = 1e6
"""Degrees of freedom that stand for infinitely many."""


def moderate(estimates: Sequence[Estimate], seeds: Sequence[int], subjects: Sequence[int]) -> list[Estimate]:
    """The estimates of one family with moderated seed variances; those without a seed variance stay as they are."""
    own = np.array([each.v_seed * count for each, count in zip(estimates, seeds, strict=True)])
    df = np.array(seeds, float) - 1
    usable = (df > 0) & (own > 0) & np.isfinite(own)
    if usable.sum() < FEWEST_TASKS:
        return list(estimates)
    prior, prior_df = inverse_chi_squared(own[usable], df[usable])
    most = float(df[usable].sum())  # no more can be known than all tasks together tell
    moderated = []
    for each, count, n, variance, d, use in zip(estimates, seeds, subjects, own, df, usable, strict=True):
        if not use:
            moderated.append(each)
            continue
        v_seed = (prior_df * prior + d * variance) / (prior_df + d) / count
        parts, dfs = [v_seed], [min(prior_df + d, most)]
        if each.basis == "seeds and cases":
            parts, dfs = [*parts, each.v_case], [*dfs, max(1.0, n - 1.0)]
        moderated.append(replace(each, v_seed=v_seed, df=satterthwaite(np.array(parts), np.array(dfs))))
    return moderated


def inverse_chi_squared(variances: np.ndarray, df: np.ndarray) -> tuple[float, float]:
    """Scale s0^2 and degrees of freedom d0 of the distribution of true variances, by moments of log s^2.

    Variances far below the rest are lifted first, since log 0 is no number.
    """
    lifted = np.maximum(variances, 1e-5 * np.median(variances))
    logs = np.log(lifted) - special.digamma(df / 2) + np.log(df / 2)
    excess = float(logs.var(ddof=1) - special.polygamma(1, df / 2).mean())
    if excess <= special.polygamma(1, _ENDLESS / 2):
        return float(np.exp(logs.mean())), _ENDLESS
    prior_df = 2 * optimize.brentq(lambda half: special.polygamma(1, half) - excess, 1e-3, _ENDLESS)
    return float(np.exp(logs.mean() + special.digamma(prior_df / 2) - np.log(prior_df / 2))), float(prior_df)
