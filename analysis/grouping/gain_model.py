"""The gain over TS that every task is predicted to have in any set of tasks, with what it may be."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from analysis.grouping.local_search import members_of
from analysis.grouping.measured_gains import MeasuredGains
from analysis.grouping.set_features import SetFeatures
from analysis.statistics.conformal import jackknife_plus
from analysis.statistics.partial_pooling import PooledModel

LEVEL = 0.8
"""Level of intervals of predictions. A task counts as one value however many sets it is in, so 0.8 takes four tasks and
0.95 would take nineteen."""


@dataclass(frozen=True, eq=False)
class GainModel:
    """A model of the measured gains by some families of features: columns of `SetFeatures`, standardised."""

    measured: MeasuredGains
    features: SetFeatures
    families: tuple[str, ...]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the features."""
        return tuple(name for family in self.families for name in self.features.families[family])

    @cached_property
    def task(self) -> np.ndarray:
        """Number of the task of every measured gain (N)."""
        return np.array([self.measured.number[task] for task in self.measured.sets["task"]])

    @cached_property
    def set(self) -> np.ndarray:
        """Number of the set of every measured gain (N)."""
        return pd.factorize(self.measured.sets["members"])[0]

    @property
    def several_sets(self) -> bool:
        """Whether more than one set was measured."""
        return bool(self.set.max() > 0)

    @cached_property
    def left_out(self) -> np.ndarray:
        """Number of what every gain is left out with to judge the model (N): its set, or its task where there is one
        set."""
        return self.set if self.several_sets else pd.factorize(self.task)[0]

    @cached_property
    def unseen(self) -> np.ndarray:
        """Every gain by a model that has not seen what is left out with it."""
        return self.pooled.left_out(self.left_out)

    @cached_property
    def _raw(self) -> np.ndarray:
        """Features of the measured gains: N x P, missing where they are not known."""
        members = members_of(self.measured.sets["members"].tolist(), self.features.tasks)
        rows = np.arange(len(members))
        columns = [self.features.of(name, members)[rows, self.task] for name in self.columns]
        return np.column_stack([np.empty((len(members), 0)), *columns])

    @cached_property
    def _scale(self) -> tuple[np.ndarray, np.ndarray]:
        """Centre and spread of every feature over the measured gains; a constant one has a spread of 1."""
        known = np.isfinite(self._raw)
        count = np.maximum(known.sum(0), 1)
        centre = np.where(known, self._raw, 0.0).sum(0) / count
        spread = np.sqrt(np.where(known, (self._raw - centre) ** 2, 0.0).sum(0) / count)
        return centre, np.where(spread > 1e-12, spread, 1.0)

    def _standard(self, raw: np.ndarray) -> np.ndarray:
        """Standardised features; what is not known counts as the mean."""
        return np.nan_to_num((raw - self._scale[0]) / self._scale[1])

    @cached_property
    def pooled(self) -> PooledModel:
        """The model behind it."""
        sets = self.measured.sets
        return PooledModel(
            y=sets["gain"].to_numpy(float),
            x=self._standard(self._raw),
            task=self.task,
            set=self.set,
            noise=sets["variance"].to_numpy(float),
            tasks=self.features.tasks,
        )

    @cached_property
    def without_task(self) -> np.ndarray:
        """Every gain by a model that has not seen its task."""
        return self.pooled.left_out(self.task)

    @property
    def without_set(self) -> np.ndarray:
        """Every gain by a model that has not seen its set; missing with one set."""
        return self.unseen if self.several_sets else np.full(len(self.set), np.nan)

    # ---- any set -------------------------------------------------------------------------------------------------

    def predict(self, members: np.ndarray) -> np.ndarray:
        """Expected gains (C x T) in different sets `members` (C x T, true for tasks of the set): 0 of a task alone, NaN
        outside.

        In a set that was measured, the measured gain counts, too.
        """
        fitted = self.pooled.coefficients
        gains = fitted.intercept + fitted.task[None, :] + np.zeros(members.shape)
        for name, beta, centre, spread in zip(self.columns, fitted.beta, *self._scale, strict=True):
            gains += beta * np.nan_to_num((self.features.of(name, members) - centre) / spread)
        for point, own in self._measured_points(members):
            gains[point] += fitted.value[own]
        gains[members.sum(1) == 1] = 0.0
        return np.where(members, gains, np.nan)

    def _measured_points(self, members: np.ndarray) -> list[tuple[tuple[int, int], int]]:
        """(set, task) and the number of the measured gain, where there is one."""
        packed = {key: k for k, key in enumerate(map(bytes, np.packbits(members, axis=1)))}
        own = np.packbits(members_of(self.measured.sets["members"].tolist(), self.features.tasks), axis=1)
        rows = enumerate(zip(map(bytes, own), self.task, strict=True))
        return [((packed[key], int(task)), k) for k, (key, task) in rows if key in packed]

    def limits(self, members: np.ndarray, *, measured: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Limits (C x T each) of the gains in different sets, as `predict` has them, at `LEVEL`: jackknife+ over tasks.

        They are those of a task of which no gain is known, and so wide rather than narrow. Without `measured`, gains
        that are known in these very sets do not count, and a set may stand twice.
        """
        sets, tasks, x, value = self._points(members)
        if not measured:
            value = np.full_like(value, -1)
        by_task = {
            task: self.pooled.predict(self.pooled.without(self.task == task), x, tasks, value)
            for task in np.unique(self.task).tolist()
        }
        residuals = np.abs(self.pooled.y - self.without_task)
        predicted = np.stack([by_task[task] for task in self.task.tolist()])
        ends = []
        for limit in jackknife_plus(predicted, residuals, self.task, LEVEL):
            values = np.where(members, 0.0, np.nan)
            values[sets, tasks] = limit
            ends.append(values)
        return ends[0], ends[1]

    def draw(self, members: np.ndarray, draws: int, seed: int) -> np.ndarray:
        """Draws (B x C x T) of the gains in different sets, all of one draw together; 0 of tasks alone and outside."""
        sets, tasks, x, value = self._points(members)
        gains = np.zeros((draws, *members.shape))
        gains[:, sets, tasks] = self.pooled.draw(x, tasks, sets, value, draws, seed)
        return gains

    def _points(self, members: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Set, task, features and number of the measured gain of every task that has partners."""
        sets, tasks = np.nonzero(members & (members.sum(1, keepdims=True) > 1))
        raw = np.column_stack(
            [np.empty((len(sets), 0)), *(self.features.of(name, members)[sets, tasks] for name in self.columns)]
        )
        value = np.full(members.shape, -1)
        for point, own in self._measured_points(members):
            value[point] = own
        return sets, tasks, self._standard(raw), value[sets, tasks]

    def reasons(self, members: np.ndarray) -> dict[str, np.ndarray]:
        """What every family of features adds to the expected gains in sets (C x T), against the mean measured set."""
        fitted, found = self.pooled.coefficients, {}
        for family in self.families:
            total = np.zeros(members.shape)
            for name in self.features.families[family]:
                at = self.columns.index(name)
                value = (self.features.of(name, members) - self._scale[0][at]) / self._scale[1][at]
                total += fitted.beta[at] * np.nan_to_num(value)
            found[family] = np.where(members, total, np.nan)
        return found
