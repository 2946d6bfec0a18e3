"""The plain network that stands beside TS: whether the baseline of all gains is above an ordinary CNN.

It is an arm of the study of its own, trained TS, and enters no gain, finding or advice.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from aggregation_lab.naming import encoder_title
from analysis.arms.side_by_side import side_by_side
from analysis.arms.together import together
from analysis.contrasts import Contrast
from analysis.frames import at_full, frame
from analysis.gains import PairedGain
from analysis.pairing import pair_all
from analysis.questions.caveats.sentences import if_any
from analysis.questions.families import family
from analysis.questions.study_quality import scores
from analysis.raw_metric import raw_metrics
from analysis.settings import Settings
from analysis.statistics.uncertainty import DECIDES, GainEstimate
from analysis.study import StudyTables, task_scores

BASE = "TS"
"""The aggregation that a reference is trained under, and compared with."""


def reference_arm(study: StudyTables) -> str | None:
    """The arm of the plain network beside this one; None where the study has none."""
    name = study.manifest.reference
    return None if study.every_arm is None or name not in study.arms or name == study.arm else name


def reference(study: StudyTables, settings: Settings) -> pd.DataFrame:
    """The frame `reference`: TS minus the plain network by task and fraction, paired seed by seed; no rows where the
    study has none.

    Differences are absolute, on the unit-free score. Intervals are made as those of gains
    (`analysis.questions.families`) and are missing where nothing repeats the difference.
    """
    name, rows = reference_arm(study), []
    if name is None or study.arm is None:
        return frame("reference", [])
    made = together(side_by_side(study, {BASE: (study.arm, BASE), name: (name, BASE)}), settings.draws, settings.seed)
    both, resampled = made.tables, made.resampled
    means = {
        (row["aggregation"], row["fraction"], row["task"]): row
        for row in scores(both, frame("gains", [])).to_dict("records")
    }
    of_tasks, raw = task_scores(both, resampled), raw_metrics(both, resampled)
    for share in both.fractions:
        members = family([pair_all(of_tasks, Contrast(BASE, name), share)])
        for pair, estimate in zip(members.pairs, members.estimates, strict=True):
            plain, base = (raw[pair.task].of(side, share, pair.seeds) for side in (name, BASE))
            about = {"reference": encoder_title(name), "fraction": share}
            metrics = _metrics(means[name, share, pair.task], pair, plain, base)
            rows.append({**about, **metrics, **_difference(pair, estimate, settings)})
    return frame("reference", rows)


def _metrics(row: Mapping[Any, Any], pair: PairedGain, plain: np.ndarray, base: np.ndarray) -> dict[str, Any]:
    """Both sides in the task's primary metric, on the seeds that both have; `row` is the plain network's of the frame
    `scores`."""
    shared = ("task", "type", "group", "n_train", "metric", "unit", "direction", "floor", "beats_floor")
    means = {"mean": pair.mean(plain), "base_mean": pair.mean(base)}
    return {name: row[name] for name in shared} | means | {"sd": _sd(plain), "base_sd": _sd(base)}


def _sd(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def _difference(pair: PairedGain, estimate: GainEstimate, settings: Settings) -> dict[str, Any]:
    repeated = estimate.basis in DECIDES and not pair.same_model
    low, high = estimate.interval(1 - settings.alpha) if repeated else (np.nan, np.nan)
    return {
        "seeds": len(pair.seeds),
        "score": pair.mean(pair.base_scores),
        "base_score": pair.mean(pair.joint_scores),
        "difference": estimate.value,
        "difference_unit": pair.unit,
        "low": low,
        "high": high,
        "margin": pair.margin,
        "weak_base": bool(estimate.value < -pair.margin),
    }


def weak_baselines(study: StudyTables, rows: pd.DataFrame) -> list[str]:
    """What the frame `reference` says of the baseline of all gains, a sentence each; nothing without a reference."""
    name = reference_arm(study)
    if name is None:
        return []
    title, full = encoder_title(name), at_full(rows)
    tasks = set(study.scores.loc[study.scores["fraction"] == study.full, "task"])
    weak, unknown = set(full.loc[full["weak_base"].astype(bool), "task"]), tasks - set(full["task"])
    better = (
        f"{title}, a plain network trained TS, is better than TS by more than the margin in {{}}: gains of joint "
        "models there are gains over a weak baseline."
    )
    apart = (
        f"{title} and TS have no seed, or no test case, in common in {{}}: whether TS is a weak baseline there is not "
        "known."
    )
    return if_any(weak, len(tasks), better) + if_any(unknown, len(tasks), apart)
