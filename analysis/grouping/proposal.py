"""The partition that is predicted to gain most, what it may gain, and which others cannot be told from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aggregation_lab.errors import ResultsError
from analysis.grouping.gain_model import LEVEL
from analysis.grouping.local_search import Units, members_of
from analysis.grouping.partition_search import Partition, Search, search
from analysis.grouping.predicted_gain import Prediction
from analysis.grouping.unit_costs import UnitCosts

SURE = 0.9
"""Chance of a larger mean gain from which on one partition counts as better than another."""

RUNNERS_UP = 20
"""Next best partitions that are compared with the best."""

DRAWS = 2000

ROUNDING = 1e-6
"""Difference of mean gains below which two partitions have the same prediction."""

_CHEAPER, _FEWER = 1e-7, 1e-8
"""What the hours still to be trained, as a share of those for training all tasks jointly, and a unit take off the
value of a partition: of equal predictions the cheapest comes first, then the one of fewer units."""


@dataclass(frozen=True)
class Rival:
    """Another partition: its predicted mean gain, and the chance that the proposed one has a larger one."""

    units: Units
    gain: float
    chance: float


@dataclass(frozen=True, eq=False)
class Proposal:
    """The best partition that `search` found under what was asked for: `units` units, `within` hours of training."""

    prediction: Prediction
    search: Search
    costs: UnitCosts | None
    units: int | None = None
    within: float | None = None
    seed: int = 0

    @property
    def best(self) -> Partition:
        """The proposed partition."""
        return self.search.best[0]

    @cached_property
    def members(self) -> np.ndarray:
        """Its units by their members: C x T."""
        return members_of(self.best.units, self.tasks)

    @property
    def tasks(self) -> int:
        """Number of tasks."""
        return len(self.prediction.measured.tasks)

    @cached_property
    def names(self) -> list[tuple[str, ...]]:
        """Its units by the names of their tasks."""
        return self.named(self.best.units)

    def named(self, units: Units) -> list[tuple[str, ...]]:
        """A partition by the names of its tasks."""
        known = self.prediction.measured.tasks.index
        return [tuple(str(known[k]) for k in unit) for unit in units]

    # ---- what it may gain ----------------------------------------------------------------------------------------

    @cached_property
    def trained(self) -> dict[str, Units]:
        """The aggregations that were measured, as far as they hold every task: units of one task are those of TS."""
        found = {}
        for name, units in self.prediction.measured.partitions.items():
            alone = {(k,) for k in range(self.tasks)} - {(k,) for unit in units for k in unit}
            found[name] = tuple(sorted({*units, *alone}))
        return found

    @cached_property
    def _drawn(self) -> dict[Units, np.ndarray]:
        """Draws of the mean gain over all tasks, of the proposed partition, its rivals and the trained ones."""
        partitions = list(dict.fromkeys([*(each.units for each in self.search.best), *self.trained.values()]))
        units = list(dict.fromkeys(unit for each in partitions for unit in each))
        place = {unit: k for k, unit in enumerate(units)}
        gains = self.prediction.model.draw(members_of(units, self.tasks), DRAWS, self.seed).sum(2) / self.tasks
        return {each: gains[:, [place[unit] for unit in each]].sum(1) for each in partitions}

    def chance_over(self, other: Units) -> float:
        """Chance that the mean gain is larger than that of another partition; half of it where both are one."""
        difference = self._drawn[self.best.units] - self._drawn[other]
        return float((difference > ROUNDING).mean() + (np.abs(difference) <= ROUNDING).mean() / 2)

    @property
    def gain(self) -> float:
        """Predicted mean gain over all tasks."""
        return self.best.value / self.tasks

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Limits of the mean gain at `LEVEL`, from the draws."""
        low, high = np.quantile(self._drawn[self.best.units], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return float(low), float(high)

    @cached_property
    def chances(self) -> dict[str, float]:
        """By trained aggregation, the chance that the proposed partition has a larger mean gain."""
        return {name: self.chance_over(units) for name, units in self.trained.items()}

    @cached_property
    def same_as(self) -> str | None:
        """The trained aggregation that is this partition, if one is."""
        if all(len(unit) == 1 for unit in self.best.units):
            return "TS"
        return next((name for name, units in self.trained.items() if units == self.best.units), None)

    @cached_property
    def rivals(self) -> list[Rival]:
        """The next best partitions, from which it is not surely better: the best first."""
        others = (
            Rival(each.units, each.value / self.tasks, self.chance_over(each.units)) for each in self.search.best[1:]
        )
        return [other for other in others if other.chance < SURE]

    @property
    def ties(self) -> int:
        """Runners-up with the very same prediction."""
        return sum(self.gain - other.gain <= ROUNDING for other in self.rivals)

    @property
    def missing_hours(self) -> float:
        """Worker hours to train what is not trained yet; NaN where costs are not known."""
        return float("nan") if self.costs is None else float(self.costs.missing(self.members).sum())


def propose(
    prediction: Prediction,
    costs: UnitCosts | None,
    *,
    units: int | None = None,
    within: float | None = None,
    runners_up: int = RUNNERS_UP,
    seed: int = 0,
) -> Proposal:
    """The partition into `units` units (any number where None), trained `within` hours, that is predicted to gain most.

    Raises `ResultsError` where there is none, or hours are limited and costs not known.
    """
    measured = prediction.measured
    if within is not None and costs is None:
        raise ResultsError("hours cannot be kept to: no run of several tasks has its time in the table runs")

    everything = 0.0 if costs is None else float(costs.pace * costs.size.sum() * costs.repeats)

    def value(members: np.ndarray) -> np.ndarray:
        gains = np.nansum(prediction.model.predict(members), axis=1)
        hours = costs.missing(members) / everything if costs is not None and everything > 0 else 0.0
        return gains - _CHEAPER * hours - _FEWER

    known = Proposal(prediction, Search((), False, 0), costs).trained.values()
    found = search(
        len(measured.tasks),
        value,
        units=units,
        cost=None if costs is None else costs.missing,
        most=np.inf if within is None else within,
        known=known,
        count=1 + runners_up,
    )
    return Proposal(prediction, found, costs, units, within, seed)


def unit_names(partition: Sequence[Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Names for the units of a partition: unit_1 and so on, units of several tasks first."""
    order = sorted((tuple(sorted(unit)) for unit in partition), key=lambda unit: (len(unit) == 1, unit))
    return {f"unit_{k}": unit for k, unit in enumerate(order, 1)}
