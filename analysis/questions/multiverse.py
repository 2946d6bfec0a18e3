"""Verdicts under every reasonable choice: does a verdict depend on the one analysis that was chosen?

At the largest fraction each contrast is judged again under

    metric          the unit-free score; classification also by macro F1, MCC, accuracy; pixel errors (HD, MRE) on the
                    relative scale, where pixels cancel
    empty masks     segmentation: images that lack a structure counted as the challenge has it, or left out
    scale           absolute, relative
    margin          half, once and twice that of the study
    correction      Benjamini-Hochberg, Holm, none

A family is always all tasks of all contrasts, as in the headline. Metric and mask rule are changed for one task type
at a time, the other types keeping score and rule; a task is judged only by the analyses that change its own type, or
none, so no analysis counts for it more than once. Gains are estimated once per metric, rule and scale, with seed
variances moderated as verdicts have them. Source of the idea: Steegen et al., Perspect. Psychol. Sci. 11 (2016).
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import groupby, product
from typing import get_args

import numpy as np
import pandas as pd

from aggregation_lab.aggregation import FLOOR
from aggregation_lab.tasks import METRICS, TaskType, find_type
from analysis.contrasts import Contrast, contrasts
from analysis.frames import LABELS, frame
from analysis.gains import PairedGain, TaskScores
from analysis.pairing import pair
from analysis.questions.families import family
from analysis.settings import Correction, Scale, Settings
from analysis.statistics.resampling import ARM, CaseArrays, FoldedCases, Weights
from analysis.statistics.verdicts import VERDICTS
from analysis.study import Resampled, StudyTables, about_subjects, task_scores

MOST_CONTRASTS = 24
"""Contrasts that are judged under other choices; the first of more."""

MARGIN_FACTORS = (0.5, 1.0, 2.0)
SCALES: tuple[Scale, ...] = ("absolute", "relative")
CORRECTIONS: tuple[Correction, ...] = get_args(Correction)

COUNTED, LEFT_OUT = "counted", "left out"

CHOICES = (
    *(*LABELS, "task", "type", "metric", "empty_masks", "scale", "margin_factor", "correction"),
    *("gain", "low_adjusted", "high_adjusted", "p_adjusted", "margin", "verdict"),
)
"""Columns of the long frame."""

Variant = tuple[str, str]
"""Metric and rule for empty masks."""

MAIN: Variant = ("score", COUNTED)

TaskContrast = tuple[Contrast, str]
"""A task under a contrast."""


def multiverse(
    study: StudyTables, resampled: Resampled | None, gains: pd.DataFrame, settings: Settings
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The frame `multiverse`, and a long frame with the columns `CHOICES`: one row per task and analysis.

    `gains` is the frame of that name; it says what the verdict is under the study's own choices. Tasks of which both
    aggregations train the same model are left out. Without cases, metrics come from the table `scores`, uncertain
    through seeds alone, and the rule for empty masks cannot be changed.
    """
    fraction = study.full
    scores = task_variants(study, resampled, fraction)
    parts = []
    compared = contrasts(study.aggregations)[:MOST_CONTRASTS]
    for scale in SCALES:
        gains_of: dict[TaskContrast, dict[Variant, PairedGain]] = {}
        for contrast, (task, variants) in product(compared, scores.items()):
            paired = {name: pair(scored, contrast, fraction, scale) for name, scored in variants.items()}
            usable = {name: gain for name, gain in paired.items() if gain is not None and _usable(name, gain)}
            if MAIN in usable:
                gains_of[contrast, task] = usable
        parts += [rows.assign(fraction=fraction, scale=scale) for rows in _analyses(gains_of, settings)]
    long = pd.concat(parts, ignore_index=True)[list(CHOICES)] if parts else pd.DataFrame(columns=list(CHOICES))
    return _summary(long, gains), long


def _usable(variant: Variant, gain: PairedGain) -> bool:
    """Two models, a gain that is defined in every seed, and not an alternative metric in pixels."""
    defined = len(gain.seeds) > 0 and bool(np.isfinite(gain.by_seed).all())
    return defined and not gain.same_model and (gain.unit == "1" or variant == MAIN)


