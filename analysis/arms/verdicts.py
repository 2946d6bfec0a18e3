"""The frames `arm_gains`, `arm_changes` and `arm_means`: gains and their changes across arms, with verdicts.

Verdicts are corrected as those of the headline are: all tasks of all comparisons of a frame at full data are one
family, the smaller fractions together another. Scatter over seeds is shared by tasks of one type within a comparison.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain

import numpy as np
import pandas as pd

from analysis.arms.comparisons import Compared
from analysis.frames import frame, ordered
from analysis.gains import PairedGain
from analysis.questions.families import Family, by_family, family
from analysis.questions.means import pooled
from analysis.settings import Settings
from analysis.statistics.uncertainty import GainEstimate
from analysis.statistics.verdicts import SAME_MODEL, UNDECIDED, judge_changes

_GAINS = {"gain": "gain", "joint_score": "joint_score", "base_score": "base_score"}
_CHANGES = {"gain": "change", "joint_score": "in_arm", "base_score": "in_base_arm"}
"""What the frames call a value and the two that it is a difference of."""


def arm_gains(compared: Compared, settings: Settings) -> pd.DataFrame:
    """The frame `arm_gains` of `gains_within` or `gains_over`."""

    def judged(members: Family, margins: np.ndarray) -> pd.DataFrame:
        return members.judge(margins, settings.correction, settings.alpha)

    rows = _rows(compared, settings, judged, _GAINS)
    return frame("arm_gains", [{name: value for name, value in row.items() if name != "kind"} for row in rows])


def arm_changes(compared: Compared, settings: Settings) -> pd.DataFrame:
    """The frame `arm_changes` of `changes` and `effects` together."""

    def judged(members: Family, margins: np.ndarray) -> pd.DataFrame:
        change, df = (np.array([getattr(estimate, name) for estimate in members.estimates]) for name in ("value", "df"))
        own = change, members.se, df, margins
        rows = judge_changes(*own, correction=settings.correction, alpha=settings.alpha, tests=members.same.tests)
        rows.loc[members.learned_nothing, "verdict"] = UNDECIDED
        rows.loc[[pair.same_model for pair in members.pairs], "verdict"] = SAME_MODEL
        return rows

    return frame("arm_changes", _rows(compared, settings, judged, _CHANGES))


def arm_means(*compared: Compared) -> pd.DataFrame:
    """The frame `arm_means`: every comparison at every fraction over all tasks, by type and by clinical group."""
    parts = [
        pooled(pairs).assign(**about.columns, fraction=fraction)
        for each in compared
        for (about, fraction), pairs in each.items()
        if pairs
    ]
    return ordered("arm_means", pd.concat(parts, ignore_index=True)) if parts else frame("arm_means", [])


Judged = Callable[[Family, np.ndarray], pd.DataFrame]


def _rows(compared: Compared, settings: Settings, judged: Judged, names: Mapping[str, str]) -> list[dict[str, object]]:
    rows = []
    for name, chosen in by_family(compared).items():
        members = family(chosen.values())
        verdicts = judged(members, np.array([pair.margin for pair in members.pairs])).to_dict("records")
        about = list(chain.from_iterable([key] * len(pairs) for key, pairs in chosen.items()))
        repeats = members.same.names([contrast.title for contrast, _ in about])
        for place, ((contrast, fraction), pair, estimate, verdict) in enumerate(
            zip(about, members.pairs, members.estimates, verdicts, strict=True)
        ):
            labels = {**contrast.columns, "fraction": fraction, "family": name, "repeats": repeats[place]}
            known = {str(column): value for column, value in verdict.items() if column not in _NOT_SHOWN}
            known["learned_nothing"] = bool(members.learned_nothing[place])
            rows.append(labels | _row(pair, estimate, settings, names) | known)
    return rows


_NOT_SHOWN = {"power"}


def _row(pair: PairedGain, estimate: GainEstimate, settings: Settings, names: Mapping[str, str]) -> dict[str, object]:
    low, high = (float("nan"),) * 2 if pair.same_model else estimate.interval(1 - settings.alpha)
    return {
        "task": pair.task,
        "type": pair.type,
        "group": pair.group,
        "unit": pair.unit,
        "n_train": pair.n_train,
        "seeds": len(pair.seeds),
        "subjects": pair.subjects,
        names["joint_score"]: pair.mean(pair.joint_scores),
        names["base_score"]: pair.mean(pair.base_scores),
        names["gain"]: estimate.value,
        "low": low,
        "high": high,
        "se": estimate.se,
        "df": estimate.df,
        "basis": SAME_MODEL if pair.same_model else estimate.basis,
        "margin": pair.margin,
        "base_improving": pair.base_improving,
        "runs": _runs([pair]),
    }


def _runs(pairs: Iterable[PairedGain]) -> str:
    """Every run behind pairs once, joined by a space; empty where a source names none."""
    sides: Sequence[np.ndarray] = [runs for pair in pairs for runs in (pair.joint_runs, pair.base_runs)]
    return " ".join(sorted({run for runs in sides for joined in runs for run in str(joined).split("+")} - {""}))
