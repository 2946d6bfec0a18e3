"""The frame `gains`: every task's gain with its uncertainty, its verdict and the raw metric beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.contrasts import Contrast
from analysis.frames import frame
from analysis.gains import PairedGain
from analysis.primary_metric import ModelKey
from analysis.questions.families import by_family, judge_family
from analysis.questions.power import TO_ADD, is_open, plan, would_decide
from analysis.questions.study_quality import task_compute
from analysis.raw_metric import RawMetric, raw_metrics
from analysis.settings import Settings, farthest_gain
from analysis.statistics.uncertainty import SEEDS_AND_CASES, GainEstimate
from analysis.statistics.verdicts import SAME_MODEL, UNDECIDED, NextLevels
from analysis.study import Resampled, StudyTables


def task_gains(
    study: StudyTables,
    resampled: Resampled | None,
    pairs: Mapping[tuple[Contrast, float], Sequence[PairedGain]],
    settings: Settings,
) -> pd.DataFrame:
    """The frame `gains` of every contrast and fraction of `pairs`.

    Verdicts are corrected over families: the headline, which is what a report opens with, is one family, the smaller
    fractions together are another.
    """
    rows, models, raw = [], _Models.of(study), raw_metrics(study, resampled)
    for name, chosen in by_family(pairs).items():
        rows += _family_rows(raw, chosen, settings, name, models)
    return frame("gains", rows)


@dataclass(frozen=True, eq=False)
class _Models:
    """What is known of the models behind gains, by aggregation, fraction and task."""

    compute: Mapping[ModelKey, tuple[float, float]]
    rising: Mapping[ModelKey, tuple[int, int]]

    @classmethod
    def of(cls, study: StudyTables) -> "_Models":
        """Those of a study; models without a ledger or a curve are missing."""
        seen = study.improving()[["aggregation", "fraction", "task", "rising", "curves"]]
        rising = {
            (name, share, task): (up, of) for name, share, task, up, of in seen.itertuples(index=False, name=None)
        }
        return cls(task_compute(study), rising)

    def columns(self, contrast: Contrast, share: float, task: str) -> dict[str, object]:
        """What each side was trained for, and in how many seeds it was still rising."""
        row: dict[str, object] = {}
        unknown = float("nan")
        for side, name in (("joint", contrast.joint), ("base", contrast.base)):
            row[f"{side}_passes"] = self.compute.get((name, share, task), (unknown, unknown))[0]
            row[f"{side}_rising"], row[f"{side}_curves"] = self.rising.get((name, share, task), (unknown, unknown))
        joint, base = (self.compute.get((name, share, task)) for name in (contrast.joint, contrast.base))
        return row | {"compute_ratio": joint[1] / base[1] if joint and base and base[1] else unknown}


def _family_rows(
    raw: Mapping[str, RawMetric],
    pairs: Mapping[tuple[Contrast, float], Sequence[PairedGain]],
    settings: Settings,
    name: str,
    models: _Models,
) -> list[dict[str, object]]:
    """Rows of one family with their verdicts, and what would decide those that are undecided."""
    judged = judge_family(pairs, settings)
    verdicts, limits_of = judged.judged.to_dict("records"), judged.members.intervals(settings.alpha)
    return [
        {**contrast.at(share), "family": name}
        | _row(pair, estimate, limits)
        | _raw(raw[pair.task], pair, contrast, share)
        | {str(column): value for column, value in columns.items()}
        | models.columns(contrast, share, pair.task)
        | _undecided(pair, estimate, judged.levels, verdict, contrast.base, farthest_gain(settings.scale))
        | {"repeats": repeats}
        for ((contrast, share), pair, estimate, verdict), columns, limits, repeats in zip(
            judged.rows, verdicts, limits_of, judged.repeats, strict=True
        )
    ]


def _undecided(
    pair: PairedGain, estimate: GainEstimate, levels: NextLevels, verdict: str, base: str, most: float
) -> dict[str, object]:
    """What would decide an undecided task; nothing of one that is decided.

    Where the base learned nothing a verdict would be of no use, so that stands in place of a plan.
    """
    if verdict != UNDECIDED:
        return {"would_decide": ""}
    if not is_open(pair, verdict):
        return {"would_decide": f"the mean of {base} is not above its floor"}
    planned = plan(pair, estimate, levels)
    kept = {name: planned[name] for name in _PLANNED if name in planned}
    return kept | {"would_decide": would_decide(pair, planned, most)}


_PLANNED = ("detectable", *TO_ADD)


def _row(pair: PairedGain, estimate: GainEstimate, limits: tuple[float, float]) -> dict[str, object]:
    """One task's gain with its interval, before any verdict."""
    unknown = float("nan")
    of_seeds, of_cases = estimate.v_seed, estimate.v_case
    if estimate.rotating:  # the scatter over folds holds the cases
        of_seeds, of_cases = max(0.0, estimate.v_seed - estimate.v_both), min(estimate.v_seed, estimate.v_both)
    variance = of_seeds + of_cases
    known = estimate.basis == SEEDS_AND_CASES and variance > 0
    return {
        "task": pair.task,
        "type": pair.type,
        "group": pair.group,
        "n_train": pair.n_train,
        "seeds": len(pair.seeds),
        "subjects": pair.subjects,
        "rarest_class": float("nan") if pair.rarest_class is None else len(pair.rarest_class),
        "unpaired": pair.unpaired,
        "joint_score": pair.mean(pair.joint_scores),
        "base_score": pair.mean(pair.base_scores),
        "gain_unit": pair.unit,
        "gain": estimate.value,
        "low": limits[0],
        "high": limits[1],
        "se": estimate.se,
        "df": estimate.df,
        "seed_share": of_seeds / variance if known else unknown,
        "case_share": of_cases / variance if known else unknown,
        "basis": SAME_MODEL if pair.same_model else estimate.basis,
        "own_scatter": estimate.own_scatter and not pair.same_model,
        "undefined_draws": pair.undefined_draws,
        "margin": pair.margin,
        "learned_nothing": pair.learned_nothing,
        "base_improving": pair.base_improving,
        "joint_improving": pair.joint_improving,
    }


def _raw(metric: RawMetric, pair: PairedGain, contrast: Contrast, share: float) -> dict[str, object]:
    """The primary metric of both sides in its own unit, on the seeds and cases that the gain is made of."""
    joint, base = (pair.mean(metric.of(name, share, pair.seeds)) for name in (contrast.joint, contrast.base))
    sign = 1 if metric.higher_is_better else -1
    return {
        "metric": metric.name,
        "unit": metric.unit,
        "joint_raw": joint,
        "base_raw": base,
        "relative": sign * (joint - base) / abs(base) if base else float("nan"),
    }
