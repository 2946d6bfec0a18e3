"""Verdicts on many tasks at once: harm, benefit, no meaningful loss, undecided.

A family is every task under every contrast at full data, which is what a report opens with, or all of them at smaller
fractions. For each member, with gain g, standard error SE, df and margin m:

    difference     H0: true gain = 0       p = 2 P(T > |g| / SE)
    no loss        H0: true gain <= -m     p = P(T > (g + m) / SE), tested at alpha / 2

Both families are corrected: Benjamini-Hochberg (1995) by default, Holm (1979) by option. Intervals are adjusted to
the step that decides, so that an adjusted interval excludes 0 exactly where the corrected test rejects: level
1 - alpha R / m with R rejections of m under Benjamini-Hochberg (Benjamini and Yekutieli 2005), 1 - alpha / (m - R)
under Holm.

    benefit             rejected, g > 0
    no meaningful loss  a loss as large as the margin is rejected
    harm                rejected, g < 0, and a loss as large as the margin is not
    undecided           neither

"No meaningful loss" stands before harm: a loss that is surely there and surely smaller than the margin is none that
matters. It is never concluded from a large p of the difference. So gain and loss are not treated alike: a benefit is
superiority against 0, and may be smaller than the margin; the absence of harm is non-inferiority against the margin.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special, stats

from analysis.settings import Correction

HARM, BENEFIT, NO_LOSS, UNDECIDED = "harm", "benefit", "no meaningful loss", "undecided"
SAME_MODEL = "same model"
VERDICTS = (HARM, UNDECIDED, NO_LOSS, BENEFIT)

LARGER, SMALLER, NO_CHANGE = "larger", "smaller", "no meaningful change"
"""Verdicts, beside UNDECIDED, on a change that has no good side, such as that of a gain from one arm to another."""


class Tests(NamedTuple):
    """Which members of a family are one test, as one comparison may stand under two contrasts: members with one number
    are. `difference` of those that compare the same, on whichever side each stands; `loss` of those of one side too, as
    a loss of the one side is none of the other."""

    difference: np.ndarray
    loss: np.ndarray


def judge(
    gain: np.ndarray,
    se: np.ndarray,
    df: np.ndarray,
    margin: np.ndarray,
    *,
    correction: Correction = "BH",
    alpha: float = 0.05,
    tests: Tests | None = None,
) -> pd.DataFrame:
    """One family: columns p, p_adjusted, low_adjusted, high_adjusted, p_loss, p_loss_adjusted, verdict,
    supported_margin, power. Members that are one test (`tests`; all differ without it) count once.

    A task without a standard error, or with one of 0 (scores without any scatter tell nothing about chance), is
    undecided and takes no part in the family; without a margin (NaN) it can be harm, benefit or undecided.
    `supported_margin` is minus the lower adjusted limit of the no-loss test, at least 0; NaN without a margin, as such
    a task is not in the family of that test. `power` is the chance that a true gain or loss as large as the margin is
    noticed at this standard error, where the task is the next of its family to be decided (`next_levels`).
    """
    gain, se, df, margin = (np.asarray(values, float) for values in (gain, se, df, margin))
    known = np.isfinite(se) & (se > 0) & np.isfinite(gain)
    tests = tests or each_its_own(len(gain))
    difference = _difference(gain, se, df, known, correction, alpha, tests)
    next_level = level_of_next(difference["p_adjusted"], tests.difference, correction, alpha)
    p_loss = _tail(gain + margin, se, df, known & np.isfinite(margin))
    p_loss_adjusted, loss_step = adjust_once(p_loss, tests.loss, correction, alpha / 2)
    rejected = difference["p_adjusted"] <= alpha
    no_loss = p_loss_adjusted <= alpha / 2
    return pd.DataFrame(
        {
            **difference,
            "p_loss": p_loss,
            "p_loss_adjusted": p_loss_adjusted,
            "verdict": verdict_of(rejected, gain > 0, no_loss),
            "supported_margin": np.where(
                np.isfinite(margin), np.maximum(0.0, _reach(se, df, 2 * loss_step) - gain), np.nan
            ),
            "power": power(margin, se, df, next_level),
        }
    )


def verdict_of(differs: np.ndarray, positive: np.ndarray, no_loss: np.ndarray) -> np.ndarray:
    """The verdict of each test, from what is rejected and the side on which it lies."""
    return np.select([differs & positive, no_loss, differs], [BENEFIT, NO_LOSS, HARM], default=UNDECIDED)


@dataclass(frozen=True)
class NextLevels:
    """Two-sided error rates at which the next member of a family would be decided, the others staying as they are:
    by a `difference` from 0, or, of an interval whose lower limit decides, by `no_loss`."""

    difference: float
    no_loss: float

    @property
    def both(self) -> float:
        """The stricter one: with it a task is decided whichever is true."""
        return min(self.difference, self.no_loss)


def next_levels(
    judged: pd.DataFrame, correction: Correction = "BH", alpha: float = 0.05, tests: Tests | None = None
) -> NextLevels:
    """The levels of a family from its columns p_adjusted and p_loss_adjusted (`judge`, with the same `tests`).

    With R of m rejected, alpha (R + 1) / m under Benjamini-Hochberg, alpha / (m - R) under Holm.
    """
    tests = tests or each_its_own(len(judged))
    difference, loss = (judged[name].to_numpy(float) for name in ("p_adjusted", "p_loss_adjusted"))
    of_loss = level_of_next(loss, tests.loss, correction, alpha / 2)
    return NextLevels(level_of_next(difference, tests.difference, correction, alpha), 2 * of_loss)


def level_of_next(of_members: np.ndarray, tests: np.ndarray, correction: Correction, alpha: float) -> float:
    """The level at which the next of these tests would be decided, from the corrected p of each member."""
    p_adjusted = of_members[np.unique(tests, return_index=True)[1]]
    size, rejected = int(np.isfinite(p_adjusted).sum()), int((p_adjusted <= alpha).sum())
    if size == 0 or correction == "none":
        return alpha
    return alpha * min(1.0, (rejected + 1) / size) if correction == "BH" else alpha / max(1, size - rejected)


def judge_changes(
    change: np.ndarray,
    se: np.ndarray,
    df: np.ndarray,
    margin: np.ndarray,
    *,
    correction: Correction = "BH",
    alpha: float = 0.05,
    tests: Tests | None = None,
) -> pd.DataFrame:
    """One family of changes without a good side: columns p, p_adjusted, low_adjusted, high_adjusted, p_equivalent,
    p_equivalent_adjusted, verdict. `tests` as in `judge`.

    Both a rise and a fall as large as the margin are tested at alpha / 2 (two one-sided tests, Schuirmann 1987), and
    where both are rejected there is no meaningful change, even if the change differs from 0; else it is larger, smaller
    or undecided. Unknown standard errors and margins as in `judge`.
    """
    change, se, df, margin = (np.asarray(values, float) for values in (change, se, df, margin))
    known = np.isfinite(se) & (se > 0) & np.isfinite(change)
    tests = tests or each_its_own(len(change))
    difference = _difference(change, se, df, known, correction, alpha, tests)
    p_equivalent = _tail(margin - np.abs(change), se, df, known & np.isfinite(margin))
    # Both sides are tested, so the same comparison the other way round is the same test.
    p_equivalent_adjusted, _ = adjust_once(p_equivalent, tests.difference, correction, alpha / 2)
    rejected, equivalent = difference["p_adjusted"] <= alpha, p_equivalent_adjusted <= alpha / 2
    verdict = np.select(
        [equivalent, rejected & (change > 0), rejected & (change < 0)], [NO_CHANGE, LARGER, SMALLER], default=UNDECIDED
    )
    return pd.DataFrame(
        {
            **difference,
            "p_equivalent": p_equivalent,
            "p_equivalent_adjusted": p_equivalent_adjusted,
            "verdict": verdict,
        }
    )


def _difference(
    value: np.ndarray,
    se: np.ndarray,
    df: np.ndarray,
    known: np.ndarray,
    correction: Correction,
    alpha: float,
    tests: Tests,
) -> dict[str, np.ndarray]:
    """The test of a family's differences from 0, with their adjusted intervals.

    Columns p, p_adjusted, low_adjusted, high_adjusted.
    """
    p = _tail(np.abs(value), se, df, known) * 2
    p_adjusted, step = adjust_once(p, tests.difference, correction, alpha)
    reach = _reach(se, df, step)
    return {"p": p, "p_adjusted": p_adjusted, "low_adjusted": value - reach, "high_adjusted": value + reach}


def _tail(value: np.ndarray, se: np.ndarray, df: np.ndarray, known: np.ndarray) -> np.ndarray:
    """P(T > value / se), NaN where that is not known."""
    ratio = np.divide(value, se, out=np.zeros(len(value)), where=known)
    return np.where(known, stats.t.sf(ratio, np.where(known, df, 1.0)), np.nan)


def each_its_own(size: int) -> Tests:
    """The tests of a family of which all members differ."""
    return Tests(np.arange(size), np.arange(size))


def adjust_once(p: np.ndarray, tests: np.ndarray, correction: Correction, alpha: float) -> tuple[np.ndarray, float]:
    """`adjust` of each test once; its members (`tests`: the number of the test that each is) have its corrected p."""
    _, first, of_member = np.unique(tests, return_index=True, return_inverse=True)
    corrected, step = adjust(p[first], correction, alpha)
    return corrected[of_member], step


def adjust(p: np.ndarray, correction: Correction, alpha: float) -> tuple[np.ndarray, float]:
    """Corrected p values, and the level at which one test of the family is decided."""
    known = np.isfinite(p)
    size = int(known.sum())
    if not size or correction == "none":
        return p.copy(), alpha
    corrected = np.full(len(p), np.nan)
    corrected[known] = stats.false_discovery_control(p[known]) if correction == "BH" else _holm(p[known])
    count = int((corrected[known] <= alpha).sum())
    if correction == "BH":
        return corrected, alpha * max(count, 1) / size
    return corrected, alpha / max(size - count, 1)


def _holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down p values; statsmodels has them at the price of a garbage collection per call."""
    order = p.argsort()
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def _reach(se: np.ndarray, df: np.ndarray, level: float) -> np.ndarray:
    """Half width of two-sided intervals with error rate `level`."""
    return np.where(se > 0, stats.t.ppf(1 - level / 2, df) * se, np.nan)


