"""What repeats a gain independently: seeds that share their test cases, or test folds that rotate with the seeds.

With rotating folds the seed s has its own test cases, so another seed means other training data, other test cases and
another start at once. Seeds of one fold share their cases and count as one replicate, their mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from analysis.statistics.rare_classes import ClassSubjects, all_folds, rarest
from analysis.statistics.uncertainty import CASES, NONE, SEEDS, SEEDS_AND_CASES, GainEstimate, differ, satterthwaite


@dataclass(frozen=True)
class FoldsTested:
    """Of `count` folds the one that each seed tests, how many test subjects a task has in each (none without cases),
    and where its score compares classes those of each class."""

    count: int
    of_seed: Mapping[int, int]
    subjects: Mapping[int, int] = field(default_factory=dict)
    classes: Mapping[int, ClassSubjects] = field(default_factory=dict)

    def names(self, seeds: Sequence[int]) -> tuple[int, ...]:
        """The folds that these seeds test, sorted."""
        return tuple(sorted({self.of_seed[seed] for seed in seeds}))

    def means(self, values: np.ndarray, seeds: Sequence[int], axis: int = 0) -> np.ndarray:
        """Values of seeds along an axis as the mean of each fold's seeds."""
        fold = np.array([self.of_seed[seed] for seed in seeds])
        return np.stack([values.compress(fold == name, axis).mean(axis) for name in self.names(seeds)], axis)

    def sizes(self, names: Sequence[int]) -> np.ndarray:
        """Test subjects of folds, 0 where unknown."""
        return np.array([self.subjects.get(name, 0) for name in names], float)

    def effective_sizes(self, names: Sequence[int]) -> np.ndarray:
        """The same, but for a score that compares classes the subjects of a fold's rarest class."""
        rare = [rarest(self.classes.get(name, {})) for name in names]
        return np.array([all_ if few is None else len(few) for all_, few in zip(self.sizes(names), rare, strict=True)])

    def rarest_class(self, names: Sequence[int]) -> frozenset[str] | None:
        """The subjects of the class that has fewest in these folds together; None where the score compares none."""
        return rarest(all_folds(self.classes.get(name, {}) for name in names))


@dataclass(frozen=True, eq=False)
class Replicates:
    """Gains of R replicates: `names` (seeds or folds), `values` (R), and on resampled subjects `draws` (B x R)."""

    names: tuple[int, ...]
    values: np.ndarray
    draws: np.ndarray | None


def estimate_folds(
    values: np.ndarray, draws: np.ndarray | None, subjects: np.ndarray, size: float = 0.0
) -> GainEstimate:
    """The mean of R replicates, each on a test fold of its own, with its variance.

    `values` (R), `draws` on resampled subjects (B x R), NaN where undefined, `subjects` in each fold (R, those of its
    rarest class where the score compares classes); `size` as in
    `analysis.statistics.uncertainty.estimate`. The scatter over replicates holds training data, test cases and seeds
    together:

        V = var_r(D_r) / R,   R - 1 df,   V_case = 0,   V_both = mean_r var(M_r) / R

    with V_both what resampled cases tell of V by themselves. It is no floor of V, as it is where all seeds have the
    same cases: t knows that few folds can agree by chance, and resamples of a few subjects scatter too much (with the
    floor 99 % of intervals cover). V is that of another draw of training data, test cases and seeds, and an
    approximation: training sets overlap, so replicates are not quite independent, and no estimate from one study is
    unbiased (Bengio and Grandvalet 2004). The correction of Nadeau and Bengio (2003) covers too much here: see
    docs/calibration.md.
    """
    count = len(values)
    value = float(values.mean()) if count else float("nan")
    known = differ(values, size)
    v_seed = float(values.var(ddof=1)) / count if known else 0.0
    v_both, case_df = (float("nan"), 1.0) if draws is None else fold_case_variance(draws, subjects)
    if not np.isfinite(v_both):
        return GainEstimate(value, v_seed, 0.0, max(1.0, count - 1.0), SEEDS if known else NONE)
    if not known:
        return GainEstimate(value, 0.0, v_both, case_df, CASES, v_mean=v_both, rotating=True)
    return GainEstimate(value, v_seed, 0.0, count - 1.0, SEEDS_AND_CASES, v_both, v_both, rotating=True)


def fold_case_variance(draws: np.ndarray, subjects: np.ndarray) -> tuple[float, float]:
    """Variance of the mean over replicates by their own test cases, and its degrees of freedom.

    Folds have no subject in common, so each adds its own part; one of a single subject, or whose metric is undefined on
    resamples, is stood for by the mean of the others. NaN where none is known.
    """
    parts, dfs = [], []
    for column, count in zip(draws.T, subjects, strict=True):
        defined = column[np.isfinite(column)]
        if count > 1 and len(defined) > 1:
            parts.append(float(defined.var(ddof=1)) * count / (count - 1))
            dfs.append(count - 1.0)
    if not parts:
        return float("nan"), 1.0
    df = satterthwaite(np.array(parts), np.array(dfs)) if any(parts) else sum(dfs)
    return float(np.mean(parts)) / draws.shape[1], df
