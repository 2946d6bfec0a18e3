"""Which replicates of a study have been looked at, where their number is not fixed but decided by looks.

The plan of looks, and which of them are made, is fixed before the verdicts are read (`group_sequential`); what is not
looked at yet takes no part in any verdict.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from analysis.statistics.group_sequential import Look


@dataclass(frozen=True)
class Looks:
    """`seeds` are all that the plan may train, in the order in which they are; `planned` are the numbers of seeds of
    all looks, ascending, and `made` those of the looks so far. What a look may spend goes by the share of all
    seeds after which it is (Lan and DeMets 1983)."""

    seeds: tuple[int, ...]
    planned: tuple[int, ...]
    made: tuple[int, ...] = ()

    @property
    def seen(self) -> frozenset[int]:
        """The seeds that were looked at."""
        return self.at(self.made[-1]) if self.made else frozenset()

    def at(self, count: int) -> frozenset[int]:
        """The first seeds of the plan."""
        return frozenset(self.seeds[:count])

    @property
    def shares(self) -> tuple[float, ...]:
        """Of all seeds, after which each planned look is."""
        return tuple(count / len(self.seeds) for count in self.planned)

    def level(self) -> float:
        """Level of the interval of the last look, so that those of all looks together have 95 %; NaN without a look.

        For what is computed from all tasks at once, which has no looks of its own.
        """
        from analysis.statistics.group_sequential import nominal_level  # here, since plans are read without SciPy

        return 1 - 2 * nominal_level(0.025, self._made()) if self.made else float("nan")

    def corrected(self, p: float) -> float:
        """Two-sided p of the last look, corrected for all of them; NaN without a look."""
        from analysis.statistics.group_sequential import sequential_p

        if not self.made or np.isnan(p):
            return float("nan")
        last = np.append(np.full(len(self.made) - 1, np.nan), p / 2)
        return min(1.0, 2 * sequential_p(last, self._made()))

    def _made(self) -> "tuple[Look, ...]":
        return tuple((count / len(self.seeds), float(count)) for count in self.made)
