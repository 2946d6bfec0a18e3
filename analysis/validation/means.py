"""Means over tasks and the typical task: coverage where tasks collapse, seeds and subjects are shared, runs missing.

And claims on spreads and on means of groups, where there is nothing but chance.
"""

import numpy as np
from scipy import stats

from analysis.contrasts import Contrast
from analysis.pairing import pair_all
from analysis.questions.finding_parts import CONTRADICTED, SUPPORTED, Part
from analysis.questions.findings import of_whole
from analysis.questions.means import tasks_of_this_kind, these_tasks
from analysis.questions.stability import spread_difference
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


_CLAIMED = (("CG", "TS"), ("AU", "TS"), ("AU", "CG"))
_GROUPS = 3


def count_claims(simulated: Simulated, seed: int) -> dict[str, float]:
    """Whether AU is called steadier than CG, or less steady, and a finding on three groups contradicted."""
    scores = simulated.scores(DRAWS, seed)
    of_cg, of_au, between = (pair_all(scores, Contrast(*sides), 1.0) for sides in _CLAIMED)
    steadier = Part("", *spread_difference(of_cg, of_au), "gains").verdict
    names, sizes = np.unique([pair.group for pair in of_cg], return_counts=True)
    parts = [
        Part("", *these_tasks([pair for pair in pairs if pair.group == name]), "pooled")
        for name in names[np.argsort(-sizes)[:_GROUPS]]
        for pairs in (of_cg, of_au, between)
    ]
    return {
        "steadier_supported": float(steadier == SUPPORTED),
        "steadier_contradicted": float(steadier == CONTRADICTED),
        "finding_contradicted": float(of_whole(parts) == CONTRADICTED),
        "part_contradicted": float(any(part.verdict == CONTRADICTED for part in parts)),
    }


def scenarios() -> list[Scenario]:
    """Plain tasks, alike groups, collapses, shared seeds and subjects, missing runs, claims by chance, one seed."""
    base = Design(levels={"AU": 0.0}, task_sd=0.02, seeds=3, subjects=50)
    both = {"coverage_these": _HOLDS, "coverage_typical": _HOLDS}
    joint = base.with_(joint_seed_sd=0.015, shared_cases=0.8)
    chance = Design(tasks=24, seed_sd=0.005, joint_seed_sd=0.02, group_seed_sd=0.02, interaction_sd=0.02)
    by_chance = dict.fromkeys(("steadier_supported", "steadier_contradicted", "finding_contradicted"), (0.0, 0.05))
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
        *(
            Scenario(f"claims: no effect, joint seeds, {n} seeds", chance.with_(seeds=n), count_claims, by_chance)
            for n in (3, 5)
        ),
        Scenario("means: one seed", base.with_(seeds=1), count_means, {"mean_claimed": (0.0, 0.0)}),
    ]
