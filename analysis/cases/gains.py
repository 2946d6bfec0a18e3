"""The frame `case_gains`: what every test case gains or loses, at full data.

gain of a case = mean over the paired seeds of its score under the joint aggregation minus that under the base: the
seeds that the task's own gain is made of. With one split every seed tests every case; where folds rotate, a case is
tested by the seeds of its fold alone. Differences of single cases hold the chance of training and of the case, so no
verdict is made from them: verdicts are in the frame `gains`.
"""

import posixpath
from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.cases.scores import case_scores, score_name
from analysis.context import Context
from analysis.frames import ordered
from analysis.gains import PairedGain
from analysis.statistics.resampling import CaseArrays, FoldedCases

MOST_CONTRASTS = 6
"""Contrasts whose cases are compared, the first of them: of very many aggregations nobody looks at single cases."""


def case_gains(context: Context) -> pd.DataFrame:
    """The frame `case_gains`; empty without a table of cases."""
    if context.resampled is None:
        return context.frames["case_gains"]
    share, parts = context.study.full, []
    for contrast in context.contrasts[:MOST_CONTRASTS]:
        for pair in context.pairs[contrast, share]:
            if pair.task in context.resampled.tasks and not pair.same_model:
                about = {**contrast.at(share), "task": pair.task, "type": pair.type, "group": pair.group}
                parts += _of_pair(about, pair, context.resampled.tasks[pair.task])
    if not parts:
        return context.frames["case_gains"]
    return ordered("case_gains", pd.concat(parts, ignore_index=True))


def _of_pair(about: Mapping[str, object], pair: PairedGain, arrays: CaseArrays | FoldedCases) -> list[pd.DataFrame]:
    """Rows of one contrast and task, a part for each fold."""
    parts, share = [], float(str(about["fraction"]))
    for scores in case_scores(arrays):
        at = {
            seed: (scores.arm(str(about["joint"]), share, seed), scores.arm(str(about["base"]), share, seed))
            for seed in pair.seeds
        }
        both = {seed: (one, other) for seed, (one, other) in at.items() if one is not None and other is not None}
        if not both:
            continue
        joint, base = (scores.values[[arms[side] for arms in both.values()]] for side in (0, 1))
        gain = joint.mean(0) - base.mean(0)
        nearest = np.abs(joint - base - gain).argmin(0)
        rows = {
            "case": scores.cases,
            "subject": scores.subjects,
            "score": score_name(pair.type, arrays),
            "joint_score": joint.mean(0),
            "base_score": base.mean(0),
            "gain": gain,
            "seeds": len(both),
            "shown_seed": np.array(list(both))[nearest],
            "class": scores.classes,
            "source": [_source(pair.task, str(case)) for case in scores.cases],
            "image_size": np.nan,
            "target_size": np.nan,
        }
        parts.append(pd.DataFrame({**about, **rows}))
    return parts


def _source(task: str, case: str) -> str:
    """The folder of the case's image: a case is called TASK/PATH OF THE IMAGE. Empty where its name says none."""
    return posixpath.dirname(case.removeprefix(f"{task}/")) if case.startswith(f"{task}/") else ""
