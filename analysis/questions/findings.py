"""The five findings of arXiv 2603.18123 as statements that data can contradict.

Each finding is a set of parts, each an effect that the claim says is positive. A part is supported where its 95 %
interval lies above zero, contradicted where it lies below, undecided else; where its p value comes from another test
than the interval (types, spread), both have to agree. A finding is supported only where all its parts are (so its error
rate is at most that of one part), and contradicted where one part is after Holm's correction over those that can be
tested: of eight parts without any effect one is often contradicted by chance. A part that these data cannot test leaves
it undecided. Parts by themselves are tested at 5 % each, without correction over findings; with one seed none is.

Gains are the median of tasks of this kind (`typical_task`), but for finding 4, which is about named groups: there they
are the means of exactly the group's tasks. Data-rich and data-poor are tasks above and below the median of n_train.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from analysis.contrasts import Contrast
from analysis.frames import frame
from analysis.gains import PairedGain
from analysis.questions.finding_parts import (
    ALPHA,
    CONTRADICTED,
    NOT_TESTABLE,
    Evidence,
    Part,
    data_poor,
    data_rich,
    group_gain,
    loss_within_margin,
    segmentation_loses_more,
    slope,
    steadier_over_groups,
    steadier_over_tasks,
    typical_gain,
    with_little_data,
)
from analysis.statistics.uncertainty import DECIDES
from analysis.statistics.verdicts import UNDECIDED, adjust

WHOLE = "the finding"


@dataclass(frozen=True)
class Claim:
    """What a finding says, and the effects that make it up."""

    text: str
    parts: tuple[Callable[[Evidence], Part | None], ...]
    """A part that is None was not asked of the study."""


def _held_under_au(group: str) -> tuple[Callable[[Evidence], Part], ...]:
    """A group that loses under CG and not, or by less than its margin, under AU."""
    return (
        partial(group_gain, f"{group} loses under CG", group, "CG-TS", sign=-1.0),
        partial(group_gain, f"{group} does better under AU than under CG", group, "AU-CG"),
        partial(loss_within_margin, f"{group} loses less than the margin under AU", group, "AU-TS"),
    )


CLAIMS = {
    1: Claim(
        "The effect of aggregation depends on data scale: data-rich tasks gain under CG and AU, data-poor ones lose "
        "under CG.",
        (
            partial(slope, "CG"),
            partial(slope, "AU"),
            partial(typical_gain, "data-rich tasks gain under CG", "CG-TS", data_rich),
            partial(typical_gain, "data-rich tasks gain under AU", "AU-TS", data_rich),
            partial(typical_gain, "data-poor tasks lose under CG", "CG-TS", data_poor, sign=-1.0),
        ),
    ),
    2: Claim(
        "AU is steadier than CG over clinical groups and drops less on small data.",
        (steadier_over_groups, partial(with_little_data, "AU gains more than CG", "AU-CG")),
    ),
    3: Claim(
        "Segmentation is the most sensitive task type; regression and classification lose less.",
        (partial(segmentation_loses_more, "CG"), partial(segmentation_loses_more, "AU")),
    ),
    4: Claim(
        "Obstetrics gains under CG and AU; breast and lung do poorly under CG and hold under AU.",
        (
            partial(group_gain, "obstetrics gains under CG", "obstetrics", "CG-TS"),
            partial(group_gain, "obstetrics gains under AU", "obstetrics", "AU-TS"),
            *_held_under_au("breast"),
            *_held_under_au("lung"),
        ),
    ),
    5: Claim(
        "AU transfers more steadily than CG over all tasks and regularises where data are scarce.",
        (
            partial(typical_gain, "AU gains over TS, all tasks together", "AU-TS", list),
            steadier_over_tasks,
            partial(with_little_data, "AU gains over TS", "AU-TS"),
        ),
    ),
}
"""The findings by number. A new claim, or a part of one, is an entry here."""


def findings(
    frames: Mapping[str, pd.DataFrame],
    pairs: Mapping[tuple[Contrast, float], Sequence[PairedGain]],
    claims: Mapping[int, Claim] = CLAIMS,
) -> pd.DataFrame:
    """The frame `findings`: for each claim one row for the whole and one per part, from the frames made before."""
    evidence = Evidence(frames, pairs)
    gains = frames["gains"]
    tested = bool((gains["basis"].isin(DECIDES) & ~gains["learned_nothing"].eq(True)).any())
    rows = []
    for number, claim in claims.items():
        parts = [part for make in claim.parts if (part := make(evidence)) is not None]
        # one seed does not tell chance in training, nor do models that learned nothing tell what sharing does
        if not tested:
            parts = [replace(part, low=float("nan"), high=float("nan"), p=float("nan")) for part in parts]
        effects = [f"{part.text}: {part.effect}" for part in parts if part.verdict != NOT_TESTABLE]
        about = {"finding": number, "claim": claim.text}
        rows.append(
            {
                **about,
                "part": WHOLE,
                "verdict": of_whole(parts),
                "effect": "; ".join(effects) or "not in these data",
                "evidence": ", ".join(sorted({part.evidence for part in parts})),
            }
        )
        rows += [{**about, **part.columns} for part in parts]
    return frame("findings", rows)


def of_whole(parts: Sequence[Part]) -> str:
    """The verdict on a claim from those on its parts."""
    verdicts = {part.verdict for part in parts}
    p = np.array([part.p_against if part.verdict != NOT_TESTABLE else np.nan for part in parts], float)
    corrected, _ = adjust(p, "Holm", ALPHA)
    # not where p is missing: there the interval tells
    if any(part.verdict == CONTRADICTED and not each > ALPHA for part, each in zip(parts, corrected, strict=True)):
        return CONTRADICTED
    return verdicts.pop() if len(verdicts) == 1 else UNDECIDED
