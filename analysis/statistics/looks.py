"""Which replicates of a study have been looked at, where their number is not fixed but decided by looks.

The plan of looks, and which of them are made, is fixed before the verdicts are read (`group_sequential`); what is not
looked at yet takes no part in any verdict.
"""

from dataclasses import dataclass


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
