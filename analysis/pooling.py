"""Means of gains over tasks: by clinical group, by task type, over all.

Two questions, two intervals. *These tasks*: how far could their mean be off, had other seeds or test subjects been
drawn? *Tasks of this kind*: the tasks are a sample, and another sample would have another mean. The second is the one
to generalise with; more seeds hardly narrow it.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from scipy import stats

from analysis.gains import PairedGain, common_seeds
from analysis.uncertainty import estimate, satterthwaite, t_interval, two_part_test

FEWEST_TASKS = 3
"""Tasks below which nothing is said about tasks of the kind."""

_POOL = 0.25
"""p of F above which groups count as adding no scatter of their own."""


def poolable(pairs: Iterable[PairedGain]) -> list[PairedGain]:
    """Pairs that can be averaged: unit-free, of two different models."""
    return [each for each in pairs if each.unit == "1" and not each.same_model]


def these_tasks(pairs: Sequence[PairedGain]) -> tuple[float, float, float, float]:
    """Mean gain of these very tasks, its interval and two-sided p; uncertain through seeds and test subjects.

    Seeds stay whole: a seed's gains are averaged over tasks first, because one joint model serves many of them. Their
    scatter has few degrees of freedom and is kept apart from that of the cases (`two_part_test`). Seeds that some task
    lacks are left out. Resampled subjects are shared by tasks that share them.
    """
    nothing = float("nan"), float("nan"), float("nan")
    common = common_seeds(pairs)
    if not common:
        return float(np.mean([each.by_seed.mean() for each in pairs])), *nothing
    places = [each.places(common) for each in pairs]
    by_seed = np.mean([each.by_seed[place] for each, place in zip(pairs, places, strict=True)], axis=0)
    draws = [each.draws[:, place] for each, place in zip(pairs, places, strict=True) if each.draws is not None]
    subjects = sum(each.subjects for each in pairs)
    found = estimate(by_seed, np.mean(draws, axis=0) if len(draws) == len(pairs) else None, subjects)
    if found.basis == "none":
        return found.value, *nothing
    dfs = max(1.0, len(common) - 1.0), max(1.0, subjects - 1.0)
    lacking = max(0.0, found.v_both - found.v_seed)
    return found.value, *two_part_test(found.value, (found.v_seed, found.v_case + lacking), dfs)


def tasks_of_this_kind(pairs: Sequence[PairedGain]) -> tuple[float, float, float]:
    """Mean, standard error and df of the mean gain, the tasks being a sample: see `mean_over_tasks`."""
    common = common_seeds(pairs)
    values = [each.by_seed[each.places(common)] if common else each.by_seed for each in pairs]
    return mean_over_tasks(values, np.array([each.group for each in pairs]))


def mean_over_tasks(values: Sequence[np.ndarray], groups: np.ndarray) -> tuple[float, float, float]:
    """Mean, standard error and df of the mean over tasks nested in clinical groups; one array of seeds per task.

    One-way random effects of groups on task means (Searle, Casella and McCulloch 1992, chapter 3): with mean squares
    between groups B and within groups W, the variance of the plain mean over T tasks is a B + b W,
    a = (sum n_g^2 / T^2) / n_0, b = 1 / T - a. Where B / W is not large (p of F above 0.25; Bancroft 1964), groups are
    taken to add nothing and the variance is s^2 / T. A seed's effect on all tasks at once (one joint model) adds its
    own variance over the number of seeds, where all tasks have the same number of seeds. NaN with fewer than three
    tasks.
    """
    means = np.array([each.mean() for each in values])
    count = len(means)
    value = float(means.mean()) if count else float("nan")
    if count < FEWEST_TASKS:
        return value, float("nan"), float("nan")
    variances, dfs = _task_variance(means, groups)
    lengths = {len(each) for each in values}
    if len(lengths) == 1 and lengths != {1}:
        shared, df = _common_seed_variance(np.array(values))
        variances, dfs = [*variances, shared], [*dfs, df]
    total = float(np.sum(variances))
    return value, float(np.sqrt(total)), satterthwaite(np.array(variances), np.array(dfs))


def _task_variance(means: np.ndarray, groups: np.ndarray) -> tuple[list[float], list[float]]:
    count = len(means)
    names, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    plain = [float(means.var(ddof=1)) / count], [count - 1.0]
    if len(names) < 2 or len(names) == count:
        return plain
    centres = np.bincount(place, means) / sizes
    between = float((sizes * (centres - means.mean()) ** 2).sum()) / (len(names) - 1)
    within = float(((means - centres[place]) ** 2).sum()) / (count - len(names))
    if within > 0 and stats.f.sf(between / within, len(names) - 1, count - len(names)) >= _POOL:
        return plain
    typical = (count - (sizes**2).sum() / count) / (len(names) - 1)
    share = float((sizes**2).sum()) / count**2 / typical
    return [share * between, (1 / count - share) * within], [len(names) - 1.0, float(count - len(names))]


def _common_seed_variance(matrix: np.ndarray) -> tuple[float, float]:
    """Variance of the mean that comes from what a seed does to all tasks alike (T x S gains), and its df.

    From the two-way table of tasks and seeds: variance of the seeds' means less what seeds do to each task alone.
    """
    tasks, seeds = matrix.shape
    by_seed = matrix.mean(0)
    rest = matrix - matrix.mean(1, keepdims=True) - by_seed + matrix.mean()
    noise = float((rest**2).sum()) / ((tasks - 1) * (seeds - 1))
    return max(0.0, float(by_seed.var(ddof=1)) - noise / tasks) / seeds, seeds - 1.0


def two_sided_p(value: float, se: float, df: float) -> float:
    """p of a two-sided t test of 0; NaN where the standard error is unknown or 0."""
    return float(2 * stats.t.sf(abs(value) / se, df)) if np.isfinite(se) and se > 0 else float("nan")


def pooled_row(level: str, name: str, pairs: Sequence[PairedGain], improving: set[str]) -> dict[str, object]:
    """One row of the frame `pooled` but for contrast and fraction; `pairs` are all pairs of the level.

    `improving` are tasks whose base model was still improving.
    """
    used = poolable(pairs)
    row: dict[str, object] = {
        "level": level,
        "name": name,
        "tasks": len(used),
        "same_model": sum(each.same_model for each in pairs),
        "base_improving": sum(each.task in improving for each in used),
    }
    if not used:
        return row
    _, low, high, p = these_tasks(used)
    value, se, df = tasks_of_this_kind(used)
    low_new, high_new = t_interval(value, se, df)
    return row | {
        "gain": value,
        "low": low,
        "high": high,
        "p": p,
        "low_new": low_new,
        "high_new": high_new,
        "p_new": two_sided_p(value, se, df),
        "sd_tasks": float(np.std([each.by_seed.mean() for each in used], ddof=1)) if len(used) > 1 else float("nan"),
    }
