"""Gains: the same task, fraction, seed and test cases under two aggregations.

gain = joint - base, oriented so that positive favours the joint aggregation, on the unit-free score of the task type
(DSC, AUC, IoU, 1 - MRE / diagonal). A task without such a score (pixel errors from another trainer) keeps its own unit
and is left out of every mean over tasks.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from aggregation_lab.aggregation import ARROW, FOUND
from analysis.frames import part
from analysis.settings import Scale
from analysis.statistics.looks import Looks
from analysis.statistics.rare_classes import FEWEST_OF_CLASS
from analysis.statistics.replicates import FoldsTested, Replicates, estimate_folds
from analysis.statistics.uncertainty import ROUNDING, GainEstimate, differ, estimate


def contrast_name(joint: str, base: str) -> str:
    """`AU-TS`: the joint aggregation minus the base. A name that holds a hyphen or an arrow stands in brackets:
    `(AU>TS)-(TS>TS)`.

    Two pairs never have one label: `(a-b)-c` is a-b against c, `a-(b-c)` is a against b-c. Brackets inside a bracketed
    name are doubled, so that the first odd run of closing ones ends it.
    """
    return f"{_whole(joint)}-{_whole(base)}"


def _whole(name: str) -> str:
    if "-" not in name and ARROW not in name and not name.startswith("("):
        return name
    return f"({name.replace('(', '((').replace(')', '))')})"


@dataclass(frozen=True)
class Contrast:
    """A joint aggregation against a base."""

    joint: str
    base: str

    @property
    def name(self) -> str:
        """`AU-TS`: the joint aggregation minus the base; no other contrast is called so."""
        return contrast_name(self.joint, self.base)

    @property
    def columns(self) -> dict[str, str]:
        """What a row of a frame says of its contrast."""
        return {"contrast": self.name, "joint": self.joint, "base": self.base}

    def at(self, fraction: float) -> dict[str, str | float]:
        """The same of the contrast at one fraction."""
        return {**self.columns, "fraction": fraction}


def trained_twice(base: str) -> str:
    """TS>TS: the base, and the same again from its own weights; the base of sequential aggregations that has had as
    much training as they."""
    return f"{base}{ARROW}{base}"


def default_base(joint: str, base: str, aggregations: Collection[str]) -> str:
    """What the gains of an aggregation are over where nothing else is asked for: `base`, but for sequential ones the
    base that was trained twice, where the study has it."""
    twice = trained_twice(base)
    return twice if ARROW in joint and joint != twice and twice in aggregations else base


def default_sides(rows: pd.DataFrame, base: str) -> dict[str, str]:
    """The joint aggregation of every contrast of the rows whose base is its `default_base`."""
    sides = list(rows[["contrast", "joint", "base"]].drop_duplicates().itertuples(index=False, name=None))
    bases = {side for _, _, side in sides}
    return {name: joint for name, joint, side in sides if side == default_base(joint, base, bases)}


def contrasts(aggregations: Sequence[str]) -> list[Contrast]:
    """Every aggregation against its `default_base` and against the first, TS if there is one; AU against CG; the
    partition that a grid has found against both."""
    base = aggregations[0]
    joint = [name for name in aggregations if name != base]
    default = [Contrast(name, default_base(name, base, aggregations)) for name in joint]
    pairs = list(dict.fromkeys([*default, *(Contrast(name, base) for name in joint)]))
    between = [("AU", "CG"), (FOUND, "AU"), (FOUND, "CG")]
    pairs += [Contrast(*pair) for pair in between if set(pair) <= set(joint)]
    return pairs


@dataclass(frozen=True, eq=False)
class TaskScores:
    """One metric of one task under every arm, oriented so that higher is better.

    `arms` has columns aggregation, fraction, seed, run, n_train, one row per arm; `values` one score per arm (A);
    `draws` the scores on resampled subjects (B x A), if there are cases. `unit` is "1" for a unit-free score.
    `margin` is the loss of unit-free score that counts as none; `improving` tells by (aggregation, fraction) whether
    validation was still rising when a model's budget ended, where that is known.
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
    improving: Mapping[tuple[str, float], bool] = field(default_factory=dict)
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
    """Whether the base model was still improving when its budget ended; None where that is not known."""
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


def pair(scores: TaskScores, contrast: Contrast, fraction: float, scale: Scale = "absolute") -> PairedGain | None:
    """Pair the seeds of two aggregations; None where one of them has no run of this task and fraction.

    Seeds that one side lacks, or whose score is undefined, are left out and counted in `unpaired`.
    """
    sides = [scores.arm_index.get((name, fraction), {}) for name in (contrast.joint, contrast.base)]
    if not sides[0] or not sides[1]:
        return None
    if scores.looks is not None and scores.looks.made:  # seeds after the last look wait for the next one
        sides = [{seed: arm for seed, arm in side.items() if seed in scores.looks.seen} for side in sides]
    both = [(seed, sides[0][seed], sides[1][seed]) for seed in sorted(set(sides[0]) & set(sides[1]))]
    both = [match for match in both if np.isfinite(scores.values[list(match[1:])]).all()]
    at_joint, at_base = ([match[side] for match in both] for side in (1, 2))
    joint, base = scores.values[at_joint], scores.values[at_base]
    draws = None
    if scores.draws is not None:
        draws = _scaled(scores.draws[:, at_joint], scores.draws[:, at_base], scale, pooled_sd(joint, base))
    runs, n_train = scores.arms["run"].to_numpy(object), scores.arms["n_train"].to_numpy(float)
    joint_improving, base_improving = (
        scores.improving.get((name, fraction)) for name in (contrast.joint, contrast.base)
    )
    return PairedGain(
        task=scores.task,
        type=scores.type,
        group=scores.group,
        unit=scores.unit if scale == "absolute" else "1",
        n_train=float(n_train[at_base].mean()) if both else float("nan"),
        seeds=tuple(match[0] for match in both),
        joint_scores=joint,
        base_scores=base,
        joint_runs=runs[at_joint],
        base_runs=runs[at_base],
        by_seed=_scaled(joint, base, scale, pooled_sd(joint, base)),
        draws=draws,
        subjects=_subjects(scores, [match[0] for match in both]),
        subject_names=scores.subject_names,
        rarest_class=_rarest_class(scores, [match[0] for match in both]),
        folds=scores.folds,
        looks=scores.looks,
        same_model=bool(both) and bool((runs[at_joint] == runs[at_base]).all()) and runs[at_base[0]] != "",
        unpaired=len(sides[0]) + len(sides[1]) - 2 * len(both),
        size=_size(joint, base) if scale == "absolute" else 1.0,
        margin=_margin(scores, joint, base, scale),
        joint_improving=joint_improving,
        base_improving=base_improving,
    )


