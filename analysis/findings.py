"""The five findings of arXiv 2603.18123 as statements that data can contradict.

Each finding is a set of parts, each an effect that the claim says is positive. A part is supported where its 95 %
interval lies above zero, contradicted where it lies below, undecided else. A finding is supported only where all its
testable parts are (so its error rate is at most that of one part), and contradicted where one part is. Parts are tested
at 5 % each, without correction over findings.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.frames import frame
from analysis.gains import PairedGain
from analysis.pooling import poolable, tasks_of_this_kind, two_sided_p
from analysis.stability import spread_p
from analysis.uncertainty import t_interval

SUPPORTED, CONTRADICTED, UNDECIDED, NOT_TESTABLE = "supported", "contradicted", "undecided", "not testable"
WHOLE = "the finding"

CLAIMS = {
    1: "The effect of aggregation depends on data scale: data-rich tasks gain, data-poor ones lose under CG.",
    2: "AU is steadier than CG over clinical groups and drops less on small data.",
    3: "Segmentation is the most sensitive task type; regression and classification lose less.",
    4: "Obstetrics gains under CG and AU; breast and lung do poorly under CG and hold under AU.",
    5: "AU transfers over all tasks and regularises where data are scarce.",
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
    parts = {
        1: [_slope(frames, "CG-TS"), _slope(frames, "AU-TS"), _scarce_loss(pairs("CG-TS", full))],
        2: [
            _steadier(frames),
            _mean(f"AU gains more than CG at the smallest fraction ({least:g})", pairs("AU-CG", least)),
        ],
        3: [_segmentation(frames, name, full) for name in ("CG-TS", "AU-TS")],
        4: [
            _group(frames, "obstetrics", "CG-TS", full, "obstetrics gains under CG"),
            _group(frames, "obstetrics", "AU-TS", full, "obstetrics gains under AU"),
            _group(frames, "breast", "AU-CG", full, "breast does better under AU than under CG"),
            _group(frames, "lung", "AU-CG", full, "lung does better under AU than under CG"),
        ],
        5: [
            _mean(f"AU gains over TS at full data ({full:g})", pairs("AU-TS", full)),
            _mean(f"AU gains over TS at the smallest fraction ({least:g})", pairs("AU-TS", least))
            if least < full
            else Part("AU gains over TS at a small fraction", *_NOTHING, "pooled"),
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
                "verdict": _whole(testable),
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


def _whole(testable: Sequence[Part]) -> str:
    verdicts = {part.verdict for part in testable}
    if not verdicts:
        return NOT_TESTABLE
    if CONTRADICTED in verdicts:
        return CONTRADICTED
    return SUPPORTED if verdicts == {SUPPORTED} else UNDECIDED


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


def _scarce_loss(pairs: Sequence[PairedGain]) -> Part:
    used = poolable(pairs)
    text = "tasks with less data than the median lose under CG"
    if not used:
        return Part(text, *_NOTHING, "gains")
    middle = float(np.median([each.n_train for each in used]))
    return _mean(text, [each for each in used if each.n_train < middle], sign=-1.0)


def _steadier(frames: Mapping[str, pd.DataFrame]) -> Part:
    rows = frames["stability"]
    text = "spread of gains over groups is larger under CG than under AU"
    own = rows[rows["contrast"] == "CG-TS minus AU-TS"]
    if own.empty:
        return Part(text, *_NOTHING, "stability")
    row, p = own.iloc[0], spread_p(frames["pooled"], "CG-TS", "AU-TS")
    return Part(text, float(row["spread"]), float(row["spread_low"]), float(row["spread_high"]), p, "stability")


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


def _group(frames: Mapping[str, pd.DataFrame], group: str, contrast: str, fraction: float, text: str) -> Part:
    rows = frames["pooled"]
    own = rows[
        (rows["level"] == "group")
        & (rows["name"] == group)
        & (rows["contrast"] == contrast)
        & (rows["fraction"] == fraction)
        & (rows["tasks"] > 0)
    ]
    return _from_row(text, own.iloc[0], "gain", "pooled") if len(own) else Part(text, *_NOTHING, "pooled")
