"""How many seeds, or times the test subjects, a t test needs, planned from variances that are themselves estimates.

With s^2 the variance of a paired gain over seeds, of which b is what seeds and test cases do together, and c the
variance that test cases leave whatever the seeds, S seeds and f times the test subjects have

    V(S, f) = (s^2 - b + b / f) / S + c / f

Where test folds rotate, a seed brings test cases of its own until every fold is tested: with K folds, b the variance by
the cases of a fold and s^2 - b that by all else,

    V(S, f) = (s^2 - b) g(S) + b / (f min(S, K)),   g(S) = 1 / S while S <= K

and beyond that g is the mean over folds of 1 / seeds of the fold, over K: once every fold is tested, the part of the
cases falls with more subjects alone.

A pilot of three seeds knows s^2 on two degrees of freedom: it may be half of what the next seeds will show, and a
plan that takes it for the truth promises too much (Browne 1995, Stat. Med. 14). So power is averaged over what may
be true: with X chi-squared on the d degrees of s^2 and Y on those that the study gains, the true variance is
s^2 d / X, b at least, and the study to come estimates it on X + Y; anew where there are other test subjects. With v_1
the part of V that rests on seeds, v_2 that of the cases, and the reach of the test
sqrt(t_1^2 v_1 (X + Y) / d' + t_2^2 v_2), each part with the t of its own degrees (Banerjee 1960),

    power(effect) = mean over X, Y of Phi((effect - reach) / sqrt(V))

the far tail left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy import special, stats

WANTED = 0.8
"""Power that counts as enough."""

MOST_SEEDS, MOST_TIMES = 100, 100
"""Seeds, and times the test subjects, beyond which a task is out of reach."""

REPLICATES, SUBJECTS, EITHER, BOTH = "replicates", "test subjects", "either", "both"
"""What would decide a task."""

_FACTORS = np.geomspace(1.0, MOST_TIMES, 49)[1:]
"""Times the test subjects that are tried: in steps of 10 %."""

_NODES = 10
_SHARES = (np.arange(_NODES) + 0.5) / _NODES
_NORMAL = special.ndtri(_SHARES)
"""Equally likely values stand for each chi-squared."""


@dataclass(frozen=True)
class Scatter:
    """What numbers of seeds and test subjects are planned from: `of_replicate` is s^2 of a seed, or of a test fold,
    known on `df` degrees; `of_both` is b, `of_cases` c. `seeds` and `subjects` are those at hand."""

    of_replicate: float
    df: float
    of_both: float
    of_cases: float
    seeds: int
    subjects: int
    folds: int = 0
    """Test folds that rotate; 0 where all seeds have the same test cases."""
    tested: int = 0
    """Folds that the seeds at hand test."""
    inverse_seeds: float = 1.0
    """Mean over these of 1 / seeds of the fold."""
    effective_subjects: int | None = None
    """Those of the rarest class, where the score compares classes; None of a mean over cases, which all of them tell
    of."""

    @property
    def has_cases(self) -> bool:
        """Whether the part of the test cases is known."""
        return self.of_both + self.of_cases > 0

    @cached_property
    def _drawn(self) -> np.ndarray:
        """Values of X. The true variance of a replicate is no less than that by its cases, which few seeds may hide."""
        most = special.gammainc(self.df / 2, self.of_replicate * self.df / self.of_both / 2) if self.of_both else 1.0
        return 2 * special.gammaincinv(self.df / 2, _SHARES * most)

    def power(
        self, effect: float, level: float, seeds: np.ndarray | float, factor: np.ndarray | float = 1.0
    ) -> np.ndarray:
        """Chance that a two-sided test at `level` notices a true `effect` with each number of seeds and times the
        test subjects (P values of each, or one)."""
        study = self._study(seeds, factor)
        return special.ndtr((effect - study.reach(level)) / np.sqrt(study.variance)[..., None]).mean((1, 2))

    def chance_decided(
        self, value: float, margin: float, tests: Sequence[tuple[float, float]], seeds: np.ndarray
    ) -> np.ndarray:
        """Chance that a gain now estimated as `value` has a verdict with each larger number of seeds (P values).

        `tests` are two, of the difference from 0 and of the interval whose lower limit has to lie above minus the
        margin (none where that is NaN): each with its two-sided error rate and the half width that its interval has
        now, to which widths to come are in proportion. The gain to come is normal about what is seen now, with the
        variance that the new seeds take off (an even prior on the true gain): a predictive chance (Spiegelhalter,
        Freedman and Blackburn 1986), not the power for a gain that is supposed.
        """
        study, now = self._study(seeds, 1.0), self._study(float(self.seeds), 1.0)
        spread = np.sqrt(np.maximum(now.variance - study.variance, _LEAST * now.variance))[..., None]
        of_difference, of_loss = (study.reach(level) * half / now.reach(level).mean() for level, half in tests)
        least = of_difference if np.isnan(margin) else np.minimum(of_difference, of_loss - margin)
        most = np.minimum(-of_difference, least)
        return (special.ndtr((value - least) / spread) + special.ndtr((most - value) / spread)).mean((1, 2))

    def _study(self, seeds: np.ndarray | float, factor: np.ndarray | float) -> "_StudyToCome":
        seeds, factor = (np.ravel(values)[:, None] for values in np.broadcast_arrays(*map(np.asarray, (seeds, factor))))
        drawn, both = self._drawn, self.of_both
        effective = self.subjects if self.effective_subjects is None else self.effective_subjects
        rest = np.maximum(0.0, self.of_replicate * self.df / drawn - both)
        if self.folds:
            tested = np.minimum(seeds, self.folds)
            by_seeds = rest / self.inverse_seeds * _seed_share(seeds, self.folds) + both / (tested * factor)
            by_cases, added = np.zeros_like(factor, float), tested - self.tested
        else:
            by_seeds, by_cases, added = (rest + both / factor) / seeds, self.of_cases / factor, seeds - self.seeds
        df = np.maximum(1.0, self.df + added)
        # Other test subjects change every score, so that nothing of the scatter that was seen stays.
        estimated = np.where(((factor > 1) | (added < 0))[..., None], _anew(df), drawn[:, None] + _gained(added))
        return _StudyToCome(by_seeds, by_cases, df, estimated, np.maximum(1.0, effective * factor - 1.0))

    def seeds_for(self, effect: float, level: float) -> float:
        """Fewest seeds, two at least, that have 80 % power with the test subjects at hand; NaN beyond `MOST_SEEDS`."""
        tried = _numbers(2)
        enough = self.power(effect, level, tried) >= WANTED
        return float(tried[enough.argmax()]) if enough.any() else float("nan")

    def more(self, effect: float, level: float) -> dict[str, object]:
        """Columns more_replicates, more_test_subjects and decided_by of the frame `power`."""
        tried = _numbers(self.seeds + 1)
        seeds = self.power(effect, level, tried) >= WANTED
        times = self.power(effect, level, self.seeds, _FACTORS) >= WANTED if self.has_cases else np.zeros(1, bool)
        if seeds.any() or times.any():
            return {
                "more_replicates": float(tried[seeds.argmax()] - self.seeds) if seeds.any() else float("nan"),
                "more_test_subjects": self._added(_FACTORS[times.argmax()]) if times.any() else float("nan"),
                "decided_by": EITHER if seeds.any() and times.any() else REPLICATES if seeds.any() else SUBJECTS,
            }
        return self._together(effect, level, tried) if self.has_cases else {"decided_by": ""}

    def _together(self, effect: float, level: float, tried: np.ndarray) -> dict[str, object]:
        """The same where it takes both: the smallest product of the factors by which the study grows."""
        several, factor = np.meshgrid(tried[:: -(-len(tried) // 16)], _FACTORS[::3])
        enough = self.power(effect, level, several, factor).reshape(several.shape) >= WANTED
        if not enough.any():
            return {"decided_by": ""}
        best = np.unravel_index(np.where(enough, several * factor, np.inf).argmin(), several.shape)
        added = float(several[best] - self.seeds), self._added(factor[best])
        return {"more_replicates": added[0], "more_test_subjects": added[1], "decided_by": BOTH}

    def _added(self, factor: float) -> float:
        return float(np.ceil(self.subjects * (factor - 1.0)))


@dataclass(frozen=True, eq=False)
class _StudyToCome:
    """What may be true of studies of P sizes: variance of the gain by seeds and by cases for each value of X (P x X),
    degrees of freedom of both, and the values of X + Y that its scatter may show (P x X x Y)."""

    by_seeds: np.ndarray
    by_cases: np.ndarray
    df: np.ndarray
    estimated: np.ndarray
    case_df: np.ndarray

    @property
    def variance(self) -> np.ndarray:
        """Of the gain: P x X x Y."""
        return self.by_seeds + self.by_cases

    def reach(self, level: float) -> np.ndarray:
        """Half width of its interval with error rate `level`: P x X x Y."""
        first = self.by_seeds * stats.t.isf(level / 2, self.df) ** 2 / self.df
        second = self.by_cases * stats.t.isf(level / 2, self.case_df) ** 2
        return np.sqrt(first[..., None] * self.estimated + second[..., None])


_LEAST = 1e-12
"""Share of the variance that new seeds take off at least, for the division."""


@lru_cache
def _numbers(least: int) -> np.ndarray:
    """Numbers of seeds that are tried: one by one at first, then in steps of 8 %."""
    most = max(least, MOST_SEEDS)
    tried = np.geomspace(least, most, int(np.log(most / least) / 0.08) + 1)
    return np.unique(np.append(tried.round(), most)).astype(int)


def _seed_share(seeds: np.ndarray, folds: int) -> np.ndarray:
    """g(S): what is left of the variance of a seed where S seeds are spread over the folds, one after the other."""
    each, uneven = np.divmod(seeds, folds)
    again = uneven / (each + 1) + (folds - uneven) / np.maximum(each, 1)
    return np.where(seeds <= folds, 1 / seeds, again / folds**2)


def _anew(df: np.ndarray) -> np.ndarray:
    """Equally likely values of a chi-squared, P x 1 to P x 1 x values (Wilson and Hilferty 1931)."""
    spread = (2 / (9 * df))[..., None]
    return df[..., None] * np.maximum(0.0, 1 - spread + _NORMAL * np.sqrt(spread)) ** 3


def _gained(added: np.ndarray) -> np.ndarray:
    """Equally likely values of a chi-squared for each number of degrees, P x 1 to P x 1 x values."""
    rows = np.clip(added, 0, MOST_SEEDS).astype(int)
    return _gained_table()[rows] + np.maximum(0, added - MOST_SEEDS)[..., None]


@lru_cache
def _gained_table() -> np.ndarray:
    df = np.arange(MOST_SEEDS + 1)[:, None]
    return np.where(df > 0, stats.chi2.ppf(_SHARES, np.maximum(df, 1)), 0.0)
