"""RQ3: does the task type matter? Task gains, one value per task, compared between types.

The unit of every test is the task, never the test case or the seed: 8,000 images of seven segmentation tasks are seven
observations of what segmentation does. P values come from shuffling types over tasks (permutation test of Fisher 1935
and Pitman 1937), within clinical groups where at least one group holds several types; they assume that tasks are
exchangeable under no effect of type. Intervals of differences are Welch's (1947), of unequal variances.
"""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from analysis.frames import part
from analysis.gains import PairedGain, still_improving
from analysis.questions.means import poolable, these_tasks
from analysis.statistics.verdicts import HARM

SHUFFLES = 5000

_ROUNDING = 1e-9
"""Relative difference within which two shuffles count as tied."""

_ONE_SEED = {"p": float("nan"), "note": "one seed: chance in training is not known"}


def type_sensitivity(pairs: Sequence[PairedGain], verdicts: pd.Series, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The frames `sensitivity` and `type_test` of one contrast and fraction; `verdicts` by task.

    A type's interval is that of exactly its tasks. The difference to the other types is Welch's.
    """
    used = poolable(pairs)
    if not used:
        return part("sensitivity", []), part("type_test", [])
    means = np.array([pair.by_seed.mean() for pair in used])
    types = np.array([pair.type for pair in used])
    groups = np.array([pair.group for pair in used])
    shuffled = _shuffles(types, groups, seed)
    seeded = any(pair.differs for pair in used)  # one seed: chance in training is not known, nothing is tested
    rows = []
    for name in sorted(set(types)):
        is_type = types == name
        of_type = [pair for pair in used if pair.type == name]
        value, low, high, _ = these_tasks(of_type)
        difference, others_low, others_high = _welch(means[is_type], means[~is_type])
        if not seeded:
            others_low = others_high = float("nan")
        tasks = [pair.task for pair in of_type]
        rows.append(
            {
                "type": name,
                "tasks": len(tasks),
                "gain": value,
                "low": low,
                "high": high,
                "harmed": float((verdicts.reindex(tasks) == HARM).mean()),
                "negative": float((means[is_type] < 0).mean()),
                "against_others": difference,
                "others_low": others_low,
                "others_high": others_high,
                "p": _difference_p(means, is_type, shuffled == name) if seeded else float("nan"),
                "base_improving": still_improving(of_type),
            }
        )
    test = _type_test(means, types, shuffled) | ({} if seeded else _ONE_SEED)
    return part("sensitivity", rows), part("type_test", [test])


def _shuffles(types: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Types shuffled over tasks, SHUFFLES x tasks: within groups where that leaves something to shuffle."""
    random = np.random.default_rng(seed)
    mixed = [np.flatnonzero(groups == name) for name in sorted(set(groups))]
    mixed = [members for members in mixed if len(set(types[members])) > 1]
    blocks = mixed if sum(len(members) for members in mixed) >= 0.8 * len(types) else [np.arange(len(types))]
    shuffled = np.tile(types, (SHUFFLES, 1))
    for members in blocks:
        shuffled[:, members] = random.permuted(shuffled[:, members], axis=1)
    return shuffled


def _welch(of_type: np.ndarray, others: np.ndarray) -> tuple[float, float, float]:
    """Difference of means with Welch's interval; no interval where a side has fewer than two tasks."""
    if not len(others):
        return float("nan"), float("nan"), float("nan")
    difference = float(of_type.mean() - others.mean())
    if min(len(of_type), len(others)) < 2:
        return difference, float("nan"), float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of values that hardly differ: the interval is then of width 0
        interval = stats.ttest_ind(of_type, others, equal_var=False).confidence_interval()
    return difference, float(interval.low), float(interval.high)


def _difference_p(means: np.ndarray, is_type: np.ndarray, shuffled: np.ndarray) -> float:
    """Two-sided permutation p of the difference between a type and the others."""
    count, total = is_type.sum(), means.sum()
    if count in (0, len(means)) or len(means) < 4:
        return float("nan")

    def difference(sums: np.ndarray) -> np.ndarray:
        return sums / count - (total - sums) / (len(means) - count)

    observed = abs(float(difference(means[is_type].sum())))
    drawn = np.abs(difference(shuffled @ means))
    return float((1 + (drawn >= observed * (1 - _ROUNDING)).sum()) / (1 + len(drawn)))


def _type_test(means: np.ndarray, types: np.ndarray, shuffled: np.ndarray) -> dict[str, object]:
    """F of one-way analysis of variance over types, its p by permutation."""
    names, counts = np.unique(types, return_counts=True)
    usable = int((counts >= 2).sum())
    row: dict[str, object] = {"tasks": len(means), "types": usable}
    if usable < 2 or len(means) <= len(names):
        return row | {"statistic": float("nan"), "p": float("nan"), "note": "fewer than two types with two tasks"}

    def between(labels: np.ndarray) -> np.ndarray:
        sums = np.stack([(labels == name) @ means for name in names], axis=-1)
        return (sums**2 / counts).sum(-1)

    correction = means.sum() ** 2 / len(means)
    observed = float(between(types[None])[0]) - correction
    rest = float((means**2).sum()) - correction - observed
    statistic = (observed / (len(names) - 1)) / (rest / (len(means) - len(names))) if rest > 0 else float("nan")
    drawn = between(shuffled) - correction
    p = float((1 + (drawn >= observed - _ROUNDING * (means**2).sum()).sum()) / (1 + len(drawn)))
    note = "few tasks: only large differences can show" if len(means) < 12 else ""
    return row | {"statistic": statistic, "p": p, "note": note}
