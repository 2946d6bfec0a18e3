"""Means of gains over tasks: by clinical group, by task type, over all.

Two questions, two intervals. *These tasks*: how far could their mean be off, had other seeds or test subjects been
drawn? *Tasks of this kind*: the tasks are a sample, and what is said of others is said of the typical one, the median
(`typical_task`). The second is the one to generalise with; more seeds hardly narrow it. With one seed neither has
an interval: chance in training is not known.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from analysis.frames import part
from analysis.gains import PairedGain, learned_nothing, still_improving
from analysis.questions.shared_variance import (
    both_variance,
    case_parts,
    rotating,
    seed_covariance,
)
from analysis.questions.typical_task import Typical, typical_gain
from analysis.statistics.combined_variance import VariancePart
from analysis.statistics.uncertainty import satterthwaite, two_part_test

FEWEST_TASKS = 3
"""Tasks below which nothing is said about tasks of the kind."""

_POOL = 0.25
"""p of F above which groups count as adding no scatter of their own."""


def poolable(pairs: Iterable[PairedGain]) -> list[PairedGain]:
    """Pairs that can be averaged: unit-free, of two different models."""
    return [pair for pair in pairs if pair.unit == "1" and not pair.same_model]


def these_tasks(
    pairs: Sequence[PairedGain], level: float = 0.95, against: float = 0.0
) -> tuple[float, float, float, float]:
    """Mean gain of these very tasks, its interval and two-sided p of a true mean of `against`; uncertain through seeds
    and test subjects.

    Seeds stay whole (`seed_covariance`), and so do resampled subjects that serve several tasks; a task whose subjects
    cannot be resampled counts as the noisiest that can (`cases_of_tasks`). The
    scatter over seeds has few degrees of freedom and is kept apart from that of the cases (`two_part_test`). Where
    folds rotate, their scatter holds the cases. Where replicates came by looks, limits and p hold for all looks
    together. NaN limits and p where no task has two seeds, or test subjects that none can be resampled of.
    """
    value = float(np.mean([pair.gain for pair in pairs]))
    v_seed, df = seed_part(pairs)
    cases, looks = case_parts(pairs), pairs[0].looks
    unknown = cases is None and not rotating(pairs) and any(pair.draws is not None for pair in pairs)
    if not np.isfinite(v_seed) or unknown or (looks is not None and not looks.made):
        return value, *(float("nan"),) * 3
    variances, dfs = (v_seed, 0.0), (df, 1.0)
    if cases is not None:
        v_both, (of_mean, case_df) = both_variance(pairs), cases.of_mean
        v_case = max(0.0, of_mean - v_both) + max(0.0, v_both - v_seed)
        variances, dfs = (v_seed, v_case), (df, case_df)
    low, high, p = two_part_test(value - against, variances, dfs, level if looks is None else looks.level(level))
    return value, low + against, high + against, p if looks is None else looks.corrected(p)


def tasks_of_this_kind(pairs: Sequence[PairedGain]) -> Typical:
    """The median gain of tasks of this kind, these being a sample of them: see `analysis.questions.typical_task`."""
    means = np.array([pair.gain for pair in pairs])
    return typical_gain(means, np.array([pair.group for pair in pairs]), moved_together(pairs), pairs[0].looks)


def seed_part(pairs: Sequence[PairedGain]) -> VariancePart:
    """Variance of the mean over tasks by seeds, and its df; NaN where no task has two."""
    replicates = [pair.replicates for pair in pairs]
    cov, df = seed_covariance([own.values[:, None] for own in replicates], [own.names for own in replicates])
    return float(cov[0, 0]), df


def moved_together(pairs: Sequence[PairedGain]) -> list[VariancePart]:
    """What moves all tasks at once: seeds, with a little of each task's own scatter, and test subjects in common."""
    cases = case_parts(pairs)
    return [seed_part(pairs)] + ([] if cases is None else [cases.in_common])


def mean_over_tasks(means: np.ndarray, groups: np.ndarray) -> tuple[float, float, float]:
    """Mean, standard error and df of the mean over tasks nested in clinical groups, from one value per task.

    One-way random effects of groups on task means (Searle, Casella and McCulloch 1992, chapter 3): with mean squares
    between groups B and within groups W, the variance of the plain mean over T tasks is a B + b W,
    a = (sum n_g^2 / T^2) / n_0, b = 1 / T - a. Where B / W is not large (p of F above 0.25; Bancroft 1964), groups are
    taken to add nothing and the variance is s^2 / T. What moves all tasks at once is not in it, see `shared_variance`.
    NaN with fewer than three tasks.
    """
    count = len(means)
    value = float(means.mean()) if count else float("nan")
    if count < FEWEST_TASKS:
        return value, float("nan"), float("nan")
    variances, dfs = _task_variance(means, groups)
    return value, float(np.sqrt(np.sum(variances))), satterthwaite(np.array(variances), np.array(dfs))


def _task_variance(means: np.ndarray, groups: np.ndarray) -> tuple[list[float], list[float]]:
    count = len(means)
    names, group_index, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    plain = [float(means.var(ddof=1)) / count], [count - 1.0]
    if len(names) < 2 or len(names) == count:
        return plain
    centres = np.bincount(group_index, means) / sizes
    between = float((sizes * (centres - means.mean()) ** 2).sum()) / (len(names) - 1)
    within = float(((means - centres[group_index]) ** 2).sum()) / (count - len(names))
    if within > 0 and stats.f.sf(between / within, len(names) - 1, count - len(names)) >= _POOL:
        return plain
    typical = (count - (sizes**2).sum() / count) / (len(names) - 1)
    share = float((sizes**2).sum()) / count**2 / typical
    return [share * between, (1 / count - share) * within], [len(names) - 1.0, float(count - len(names))]


def pooled(pairs: Sequence[PairedGain]) -> pd.DataFrame:
    """The frame `pooled` of one contrast and fraction: overall, by type and by group."""
    scopes = [("overall", "all", list(pairs))] if pairs else []
    for level in ("type", "group"):
        for value in sorted({getattr(pair, level) for pair in pairs}):
            scopes.append((level, value, [pair for pair in pairs if getattr(pair, level) == value]))
    return part("pooled", [pooled_row(*scope) for scope in scopes])


def pooled_row(level: str, name: str, pairs: Sequence[PairedGain]) -> dict[str, object]:
    """One row of the frame `pooled` but for contrast and fraction; `pairs` are all pairs of the level."""
    used = poolable(pairs)
    row: dict[str, object] = {
        "level": level,
        "name": name,
        "tasks": len(used),
        "same_model": sum(pair.same_model for pair in pairs),
        "learned_nothing": learned_nothing(used),
        "base_improving": still_improving(used),
    }
    if not used:
        return row
    value, low, high, p = these_tasks(used)
    kind = tasks_of_this_kind(used)
    return row | {
        "gain": value,
        "low": low,
        "high": high,
        "p": p,
        "gaining": kind.gaining,
        "median": kind.median,
        "low_new": kind.low,
        "high_new": kind.high,
        "p_new": kind.p,
        "sd_tasks": float(np.std([pair.gain for pair in used], ddof=1)) if len(used) > 1 else float("nan"),
    }
