"""The choices of an analysis, in one place and in every report."""

import math
from dataclasses import dataclass
from typing import Final, Literal, get_args

from aggregation_lab.errors import ResultsError
from aggregation_lab.text import printable

Scale = Literal["absolute", "relative", "standardised"]
Correction = Literal["BH", "Holm", "none"]

SCALES: Final[dict[Scale, str]] = {
    "absolute": "on the unit-free score",
    "relative": "as a share of the base score",
    "standardised": "in standard deviations over seeds",
}
"""What gains are measured in."""


def farthest_gain(scale: Scale) -> float:
    """The largest gain that there can be: unit-free scores lie between 0 and 1. Infinite where another one divides."""
    return 1.0 if scale == "absolute" else math.inf


@dataclass(frozen=True)
class Settings:
    """What an analysis takes for granted; margins come from the study file.

    Raises `ResultsError` for a choice that there is none of, which would be computed as another one.
    """

    scale: Scale = "absolute"
    """absolute: difference of scores; relative: over the base score; standardised: over the pooled sd of both
    aggregations over seeds. Relative gains explode on small base scores."""
    correction: Correction = "BH"
    """Benjamini-Hochberg (share of false verdicts), Holm (chance of any), over the verdicts of all
    contrasts at full data, and over those at smaller fractions."""
    alpha: float = 0.05
    """Two-sided error rate; intervals have level 1 - alpha, one-sided tests alpha / 2."""
    draws: int = 2000
    """Resamples of subjects."""
    seed: int = 0
    """Seed of every random draw of the analysis."""

    def __post_init__(self) -> None:
        for name, allowed in (("scale", get_args(Scale)), ("correction", get_args(Correction))):
            value = getattr(self, name)
            if value not in allowed:
                raise ResultsError(f"{name} {printable(str(value), 40)}: is unknown; it takes {', '.join(allowed)}")
        if not 0 < self.alpha < 1:
            raise ResultsError(f"alpha {self.alpha:g}: must lie between 0 and 1, 0.05 for intervals of 95 %")
        if self.draws < 1:
            raise ResultsError(f"draws {self.draws}: takes a number of resamples of at least 1")
