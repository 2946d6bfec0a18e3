"""What arXiv 2603.18123 supposes behind its findings: joint models fall behind for how tasks are aggregated, not for
want of capacity. A claim beside the five findings, for studies with arms.

Its parts: under no joint aggregation does the gain rise with capacity by as much as the margin per doubling of
parameters (one-sided, since a gain that falls as models grow speaks against want of capacity, too); the aggregation
makes a difference; and, where a study has fractions, so does the amount of data.
"""

from dataclasses import dataclass, replace
from functools import partial

from analysis.arms.capacity import PARAMETERS
from analysis.questions.finding_parts import CONTRADICTED, Evidence, Part, from_row, mean_margin, slope, typical_gain
from analysis.questions.findings import Claim

NUMBER = 6
"""Its number after the five findings."""


@dataclass(frozen=True)
class Change(Part):
    """An effect that may go either way, oriented by its sign: supported where it is not 0, contradicted where it lies
    within the margin on both sides."""

    margin: float = float("nan")

    @property
    def verdict(self) -> str:
        """As of other parts, but for the margin."""
        return CONTRADICTED if max(abs(self.low), abs(self.high)) < self.margin else super().verdict

    @property
    def p_against(self) -> float:
        """None: that it lies within the margin is read off its interval."""
        return float("nan")


def no_rise_with_capacity(name: str, evidence: Evidence) -> Part:
    """By how much less than the margin the gain over TS rises per doubling of parameters, tasks being a sample."""
    row = evidence.row(
        "capacity", contrast=f"{name}-TS", fraction=evidence.full, measure=PARAMETERS, level="pooled", name="all"
    )
    margin = mean_margin(evidence.at(evidence.full, f"{name}-TS"))
    text = f"the gain under {name} rises by less than the margin ({margin:g}) per doubling of parameters"
    part = from_row(text, "capacity", row, ("slope", "low", "high"), sign=-1.0)
    shifted = {limit: getattr(part, limit) + margin for limit in ("estimate", "low", "high")}
    return replace(part, **shifted, p=float("nan"))  # the p value is that of no slope


def aggregation_matters(evidence: Evidence) -> Part:
    """The typical difference between AU and CG in the base arm, whichever of them is better."""
    text = "the typical gain is another under AU than under CG"
    found = typical_gain(text, "AU-CG", list, evidence)
    if found.estimate < 0:
        found = replace(found, estimate=-found.estimate, low=-found.high, high=-found.low)
    return Change(**vars(found), margin=mean_margin(evidence.at(evidence.full, "AU-CG")))


def data_matter(name: str, evidence: Evidence) -> Part | None:
    """The slope of finding 1; None where a study has one fraction."""
    return slope(name, evidence) if evidence.least < evidence.full else None


HYPOTHESIS = Claim(
    "Joint models fall behind for how tasks are aggregated, not for want of capacity.",
    (
        partial(no_rise_with_capacity, "CG"),
        partial(no_rise_with_capacity, "AU"),
        aggregation_matters,
        partial(data_matter, "CG"),
        partial(data_matter, "AU"),
    ),
)
"""A study without arms does not show it."""
