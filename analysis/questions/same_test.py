"""Comparisons that several contrasts have in common: the same two sets of runs of a task, tested and read once.

A clinical group of one task has one model under TS and CG, so AU-TS and AU-CG compare the same runs there; of a found
partition that leaves a task alone, the comparison with AU is AU-TS the other way round. Two contrasts share their
scatter over seeds with different tasks, so each would find an interval of its own for one and the same comparison,
and a family would count it twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.gains import PairedGain
from analysis.statistics.sequential_verdicts import Looked
from analysis.statistics.uncertainty import ROUNDING, GainEstimate
from analysis.statistics.verdicts import Tests


@dataclass(frozen=True, eq=False)
class SameTests:
    """Of P pairs: `first`, the place of the first that compares the same (P, its own where none does before it), and
    `sign`, -1 where it does so the other way round."""

    first: np.ndarray
    sign: np.ndarray

    @property
    def tests(self) -> Tests:
        """Which of them are one test."""
        return Tests(self.first, self.sign * (1 + self.first))

    def names(self, of_pairs: Sequence[str]) -> list[str]:
        """Of each pair the name of the first that is the same test, with a minus before it the other way round; empty
        of the first itself."""
        return [
            "" if first == place else f"{'-' if sign < 0 else ''}{of_pairs[first]}"
            for place, (first, sign) in enumerate(zip(self.first.tolist(), self.sign.tolist(), strict=True))
        ]

    def estimates(self, own: Sequence[GainEstimate]) -> tuple[GainEstimate, ...]:
        """The estimates, those of the first in place of the repeated ones' own."""
        return tuple(
            own[first] if sign > 0 else replace(own[first], value=-own[first].value)
            for first, sign in zip(self.first.tolist(), self.sign.tolist(), strict=True)
        )

    def looked(self, own: Looked) -> Looked:
        """The same of what each look showed."""
        gain, se, df, replicates = (of[:, self.first] for of in (own.gain, own.se, own.df, own.replicates))
        return replace(own, gain=gain * self.sign, se=se, df=df, replicates=replicates)

    def any_of_test(self, flags: Sequence[bool]) -> np.ndarray:
        """Whether a flag is set of any pair that compares the same."""
        found = np.zeros(len(self.first), bool)
        np.logical_or.at(found, self.first, np.asarray(flags, bool))
        return found[self.first]


def same_tests(pairs: Sequence[PairedGain]) -> SameTests:
    """Which pairs compare the same runs. Those of a source that names no run are all taken for different, as are gains
    that differ though their runs do not, such as relative ones over another base."""
    first, sign = np.arange(len(pairs)), np.ones(len(pairs), int)
    known: dict[tuple[object, ...], int] = {}
    for place, pair in enumerate(pairs):
        joint, base = tuple(map(str, pair.joint_runs)), tuple(map(str, pair.base_runs))
        if pair.same_model or not pair.seeds or "" in joint or "" in base:
            continue
        for side, key in ((1, (pair.task, pair.seeds, joint, base)), (-1, (pair.task, pair.seeds, base, joint))):
            before = known.get(key)
            if before is not None and _agree(pair, pairs[before], side):
                first[place], sign[place] = before, side
                break
        else:
            known.setdefault((pair.task, pair.seeds, joint, base), place)
    return SameTests(first, sign)


def _agree(pair: PairedGain, before: PairedGain, side: int) -> bool:
    """Whether gains are the same but for rounding."""
    size = max(pair.size, before.size, float(np.abs(before.by_seed).max()))
    return bool(np.allclose(pair.by_seed, side * before.by_seed, 0.0, ROUNDING * size))