def task_variants(
    study: StudyTables, resampled: Resampled | None, fraction: float
) -> dict[str, dict[Variant, TaskScores]]:
    """Scores of every task at one fraction under every metric and rule it has.

    `MAIN` is the unit-free score, or the primary metric where a table has none. Scores must agree with cases, which
    `analysis.study.task_scores` checks.
    """
    at_fraction = study.scores[study.scores["fraction"] == fraction]
    thin, rows = replace(study, scores=at_fraction), at_fraction[at_fraction["aggregation"] != FLOOR]
    by_task: dict[str, dict[Variant, TaskScores]] = {scored.task: {MAIN: scored} for scored in task_scores(thin, None)}
    main, higher = {}, {}
    for task, task_rows in rows.groupby("task"):
        name = "score" if (task_rows["metric"] == "score").any() else thin.primary[str(task)]
        main[str(task)] = name
        higher[str(task)] = bool((task_rows.loc[task_rows["metric"] == name, "direction"] == "higher").all())
    for metric in sorted({name for task_type in TaskType for name in task_type.alternatives}):
        for scored in task_scores(thin, None, metric):
            task_type = find_type(scored.type)
            known = task_type is not None and metric in task_type.alternatives and scored.task in by_task
            if known and metric != main[scored.task]:
                by_task[scored.task][metric, COUNTED] = scored
    if resampled is None:
        return by_task
    return {
        task: _from_cases(variants, main[task], higher[task], resampled.tasks[task], resampled.weights)
        if task in resampled.tasks
        else variants
        for task, variants in by_task.items()
    }


def _from_cases(
    variants: Mapping[Variant, TaskScores], main: str, higher: bool, cases: CaseArrays | FoldedCases, weights: Weights
) -> dict[Variant, TaskScores]:
    """Every variant of a task from its cases; metrics that its cases do not give are left out.

    `higher`: more is better of the main metric, which the name of another trainer's metric does not show.
    """
    index = pd.MultiIndex.from_frame(cases.arms).get_indexer(pd.MultiIndex.from_frame(variants[MAIN].arms[ARM]))
    chosen = cases.take(index)
    rules = (COUNTED, LEFT_OUT) if chosen.has_empty else (COUNTED,)
    rescored = {}
    for rule in rules:
        counted = rule == COUNTED
        values = chosen.scores(count_empty=counted)
        draws = chosen.draws(weights, count_empty=counted)
        for (metric, _), scored in variants.items():
            name = main if metric == MAIN[0] else metric
            if name in values:
                better = METRICS[name].higher_is_better if name in METRICS else higher
                sign = 1.0 if better else -1.0
                about = about_subjects(chosen, name, scored.folds, count_empty=counted)
                rescored[metric, rule] = replace(scored, values=sign * values[name], draws=sign * draws[name], **about)
    return rescored


def _analyses(
    gains_of: Mapping[TaskContrast, Mapping[Variant, PairedGain]], settings: Settings
) -> Iterator[pd.DataFrame]:
    """Verdicts of all contrasts on one scale under every variant, margin and correction."""
    types = {key: variants[MAIN].type for key, variants in gains_of.items()}
    changes = dict.fromkeys(
        ("", MAIN) if name == MAIN else (types[key], name) for key, variants in gains_of.items() for name in variants
    )
    for type_name, variant in changes:
        judged = [
            variant == MAIN or types[key] == type_name and variant in variants for key, variants in gains_of.items()
        ]
        chosen = {
            key: variants[variant if changed else MAIN]
            for (key, variants), changed in zip(gains_of.items(), judged, strict=True)
        }
        by_contrast = groupby(chosen.items(), lambda item: item[0][0])
        members = family([pair for _, pair in of_contrast] for _, of_contrast in by_contrast)
        about = pd.DataFrame(
            [contrast.columns | {"task": task, "type": pair.type} for (contrast, task), pair in chosen.items()]
        ).assign(metric=variant[0], empty_masks=variant[1], gain=[estimate.value for estimate in members.estimates])
        margin = np.array([pair.margin for pair in members.pairs])
        tried = list(product(MARGIN_FACTORS, CORRECTIONS))
        found = [members.judge(margin * factor, correction, settings.alpha) for factor, correction in tried]
        every = about.iloc[np.tile(np.arange(len(about)), len(tried))].reset_index(drop=True)
        yield every.join(pd.concat(found, ignore_index=True)).assign(
            margin_factor=[factor for factor, _ in tried for _ in judged],
            correction=[correction for _, correction in tried for _ in judged],
            margin=np.concatenate([margin * factor for factor, _ in tried]),
        )[judged * len(tried)]


def _summary(long: pd.DataFrame, gains: pd.DataFrame) -> pd.DataFrame:
    """Shares of verdicts by task, beside the verdict of the frame `gains`."""
    keys = [*LABELS, "task"]
    chosen = gains.set_index(keys)["verdict"].to_dict()
    rows = []
    for key, part in long.groupby(keys, sort=False):
        shares = part["verdict"].value_counts(normalize=True)
        verdict = chosen.get(key, "")
        same = float(shares.get(verdict, 0.0)) if verdict else float("nan")
        rows.append(
            dict(zip(keys, key, strict=True))
            | {name: float(shares.get(name, 0.0)) for name in VERDICTS}
            | {"verdict": verdict, "choices": len(part), "share": same}
        )
    return frame("multiverse", rows)
