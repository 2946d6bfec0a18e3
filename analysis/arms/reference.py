"""The plain network that stands beside TS: whether the baseline of all gains is above an ordinary CNN.

It is an arm of the study of its own, trained TS, and enters no gain, finding or advice.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from aggregation_lab.naming import encoder_title
from aggregation_lab.text import listed
from analysis.arms.side_by_side import side_by_side
from analysis.frames import at_full, frame
from analysis.gains import Contrast, PairedGain, pair_all
from analysis.questions.families import family
from analysis.questions.study_quality import scores
from analysis.settings import Settings
from analysis.statistics.uncertainty import DECIDES, GainEstimate
from analysis.study import StudyTables, resample, task_scores

BASE = "TS"
"""The aggregation that a reference is trained under, and compared with."""
_NAMED = 5


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
    both = side_by_side(study, {BASE: (study.arm, BASE), name: (name, BASE)})
    means = {
        (row["aggregation"], row["fraction"], row["task"]): row
        for row in scores(both, frame("gains", [])).to_dict("records")
    }
    of_tasks = task_scores(both, resample(both, settings.draws, settings.seed))
    for share in both.fractions:
        members = family([pair_all(of_tasks, Contrast(BASE, name), share)])
        for pair, estimate in zip(members.pairs, members.estimates, strict=True):
            plain, base = (means[side, share, pair.task] for side in (name, BASE))
            about = {"reference": encoder_title(name), "fraction": share}
            rows.append({**about, **_metrics(plain, base), **_difference(pair, estimate, settings)})
    return frame("reference", rows)


def _metrics(plain: Mapping[Any, Any], base: Mapping[Any, Any]) -> dict[str, Any]:
    """Both sides in the task's primary metric, from their rows of the frame `scores`."""
    shared = ("task", "type", "group", "n_train", "metric", "unit", "floor", "beats_floor", "mean", "sd")
    return {name: plain[name] for name in shared} | {"base_mean": base["mean"], "base_sd": base["sd"]}


def _difference(pair: PairedGain, estimate: GainEstimate, settings: Settings) -> dict[str, Any]:
    repeated = estimate.basis in DECIDES and not pair.same_model
    low, high = estimate.interval(1 - settings.alpha) if repeated else (np.nan, np.nan)
    return {
        "seeds": len(pair.seeds),
        "score": float(pair.base_scores.mean()),
        "base_score": float(pair.joint_scores.mean()),
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
    found = []
    if weak:
        found.append(
            f"{title}, a plain network trained TS, is better than TS by more than the margin in "
            f"{_counted(weak, tasks)}: gains of joint models there are gains over a weak baseline."
        )
    if unknown:
        found.append(
            f"{title} and TS have no seed in common in {_counted(unknown, tasks)}: whether TS is a weak baseline there "
            "is not known."
        )
    return found


def _counted(some: set[str], tasks: set[str]) -> str:
    return f"{len(some)} of {len(tasks)} tasks ({listed(sorted(some), _NAMED)})"
