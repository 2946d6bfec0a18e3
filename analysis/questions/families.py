"""Families of verdicts: gains that are judged together, and the scatter over seeds that their tasks share."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TypeVar

import numpy as np
import pandas as pd

from analysis.contrasts import Contrast
from analysis.gains import PairedGain
from analysis.questions.same_test import SameTests, same_tests
from analysis.settings import Correction, Settings
from analysis.statistics.looks import Looks
from analysis.statistics.moderated_variance import moderate
from analysis.statistics.sequential_verdicts import Looked, judge_looks
from analysis.statistics.uncertainty import DECIDES, GainEstimate
from analysis.statistics.verdicts import BENEFIT, SAME_MODEL, UNDECIDED, NextLevels, judge, next_levels

HEADLINE, SMALLER = "full data", "smaller fractions"
"""Families of verdicts: every task of every contrast at the largest fraction of the study, and at all smaller ones
together."""

Compared = Mapping[tuple[Contrast, float], Sequence[PairedGain]]
"""The pairs of every contrast at every fraction of the study; none where an aggregation lacks it."""

_Key = TypeVar("_Key")


def by_family(
    pairs: Mapping[tuple[_Key, float], Sequence[PairedGain]],
) -> dict[str, dict[tuple[_Key, float], Sequence[PairedGain]]]:
    """The comparisons of each family that has any; a contrast without pairs at full data is in no headline."""
    full = max((share for _, share in pairs), default=1.0)
    found = {}
    for name in (HEADLINE, SMALLER):
        chosen = {key: members for key, members in pairs.items() if members and (key[1] == full) == (name == HEADLINE)}
        if chosen:
            found[name] = chosen
    return found


def moderated(pairs: Sequence[PairedGain]) -> list[GainEstimate]:
    """Estimates of one contrast and fraction; tasks lend scatter over seeds to tasks of their type.

    A task in another unit than the score, or whose two models are one, has another scatter: it is a type by itself. One
    whose seeds scatter more than those of its type keeps its own t where that is wider.
    """
    types = [_scatters_as(pair) for pair in pairs]
    return moderate(
        [pair.estimate() for pair in pairs],
        [len(pair.replicates.names) for pair in pairs],
        [pair.effective_subjects for pair in pairs],
        types,
        [pair.scatter for pair in pairs],
    )


def _scatters_as(pair: PairedGain) -> str:
    if pair.unit != "1" or pair.same_model:
        return f"{pair.task} alone"
    return pair.type if pair.runs_apart == 2 else f"{pair.type}, {pair.runs_apart} runs"


def testable(pair: PairedGain, estimate: GainEstimate) -> float:
    """Standard error that a verdict may rest on; NaN where there is none.

    One seed tells nothing of the chance of training. Test cases of one subject, or whose metric is undefined on
    resamples, tell nothing of the chance of subjects: with them a verdict would hold for that subject alone. Nor do
    those of a class with few subjects (`analysis.statistics.rare_classes`).
    """
    unusable = pair.draws is not None and (not estimate.has_cases or pair.class_too_rare)
    return float("nan") if pair.same_model or unusable or estimate.basis not in DECIDES else estimate.se


@dataclass(frozen=True, eq=False)
class Family:
    """Pairs that are judged together, with their moderated estimates; `looked` where looks decided their number.

    `same` tells which of them compare the same runs: these are one test, with one estimate (`same_test`).
    """

    pairs: tuple[PairedGain, ...]
    estimates: tuple[GainEstimate, ...]
    same: SameTests
    looked: Looked | None = None

    @cached_property
    def se(self) -> np.ndarray:
        """Standard error of each pair that a verdict may rest on, NaN where there is none."""
        return np.array(list(map(testable, self.pairs, self.estimates)), float)

    @cached_property
    def learned_nothing(self) -> np.ndarray:
        """Where neither model's mean is above the floor, by any of the contrasts that compare them."""
        return self.same.any_of_test([pair.learned_nothing for pair in self.pairs])

    def judge(self, margin: np.ndarray, correction: Correction = "BH", alpha: float = 0.05) -> pd.DataFrame:
        """A row per pair, see `analysis.statistics.verdicts.judge`; `margin` has one value per pair.

        Where neither model's mean is above the floor the verdict is undecided, whatever the tests say. One column more:
        `exceeds_margin`, whether a benefit is shown to be larger than the margin, by its adjusted interval.
        """
        if self.looked is not None:
            rows = judge_looks(self.looked, margin, correction=correction, alpha=alpha, tests=self.same.tests)
        else:
            gain, df = ([getattr(estimate, name) for estimate in self.estimates] for name in ("value", "df"))
            own = np.array(gain), self.se, np.array(df), margin
            rows = judge(*own, correction=correction, alpha=alpha, tests=self.same.tests)
        # The tests stay in the family: which tasks are tested must not depend on how their scores came out.
        rows.loc[self.learned_nothing, "verdict"] = UNDECIDED
        rows["exceeds_margin"] = (rows["verdict"] == BENEFIT) & (rows["low_adjusted"] > margin)
        rows.loc[[pair.same_model for pair in self.pairs], "verdict"] = SAME_MODEL
        return rows

    def intervals(self, alpha: float = 0.05) -> list[tuple[float, float]]:
        """The interval of each pair with error rate `alpha`, not corrected over the family; NaN where it has none."""
        if self.looked is not None:
            found = list(zip(*(limits.tolist() for limits in self.looked.intervals(alpha)), strict=True))
        else:
            found = [estimate.interval(1 - alpha) for estimate in self.estimates]
        unknown = (float("nan"),) * 2
        return [unknown if pair.same_model else each for pair, each in zip(self.pairs, found, strict=True)]


