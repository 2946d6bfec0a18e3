"""The frame `gains`: every task's gain with its uncertainty, its verdict and the raw metric beside it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.frames import frame
from analysis.gains import Contrast, PairedGain, pooled_sd
from analysis.moderation import moderate
from analysis.settings import Settings
from analysis.study import StudyTables, primary_of, unit_of
from analysis.verdicts import SAME_MODEL, judge


def task_gains(
    study: StudyTables,
    pairs: Sequence[PairedGain],
    contrast: Contrast,
    fraction: float,
    settings: Settings,
    improving: pd.DataFrame,
) -> pd.DataFrame:
    """The frame `gains` of one contrast at one fraction: one family of verdicts."""
    if not pairs:
        return frame("gains", [])
    found = [each.estimate() for each in pairs]
    # Tasks in another unit than the score have another scatter and lend none.
    family = [place for place, each in enumerate(pairs) if each.unit == "1" and not each.same_model]
    moderated = moderate(
        [found[place] for place in family],
        [len(pairs[place].seeds) for place in family],
        [pairs[place].subjects for place in family],
    )
    for place, better in zip(family, moderated, strict=True):
        found[place] = better
    same = np.array([each.same_model for each in pairs])
    se = np.where(same, np.nan, [each.se for each in found])
    margins = np.array([_margin(study, each, settings) for each in pairs])
    verdicts = judge(
        np.array([each.value for each in found]),
        se,
        np.array([each.df for each in found]),
        margins,
        correction=settings.correction,
        alpha=settings.alpha,
    )
    verdicts.loc[same, "verdict"] = SAME_MODEL
    still = improving[improving["fraction"] == fraction].set_index(["aggregation", "task"])["improving"].to_dict()
    rows = []
    of_task = dict(list(study.scores[study.scores["fraction"] == fraction].groupby("task")))
    for each, estimated, verdict, margin in zip(pairs, found, verdicts.to_dict("records"), margins, strict=True):
        low, high = (float("nan"),) * 2 if each.same_model else estimated.interval(1 - settings.alpha)
        variance = estimated.v_seed + estimated.v_case
        known = estimated.basis == "seeds and cases" and variance > 0
        rows.append(
            {
                **contrast.columns,
                "fraction": fraction,
                "task": each.task,
                "type": each.type,
                "group": each.group,
                "n_train": each.n_train,
                "seeds": len(each.seeds),
                "subjects": each.subjects,
                "joint_score": float(each.joint_scores.mean()),
                "base_score": float(each.base_scores.mean()),
                "gain": estimated.value,
                "low": low,
                "high": high,
                "se": estimated.se,
                "df": estimated.df,
                "seed_share": estimated.v_seed / variance if known else float("nan"),
                "case_share": estimated.v_case / variance if known else float("nan"),
                "basis": estimated.basis,
                "undefined_draws": each.undefined_draws,
                "margin": margin,
                "base_improving": still.get((contrast.base, each.task)),
                "joint_improving": still.get((contrast.joint, each.task)),
            }
            | verdict
            | _raw(of_task[each.task], contrast)
        )
    return frame("gains", rows)


def _margin(study: StudyTables, each: PairedGain, settings: Settings) -> float:
    """The task's margin on the scale of the gains.

    Relative gains of unit-free scores take the margin over the base score, those of pixel errors the margin itself.
    NaN where the margin says nothing about the scale: absolute pixels, or a standardised gain without scatter.
    """
    margin = study.manifest.margin(each.task)
    if settings.scale == "absolute":
        return margin if each.unit == "1" else float("nan")
    if settings.scale == "relative":
        base = abs(float(each.base_scores.mean()))
        return margin if each.score_unit != "1" else margin / base if base else float("nan")
    spread = pooled_sd(each.joint_scores, each.base_scores)
    return margin / spread if spread > 0 and each.score_unit == "1" else float("nan")


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
