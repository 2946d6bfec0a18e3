"""Tests that are looked at several times: error spent by a plan, so that all looks together keep it.

At information fractions t_1 < t_2 < ... <= 1 a one-sided test of level a may spend, up to look k,

    a*(t) = 2 - 2 Phi(z / sqrt(t)),   z the quantile of 1 - a / 2

(Lan and DeMets 1983, Biometrika 70), which comes near the bounds of O'Brien and Fleming (1979): little early, nearly
all at the end. Whoever stops early, for whatever reason, spends less. From it follow nominal levels: look k rejects
where its own p is at most l_k(a), found by integrating over the paths that have not crossed before (Armitage, McPherson
and Rowe 1969). Scores of looks j < k have the correlation sqrt(t_j / t_k) there. Where test cases are common to all
looks they are correlated more, and all looks together cross less often (Slepian 1962), so that t may be the share of
the replicates. A t test is read at the nominal level of the normal one, with its own degrees of freedom (Jennison and
Turnbull 2000, chapter 11).

A sequential p is the smallest a at which one of the looks so far rejects (Liu and Anderson 2008, J. Am. Stat. Assoc.
103). Under the null hypothesis it is at most a with a chance of at most a, at every look and whatever made one stop
there, so it can be corrected over many tests like any other p.
"""

from functools import lru_cache

import numpy as np
from scipy import special

LARGEST = 0.4
"""One-sided p from which on a sequential p is 1."""

_LEVELS = np.geomspace(1e-12, LARGEST, 120)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_FAR = 8.5
"""Standard deviations beyond which paths do not matter."""

_STEPS = 55
"""Halvings when a bound is sought."""


def spent(level: np.ndarray, fraction: float) -> np.ndarray:
    """What one-sided tests of these levels may spend up to an information fraction."""
    return 2 * special.ndtr(special.ndtri(level / 2) / np.sqrt(fraction))


Look = tuple[float, float]
"""The share of the plan at which something was looked at, which is what the spending goes by, and the information then:
the number of replicates, in any unit."""


@lru_cache(4096)
def nominal_levels(looks: tuple[Look, ...]) -> np.ndarray:
    """Nominal one-sided levels of each look (rows: `_LEVELS`; columns: looks).

    Error is spent by the plan, paths follow the information, which falls short of it where replicates are missing (Lan
    and DeMets 1989, Stat. Med. 8). Raises `ValueError` where either does not rise, or shares lie outside (0, 1].
    """
    shares, amounts = zip(*looks, strict=True)
    rising = all(low < high for values in (shares, amounts) for low, high in zip((0.0, *values), values, strict=False))
    if not rising or shares[-1] > 1:
        raise ValueError(f"shares of the plan and information have to rise, shares to 1 at most, got {looks}")
    times = np.array(amounts, float) / amounts[-1]
    levels = _LEVELS[:, None]
    bound = -special.ndtri(spent(levels, shares[0]))
    found = [special.ndtr(-bound)]
    scale = np.sqrt(times[0])
    nodes, weights = _between(-_FAR * scale, np.minimum(bound, _FAR) * scale)
    weights = weights * np.exp(-0.5 * (nodes / scale) ** 2) / (np.sqrt(2 * np.pi) * scale)
    for look in range(1, len(looks)):
        step, scale = np.sqrt(times[look] - times[look - 1]), np.sqrt(times[look])
        wanted = spent(levels, shares[look]) - spent(levels, shares[look - 1])
        low, high = np.full(levels.shape, -_FAR), np.full(levels.shape, 40.0)
        for _ in range(_STEPS):
            bound = (low + high) / 2
            crossing = (weights * special.ndtr((nodes - bound * scale) / step)).sum(1, keepdims=True)
            low, high = np.where(crossing > wanted, bound, low), np.where(crossing > wanted, high, bound)
        found.append(special.ndtr(-bound))
        ahead, widths = _between(-_FAR * scale, np.minimum(bound, _FAR) * scale)
        density = np.exp(-0.5 * ((ahead[:, :, None] - nodes[:, None, :]) / step) ** 2) @ weights[:, :, None]
        nodes, weights = ahead, widths * density[:, :, 0] / (np.sqrt(2 * np.pi) * step)
    return np.concatenate(found, axis=1)


def _between(low: float, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss and Legendre between two limits, a row for each upper one."""
    half = (high - low) / 2
    return low + half * (_NODES + 1), half * _WEIGHTS


def nominal_level(level: float, looks: tuple[Look, ...]) -> float:
    """One-sided level at which the last of these looks tests, all of them together at `level`."""
    table = nominal_levels(looks)[:, -1]
    return float(np.exp(np.interp(np.log(level), np.log(_LEVELS), np.log(table))))


def sequential_p(p: np.ndarray, looks: tuple[Look, ...]) -> float:
    """The sequential p of one-sided p values at looks, NaN where nothing was tested; NaN where none was."""
    table = np.log(nominal_levels(looks))
    logs = np.log(np.maximum(p, 1e-300))
    found = [
        np.interp(each, column, np.log(_LEVELS), right=0.0)
        for each, column in zip(logs, table.T, strict=True)
        if np.isfinite(each)
    ]
    return float(np.exp(min(found))) if found else float("nan")
