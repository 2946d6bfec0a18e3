"""The verdicts that are undecided, and the chance that more seeds decide each of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.context import prepare
from analysis.contrasts import Contrast
from analysis.gains import PairedGain
from analysis.questions.families import Compared, by_family, judge_family, testable
from analysis.questions.power import scatter_of
from analysis.settings import Settings
from analysis.statistics.uncertainty import GainEstimate, t_quantile
from analysis.statistics.verdicts import UNDECIDED, NextLevels
from analysis.study import StudyTables

MOST_ADDED = 40
"""Seeds that may be added to a task."""


@dataclass(frozen=True, eq=False)
class OpenVerdict:
    """An undecided verdict. `seeds` are its pairs; `chances[n]` is the chance that n more decide it."""

    contrast: Contrast
    fraction: float
    task: str
    seeds: frozenset[int]
    chances: np.ndarray


@dataclass(frozen=True)
class OpenVerdicts:
    """Verdicts of a study: those that can be planned for, and how many there are. Of the other undecided ones,
    `below_floor` are over a base whose mean is not above its floor, and `unplanned` have no scatter to plan from."""

    planned: Sequence[OpenVerdict]
    verdicts: int
    below_floor: int
    unplanned: int

    @property
    def undecided(self) -> int:
        """All undecided ones."""
        return len(self.planned) + self.below_floor + self.unplanned


def open_verdicts(study: StudyTables, settings: Settings) -> OpenVerdicts:
    """The undecided verdicts of one arm, at full data and at smaller fractions, each as the report has it.

    Raises `ResultsError` where there is nothing to compare.
    """
    context = prepare(study, settings)
    found, counts = list[OpenVerdict](), {"all": 0, "floor": 0, "unplanned": 0}
    for compared in by_family(context.pairs).values():
        for (contrast, fraction), pair, estimate, levels in _undecided(compared, settings, counts):
            if pair.base_above_floor is False:
                counts["floor"] += 1
            elif not (np.isfinite(testable(pair, estimate)) and estimate.se > 0):
                counts["unplanned"] += 1
            else:
                chances = chances_of(pair, estimate, levels)
                found.append(OpenVerdict(contrast, fraction, pair.task, frozenset(pair.seeds), chances))
    return OpenVerdicts(found, counts["all"], counts["floor"], counts["unplanned"])


def _undecided(
    compared: Compared, settings: Settings, counts: dict[str, int]
) -> list[tuple[tuple[Contrast, float], PairedGain, GainEstimate, NextLevels]]:
    """The undecided members of a family with its levels; all that have two models are counted, one comparison once."""
    judged = judge_family(compared, settings)
    once = [row for row, repeats in zip(judged.rows, judged.repeats, strict=True) if not repeats]
    counts["all"] += sum(not pair.same_model for _, pair, _, _ in once)
    return [(key, pair, estimate, judged.levels) for key, pair, estimate, verdict in once if verdict == UNDECIDED]


def chances_of(pair: PairedGain, estimate: GainEstimate, levels: NextLevels, most: int = MOST_ADDED) -> np.ndarray:
    """Chance of a verdict by the number of seeds that are added, from none to `most`."""
    numbers = len(pair.seeds) + 1 + np.arange(most)
    tests = [
        (level, t_quantile(1 - level / 2, estimate.df) * estimate.se) for level in (levels.difference, levels.no_loss)
    ]
    return np.append(0.0, scatter_of(pair, estimate).chance_decided(estimate.value, pair.margin, tests, numbers))
