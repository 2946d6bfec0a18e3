"""What is known of a task in a set before the set is trained: who its partners are, and how large they are.

Features are of numbers for each ordered pair of tasks, such as an affinity from the partner onto the task, or whether
both are of one clinical group: means over partners. An affinity is added up over partners besides, each less the mean
of all pairs: where several partners that help are worth more than one, a mean cannot say it. A set of one task has no
partners, and its gain over TS is 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

NO_INFORMATION, SAME_GROUP, SAME_TYPE = "no information", "same clinical group", "same type"
SIMILAR_SIZE, SIZES = "similar size", "training cases of task and partners"
NAIVE = (NO_INFORMATION, SAME_GROUP, SAME_TYPE, SIMILAR_SIZE, SIZES)
"""What anybody knows without training, as yardsticks."""

_TASK_SIZE, _PARTNERS_SIZE = "log_size", "log_partners"
_SUM = ", added up"
"""Ends the name of an affinity's feature that is a sum."""


@dataclass(frozen=True, eq=False)
class SetFeatures:
    """`pairs` has by name a T x T array, [j, i] from partner j onto task i, NaN where not known; `size` (T) is the
    number of training cases, NaN where it is not known; `signals` names the pairs that are affinities."""

    pairs: Mapping[str, np.ndarray]
    size: np.ndarray
    signals: tuple[str, ...] = ()
    families: Mapping[str, tuple[str, ...]] = field(init=False)
    """The features that belong together, by the name of what they stand for."""

    def __post_init__(self) -> None:
        naive = {SAME_GROUP: (SAME_GROUP,), SAME_TYPE: (SAME_TYPE,)}
        sized = {SIMILAR_SIZE: (SIMILAR_SIZE,), SIZES: (_TASK_SIZE, _PARTNERS_SIZE)}
        signals = {name: (name, name + _SUM) for name in self.signals}
        known = naive | (sized if np.isfinite(self.size).all() else {}) | signals
        object.__setattr__(self, "families", {NO_INFORMATION: (), **known})

    @property
    def tasks(self) -> int:
        """Number of tasks."""
        return len(self.size)

    def of(self, name: str, members: np.ndarray) -> np.ndarray:
        """One feature of every task in every set: C x T of sets `members` (C x T, true for its tasks).

        NaN for tasks outside the set, tasks alone, and where it is not known of any partner.
        """
        inside = members.astype(float)
        joint = members & (members.sum(1, keepdims=True) > 1)
        if name == _TASK_SIZE:
            return np.where(joint, np.log2(self.size), np.nan)
        if name == _PARTNERS_SIZE:
            partners = inside @ self.size[:, None] - self.size
            return np.log2(np.where(joint, partners, np.nan))
        pairs = self.pairs[name.removesuffix(_SUM)] + np.diag(np.full(self.tasks, np.nan))
        known = np.isfinite(pairs)
        if name.endswith(_SUM):
            deviations = np.where(known, pairs - pairs[known].mean(), 0.0)  # what is not known is as the mean pair
            return np.where(joint, inside @ deviations, np.nan)
        sums, counts = inside @ np.where(known, pairs, 0.0), inside @ known.astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(joint & (counts > 0), sums / counts, np.nan)


def set_features(tasks: pd.DataFrame, affinities: Mapping[str, np.ndarray]) -> SetFeatures:
    """Features of `MeasuredGains.tasks`, and of affinities by signal: T x T, [i, j] of a step on i on task j."""
    size = tasks["n_train"].to_numpy(float)
    size = np.where(size > 0, size, np.nan)
    group, kind = tasks["group"].to_numpy(object), tasks["type"].to_numpy(object)
    pairs = {
        SAME_GROUP: (group[:, None] == group).astype(float),
        SAME_TYPE: (kind[:, None] == kind).astype(float),
        SIMILAR_SIZE: -np.abs(np.log2(size)[:, None] - np.log2(size)),
        **affinities,
    }
    return SetFeatures(pairs, size, tuple(affinities))