def family(comparisons: Iterable[Sequence[PairedGain]], before: Looked | None = None) -> Family:
    """The family of several comparisons: the pairs of one contrast and fraction each, which share their scatter.

    Where replicates came by looks, `before` may hold what the same pairs showed at the earlier ones.
    """
    compared = list(comparisons)
    pairs, own = tuple(chain(*compared)), tuple(chain.from_iterable(map(moderated, compared)))
    same, looks = same_tests(pairs), next((pair.looks for pair in pairs if pair.looks is not None), None)
    looked = None if looks is None else same.looked(_looked(compared, own, looks, before))
    return Family(pairs, same.estimates(own), same, looked)


@dataclass(frozen=True, eq=False)
class JudgedFamily:
    """A family with the verdicts of its members, and the levels at which the next of them would be decided."""

    keys: Sequence[tuple[Contrast, float]]
    members: Family
    judged: pd.DataFrame
    levels: NextLevels

    @property
    def repeats(self) -> list[str]:
        """Of each member the contrast whose test it repeats, see `SameTests.names`."""
        return self.members.same.names([contrast.name for contrast, _ in self.keys])

    @property
    def rows(self) -> Iterator[tuple[tuple[Contrast, float], PairedGain, GainEstimate, str]]:
        """Contrast and fraction, pair, estimate and verdict of each member."""
        return zip(self.keys, self.members.pairs, self.members.estimates, self.judged["verdict"], strict=True)


def judge_family(compared: Compared, settings: Settings, before: Looked | None = None) -> JudgedFamily:
    """The verdicts of one family, each at the margin of its task; `before` as in `family`."""
    members = family(compared.values(), before)
    margins = np.array([pair.margin for pair in members.pairs])
    judged = members.judge(margins, settings.correction, settings.alpha)
    keys = [key for key, of_key in compared.items() for _ in of_key]
    levels = next_levels(judged, settings.correction, settings.alpha, members.same.tests)
    return JudgedFamily(keys, members, judged, levels)


def _looked(
    compared: Sequence[Sequence[PairedGain]], last: Sequence[GainEstimate], looks: Looks, earlier: Looked | None
) -> Looked:
    """What the pairs showed at every look: what is told of a look is what was known then, also of other tasks."""
    values = np.full((4, len(looks.made), len(last)), np.nan)
    before = np.zeros(len(last))
    known = 0 if earlier is None else len(earlier.shares)
    if earlier is not None and known:
        values[:, :known] = earlier.gain, earlier.se, earlier.df, earlier.replicates
        before = np.nan_to_num(earlier.replicates).max(0)
    for row, count in enumerate(looks.made[known:], known):
        then = [[pair.at_look(count) for pair in pairs] for pairs in compared]
        estimates = list(last) if count == looks.made[-1] else _then(then)
        for column, (pair, estimate) in enumerate(zip(chain(*then), estimates, strict=True)):
            if estimate is not None and len(pair.seeds) > before[column]:
                values[:, row, column] = estimate.value, testable(pair, estimate), estimate.df, len(pair.seeds)
                before[column] = len(pair.seeds)
    gain, se, df, replicates = values
    return Looked(gain, se, df, replicates, np.array(looks.made) / len(looks.seeds))


def _then(compared: Sequence[Sequence[PairedGain]]) -> list[GainEstimate | None]:
    """Estimates of the pairs as they were, None of those without a seed."""
    found: list[GainEstimate | None] = []
    for pairs in compared:
        of_pair = iter(moderated([pair for pair in pairs if pair.seeds]))
        found += [next(of_pair) if pair.seeds else None for pair in pairs]
    return found
