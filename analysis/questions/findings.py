"""The five findings of arXiv 2603.18123 as statements that data can contradict.

Each finding is a set of parts, each an effect that the claim says is positive. A part is supported where its 95 %
interval lies above zero, contradicted where it lies below, undecided else; where its p value comes from another test
than the interval (types, spread), both have to agree. A finding is supported only where all its parts are (so its error
rate is at most that of one part), and contradicted where one part is: a part that these data cannot test leaves it
undecided. Parts are tested at 5 % each, without correction over findings; with one seed none is.

Gains are the median of tasks of this kind (`typical_task`), but for finding 4, which speaks of named groups: there
they are the means of the group's very tasks. Data-rich and data-poor are tasks above and below the median of n_train.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from analysis.frames import frame
from analysis.gains import PairedGain
from analysis.questions.finding_parts import (
    CONTRADICTED,
    NOT_TESTABLE,
    UNDECIDED,
    Part,
    data_poor,
    data_rich,
    group_gain,
    held_by_all_tasks,
    segmentation_loses_more,
    slope,
    steadier_over_groups,
    steadier_over_tasks,
    typical_gain,
)
from analysis.statistics.uncertainty import DECIDES

WHOLE = "the finding"

CLAIMS = {
    1: "The effect of aggregation depends on data scale: data-rich tasks gain under CG and AU, data-poor ones lose "
    "under CG.",
    2: "AU is steadier than CG over clinical groups and drops less on small data.",
    3: "Segmentation is the most sensitive task type; regression and classification lose less.",
    4: "Obstetrics gains under CG and AU; breast and lung do poorly under CG and hold under AU.",
    5: "AU transfers more steadily than CG over all tasks and regularises where data are scarce.",
}


def findings(
    frames: Mapping[str, pd.DataFrame], pairs: Callable[[str, float], Sequence[PairedGain]], fractions: Sequence[float]
) -> pd.DataFrame:
    """The frame `findings`: for each finding one row for the whole and one per part.

    `pairs` gives the pairs of a contrast at a fraction, empty where there are none.
    """
    full, least = max(fractions), min(fractions)
    small = {} if least == full else {name: pairs(name, least) for name in ("AU-CG", "AU-TS")}
    gains = frames["gains"]
    undertrained = gains[gains["base_improving"].astype(bool)]

    def rising(contrast: str, fraction: float) -> set[str]:
        rows = undertrained[(undertrained["contrast"] == contrast) & (undertrained["fraction"] == fraction)]
        return set(rows["task"])

    parts: dict[int, list[Part]] = {
        1: [
            slope(frames, "CG"),
            slope(frames, "AU"),
            typical_gain("data-rich tasks gain under CG", data_rich(pairs("CG-TS", full)), rising("CG-TS", full)),
            typical_gain("data-rich tasks gain under AU", data_rich(pairs("AU-TS", full)), rising("AU-TS", full)),
            typical_gain(
                "data-poor tasks lose under CG", data_poor(pairs("CG-TS", full)), rising("CG-TS", full), sign=-1.0
            ),
        ],
        2: [
            steadier_over_groups(frames, improving=len(undertrained) > 0),
            typical_gain(f"AU gains more than CG with {least:.0%} of the data", small["AU-CG"], rising("AU-CG", least))
            if small
            else typical_gain(
                "AU gains more than CG on data-poor tasks", data_poor(pairs("AU-CG", full)), rising("AU-CG", full)
            ),
        ],
        3: [segmentation_loses_more(frames, name, full) for name in ("CG", "AU")],
        4: [
            group_gain(frames, "obstetrics", "CG-TS", full, "obstetrics gains under CG"),
            group_gain(frames, "obstetrics", "AU-TS", full, "obstetrics gains under AU"),
            *(part for group in ("breast", "lung") for part in held_by_all_tasks(frames, group, full)),
        ],
        5: [
            typical_gain("AU gains over TS, all tasks together", pairs("AU-TS", full), rising("AU-TS", full)),
            steadier_over_tasks(
                pairs("CG-TS", full), pairs("AU-TS", full), rising("CG-TS", full) | rising("AU-TS", full)
            ),
            typical_gain(f"AU gains over TS with {least:.0%} of the data", small["AU-TS"], rising("AU-TS", least))
            if small
            else typical_gain(
                "AU gains over TS on data-poor tasks", data_poor(pairs("AU-TS", full)), rising("AU-TS", full)
            ),
        ],
    }
    if not gains["basis"].isin(DECIDES).any():
        parts = {number: [_untested(part) for part in own] for number, own in parts.items()}
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


def _untested(part: Part) -> Part:
    """With one seed nothing is known of chance in training, and no part is tested."""
    return replace(part, low=float("nan"), high=float("nan"), p=float("nan"))


def _whole(parts: Sequence[Part]) -> str:
    verdicts = {part.verdict for part in parts}
    if CONTRADICTED in verdicts:
        return CONTRADICTED
    return verdicts.pop() if len(verdicts) == 1 else UNDECIDED
