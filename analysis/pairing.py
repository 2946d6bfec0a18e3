"""Pairing: the scores of a task under two aggregations, put together seed by seed into its gain."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from analysis.contrasts import Contrast
from analysis.frames import part
from analysis.gains import PairedGain, TaskScores
from analysis.settings import Scale
from analysis.statistics.uncertainty import ROUNDING


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
    by_seed = _scaled(joint, base, scale, pooled_sd(joint, base))
    if scale == "relative" and not _far_from_zero(scores, base):
        by_seed = np.full(len(both), np.nan)
    runs, n_train = scores.arms["run"].to_numpy(object), scores.arms["n_train"].to_numpy(float)
    joint_improving, base_improving = (
        scores.improving.get((name, fraction)) for name in (contrast.joint, contrast.base)
    )
    joint_above, base_above = (scores.above_floor.get((name, fraction)) for name in (contrast.joint, contrast.base))
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
        by_seed=by_seed,
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
        joint_above_floor=joint_above,
        base_above_floor=base_above,
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


def _far_from_zero(scores: TaskScores, base: np.ndarray) -> bool:
    """Whether base scores are such that a gain is a share of them: of one sign, each farther from 0 than the margin of
    a unit-free score, and their mean farther than their standard deviation over seeds.

    An MCC near 0 has no share: divided by it, any margin covers any loss.
    """
    least = scores.margin if scores.unit == "1" and np.isfinite(scores.margin) else 0.0
    spread = float(base.std(ddof=1)) if len(base) > 1 else 0.0
    one_side = len(base) > 0 and bool((base > least).all() or (base < -least).all())
    return one_side and abs(float(base.mean())) > spread


def _margin(scores: TaskScores, joint: np.ndarray, base: np.ndarray, scale: Scale) -> float:
    """A task's margin on the scale of its gains.

    Relative gains of scores in the margin's unit take the margin over the base score, those of pixel errors a
    unit-free margin itself. NaN where the margin says nothing about the scale: absolute pixels, a standardised gain
    without scatter, or a relative one over scores near 0.
    """
    if scale == "relative" and not _far_from_zero(scores, base):
        return float("nan")
    if scores.unit != scores.margin_unit:
        return scores.margin if scale == "relative" and scores.margin_unit == "1" else float("nan")
    if scale == "absolute":
        return scores.margin
    size = abs(float(base.mean())) if scale == "relative" else pooled_sd(joint, base)
    return scores.margin / size if size else float("nan")


def pair_all(
    scores: Iterable[TaskScores], contrast: Contrast, fraction: float, scale: Scale = "absolute"
) -> list[PairedGain]:
    """`pair` for every task that has both aggregations with at least one defined seed, and gains on the scale.

    A relative gain over scores near 0, or a standardised one where no seed differs, is undefined; a mean over the other
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
