"""Parts of findings: single effects that a claim says are positive, taken from frames and pairs.

Spreads are compared by the jackknife and by Pitman-Morgan (`stability`), types by Welch's interval and by
permutation (`analysis.questions.type_sensitivity`), gains over tasks as in `analysis.questions.means`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.gains import PairedGain, contrast_name
from analysis.questions.means import poolable, tasks_of_this_kind
from analysis.questions.stability import DIFFERENCE, spread_difference, spread_p
from analysis.questions.study_quality import IMPROVING

SUPPORTED, CONTRADICTED, UNDECIDED, NOT_TESTABLE = "supported", "contradicted", "undecided", "not testable"

_NOTHING = (float("nan"),) * 4
_ALPHA = 0.05


@dataclass(frozen=True)
class Part:
    """One effect of a claim, oriented so that the claim says it is positive."""

    text: str
    estimate: float
    low: float
    high: float
    p: float
    evidence: str
    improving: bool = False
    """A base model behind it was still improving when its budget ended."""

    @property
    def verdict(self) -> str:
        """Supported, contradicted, undecided or not testable, see `analysis.questions.findings`."""
        if not np.isfinite([self.estimate, self.low, self.high]).all():
            return NOT_TESTABLE
        if self.p > _ALPHA:  # not where p is missing
            return UNDECIDED
        return SUPPORTED if self.low > 0 else CONTRADICTED if self.high < 0 else UNDECIDED

    @property
    def effect(self) -> str:
        """Estimate and interval in words."""
        if not np.isfinite(self.estimate):
            return "not in these data"
        if not np.isfinite(self.low):
            return f"{_signed(self.estimate)}, without an interval"
        interval = f"{_signed(self.estimate)} [{_signed(self.low)}, {_signed(self.high)}]"
        return f"{interval} {IMPROVING}" if self.improving else interval


def _signed(value: float) -> str:
    return f"{round(value, 3) + 0.0:+.3f}"  # no minus before zero


def slope(frames: Mapping[str, pd.DataFrame], name: str) -> Part:
    """Change of an aggregation's gain over TS per doubling of data: within tasks where there are fractions, else across
    tasks."""
    contrast = contrast_name(name, "TS")
    within = frames["within"]
    own = within[(within["contrast"] == contrast) & (within["level"] == "pooled") & (within["name"] == "all")]
    if len(own):
        return _from_row(f"gain per doubling of a task's data under {name}", own.iloc[0], "slope", "within")
    across = frames["across"]
    own = across[(across["contrast"] == contrast) & (across["scope"] == "all") & (across["method"] == "mixed model")]
    text = f"gain per doubling of data across tasks under {name}"
    return _from_row(text, own.iloc[0], "slope", "across") if len(own) else Part(text, *_NOTHING, "across")


def _from_row(text: str, row: pd.Series, value: str, evidence: str) -> Part:
    estimate, low, high, p = (float(row[name]) for name in (value, "low", "high", "p"))
    return Part(text, estimate, low, high, p, evidence, bool(row["base_improving"]))


def typical_gain(text: str, pairs: Sequence[PairedGain], rising: set[str], sign: float = 1.0) -> Part:
    """Median gain of tasks of this kind; `rising` are tasks whose base was still improving."""
    used = poolable(pairs)
    if not used:
        return Part(text, *_NOTHING, "pooled")
    kind = tasks_of_this_kind(used)
    low, high = sorted((sign * kind.low, sign * kind.high))
    improving = any(each.task in rising for each in used)
    return Part(text, sign * kind.median, low, high, kind.p, "pooled", improving)


def data_rich(pairs: Sequence[PairedGain]) -> list[PairedGain]:
    """Tasks with more training cases than the median."""
    return [each for each in poolable(pairs) if each.n_train > _median_size(pairs)]


def data_poor(pairs: Sequence[PairedGain]) -> list[PairedGain]:
    """Tasks with fewer training cases than the median."""
    return [each for each in poolable(pairs) if each.n_train < _median_size(pairs)]


def _median_size(pairs: Sequence[PairedGain]) -> float:
    """NaN, which no size is above or below, where sizes are not known."""
    return float(np.median([each.n_train for each in poolable(pairs)] or [np.nan]))


def steadier_over_groups(frames: Mapping[str, pd.DataFrame], *, improving: bool) -> Part:
    """Spread of CG over clinical groups minus that of AU, from the frame `stability`."""
    rows = frames["stability"]
    text = "spread of gains over groups is larger under CG than under AU"
    own = rows[rows["contrast"] == DIFFERENCE]
    if own.empty:
        return Part(text, *_NOTHING, "stability")
    row, p = own.iloc[0], spread_p(frames["pooled"], "CG-TS", "AU-TS")
    return Part(
        text, float(row["spread"]), float(row["spread_low"]), float(row["spread_high"]), p, "stability", improving
    )


def steadier_over_tasks(cg: Sequence[PairedGain], au: Sequence[PairedGain], rising: set[str]) -> Part:
    """Difference of the spreads over tasks that both contrasts compare."""
    text = "spread of gains over tasks is larger under CG than under AU"
    of_cg = {each.task: float(each.by_seed.mean()) for each in poolable(cg)}
    common = [each for each in poolable(au) if each.task in of_cg]
    first, second = np.array([of_cg[each.task] for each in common]), np.array([each.by_seed.mean() for each in common])
    found = spread_difference(first, second, np.array([each.group for each in common]))
    return Part(text, *found, "gains", any(each.task in rising for each in common))


def segmentation_loses_more(frames: Mapping[str, pd.DataFrame], name: str, fraction: float) -> Part:
    """Mean gain of the other types over TS minus that of segmentation, from the frame `sensitivity`."""
    rows, contrast = frames["sensitivity"], contrast_name(name, "TS")
    text = f"segmentation loses more than the other types under {name}"
    own = rows[(rows["contrast"] == contrast) & (rows["fraction"] == fraction) & (rows["type"] == "segmentation")]
    if own.empty:
        return Part(text, *_NOTHING, "sensitivity")
    row = own.iloc[0]
    return Part(
        text,
        -float(row["against_others"]),
        -float(row["others_high"]),
        -float(row["others_low"]),
        float(row["p"]),
        "sensitivity",
        bool(row["base_improving"]),
    )


def held_by_all_tasks(frames: Mapping[str, pd.DataFrame], group: str, fraction: float) -> list[Part]:
    """A group that loses under CG and not, or by less than its margin, under AU."""
    gains = frames["gains"]
    own = gains[(gains["group"] == group) & (gains["contrast"] == "AU-TS") & (gains["fraction"] == fraction)]
    held = group_gain(frames, group, "AU-TS", fraction, f"{group} loses less than the margin under AU")
    shift = float(own["margin"].mean())  # a mean gain is above minus the mean of its tasks' margins
    return [
        group_gain(frames, group, "CG-TS", fraction, f"{group} loses under CG", sign=-1.0),
        group_gain(frames, group, "AU-CG", fraction, f"{group} does better under AU than under CG"),
        replace(held, estimate=held.estimate + shift, low=held.low + shift, high=held.high + shift, p=float("nan")),
    ]


def group_gain(
    frames: Mapping[str, pd.DataFrame], group: str, contrast: str, fraction: float, text: str, sign: float = 1.0
) -> Part:
    """Mean gain of a group's very tasks."""
    rows = frames["pooled"]
    own = rows[
        (rows["level"] == "group")
        & (rows["name"] == group)
        & (rows["contrast"] == contrast)
        & (rows["fraction"] == fraction)
        & (rows["tasks"] > 0)
    ]
    if own.empty:
        return Part(text, *_NOTHING, "pooled")
    part = _from_row(text, own.iloc[0], "gain", "pooled")
    low, high = sorted((sign * part.low, sign * part.high))
    return replace(part, estimate=sign * part.estimate, low=low, high=high)
