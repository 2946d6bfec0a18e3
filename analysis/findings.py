"""The five findings of arXiv 2603.18123 as statements that data can contradict.

Each finding is a set of parts, each an effect that the claim says is positive. A part is supported where its 95 %
interval lies above zero, contradicted where it lies below, undecided else; where its p value comes from another test
than the interval (types, spread), both have to agree. A finding is supported only where all its parts are (so its error
rate is at most that of one part), and contradicted where one part is: a part that these data cannot test leaves it
undecided. Parts are tested at 5 % each, without correction over findings.

Means are those of tasks of this kind (`analysis.pooling`), but for finding 4, which speaks of named groups: there they
are the means of the group's very tasks. Data-rich and data-poor are tasks above and below the median of n_train.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.frames import frame
from analysis.gains import PairedGain
from analysis.pooling import poolable, tasks_of_this_kind, two_sided_p
from analysis.stability import spread_difference, spread_p
from analysis.uncertainty import t_interval

SUPPORTED, CONTRADICTED, UNDECIDED, NOT_TESTABLE = "supported", "contradicted", "undecided", "not testable"
WHOLE = "the finding"

CLAIMS = {
    1: "The effect of aggregation depends on data scale: data-rich tasks gain under CG and AU, data-poor ones lose "
    "under CG.",
    2: "AU is steadier than CG over clinical groups and drops less on small data.",
    3: "Segmentation is the most sensitive task type; regression and classification lose less.",
    4: "Obstetrics gains under CG and AU; breast and lung do poorly under CG and hold under AU.",
    5: "AU transfers more steadily than CG over all tasks and regularises where data are scarce.",
}


@dataclass(frozen=True)
class Part:
    """One effect of a claim, oriented so that the claim says it is positive."""

    text: str
    estimate: float
    low: float
    high: float
    p: float
    evidence: str

    @property
    def verdict(self) -> str:
        if not np.isfinite([self.estimate, self.low, self.high]).all():
            return NOT_TESTABLE
        if self.p > _ALPHA:  # not where p is missing
            return UNDECIDED
        return SUPPORTED if self.low > 0 else CONTRADICTED if self.high < 0 else UNDECIDED

    @property
    def effect(self) -> str:
        if not np.isfinite(self.estimate):
            return "not in these data"
        if not np.isfinite(self.low):
            return f"{self.estimate:+.3f}, without an interval"
        return f"{self.estimate:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def findings(
    frames: Mapping[str, pd.DataFrame], pairs: Callable[[str, float], Sequence[PairedGain]], fractions: Sequence[float]
) -> pd.DataFrame:
    """The frame `findings`: for each finding one row for the whole and one per part.

    `pairs` gives the pairs of a contrast at a fraction, empty where there are none.
    """
    full, least = max(fractions), min(fractions)
    small = {} if least == full else {name: pairs(name, least) for name in ("AU-CG", "AU-TS")}
    parts = {
        1: [
            _slope(frames, "CG-TS"),
            _slope(frames, "AU-TS"),
            _mean("data-rich tasks gain under CG", _rich(pairs("CG-TS", full))),
            _mean("data-rich tasks gain under AU", _rich(pairs("AU-TS", full))),
            _mean("data-poor tasks lose under CG", _poor(pairs("CG-TS", full)), sign=-1.0),
        ],
        2: [
            _steadier(frames),
            _mean(f"AU gains more than CG with {least:.0%} of the data", small["AU-CG"])
            if small
            else _mean("AU gains more than CG on data-poor tasks", _poor(pairs("AU-CG", full))),
        ],
        3: [_segmentation(frames, name, full) for name in ("CG-TS", "AU-TS")],
        4: [
            _group(frames, "obstetrics", "CG-TS", full, "obstetrics gains under CG"),
            _group(frames, "obstetrics", "AU-TS", full, "obstetrics gains under AU"),
            *(part for group in ("breast", "lung") for part in _held_by_all_tasks(frames, group, full)),
        ],
        5: [
            _mean("AU gains over TS, all tasks together", pairs("AU-TS", full)),
            _steadier_tasks(pairs("CG-TS", full), pairs("AU-TS", full)),
            _mean(f"AU gains over TS with {least:.0%} of the data", small["AU-TS"])
            if small
            else _mean("AU gains over TS on data-poor tasks", _poor(pairs("AU-TS", full))),
        ],
    }
    rows = []
    for number, claim in CLAIMS.items():
        testable = [part for part in parts[number] if part.verdict != NOT_TESTABLE]
        rows.append(
            {
                "finding": number,
                "claim": claim,
                "part": WHOLE,
                "verdict": _whole(parts[number]),
                "effect": "; ".join(f"{part.text}: {part.effect}" for part in testable) or "not in these data",
                "evidence": ", ".join(sorted({part.evidence for part in parts[number]})),
            }
        )
        for part in parts[number]:
            rows.append(
                {
                    "finding": number,
                    "claim": claim,
                    "part": part.text,
                    "estimate": part.estimate,
                    "low": part.low,
                    "high": part.high,
                    "p": part.p,
                    "verdict": part.verdict,
                    "effect": part.effect,
                    "evidence": part.evidence,
                }
            )
    return frame("findings", rows)


_NOTHING = (float("nan"),) * 4
_ALPHA = 0.05


def _whole(parts: Sequence[Part]) -> str:
    verdicts = {part.verdict for part in parts}
    if CONTRADICTED in verdicts:
        return CONTRADICTED
    return verdicts.pop() if len(verdicts) == 1 else UNDECIDED


def _slope(frames: Mapping[str, pd.DataFrame], contrast: str) -> Part:
    """Change of gain per doubling of data: within tasks where there are fractions, else across tasks."""
    name = contrast.split("-")[0]
    within = frames["within"]
    own = within[(within["contrast"] == contrast) & (within["level"] == "pooled") & (within["name"] == "all")]
    if len(own):
        return _from_row(f"gain per doubling of a task's data under {name}", own.iloc[0], "slope", "within")
    across = frames["across"]
    own = across[(across["contrast"] == contrast) & (across["scope"] == "all") & (across["method"] == "mixed model")]
    text = f"gain per doubling of data across tasks under {name}"
    return _from_row(text, own.iloc[0], "slope", "across") if len(own) else Part(text, *_NOTHING, "across")


def _from_row(text: str, row: pd.Series, value: str, evidence: str) -> Part:
    return Part(text, float(row[value]), float(row["low"]), float(row["high"]), float(row["p"]), evidence)


def _mean(text: str, pairs: Sequence[PairedGain], sign: float = 1.0) -> Part:
    """Mean gain of tasks of this kind."""
    value, se, df = tasks_of_this_kind(poolable(pairs))
    limits = sorted(sign * limit for limit in t_interval(value, se, df))
    return Part(text, sign * value, limits[0], limits[1], two_sided_p(value, se, df), "pooled")


def _rich(pairs: Sequence[PairedGain]) -> list[PairedGain]:
    """Tasks with more training cases than the median."""
    return [each for each in poolable(pairs) if each.n_train > _median_size(pairs)]


def _poor(pairs: Sequence[PairedGain]) -> list[PairedGain]:
    """Tasks with fewer training cases than the median."""
    return [each for each in poolable(pairs) if each.n_train < _median_size(pairs)]


def _median_size(pairs: Sequence[PairedGain]) -> float:
    """NaN, which no size is above or below, where sizes are not known."""
    return float(np.median([each.n_train for each in poolable(pairs)] or [np.nan]))


def _steadier(frames: Mapping[str, pd.DataFrame]) -> Part:
    rows = frames["stability"]
    text = "spread of gains over groups is larger under CG than under AU"
    own = rows[rows["contrast"] == "CG-TS minus AU-TS"]
    if own.empty:
        return Part(text, *_NOTHING, "stability")
    row, p = own.iloc[0], spread_p(frames["pooled"], "CG-TS", "AU-TS")
    return Part(text, float(row["spread"]), float(row["spread_low"]), float(row["spread_high"]), p, "stability")


def _steadier_tasks(cg: Sequence[PairedGain], au: Sequence[PairedGain]) -> Part:
    """Difference of the spreads over tasks that both contrasts compare."""
    text = "spread of gains over tasks is larger under CG than under AU"
    of_cg = {each.task: float(each.by_seed.mean()) for each in poolable(cg)}
    common = [each for each in poolable(au) if each.task in of_cg]
    first, second = np.array([of_cg[each.task] for each in common]), np.array([each.by_seed.mean() for each in common])
    return Part(text, *spread_difference(first, second, np.array([each.group for each in common])), "gains")


def _segmentation(frames: Mapping[str, pd.DataFrame], contrast: str, fraction: float) -> Part:
    rows = frames["sensitivity"]
    text = f"segmentation loses more than the other types under {contrast.split('-')[0]}"
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
    )


def _held_by_all_tasks(frames: Mapping[str, pd.DataFrame], group: str, fraction: float) -> list[Part]:
    """A group that loses under CG and not, or by less than its margin, under AU."""
    gains = frames["gains"]
    own = gains[(gains["group"] == group) & (gains["contrast"] == "AU-TS") & (gains["fraction"] == fraction)]
    held = _group(frames, group, "AU-TS", fraction, f"{group} loses less than the margin under AU")
    shift = float(own["margin"].mean())  # a mean gain is above minus the mean of its tasks' margins
    return [
        _group(frames, group, "CG-TS", fraction, f"{group} loses under CG", sign=-1.0),
        _group(frames, group, "AU-CG", fraction, f"{group} does better under AU than under CG"),
        replace(held, estimate=held.estimate + shift, low=held.low + shift, high=held.high + shift, p=float("nan")),
    ]


def _group(
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
