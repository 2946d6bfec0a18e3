"""Differences of gains between arms, effects of arms and capacity trends: coverage and errors where the truth is known.

Conditions are harsh: three replicates, few subjects, arms whose seeds scatter unevenly, runs that are missing or that
arms share, joint seeds and subjects that move all tasks.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np

from analysis.arms.capacity import PARAMETERS, trends
from analysis.arms.cells import Cell
from analysis.arms.comparisons import EFFECT, ArmContrast, Arms, changes, effects, gains_within
from analysis.gains import PairedGain
from analysis.questions.families import family, moderated, testable
from analysis.questions.means import poolable, tasks_of_this_kind, these_tasks
from analysis.questions.scale.within_tasks import pooled_line
from analysis.statistics.verdicts import LARGER, NO_CHANGE, SMALLER, judge_changes
from analysis.validation.fold_learner import train_folds
from analysis.validation.folds import STUDY
from analysis.validation.scenario import DRAWS, MARGIN, Scenario, share
from analysis.validation.simulate import Simulated
from analysis.validation.simulate_arms import ArmDesign, ArmStudy, simulate_arms


def count_arms(simulated: Simulated, seed: int) -> dict[str, float]:
    """Coverage and verdicts of the differences of gains of one study, and coverage of effects of arms on TS."""
    study = cast(ArmStudy, simulated)
    design = cast(ArmDesign, study.design)
    scores, arms = study.scores(DRAWS, seed), design.compared
    changed = changes(gains_within(scores, arms, [1.0]), arms)
    if not changed:  # so many runs are missing that no task has all four
        return {"coverage_change": np.nan}
    moved = effects(scores, arms, [1.0])
    members = family(changed.values())
    truth = [_true_change(study, about, pair) for (about, _), pairs in changed.items() for pair in pairs]
    usable = [np.isfinite(testable(pair, own)) for pair, own in zip(members.pairs, members.estimates, strict=True)]
    gain, df = (np.array([getattr(own, name) for own in members.estimates]) for name in ("value", "df"))
    verdict = judge_changes(gain, members.se, df, np.full(len(truth), MARGIN))["verdict"].to_numpy()
    true = np.array(truth)
    wrong = ((verdict == LARGER) & (true <= 0)) | ((verdict == SMALLER) & (true >= 0))
    beyond = np.abs(true) >= MARGIN - 1e-12
    inside = [
        low <= at <= high for (low, high), at in zip((e.interval() for e in members.estimates), true, strict=True)
    ]
    first = next(iter(changed.values()))
    used = poolable(first)
    _, low, high, _ = these_tasks(used)
    of_first = np.mean([_true_change(study, next(iter(changed))[0], pair) for pair in used])
    kind, expected = tasks_of_this_kind(used), design.changes.get(arms.others[0], 0.0)
    return {
        "coverage_change": share(np.array(inside)[usable]),
        "coverage_effect": _effect_coverage(study, moved),
        "coverage_these": float(low <= of_first <= high) if np.isfinite(low) else np.nan,
        "coverage_typical": float(kind.low <= expected <= kind.high) if np.isfinite(kind.low) else np.nan,
        "false_headline": float(wrong.any()),
        "no_change_error": share((verdict == NO_CHANGE)[beyond]),
        "change_found": share(np.isin(verdict, [LARGER, SMALLER])[beyond]),
        "same_model": float(np.mean([pair.same_model for pair in members.pairs])),
    }


def _true_change(study: ArmStudy, about: ArmContrast, pair: PairedGain) -> float:
    later, earlier = (
        study.gain(pair.task, Cell(about.contrast.joint, arm), Cell(about.contrast.base, arm))
        for arm in (about.arm, about.base_arm)
    )
    return later - earlier


def _effect_coverage(study: ArmStudy, moved: dict[tuple[ArmContrast, float], list[PairedGain]]) -> float:
    inside = []
    for (about, _), pairs in moved.items():
        members = family([pairs])
        for pair, own in zip(members.pairs, members.estimates, strict=True):
            if np.isfinite(testable(pair, own)):
                low, high = own.interval()
                sides = (Cell(about.contrast.joint, arm) for arm in (about.arm, about.base_arm))
                inside.append(low <= study.gain(pair.task, *sides) <= high)
    assert all(about.kind == EFFECT for about, _ in moved)
    return share(np.array(inside))


def count_learner(simulated: Simulated, seed: int) -> dict[str, float]:
    """Coverage of the difference of gains between two capacities of a real learner, with rotating folds."""
    capacities = simulated.design.capacities
    arms = Arms(dict.fromkeys(capacities, ("TS", "AU")))
    (pairs,) = changes(gains_within(simulated.scores(DRAWS, seed), arms, [1.0]), arms).values()
    gains = simulated.truth.pivot(index="task", columns="arm", values="gain")
    true = (gains[arms.others[0]] - gains[arms.first]).loc[[pair.task for pair in pairs]].to_numpy()
    limits = np.array([own.interval() for own in moderated(pairs)])
    _, low, high, _ = these_tasks(pairs)
    return {
        "coverage_change": share((limits[:, 0] <= true) & (true <= limits[:, 1])),
        "coverage_these": float(low <= true.mean() <= high),
        "half_width": float(np.median(np.diff(limits)[:, 0])) / 2,
        "true_change": float(true.mean()),
    }


def count_capacity(simulated: Simulated, seed: int) -> dict[str, float]:
    """Bias and coverage of the slope per doubling, of single tasks and pooled, and how often it excludes 0."""
    study = cast(ArmStudy, simulated)
    design = cast(ArmDesign, study.design)
    within = gains_within(study.scores(DRAWS, seed), design.compared, [1.0])
    (trend,) = trends(within, [tuple(design.arms)], {PARAMETERS: study.sizes})
    slopes = [slope for slope, _ in trend.slopes]
    known = [
        (own, pair) for own, pair in zip(moderated(slopes), slopes, strict=True) if np.isfinite(testable(pair, own))
    ]
    limits = np.array([own.interval() for own, _ in known]).reshape(-1, 2)
    true = np.array([_true_slope(study, pair.task) for _, pair in known])
    pooled = pooled_line(trend.lines)
    slope = design.capacity_slope or 0.0
    found: Sequence[float] = (np.nan,) * 3 if pooled is None else pooled.slope_interval()
    low, high, p = found
    return {
        "slope_capacity": np.nan if pooled is None else pooled.slope - slope,
        "coverage_slope": float(low <= slope <= high) if np.isfinite(low) else np.nan,
        "coverage_task_slope": share((limits[:, 0] <= true) & (true <= limits[:, 1])),
        "slope_found": float(p <= 0.05) if np.isfinite(p) else np.nan,
        "half_width": (high - low) / 2,
    }


def _true_slope(study: ArmStudy, task: str) -> float:
    design = cast(ArmDesign, study.design)
    first, *_, last = design.arms
    gains = [study.gain(task, Cell("AU", arm), Cell("TS", arm)) for arm in (first, last)]
    return (gains[1] - gains[0]) / design.doublings[last]


def scenarios() -> list[Scenario]:
    """No change and planted ones, few subjects, uneven noise, missing and shared runs, and slopes over sizes."""
    null = ArmDesign()
    planted = null.with_(changes={"wide": 0.03}, effects={"wide": 0.02}, change_sd=0.02, task_sd=0.02)
    uneven = planted.with_(noise_of={"wide": 4.0})
    three = null.with_(arms={"plain": 1e6, "wide": 4e6, "deep": 8e6}, levels={"CG": 0.0, "AU": 0.0})
    sizes = {"tiny": 1e6, "small": 4e6, "base": 1.6e7, "large": 6.4e7}
    slope = null.with_(arms=sizes, capacity_slope=0.01, change_sd=0.005, task_sd=0.02)
    every = {
        "coverage_change": (0.93, 0.98),
        "coverage_effect": (0.93, 0.98),
        "coverage_these": (0.93, 1.0),
        "false_headline": (0.0, 0.05),
        "no_change_error": (0.0, 0.05),
    }
    typical = every | {"coverage_typical": (0.93, 1.0)}
    designs = {
        "arms: no change": null,
        "arms: planted change": planted,
        "arms: change as large as the margin": null.with_(changes={"wide": MARGIN}),
        "arms: 6 subjects": planted.with_(subjects=6),
        "arms: 12 subjects, AUC": null.with_(subjects=12, auc=True, effects={"wide": 0.02}),
        "arms: one arm scatters fourfold": uneven,
        "arms: the same, 6 subjects": uneven.with_(subjects=6),
        "arms: a quarter of runs missing": planted.with_(missing=0.25, seeds=4),
        "arms: TS runs shared": planted.with_(shares_ts=("wide",), effects={}),
        "arms: TS runs shared, 6 subjects": planted.with_(shares_ts=("wide",), effects={}, subjects=6),
        "arms: joint seeds, shared test sets": planted.with_(joint_seed_sd=0.01, shared_cases=0.8),
        "arms: three arms, three contrasts": three,
    }
    slopes = {"coverage_slope": (0.93, 1.0), "coverage_task_slope": (0.93, 0.98)}
    capacity = {
        "capacity: two sizes": slope.with_(arms={name: sizes[name] for name in ("tiny", "small")}),
        "capacity: four sizes": slope,
        "capacity: four sizes, 6 subjects": slope.with_(subjects=6),
        "capacity: four sizes, one scatters fourfold": slope.with_(noise_of={"large": 4.0}),
        "capacity: joint seeds, shared test sets": slope.with_(joint_seed_sd=0.01, shared_cases=0.8),
        "capacity: a tenth of runs missing": slope.with_(missing=0.1, seeds=4),
    }
    folds = STUDY.with_(capacities={"narrow": 8, "wide": 48})
    few = folds.with_(folds=3, seeds=3, subjects=90)
    learner = {"coverage_change": (0.93, 0.98), "coverage_these": (0.92, 0.99)}
    learners = {
        "arms: a real learner, five folds": folds,
        "arms: a real learner, three folds": few,
        "arms: a real learner, five folds of 6 subjects, AUC": folds.with_(subjects=30, cases_per_subject=3, auc=True),
        "arms: a real learner, one of five replicates missing": folds.with_(missing=1.0),
    }
    return [
        *(Scenario(name, design, count_learner, learner, train_folds) for name, design in learners.items()),
        *(Scenario(name, design, count_arms, typical, simulate_arms) for name, design in designs.items()),
        *(Scenario(name, design, count_capacity, slopes, simulate_arms) for name, design in capacity.items()),
    ]