def _subjects(scores: TaskScores, seeds: Sequence[int]) -> int:
    """Test subjects that the seeds are scored on."""
    if scores.folds is None:
        return scores.subjects
    return int(scores.folds.sizes(scores.folds.names(seeds)).sum())


def _rarest_class(scores: TaskScores, seeds: Sequence[int]) -> frozenset[str] | None:
    """Those of them that show the rarest class."""
    return scores.rarest_class if scores.folds is None else scores.folds.rarest_class(scores.folds.names(seeds))


def pooled_sd(joint: np.ndarray, base: np.ndarray) -> float:
    """What a standardised gain is measured in: the sd over seeds, pooled over both sides; NaN with one seed."""
    if len(joint) < 2:
        return float("nan")
    spread = float(np.sqrt((joint.var(ddof=1) + base.var(ddof=1)) / 2))
    return spread if spread > ROUNDING * _size(joint, base) else float("nan")


def _size(joint: np.ndarray, base: np.ndarray) -> float:
    return float(max(np.abs(joint).max(), np.abs(base).max())) if len(joint) else 0.0


def _scaled(joint: np.ndarray, base: np.ndarray, scale: Scale, sd: float) -> np.ndarray:
    if scale == "absolute":
        return joint - base
    if scale == "standardised":
        return (joint - base) / sd
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(base != 0, (joint - base) / np.abs(base), np.nan)


def _margin(scores: TaskScores, joint: np.ndarray, base: np.ndarray, scale: Scale) -> float:
    """A task's margin on the scale of its gains.

    Relative gains of unit-free scores take the margin over the base score, those of pixel errors the margin itself.
    NaN where the margin says nothing about the scale: absolute pixels, or a standardised gain without scatter.
    """
    if scores.unit != "1":
        return scores.margin if scale == "relative" else float("nan")
    if scale == "absolute":
        return scores.margin
    size = abs(float(base.mean())) if scale == "relative" and len(base) else pooled_sd(joint, base)
    return scores.margin / size if size else float("nan")


def pair_all(
    scores: Iterable[TaskScores], contrast: Contrast, fraction: float, scale: Scale = "absolute"
) -> list[PairedGain]:
    """`pair` for every task that has both aggregations with at least one defined seed, and gains on the scale.

    A relative gain over a score of 0, or a standardised one where no seed differs, is undefined; a mean over the other
    seeds alone would be of chosen seeds, so the task has no gain then.
    """
    gains = (pair(task_scores, contrast, fraction, scale) for task_scores in scores)
    return [paired for paired in gains if paired is not None and paired.seeds and np.isfinite(paired.by_seed).all()]


def compare(
    scores: Sequence[TaskScores],
    compared: Iterable[Contrast],
    fractions: Sequence[float],
    scale: Scale = "absolute",
) -> dict[tuple[Contrast, float], list[PairedGain]]:
    """`pair_all` for every contrast at every fraction, contrast by contrast."""
    return {
        (contrast, fraction): pair_all(scores, contrast, fraction, scale)
        for contrast in compared
        for fraction in fractions
    }


def seed_gains(pairs: Iterable[PairedGain]) -> pd.DataFrame:
    """The frame `seed_gains` of one contrast and fraction: a row per task and seed, with the runs it comes from."""
    rows = [
        {
            "task": pair.task,
            "type": pair.type,
            "group": pair.group,
            "seed": seed,
            "n_train": pair.n_train,
            "joint_score": pair.joint_scores[index],
            "base_score": pair.base_scores[index],
            "gain": pair.by_seed[index],
            "joint_run": pair.joint_runs[index],
            "base_run": pair.base_runs[index],
        }
        for pair in pairs
        for index, seed in enumerate(pair.seeds)
    ]
    return part("seed_gains", rows)


def still_improving(pairs: Iterable[PairedGain]) -> int:
    """Pairs whose base model was still improving when its budget ended."""
    return sum(bool(pair.base_improving) for pair in pairs)


def rarest_class_of(pairs: Sequence[PairedGain]) -> frozenset[str] | None:
    """The smallest of the rarest classes of gains that are put together; None where one of them has none."""
    found = [pair.rarest_class for pair in pairs if pair.rarest_class is not None]
    return min(found, key=len) if found and len(found) == len(pairs) else None


def common_seeds(pairs: Iterable[PairedGain]) -> list[int]:
    """Seeds that all pairs have, sorted."""
    sets = [set(pair.seeds) for pair in pairs]
    return sorted(set.intersection(*sets)) if sets else []
