"""When the replicates of a comparison stop: where its verdict is given, or where it will hardly be.

Verdicts are those of the report at this look, corrected over their family and for all looks
(`analysis.statistics.sequential_verdicts`). A comparison without prospect is one that even all seeds of the plan would
decide with a chance below `PROSPECT`, by what is seen so far, or of models that have learned nothing. Stopping it can
only lower error rates: what is not tested any more is not rejected (a non-binding rule; Jennison and Turnbull 2000,
section 2.4).
"""

from dataclasses import dataclass

import numpy as np

from analysis.contrasts import Contrast
from analysis.deciding.open_verdicts import chances_of
from analysis.gains import PairedGain
from analysis.questions.families import Compared, by_family, judge_family, testable
from analysis.settings import Settings
from analysis.statistics.group_sequential import nominal_level
from analysis.statistics.looks import Looks
from analysis.statistics.sequential_verdicts import Looked
from analysis.statistics.uncertainty import DECIDES, GainEstimate
from analysis.statistics.verdicts import UNDECIDED, NextLevels

PROSPECT = 0.05
"""Chance of a verdict with all seeds below which training for it stops."""

NO_PROSPECT = "no prospect"


@dataclass(frozen=True)
class Comparison:
    """What a verdict is on, and why no more replicates are trained for it: the verdict, or `no prospect`; empty while
    it is undecided and may be decided."""

    contrast: Contrast
    fraction: float
    task: str
    closed: str


def comparisons(
    pairs: Compared, looks: Looks, settings: Settings, before: dict[str, Looked] | None = None
) -> list[Comparison]:
    """All comparisons of a study at its last look.

    `before` holds by family what the looks so far showed, of the same pairs in the same order, and gets what this one
    shows: whoever reads all looks of a study, one after the other, need not compute the earlier ones again.
    """
    found, known = [], {} if before is None else before
    for name, compared in by_family(pairs).items():
        judged = judge_family(compared, settings, known.get(name))
        if judged.members.looked is not None:
            known[name] = judged.members.looked
        levels = _at_the_end(judged.levels, looks)
        for (contrast, fraction), pair, estimate, verdict in judged.rows:
            closed = str(verdict)
            if verdict == UNDECIDED:
                closed = "" if _has_prospect(pair, estimate, levels, looks) else NO_PROSPECT
            found.append(Comparison(contrast, fraction, pair.task, closed))
    return found


def _at_the_end(levels: NextLevels, looks: Looks) -> NextLevels:
    """Levels at which the last look of the plan would decide the next member of the family."""
    every = tuple((share, share) for share in looks.shares)
    nominal = [2 * nominal_level(level / 2, every) for level in (levels.difference, levels.no_loss)]
    return NextLevels(*nominal)


def _has_prospect(pair: PairedGain, estimate: GainEstimate, levels: NextLevels, looks: Looks) -> bool:
    """Whether the seeds that are left may decide it: taken for granted where there is no scatter to tell from yet, and
    after the last look, when none is left."""
    left = len(looks.seeds) - looks.made[-1]
    if left == 0:
        return True
    if pair.learned_nothing:
        return False
    if not (np.isfinite(testable(pair, estimate)) and estimate.se > 0):
        return estimate.basis not in DECIDES or estimate.se == 0  # else the test cases allow no verdict
    return bool(chances_of(pair, estimate, levels, left)[-1] >= PROSPECT)
