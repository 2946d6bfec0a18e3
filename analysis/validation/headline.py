"""Verdicts of a whole report under conditions harsher than those they were made for.

A report is wrong where any verdict of benefit or harm in its headline, all tasks under all contrasts at full data, has
the wrong sign or no effect behind it. Conditions: one seed, missing runs, types whose seeds scatter unevenly, one
task of a type whose seeds scatter more than those of the others, few
subjects, in all or of one class, missed structures, and three contrasts at three fractions.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from analysis.contrasts import Contrast, contrasts
from analysis.gains import PairedGain
from analysis.pairing import compare
from analysis.questions.families import family, moderated, testable
from analysis.statistics.verdicts import BENEFIT, HARM, UNDECIDED
from analysis.validation.design import Design
from analysis.validation.learner import train_study
from analysis.validation.scenario import DRAWS, MARGIN, Scenario
from analysis.validation.simulate import Simulated

NULL = Design(tasks=16, seeds=3, subjects=40, seed_sd=0.03, levels={"AU": 0.0})
"""No effect in any task."""

UNEVEN = {"detection": 0.06, "classification": 0.02, "segmentation": 0.015, "regression": 0.005}
"""Scatter over seeds of each type: twelvefold between the extremes."""

_FALSE = {"false_headline": (0.0, 0.05)}
_NONE = {"decided": (0.0, 0.0)}
_AUC = {"coverage_classification": (0.93, 1.0)}
_NOISY = {"coverage_noisy": (0.9, 1.0), "coverage_others": (0.93, 1.0)}
_BY_TYPE = {f"coverage_{name}": (0.93, 0.98) for name in UNEVEN}


def count_headline(simulated: Simulated, seed: int) -> dict[str, float]:
    """False and any verdicts of one study, and coverage by task type of the first contrast at full data."""
    design = simulated.design
    scores = simulated.scores(DRAWS, seed)
    compared = contrasts(design.aggregations)
    pairs = compare(scores, compared, design.fractions)
    headline, smaller = (
        _family(simulated, {key: pairs[key] for key in pairs if (key[1] == design.full) == is_full})
        for is_full in (True, False)
    )
    return {
        "false_headline": float(any(false for false, _ in headline)),
        "false_anywhere": float(any(false for false, _ in headline + smaller)),
        "decided": float(np.mean([decides for _, decides in headline])) if headline else 0.0,
        **_coverage(simulated, compared[0], pairs[compared[0], design.full]),
    }


def _family(
    simulated: Simulated, pairs: Mapping[tuple[Contrast, float], Sequence[PairedGain]]
) -> list[tuple[bool, bool]]:
    """Of each verdict of a family: whether it is false, whether it decides anything."""
    members = family(pairs.values())
    if not members.pairs:
        return []
    true = [_true_gain(simulated, *key, pair.task) for key, of_key in pairs.items() for pair in of_key]
    verdicts = members.judge(np.full(len(true), MARGIN))["verdict"]
    return [
        ((verdict == HARM and gain >= 0) or (verdict == BENEFIT and gain <= 0), verdict != UNDECIDED)
        for verdict, gain in zip(verdicts, true, strict=True)
    ]


def _true_gain(simulated: Simulated, contrast: Contrast, share: float, task: str) -> float:
    truth = simulated.truth
    over_ts = truth[(truth["task"] == task) & (truth["fraction"] == share)].set_index("contrast")["gain"].to_dict()
    return over_ts[f"{contrast.joint}-TS"] - over_ts.get(f"{contrast.base}-TS", 0.0)


def _coverage(simulated: Simulated, contrast: Contrast, pairs: list[PairedGain]) -> dict[str, float]:
    """Share of tasks of each type whose 95 % interval holds the true gain; NaN where no task may be judged."""
    inside: dict[str, list[bool]] = {name: [] for name in UNEVEN}
    for pair, estimate in zip(pairs, moderated(pairs), strict=True):
        if np.isfinite(testable(pair, estimate)):
            low, high = estimate.interval()
            gain = _true_gain(simulated, contrast, simulated.design.full, pair.task)
            inside[pair.type].append(low <= gain <= high)
    return {f"coverage_{name}": float(np.mean(flags)) if flags else np.nan for name, flags in inside.items()}


def count_noisy(simulated: Simulated, seed: int) -> dict[str, float]:
    """Coverage of the task whose seeds scatter most, the last one, and of the others of its type; false verdicts."""
    (contrast,) = contrasts(simulated.design.aggregations)
    pairs = compare(simulated.scores(DRAWS, seed), [contrast], [1.0])
    limits = [estimate.interval() for estimate in moderated(pairs[contrast, 1.0])]
    *others, noisy = [low <= 0 <= high for low, high in limits]
    false = any(wrong for wrong, _ in _family(simulated, pairs))
    return {"coverage_noisy": float(noisy), "coverage_others": float(np.mean(others)), "false_headline": float(false)}


def scenarios() -> list[Scenario]:
    """Each with the bounds that were asked for."""
    quiet = NULL.with_(seed_sd=0.01)
    few = NULL.with_(subjects=6, seed_sd=0.01)
    uneven = NULL.with_(seed_sd_of=UNEVEN, subjects=100)
    three = quiet.with_(levels={"CG": 0.0, "AU": 0.0}, fractions=(0.25, 0.5, 1.0))
    unbalanced = quiet.with_(auc=True)
    alike = NULL.with_(tasks=8, groups=4, types=("segmentation",), seed_sd=0.005, interaction_sd=0.01, noise_sd=0.01)
    trained = NULL.with_(subjects=20, cases_per_subject=2)
    return [
        Scenario("one seed, no effect", NULL.with_(seeds=1), count_headline, _NONE),
        Scenario("a quarter of runs missing, 3 seeds", NULL.with_(missing=0.25), count_headline, _FALSE),
        Scenario("a quarter of runs missing, seeds scatter little", quiet.with_(missing=0.25), count_headline, _FALSE),
        Scenario("a quarter missing, 2 seeds", NULL.with_(missing=0.25, seeds=2), count_headline, _FALSE),
        Scenario("a quarter missing, uneven types", uneven.with_(missing=0.25), count_headline, _FALSE),
        *(
            Scenario(f"uneven types, {seeds} seeds", uneven.with_(seeds=seeds), count_headline, _FALSE | _BY_TYPE)
            for seeds in (2, 3, 5)
        ),
        *(
            Scenario(
                f"one task of its type {times} times as noisy, {seeds} seeds", design, count_noisy, _NOISY | bounds
            )
            for times, seeds, bounds in ((4, 3, _FALSE), (8, 2, {}), (8, 5, _FALSE))
            for design in [alike.with_(noisy=float(times), seeds=seeds)]
        ),
        Scenario("no task of its type noisy, 3 seeds", alike.with_(seeds=3), count_noisy, _NOISY | _FALSE),
        Scenario("uneven types, 8 tasks, 3 seeds", uneven.with_(tasks=8, groups=4), count_headline, _FALSE),
        Scenario("6 subjects, 3 seeds", few, count_headline, _FALSE),
        Scenario("6 subjects, cases differ little", few.with_(interaction_sd=0.02), count_headline, _FALSE),
        Scenario("4 subjects, 3 seeds", few.with_(subjects=4), count_headline, _FALSE),
        Scenario("12 subjects, AUC", NULL.with_(subjects=12, auc=True), count_headline, _FALSE),
        *(
            Scenario(f"40 subjects, {n} of them positive, AUC", unbalanced.with_(positives=n), count_headline, bounds)
            for n, bounds in ((3, _NONE), (5, _FALSE | _AUC), (8, _FALSE | _AUC))
        ),
        Scenario("20 subjects, 5 % missed", quiet.with_(subjects=20, failures=0.05), count_headline, _FALSE),
        Scenario("joint seeds, 3 seeds", quiet.with_(joint_seed_sd=0.02), count_headline, _FALSE),
        *(
            Scenario(f"a real learner, {seeds} seeds", trained.with_(seeds=seeds), count_headline, _FALSE, train_study)
            for seeds in (2, 3, 5)
        ),
        Scenario(
            "three contrasts, three fractions, 3 seeds",
            three,
            count_headline,
            _FALSE | {"false_anywhere": (0.0, 0.10)},
        ),
    ]
