"""The frame `case_gains`: what every test case gains or loses, at full data.

gain of a case = mean over the paired seeds of its score under the joint aggregation minus that under the base: the
seeds that the task's own gain is made of. With one split every seed tests every case; where folds rotate, a case is
tested by the seeds of its fold alone. Differences of single cases hold the chance of training and of the case, so no
verdict is made from them: verdicts are in the frame `gains`.
"""

import posixpath

import numpy as np
import pandas as pd

from analysis.cases.scores import CaseScores, case_scores, score_name
from analysis.context import Context
from analysis.contrasts import Contrast
from analysis.frames import ordered
from analysis.gains import PairedGain

MOST_CONTRASTS = 6
"""Contrasts whose cases are compared, the first of them: of very many aggregations nobody looks at single cases."""


def case_gains(context: Context) -> pd.DataFrame:
    """The frame `case_gains`; empty without a table of cases."""
    if context.resampled is None:
        return context.frames["case_gains"]
    share, arrays, parts = context.study.full, context.resampled.tasks, []
    scores: dict[str, list[CaseScores]] = {}
    for contrast in context.contrasts[:MOST_CONTRASTS]:
        for pair in context.pairs[contrast, share]:
            if pair.task not in arrays or pair.same_model:
                continue
            if pair.task not in scores:
                scores[pair.task] = case_scores(arrays[pair.task])
            about = {**contrast.at(share), "task": pair.task, "type": pair.type, "group": pair.group}
            about["score"] = score_name(pair.type, arrays[pair.task])
            of_folds = (_of_fold(contrast, share, pair, of_fold) for of_fold in scores[pair.task])
            parts += [pd.DataFrame({**about, **rows}) for rows in of_folds if rows]
    if not parts:
        return context.frames["case_gains"]
    return ordered("case_gains", pd.concat(parts, ignore_index=True))


def _of_fold(contrast: Contrast, share: float, pair: PairedGain, scores: CaseScores) -> dict[str, object]:
    """Columns of the cases that the seeds of one fold, or all seeds, have tested; empty where no seed has."""
    at = [(seed, *(scores.arm(name, share, seed) for name in (contrast.joint, contrast.base))) for seed in pair.seeds]
    both = [(seed, one, other) for seed, one, other in at if one is not None and other is not None]
    if not both:
        return {}
    seeds, *arms = map(list, zip(*both, strict=True))
    joint, base = (scores.values[of_side] for of_side in arms)
    gain = joint.mean(0) - base.mean(0)
    return {
        "case": scores.cases,
        "subject": scores.subjects,
        "joint_score": joint.mean(0),
        "base_score": base.mean(0),
        "gain": gain,
        "seeds": len(both),
        "shown_seed": np.array(seeds)[np.abs(joint - base - gain).argmin(0)],
        "class": scores.classes,
        "source": [_source(pair.task, str(case)) for case in scores.cases],
        "image_size": np.nan,
        "target_size": np.nan,
    }


def _source(task: str, case: str) -> str:
    """The folder of the case's image: a case is called TASK/PATH OF THE IMAGE. Empty where its name says none."""
    return posixpath.dirname(case.removeprefix(f"{task}/")) if case.startswith(f"{task}/") else ""
