"""Gains: the same task, fraction, seed and test cases under two aggregations.

gain = joint - base, oriented so that positive favours the joint aggregation, on the unit-free score of the task type
(DSC, AUC, IoU, 1 - MRE / diagonal). A task without such a score (pixel errors from another trainer) keeps its own unit
and is left out of every mean over tasks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from analysis.statistics.looks import Looks
from analysis.statistics.rare_classes import FEWEST_OF_CLASS
from analysis.statistics.replicates import FoldsTested, Replicates, estimate_folds
from analysis.statistics.uncertainty import GainEstimate, differ, estimate


@dataclass(frozen=True, eq=False)
class TaskScores:
    """One metric of one task under every arm, oriented so that higher is better.

    `arms` has columns aggregation, fraction, seed, run, n_train, one row per arm; `values` one score per arm (A);
    `draws` the scores on resampled subjects (B x A), if there are cases. `unit` is "1" for a unit-free score.
    `margin` is the loss that counts as none, of unit-free score; `improving` tells by (aggregation, fraction) whether
    validation was still rising when a model's training ended, and `above_floor` whether its mean is better than the
    trivial predictor's, where that is known.
    """

    task: str
    type: str
    group: str
    unit: str
    arms: pd.DataFrame
    values: np.ndarray
    draws: np.ndarray | None = None
    subjects: int = 0
    subject_names: frozenset[str] = frozenset()
    """Who they are, as tasks may have them in common."""
    rarest_class: frozenset[str] | None = None
    """Of a score that compares classes, the test subjects of the class that has fewest; None of a mean over cases."""
    margin: float = float("nan")
    margin_unit: str = "1"
    """Unit of the margin: that of the metric, where one was named in it."""
    improving: Mapping[tuple[str, float], bool] = field(default_factory=dict)
    above_floor: Mapping[tuple[str, float], bool] = field(default_factory=dict)
    folds: FoldsTested | None = None
    """Where folds rotate: what each seed tests. None where all seeds have the same test cases."""
    looks: Looks | None = None
    """Where looks decided how many seeds were trained: their plan. None where the number was fixed."""

    @cached_property
    def arm_index(self) -> dict[tuple[str, float], dict[int, int]]:
        """Index of each arm by (aggregation, fraction) and seed."""
        arms: dict[tuple[str, float], dict[int, int]] = {}
        columns = (self.arms[name].to_list() for name in ("aggregation", "fraction", "seed"))
        for index, (aggregation, fraction, seed) in enumerate(zip(*columns, strict=True)):
            arms.setdefault((aggregation, fraction), {})[int(seed)] = index
        return arms


@dataclass(frozen=True, eq=False)
class PairedGain:
    """Gains of one task for one contrast and fraction: `by_seed` (S), and on resampled subjects `draws` (B x S).

    `same_model`: both aggregations hold the task in the same unit, so there is nothing to compare. `joint_scores`,
    `base_scores` and the runs they come from have one entry per seed, too.
    """

    task: str
    type: str
    group: str
    unit: str
    """Unit of the gains."""
    n_train: float
    seeds: tuple[int, ...]
    joint_scores: np.ndarray
    base_scores: np.ndarray
    joint_runs: np.ndarray
    base_runs: np.ndarray
    by_seed: np.ndarray
    draws: np.ndarray | None
    subjects: int
    same_model: bool
    unpaired: int
    size: float = 0.0
    """How large the scores are that gains are differences of, in units of the gains."""
    margin: float = float("nan")
    """Largest loss that counts as none, in units of the gains; NaN where the margin says nothing about them."""
    joint_improving: bool | None = None
    base_improving: bool | None = None
    """Whether the base model was still improving when its training ended; None where that is not known."""
    joint_above_floor: bool | None = None
    base_above_floor: bool | None = None
    """Whether the mean of the base model is better than the trivial predictor's; None where there is none."""
    folds: FoldsTested | None = None
    """Where folds rotate: what each seed tests. None where all seeds have the same test cases."""
    runs_apart: int = 2
    """Runs whose scores do not cancel: a difference of two gains has four, or two where both share a run."""
    looks: Looks | None = None
    """Where looks decided how many seeds were trained: their plan. None where the number was fixed."""
    subject_names: frozenset[str] = frozenset()
    """Who the test subjects are, as tasks may have them in common."""
    rarest_class: frozenset[str] | None = None
    """Of a score that compares classes, the test subjects of the class that has fewest; None of a mean over cases."""

    @property
    def effective_subjects(self) -> int:
        """Test subjects whose number limits what resamples tell: all, or those of the rarest class."""
        return self.subjects if self.rarest_class is None else len(self.rarest_class)

    @property
    def telling_names(self) -> frozenset[str]:
        """Who these are."""
        return self.subject_names if self.rarest_class is None else self.rarest_class

    @property
    def class_too_rare(self) -> bool:
        """Whether its score compares classes of which one has too few test subjects for a verdict."""
        return self.rarest_class is not None and len(self.rarest_class) < FEWEST_OF_CLASS

    @property
    def learned_nothing(self) -> bool:
        """Neither model's mean is above the floor: their difference says nothing about sharing, so no verdict is
        given. Models of which that is not known count as having learned."""
        return self.joint_above_floor is False and self.base_above_floor is False and not self.same_model

    def seed_index(self, seeds: Iterable[int]) -> list[int]:
        """Index of each of these seeds."""
        return [self.seeds.index(seed) for seed in seeds]

    def at_look(self, count: int) -> "PairedGain":
        """The same with no more than the first `count` seeds of the plan of looks; it may have none."""
        if self.looks is None or self.looks.at(count) >= set(self.seeds):
            return self
        kept = self.seed_index(seed for seed in self.seeds if seed in self.looks.at(count))
        seeds = tuple(self.seeds[index] for index in kept)
        return replace(
            self,
            seeds=seeds,
            joint_scores=self.joint_scores[kept],
            base_scores=self.base_scores[kept],
            joint_runs=self.joint_runs[kept],
            base_runs=self.base_runs[kept],
            by_seed=self.by_seed[kept],
            draws=None if self.draws is None else self.draws[:, kept],
            subjects=self.subjects if self.folds is None else int(self.folds.sizes(self.folds.names(seeds)).sum()),
            rarest_class=self.rarest_class if self.folds is None else self.folds.rarest_class(self.folds.names(seeds)),
        )

    def estimate(self) -> GainEstimate:
        """The gain with the variances of `analysis.statistics.uncertainty`, or of `replicates` where folds rotate."""
        replicates = self.replicates
        if self.folds is not None:
            sizes = self.folds.effective_sizes(replicates.names)
            return estimate_folds(replicates.values, replicates.draws, sizes, self.size)
        return estimate(replicates.values, replicates.draws, self.effective_subjects, self.size)

    @cached_property
    def replicates(self) -> Replicates:
        """What repeats the gain independently: seeds, or the test folds with each the mean of its seeds."""
        if self.folds is None:
            return Replicates(self.seeds, self.by_seed, self.draws)
        means = self.folds.means(self.by_seed, self.seeds)
        draws = None if self.draws is None else self.folds.means(self.draws, self.seeds, axis=1)
        return Replicates(self.folds.names(self.seeds), means, draws)

    @property
    def scatter(self) -> tuple[float, float]:
        """Variance over seeds of both sides together, on the scale of the gains, and its degrees of freedom; (0, 0)
        with one seed.

        As the seeds of both sides are independent it is that of a gain, known twice as well. Where folds rotate both
        sides share the cases of a fold, and it is that of the gains over folds.
        """
        values, sides = self.replicates.values, (self.joint_scores, self.base_scores)
        if len(values) < 2:
            return 0.0, 0.0
        apart = float(((sides[0] - sides[1]) ** 2).sum()) if self.folds is None else 0.0
        varying = [float(side.var(ddof=1)) for side in sides if differ(side)]
        if not apart or not varying:
            return float(values.var(ddof=1)), len(values) - 1.0
        return sum(varying) * float((self.by_seed**2).sum()) / apart, len(varying) * (len(values) - 1.0)

    def mean(self, by_seed: np.ndarray) -> float:
        """The mean of values of the seeds over replicates, as the gain is one: over seeds, or over test folds."""
        return float((by_seed if self.folds is None else self.folds.means(by_seed, self.seeds)).mean())

    @property
    def gain(self) -> float:
        """The mean over replicates: over seeds, or over test folds."""
        return float(self.replicates.values.mean())

    @property
    def differs(self) -> bool:
        """Whether its gains tell of the chance of training: two seeds or more, not all of them copies of one run."""
        return differ(self.replicates.values, self.size)

    @property
    def undefined_draws(self) -> int:
        """Resamples in which the gain of a seed is undefined, such as an AUC of one class."""
        return 0 if self.draws is None else int((~np.isfinite(self.draws)).any(1).sum())


def learned_nothing(pairs: Iterable[PairedGain]) -> int:
    """Pairs of which neither model's mean is above the floor."""
    return sum(pair.learned_nothing for pair in pairs)


def still_improving(pairs: Iterable[PairedGain]) -> int:
    """Pairs whose base model was still improving when its training ended."""
    return sum(bool(pair.base_improving) for pair in pairs)


def rarest_class_of(pairs: Sequence[PairedGain]) -> frozenset[str] | None:
    """The smallest of the rarest classes of gains that are put together; None where one of them has none."""
    found = [pair.rarest_class for pair in pairs if pair.rarest_class is not None]
    return min(found, key=len) if found and len(found) == len(pairs) else None


def common_seeds(pairs: Iterable[PairedGain]) -> list[int]:
    """Seeds that all pairs have, sorted."""
    sets = [set(pair.seeds) for pair in pairs]
    return sorted(set.intersection(*sets)) if sets else []
