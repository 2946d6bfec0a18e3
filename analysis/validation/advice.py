"""Advice for a new task: how often it is given, and how often the task advised on would lose by it."""

import numpy as np
from scipy import stats

from analysis.contrasts import contrasts
from analysis.pairing import pair_all
from analysis.questions.advice.guidelines import ANY_GROUP, UNDECIDED, Recommendation, Rule, fit_rule, rule_rows
from analysis.validation.design import Design
from analysis.validation.scenario import Scenario, simulate_thinned
from analysis.validation.simulate import Simulated

_SIZES = 3


def count_advice(simulated: Simulated, seed: int) -> dict[str, float]:
    """Advice on new tasks of every type, at three sizes, in a known and in a new group."""
    design, scores = simulated.design, simulated.scores(0, seed)
    pairs = {
        contrast: [(share, pair_all(scores, contrast, share)) for share in design.fractions]
        for contrast in contrasts(design.aggregations)
        if contrast.base == "TS"
    }
    rule = fit_rule(rule_rows(pairs, {}))
    tasks = [] if rule is None else _asked_tasks(rule)
    joint, wrong, base, base_wrong = 0, 0.0, 0, 0.0
    holding = []
    for task_type, group, n_train in tasks:
        found = rule.recommend(n_train, task_type, group) if rule else Recommendation(UNDECIDED, (), "")
        advice = found.advice
        for each in found.expected:
            mean, spread = _new_task(simulated, each.aggregation, task_type, group, n_train)
            limits = np.array([each.task_low, each.task_high]) - mean
            holding.append(float(np.diff(stats.norm.cdf(limits / spread))[0]) if spread else float(np.prod(limits) < 0))
        losing = {name: _loses(simulated, name, task_type, group, n_train) for name in design.levels}
        if advice in losing:
            joint, wrong = joint + 1, wrong + losing[advice]
        elif advice != UNDECIDED:
            base, base_wrong = base + 1, base_wrong + 1 - min(losing.values())
    asked = max(1, len(tasks))
    return {
        "advised": joint / asked,
        "advice_wrong": wrong / asked,
        "wrong_of_advised": wrong / joint if joint else np.nan,
        "tables_with_advice": float(joint > 0),
        "base_advised": base / asked,
        "wrong_of_base": base_wrong / base if base else np.nan,
        "limits_hold": float(np.mean(holding)) if holding else np.nan,
    }


def _asked_tasks(rule: Rule) -> list[tuple[str, str, float]]:
    """Type, group and size of the tasks that advice is asked for."""
    known = next(iter(rule.fits.values())).groups[0]
    return [
        (task_type, group, float(n_train))
        for task_type in rule.types
        for group in (known, ANY_GROUP)
        for n_train in np.clip(np.geomspace(*rule.sizes(task_type), _SIZES), *rule.sizes(task_type))
    ]


def _loses(simulated: Simulated, name: str, task_type: str, group: str, n_train: float) -> float:
    """Chance that a new task of the kind truly loses: a task in ten loses where one in ten collapses."""
    gain, spread = _new_task(simulated, name, task_type, group, n_train)
    without_collapse = float(stats.norm.cdf(-gain / spread)) if spread else float(gain < 0)
    share = simulated.design.collapse_share
    return share + (1 - share) * without_collapse


def _new_task(simulated: Simulated, name: str, task_type: str, group: str, n_train: float) -> tuple[float, float]:
    """Mean and sd of the true gain of new tasks of the kind that do not collapse."""
    design = simulated.design
    gain = design.levels[name] + design.slopes.get(name, 0.0) * np.log2(n_train / design.n_ref)
    gain += design.type_effects.get(task_type, 0.0)
    spread = design.task_sd
    if group == ANY_GROUP:
        spread = float(np.hypot(spread, design.group_sd))
    else:
        gain += simulated.group_gains[name][int(group.removeprefix("group"))]
    return float(gain), spread


def scenarios() -> list[Scenario]:
    """No mean gain, small and clear ones, losses, slopes, collapses, missing runs, one seed."""
    base = Design(levels={"CG": 0.0, "AU": 0.0}, task_sd=0.04, seeds=3, subjects=50)
    # Limits of one task count groups and tasks together, whose variances few groups know badly.
    limits = {"limits_hold": (0.9, 1.0)}
    never = {"advised": (0.0, 0.02), "advice_wrong": (0.0, 0.01), "tables_with_advice": (0.0, 0.1)} | limits
    rare = {"advised": (0.0, 0.05), "advice_wrong": (0.0, 0.01)} | limits
    right = {"wrong_of_advised": (0.0, 0.1), "wrong_of_base": (0.0, 0.1)} | limits
    large = {"wrong_of_advised": (0.0, 0.1), "advised": (0.2, 1.0)} | limits
    # Advice is left where no task collapsed in the study, and wrong in the tenth of the tasks that do.
    collapse = {"advised": (0.0, 0.3), "advice_wrong": (0.0, 0.03)}
    few = base.with_(tasks=8, groups=3, types=base.types[:2])
    grouped = base.with_(group_sd=0.03, task_sd=0.02)
    joint = base.with_(seeds=2, joint_seed_sd=0.02, task_sd=0.02)
    small = base.with_(levels={"CG": 0.01, "AU": 0.01}, task_sd=0.01)
    clear = base.with_(levels={"CG": 0.06, "AU": 0.03}, task_sd=0.015)
    sloped = base.with_(slopes={"AU": 0.04, "CG": 0.04}, task_sd=0.015, fractions=(0.25, 1.0))
    falling = clear.with_(levels={"CG": 0.06, "AU": 0.06}, collapse_share=0.1)
    return [
        Scenario("advice: mean 0, tasks differ, 8 tasks", few, count_advice, never),
        Scenario("advice: mean 0, tasks differ, 12 tasks", base.with_(tasks=12, groups=4), count_advice, never),
        Scenario("advice: mean 0, tasks differ, 27 tasks", base.with_(tasks=27, groups=9), count_advice, never),
        # A known group can truly gain, and is advised then.
        Scenario("advice: mean 0, groups differ", grouped, count_advice, {"wrong_of_advised": (0.0, 0.1)}),
        Scenario("advice: mean 0, 2 seeds, joint seeds", joint, count_advice, never),
        Scenario("advice: a quarter of the runs missing", base.with_(seeds=4), count_advice, never, simulate_thinned),
        Scenario("advice: one seed", base.with_(seeds=1), count_advice, {"advised": (0.0, 0.0)}),
        Scenario("advice: mean 0.01, sd 0.01", small, count_advice, rare),
        Scenario("advice: mean 0.06 and 0.03, sd 0.015", clear, count_advice, large),
        Scenario("advice: 0.04 per doubling", sloped, count_advice, right | {"base_advised": (0.05, 1.0)}),
        Scenario("advice: mean 0.06, one task in ten collapses", falling, count_advice, collapse),
    ]
