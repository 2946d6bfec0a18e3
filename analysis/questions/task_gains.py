"""The frame `gains`: every task's gain with its uncertainty, its verdict and the raw metric beside it."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.frames import frame
from analysis.gains import Contrast, PairedGain
from analysis.questions.families import family
from analysis.settings import Settings
from analysis.statistics.uncertainty import SEEDS_AND_CASES, GainEstimate
from analysis.statistics.verdicts import SAME_MODEL
from analysis.study import StudyTables, primary_of, unit_of

HEADLINE, SMALLER = "full data", "smaller fractions"
"""Families of verdicts: every task of every contrast at its largest fraction, and at all smaller ones together."""


def task_gains(
    study: StudyTables, pairs: Mapping[tuple[Contrast, float], Sequence[PairedGain]], settings: Settings
) -> pd.DataFrame:
    """The frame `gains` of every contrast and fraction of `pairs`.

    Verdicts are corrected over families: the headline, which is what a report opens with, is one family, the smaller
    fractions together are another.
    """
    full = {
        contrast: share for (contrast, share), members in sorted(pairs.items(), key=lambda item: item[0][1]) if members
    }
    rows = []
    for name in (HEADLINE, SMALLER):
        chosen = {key: pairs[key] for key in pairs if pairs[key] and (key[1] == full[key[0]]) == (name == HEADLINE)}
        if chosen:
            rows += _family_rows(study, chosen, settings, name)
    return frame("gains", rows)


def _family_rows(
    study: StudyTables, pairs: Mapping[tuple[Contrast, float], Sequence[PairedGain]], settings: Settings, name: str
) -> list[dict[str, object]]:
    """Rows of one family with their verdicts."""
    members = family(pairs.values())
    margins = np.array([pair.margin for pair in members.pairs])
    verdicts = members.judge(margins, settings.correction, settings.alpha).to_dict("records")
    about = [key for key, of_key in pairs.items() for _ in of_key]
    scores = dict(list(study.scores.groupby(["fraction", "task"])))
    return [
        {**contrast.at(share), "family": name}
        | _row(pair, estimate, settings)
        | _raw(scores[share, pair.task], contrast)
        | {str(column): value for column, value in verdict.items()}
        for (contrast, share), pair, estimate, verdict in zip(
            about, members.pairs, members.estimates, verdicts, strict=True
        )
    ]


def _row(pair: PairedGain, estimate: GainEstimate, settings: Settings) -> dict[str, object]:
    """One task's gain with its interval, before any verdict."""
    unknown = float("nan")
    low, high = (unknown, unknown) if pair.same_model else estimate.interval(1 - settings.alpha)
    variance = estimate.v_seed + estimate.v_case
    known = estimate.basis == SEEDS_AND_CASES and variance > 0
    return {
        "task": pair.task,
        "type": pair.type,
        "group": pair.group,
        "n_train": pair.n_train,
        "seeds": len(pair.seeds),
        "subjects": pair.subjects,
        "joint_score": float(pair.joint_scores.mean()),
        "base_score": float(pair.base_scores.mean()),
        "gain": estimate.value,
        "low": low,
        "high": high,
        "se": estimate.se,
        "df": estimate.df,
        "seed_share": estimate.v_seed / variance if known else unknown,
        "case_share": estimate.v_case / variance if known else unknown,
        "basis": SAME_MODEL if pair.same_model else estimate.basis,
        "undefined_draws": pair.undefined_draws,
        "margin": pair.margin,
        "base_improving": pair.base_improving,
        "joint_improving": pair.joint_improving,
    }


def _raw(rows: pd.DataFrame, contrast: Contrast) -> dict[str, object]:
    """The primary metric of both sides in its own unit, mean over seeds; the rows are the task's at one fraction."""
    metric = primary_of(str(rows["type"].iloc[0]), list(rows["metric"].unique()))
    rows = rows[rows["metric"] == metric]
    means = rows.groupby("aggregation")["value"].mean()
    joint, base = (float(means.get(name, np.nan)) for name in (contrast.joint, contrast.base))
    sign = 1 if rows["direction"].iloc[0] == "higher" else -1
    return {
        "metric": metric,
        "unit": unit_of(metric, rows["value"].to_numpy(float)),
        "joint_raw": joint,
        "base_raw": base,
        "relative": sign * (joint - base) / abs(base) if base else float("nan"),
    }
