"""The frame `gains`: every task's gain with its uncertainty, its verdict and the raw metric beside it."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.frames import frame
from analysis.gains import Contrast, PairedGain, pooled_sd
from analysis.settings import Scale, Settings
from analysis.statistics.moderated_variance import moderate
from analysis.statistics.uncertainty import DECIDES, SEEDS_AND_CASES, Estimate
from analysis.statistics.verdicts import SAME_MODEL, judge
from analysis.study import StudyTables, primary_of, unit_of

HEADLINE, SMALLER = "full data", "smaller fractions"
"""Families of verdicts: every task of every contrast at its largest fraction, and at all smaller ones together."""


def task_gains(
    study: StudyTables,
    pairs: Mapping[tuple[Contrast, float], Sequence[PairedGain]],
    settings: Settings,
    improving: pd.DataFrame,
) -> pd.DataFrame:
    """The frame `gains` of every contrast and fraction of `pairs`.

    Verdicts are corrected over families: the headline, which is what a report opens with, is one family, the smaller
    fractions together are another.
    """
    full = {contrast: share for (contrast, share), members in sorted(pairs.items(), key=_share) if members}
    parts = []
    for family in (HEADLINE, SMALLER):
        rows, limits = [], []
        for (contrast, share), members in pairs.items():
            if (share == full.get(contrast)) != (family == HEADLINE):
                continue
            estimates = moderated(members)
            of_task = dict(list(study.scores[study.scores["fraction"] == share].groupby("task")))
            still = improving[improving["fraction"] == share].set_index(["aggregation", "task"])["improving"].to_dict()
            for pair, estimate in zip(members, estimates, strict=True):
                margin = scaled_margin(pair, study.manifest.margin(pair.task), settings.scale)
                rows.append(
                    {**contrast.columns, "fraction": share, "family": family, "margin": margin}
                    | _row(pair, estimate, settings)
                    | {
                        "base_improving": still.get((contrast.base, pair.task)),
                        "joint_improving": still.get((contrast.joint, pair.task)),
                    }
                    | _raw(of_task[pair.task], contrast)
                )
                limits.append(testable(pair, estimate))
        if rows:
            parts.append(_judged(rows, np.array(limits), settings))
    return frame("gains", [row for part in parts for row in part])


def _share(item: tuple[tuple[Contrast, float], object]) -> float:
    return item[0][1]


def moderated(pairs: Sequence[PairedGain]) -> list[Estimate]:
    """Estimates of one contrast and fraction; tasks lend scatter over seeds to tasks of their type.

    A task in another unit than the score, or whose two models are one, has another scatter: it is a type by itself.
    """
    types = [pair.type if pair.unit == "1" and not pair.same_model else f"{pair.task} alone" for pair in pairs]
    return moderate(
        [pair.estimate() for pair in pairs],
        [len(pair.seeds) for pair in pairs],
        [pair.subjects for pair in pairs],
        types,
    )


def testable(pair: PairedGain, estimate: Estimate) -> float:
    """Standard error that a verdict may rest on; NaN where there is none.

    One seed tells nothing of the chance of training. Test cases of one subject, or whose metric is undefined on
    resamples, tell nothing of the chance of subjects: with them a verdict would hold for that subject alone.
    """
    lone = pair.draws is not None and not estimate.has_cases
    return float("nan") if pair.same_model or lone or estimate.basis not in DECIDES else estimate.se


def _judged(rows: list[dict[str, object]], se: np.ndarray, settings: Settings) -> list[dict[str, object]]:
    """Rows of one family with their verdicts."""
    gain, df, margin = (np.array([row[name] for row in rows], float) for name in ("gain", "df", "margin"))
    verdicts = judge(gain, se, df, margin, correction=settings.correction, alpha=settings.alpha)
    records = [{str(name): value for name, value in row.items()} for row in verdicts.to_dict("records")]
    judged = [row | verdict for row, verdict in zip(rows, records, strict=True)]
    return [row | {"verdict": SAME_MODEL} if row["basis"] == SAME_MODEL else row for row in judged]


def _row(pair: PairedGain, estimate: Estimate, settings: Settings) -> dict[str, object]:
    """One task's gain with its interval, before any verdict."""
    nothing = float("nan")
    low, high = (nothing, nothing) if pair.same_model else estimate.interval(1 - settings.alpha)
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
        "seed_share": estimate.v_seed / variance if known else nothing,
        "case_share": estimate.v_case / variance if known else nothing,
        "basis": SAME_MODEL if pair.same_model else estimate.basis,
        "undefined_draws": pair.undefined_draws,
    }


def scaled_margin(pair: PairedGain, margin: float, scale: Scale) -> float:
    """A task's margin on the scale of its gains.

    Relative gains of unit-free scores take the margin over the base score, those of pixel errors the margin itself.
    NaN where the margin says nothing about the scale: absolute pixels, or a standardised gain without scatter.
    """
    if scale == "absolute":
        return margin if pair.unit == "1" else float("nan")
    if scale == "relative":
        base = abs(float(pair.base_scores.mean()))
        return margin if pair.score_unit != "1" else margin / base if base else float("nan")
    spread = pooled_sd(pair.joint_scores, pair.base_scores)
    return margin / spread if spread > 0 and pair.score_unit == "1" else float("nan")


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
