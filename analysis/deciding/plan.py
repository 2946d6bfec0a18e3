"""The plan of looks of a study whose replicates come in stages: fixed before the first look."""

import math

from aggregation_lab.errors import StudyError
from analysis.statistics.looks import Looks

FRACTIONS = (0.4, 0.55, 0.7, 0.85, 1.0)
"""Shares of all seeds after which verdicts are looked at. Earlier ones would decide nothing: the levels of O'Brien and
Fleming are small there, and few seeds have few degrees of freedom."""

FEWEST = 3
"""Seeds from which on there is something to stop."""


def planned_looks(seeds: tuple[int, ...]) -> Looks:
    """The plan for these seeds, in their order; the first look has two at least. Raises `StudyError` for fewer than
    `FEWEST`."""
    if len(seeds) < FEWEST:
        raise StudyError(
            f"seeds: {len(seeds)} are planned; --until-decided takes {FEWEST} or more, the most that may be trained"
        )
    counts = {max(2, math.ceil(share * len(seeds) - 1e-9)) for share in FRACTIONS}
    return Looks(seeds, tuple(sorted(counts)))