def power(effect: np.ndarray, se: np.ndarray, df: np.ndarray, level: np.ndarray | float) -> np.ndarray:
    """Chance that a two-sided t test at `level` notices a true `effect`; NaN where the effect or SE is unknown.

    P(|(Z + effect / SE) / sqrt(X / df)| > limit), X chi-squared with df, as the mean of the normal tails over equally
    likely values of X: scipy's noncentral t returns NaN for some large arguments.
    """
    effect, se, df = np.broadcast_arrays(np.asarray(effect, float), np.asarray(se, float), np.asarray(df, float))
    known = np.isfinite(effect) & np.isfinite(se) & (se > 0)
    shift = np.divide(effect, se, out=np.zeros(effect.shape), where=known)[..., None]
    limit = stats.t.ppf(1 - level / 2, df)[..., None] * _scatter(df)
    chance = (special.ndtr(shift - limit) + special.ndtr(-limit - shift)).mean(-1)
    return np.where(known, chance, np.nan)


def _scatter(df: np.ndarray) -> np.ndarray:
    """sqrt(X / df) of `_NODES` equally likely values of X, chi-squared with df: one more axis.

    Interpolated over log df from a table, since thousands of tasks times a hundred numbers of seeds ask for it.
    """
    degrees, table = _scatter_table()
    at = np.interp(np.log(df), degrees, np.arange(len(degrees)))
    below = np.minimum(at.astype(int), len(degrees) - 2)
    share = (at - below)[..., None]
    return (1 - share) * table[below] + share * table[below + 1]


@cache
def _scatter_table() -> tuple[np.ndarray, np.ndarray]:
    df = np.geomspace(0.5, 1e6, 500)
    return np.log(df), sd_ratios(df[:, None])


_NODES = 256


def sd_ratios(df: np.ndarray | float) -> np.ndarray:
    """sqrt(X / df) of equally likely values of X, chi-squared with df: a standard deviation estimated on df over the
    true one. One more axis in place of the last of `df`."""
    nodes = (np.arange(_NODES) + 0.5) / _NODES
    return np.sqrt(stats.chi2.ppf(nodes, df) / df)
