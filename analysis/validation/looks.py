"""`run-grid --until-decided` on simulated studies: replicates in stages, a look after each, and what is closed stops.

A study is drawn with all the seeds that its plan may train. At every look the comparisons that are open get their next
seeds, the looks are judged as a report judges them, and those that are decided or without prospect are closed. The rule
is the one of the grid (`analysis.deciding.stopping`). Beside it: the verdicts of the fixed design of as many seeds, and
those of somebody who reads plain verdicts at every look and stops at the first. And the chances of `agglab next`.

`false`: the share of verdicts given that are wrong, benefit or harm with the wrong sign or without an effect, no
meaningful loss where the true loss reaches the margin. `right`: the share of tasks with a verdict that is true.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from analysis.deciding.open_verdicts import chances_of
from analysis.deciding.plan import planned_looks
from analysis.deciding.stopping import NO_PROSPECT, comparisons
from analysis.gains import PairedGain
from analysis.pairing import pair_all
from analysis.questions.families import family, testable
from analysis.questions.means import these_tasks
from analysis.settings import Settings
from analysis.statistics.looks import Looks
from analysis.statistics.sequential_verdicts import Looked
from analysis.statistics.verdicts import BENEFIT, HARM, NO_LOSS, UNDECIDED, next_levels
from analysis.validation.design import Design
from analysis.validation.fold_learner import train_folds
from analysis.validation.headline import UNEVEN
from analysis.validation.learner import train_study
from analysis.validation.scenario import CONTRAST, DRAWS, MARGIN, Scenario, mean_of_known, share, true_gains
from analysis.validation.simulate import Simulated


def count_looks(simulated: Simulated, seed: int) -> dict[str, float]:
    """Errors, power, runs and coverage of one study that stops by its looks; of the fixed one; of one that peeks."""
    design = simulated.design
    pairs = [replace(pair, margin=MARGIN) for pair in pair_all(simulated.scores(DRAWS, seed), CONTRAST, 1.0)]
    true = true_gains(simulated, pairs, 1.0)
    looks = planned_looks(tuple(range(design.seeds)))
    stopped, closed, alone = _stopped(pairs, looks)
    members = family([stopped])
    verdict = members.judge(np.full(len(stopped), MARGIN))["verdict"].to_numpy()
    limits = np.array(members.intervals())
    known = np.isfinite(limits[:, 0])
    fixed = _plain(pairs)
    _, low, high, _ = these_tasks(stopped)
    joint, every = alone.max(), len(pairs) * design.seeds
    return {
        "false": _false(verdict, true),
        "any_false": float(_wrong(verdict, true).any()),
        "false_fixed": _false(fixed, true),
        "right": share(_right(verdict, true)),
        "right_fixed": share(_right(fixed, true)),
        "right_lost": share(_right(fixed, true)) - share(_right(verdict, true)),
        "share_of_runs": (alone.sum() + joint) / (every + design.seeds),
        "share_of_cost": (alone.sum() / every + joint / design.seeds) / 2,
        "no_prospect": share(closed == NO_PROSPECT),
        "coverage": share(((limits[:, 0] <= true) & (true <= limits[:, 1]))[known]),
        "coverage_plain": share(_covered(stopped, true)[known]),
        "coverage_these": float(low <= true.mean() <= high),
    }


def count_peeking(simulated: Simulated, seed: int) -> dict[str, float]:
    """The same, and the errors of somebody who stops at the first plain verdict."""
    pairs = [replace(pair, margin=MARGIN) for pair in pair_all(simulated.scores(DRAWS, seed), CONTRAST, 1.0)]
    peeked = _peeked(pairs, planned_looks(tuple(range(simulated.design.seeds))))
    wrong = _wrong(peeked, true_gains(simulated, pairs, 1.0))
    return count_looks(simulated, seed) | {"any_false_peeking": float(wrong.any())}


def count_chances(simulated: Simulated, seed: int) -> dict[str, float]:
    """Of the tasks that `_PILOT` seeds leave undecided: the chance of a verdict after more seeds, as `agglab next` has
    it, and how many had one."""
    pairs = [replace(pair, margin=MARGIN) for pair in pair_all(simulated.scores(DRAWS, seed), CONTRAST, 1.0)]
    plan, more = Looks(tuple(range(simulated.design.seeds)), ()), simulated.design.seeds - _PILOT
    pilot = [replace(pair, looks=plan).at_look(_PILOT) for pair in pairs]
    pilot = [replace(pair, looks=None) for pair in pilot]
    members = family([pilot])
    judged = members.judge(np.full(len(pilot), MARGIN))
    levels, later, found = next_levels(judged), _plain(pairs), []
    for pair, estimate, before, after in zip(pilot, members.estimates, judged["verdict"], later, strict=True):
        if before == UNDECIDED and np.isfinite(testable(pair, estimate)):
            found.append((chances_of(pair, estimate, levels, more)[-1], after != UNDECIDED))
    expected, had = np.array(found, float).reshape(-1, 2).T
    likely = expected >= 0.5
    return {
        "expected": mean_of_known(expected.tolist()),
        "decided": share(had),
        "expected_of_likely": mean_of_known(expected[likely].tolist()),
        "decided_of_likely": share(had[likely]),
    }


_PILOT = 4


def _stopped(pairs: Sequence[PairedGain], plan: Looks) -> tuple[list[PairedGain], np.ndarray, np.ndarray]:
    """The pairs as training left them, why each was closed, and the seeds that each task was trained in alone: the
    joint model in as many as the last of them."""
    number, closed = np.zeros(len(pairs), int), np.full(len(pairs), "", object)
    before: dict[str, Looked] = {}
    found = list(pairs)
    for made, count in enumerate(plan.planned, 1):
        number[closed == ""] = count
        looks = replace(plan, made=plan.planned[:made])
        found = [replace(pair, looks=plan).at_look(int(most)) for pair, most in zip(pairs, number, strict=True)]
        found = [replace(pair, looks=looks) for pair in found]
        there = [pair for pair in found if pair.seeds]
        read = comparisons({(CONTRAST, 1.0): there}, looks, Settings(), before if len(there) == len(found) else None)
        of_task = {each.task: each.closed for each in read}
        closed = np.array([was or of_task.get(pair.task, "") for was, pair in zip(closed, found, strict=True)], object)
    return found, closed, number


def _plain(pairs: Sequence[PairedGain]) -> np.ndarray:
    """Verdicts of a fixed design."""
    return family([pairs]).judge(np.full(len(pairs), MARGIN))["verdict"].to_numpy()


def _peeked(pairs: Sequence[PairedGain], plan: Looks) -> np.ndarray:
    """The first verdict of each task that a plain analysis gives at one of the looks."""
    found = np.full(len(pairs), UNDECIDED, object)
    for count in plan.planned:
        then = [replace(replace(pair, looks=plan).at_look(count), looks=None) for pair in pairs]
        there = np.array([bool(pair.seeds) for pair in then])
        verdict = np.full(len(pairs), UNDECIDED, object)
        verdict[there] = _plain([pair for pair in then if pair.seeds])
        found = np.where(found == UNDECIDED, verdict, found)
    return found


def _covered(pairs: Sequence[PairedGain], true: np.ndarray) -> np.ndarray:
    """Whether plain intervals, which know of no looks, hold the true gains."""
    plain = family([[replace(pair, looks=None) for pair in pairs]]).intervals()
    return np.array([low <= gain <= high for (low, high), gain in zip(plain, true, strict=True)])


def _wrong(verdict: np.ndarray, true: np.ndarray) -> np.ndarray:
    lost = true <= -MARGIN + 1e-12
    return ((verdict == BENEFIT) & (true <= 0)) | ((verdict == HARM) & (true >= 0)) | ((verdict == NO_LOSS) & lost)


def _right(verdict: np.ndarray, true: np.ndarray) -> np.ndarray:
    return (verdict != UNDECIDED) & ~_wrong(verdict, true)


def _false(verdict: np.ndarray, true: np.ndarray) -> float:
    return float(_wrong(verdict, true).sum() / max(1, (verdict != UNDECIDED).sum()))


def scenarios() -> list[Scenario]:
    """Effects as a fixed design of as many seeds is planned for, then harsher ones; and no effect at all.

    Bounds: false verdicts at most 5 %; without any effect that of studies which hold one. In the first scenario, whose
    fixed design has a power of about 0.9, at least 30 % fewer runs for the same power.
    """
    quiet = Design(tasks=16, groups=4, seeds=10, subjects=100, levels={"AU": 0.0}, interaction_sd=0.03, noise_sd=0.03)
    effects = {"segmentation": 0.04, "classification": -0.05}
    planned = quiet.with_(seeds=12, subjects=200, seed_sd=0.014, type_effects=effects)
    differ = quiet.with_(seed_sd=0.02, task_sd=0.04)
    few = {"false": (0.0, 0.05)}
    none = few | {"any_false": (0.0, 0.05)}
    fewer = few | {"share_of_runs": (0.0, 0.7), "right_lost": (-1.0, 0.02)}
    designs: dict[str, tuple[Design, dict[str, tuple[float, float]]]] = {
        "effects as planned, 12 seeds": (planned, fewer),
        "the same, seeds scatter more": (planned.with_(seed_sd=0.02), few),
        "tasks differ by 0.04": (differ, few),
        "the same, types scatter unevenly": (differ.with_(seed_sd_of=UNEVEN), few),
        "the same, 5 seeds": (differ.with_(seeds=5), few),
        "the same, 8 subjects": (differ.with_(subjects=8), few),
        "the same, a quarter of runs missing": (differ.with_(missing=0.25), few),
        "the same, joint seeds of 0.02": (differ.with_(joint_seed_sd=0.02), few),
        "a loss as large as the margin": (quiet.with_(levels={"AU": -MARGIN}, seed_sd=0.02), few),
        "no effect": (quiet.with_(seed_sd=0.02), none),
        "no effect, types scatter unevenly": (quiet.with_(seed_sd_of=UNEVEN), none),
        "no effect, 8 subjects, a quarter of runs missing": (quiet.with_(subjects=8, missing=0.25), none),
    }
    trained = Design(tasks=12, groups=4, seeds=8, subjects=20, cases_per_subject=2, levels={"AU": 0.0})
    folded = Design(tasks=4, seeds=5, folds=5, subjects=150, levels={"AU": 0.0})
    return [
        *(
            Scenario(f"looks: {name}", design, count_peeking if bounds is none else count_looks, bounds)
            for name, (design, bounds) in designs.items()
        ),
        *(
            Scenario(f"next: {name}", design.with_(seeds=8), count_chances)
            for name, (design, _) in designs.items()
            if name in ("tasks differ by 0.04", "the same, types scatter unevenly", "no effect")
        ),
        Scenario("looks: a real learner, no effect, 8 seeds", trained, count_peeking, none, train_study),
        Scenario("looks: five folds of 30 subjects, a learner", folded, count_looks, few, train_folds),
        Scenario("looks: five folds, one of five missing", folded.with_(missing=1.0), count_looks, few, train_folds),
    ]
