"""Means over tasks and the typical task: coverage where tasks collapse, seeds and subjects are shared, runs missing."""

import numpy as np
from scipy import stats

from analysis.gains import pair_all
from analysis.questions.means import tasks_of_this_kind, these_tasks
from analysis.validation.design import Design
from analysis.validation.scenario import CONTRAST, Scenario, simulate_thinned
from analysis.validation.simulate import Simulated

DRAWS = 100

_HOLDS = (0.93, 1.0)


def typical_truth(design: Design) -> float:
    """Median gain of the tasks that a design draws from, where collapsed tasks lie below all others."""
    share, sd = design.collapse_share, float(np.hypot(design.task_sd, design.group_sd))
    return design.levels["AU"] + float(stats.norm.ppf((0.5 - share) / (1 - share))) * sd


def count_means(simulated: Simulated, seed: int) -> dict[str, float]:
    """Coverage of both intervals, and whether a median that is 0 is called a gain or a loss."""
    pairs = pair_all(simulated.scores(DRAWS, seed), CONTRAST, 1.0)
    truth = simulated.truth[simulated.truth["contrast"] == CONTRAST.name].set_index("task")["gain"]
    true = float(truth.loc[[pair.task for pair in pairs]].mean())
    _, low, high, _ = these_tasks(pairs)
    kind, expected = tasks_of_this_kind(pairs), typical_truth(simulated.design)
    given = bool(np.isfinite(kind.low))
    return {
        "coverage_these": float(low <= true <= high) if np.isfinite(low) else np.nan,
        "coverage_typical": float(kind.low <= expected <= kind.high) if given else np.nan,
        "typical_given": float(given),
        "typical_decided": float(given and kind.p <= 0.05),
        "mean_claimed": float(np.isfinite(low) or given),
    }


def scenarios() -> list[Scenario]:
    """Plain tasks, alike groups, collapses, shared seeds and subjects, missing runs, one seed."""
    base = Design(levels={"AU": 0.0}, task_sd=0.02, seeds=3, subjects=50)
    both = {"coverage_these": _HOLDS, "coverage_typical": _HOLDS}
    joint = base.with_(joint_seed_sd=0.015, shared_cases=0.8)
    thin = base.with_(joint_seed_sd=0.01, seeds=4)
    six, nine, four = (base.with_(tasks=n, groups=n, collapse_share=1 / n) for n in (6, 9, 4))
    return [
        Scenario("means: groups alike, 3 seeds", base.with_(group_sd=0.02), count_means, both),
        Scenario("means: 6 tasks, one in 6 collapses", six, count_means, both),
        Scenario("means: 9 tasks, one in 9 collapses", nine, count_means, both),
        Scenario("means: 27 tasks, one in ten collapses", base.with_(collapse_share=0.1), count_means, both),
        Scenario("means: 4 tasks, one in four collapses", four, count_means, {"typical_given": (0.0, 0.0)}),
        *(
            Scenario(f"means: joint seeds, shared test sets, {n} seeds", joint.with_(seeds=n), count_means, both)
            for n in (2, 3, 5)
        ),
        Scenario("means: a quarter of the runs missing", thin, count_means, both, draw=simulate_thinned),
        Scenario("means: one seed", base.with_(seeds=1), count_means, {"mean_claimed": (0.0, 0.0)}),
    ]
