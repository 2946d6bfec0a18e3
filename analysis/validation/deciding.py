"""Does what a report says would decide a task decide it? The suggestion is carried out, and verdicts are given again.

A study is drawn with many more seeds and test subjects than it shows. Its first seeds and subjects are the pilot; every
undecided task then gets the replicates, the test subjects, or both, that were suggested for it, the pilot's among them.
Truth is what the plan promises 80 % for: no gain in any task, or a loss as large as the margin in every one.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from analysis.gains import PairedGain
from analysis.pairing import pair_all
from analysis.questions.families import family
from analysis.questions.power import plan
from analysis.statistics.planning import BOTH, EITHER, REPLICATES, SUBJECTS
from analysis.statistics.resampling import CaseArrays, FoldedCases
from analysis.statistics.verdicts import UNDECIDED, next_levels
from analysis.validation.cases import keep_arms
from analysis.validation.design import Design
from analysis.validation.fold_learner import FoldStudy
from analysis.validation.headline import UNEVEN
from analysis.validation.scenario import CONTRAST, DRAWS, MARGIN, Scenario, share
from analysis.validation.simulate import Simulated, simulate

_SEEDS, _TIMES = 40, 12
"""Seeds, and times the pilot's subjects, that a study has in reserve; longer suggestions are not carried out."""

Size = tuple[int, int]
"""Seeds and test subjects of a task."""


def draw_reserve(design: Design, seed: int) -> Simulated:
    """A study of the design with `_SEEDS` seeds and `_TIMES` the subjects; `design` stays that of the pilot."""
    large = simulate(design.with_(seeds=_SEEDS, subjects=_TIMES * design.subjects), seed)
    return replace(large, design=design)


def count_decided(simulated: Simulated, seed: int) -> dict[str, float]:
    """Shares of the undecided tasks that are decided after what was suggested; what was suggested, and for how many."""
    design = simulated.design
    pilot = (design.seeds, design.subjects)
    pairs = _pairs(simulated, dict.fromkeys(range(design.tasks), pilot), seed)
    members = family([pairs])
    judged = members.judge(np.full(len(pairs), MARGIN))
    levels = next_levels(judged)
    wanted: dict[str, dict[int, Size]] = {REPLICATES: {}, SUBJECTS: {}, BOTH: {}}
    asked = 0
    for number, (pair, found) in enumerate(zip(pairs, members.estimates, strict=True)):
        if judged["verdict"][number] != UNDECIDED:
            continue
        asked += 1
        planned: dict[str, Any] = plan(replace(pair, margin=MARGIN), found, levels)
        by = planned.get("decided_by", "")
        seeds, subjects = (planned.get(name, np.nan) for name in ("more_replicates", "more_test_subjects"))
        if by in (REPLICATES, EITHER) and design.seeds + seeds <= _SEEDS:
            wanted[REPLICATES][number] = (design.seeds + int(seeds), design.subjects)
        if by in (SUBJECTS, EITHER) and design.subjects + subjects <= _TIMES * design.subjects:
            wanted[SUBJECTS][number] = (design.seeds, design.subjects + int(subjects))
        if by == BOTH and design.seeds + seeds <= _SEEDS and design.subjects + subjects <= _TIMES * design.subjects:
            wanted[BOTH][number] = (design.seeds + int(seeds), design.subjects + int(subjects))
    figures = {"undecided": asked / len(pairs)}
    for name, sizes in wanted.items():
        key = name.replace("test ", "")
        figures |= {
            f"carried_out_{key}": len(sizes) / asked if asked else np.nan,
            f"decided_{key}": _decided(simulated, pilot, sizes, seed) if sizes else np.nan,
            f"seeds_{key}": float(np.median([size[0] for size in sizes.values()])) if sizes else np.nan,
            f"times_{key}": float(np.median([size[1] for size in sizes.values()])) / pilot[1] if sizes else np.nan,
        }
    return figures


def _decided(simulated: Simulated, pilot: Size, sizes: Mapping[int, Size], seed: int) -> float:
    """Share of the tasks of `sizes` with a verdict once they have that size, the others as they were."""
    every = {number: sizes.get(number, pilot) for number in range(simulated.design.tasks)}
    verdicts = family([pairs := _pairs(simulated, every, seed)]).judge(np.full(len(pairs), MARGIN))["verdict"]
    return share((verdicts != UNDECIDED).to_numpy()[list(sizes)])


def _pairs(simulated: Simulated, sizes: Mapping[int, Size], seed: int) -> list[PairedGain]:
    """Gains of every task with its first seeds and subjects."""
    design = simulated.design
    shown = [_first(cases, *sizes[number]) for number, cases in enumerate(simulated.tasks)]
    if design.folds == 1:
        study = Simulated(design, tuple(shown), simulated.about, simulated.truth)
    else:
        folded = tuple(_in_folds(cases, design.folds) for cases in shown)
        most = design.with_(seeds=max(size[0] for size in sizes.values()))
        study = FoldStudy(most, (), simulated.about, simulated.truth, folded=folded)
    return pair_all(study.scores(DRAWS, seed), CONTRAST, 1.0)


def _first(cases: CaseArrays, seeds: int, subjects: int) -> CaseArrays:
    kept = keep_arms(cases, (cases.arms["seed"] < seeds).to_numpy())
    shown = np.isin(cases.subjects, list(dict.fromkeys(cases.subjects))[:subjects])
    quantities = {name: values[:, shown] for name, values in kept.quantities.items()}
    return replace(kept, cases=cases.cases[shown], subjects=cases.subjects[shown], quantities=quantities)


def _in_folds(cases: CaseArrays, folds: int) -> FoldedCases:
    """The same, of which the seed s has the subjects of the fold s mod `folds` alone."""
    order = {name: number for number, name in enumerate(dict.fromkeys(cases.subjects))}
    fold = np.array([order[name] % folds for name in cases.subjects])
    parts = {}
    for number in sorted({int(seed) % folds for seed in cases.arms["seed"]}):
        arms = keep_arms(cases, (cases.arms["seed"] % folds == number).to_numpy())
        quantities = {name: values[:, fold == number] for name, values in arms.quantities.items()}
        parts[number] = replace(
            arms, cases=cases.cases[fold == number], subjects=cases.subjects[fold == number], quantities=quantities
        )
    return FoldedCases(parts, np.arange(sum(len(part.arms) for part in parts.values())))


def scenarios() -> list[Scenario]:
    """Seeds, subjects or both as what lacks; two seeds, uneven types, few subjects; folds, all of them tested or some.

    Suggestions that are longer than the reserve are left out, so what is counted are the shorter ones.
    """
    quiet = Design(tasks=8, groups=4, levels={"AU": 0.0}, seeds=3, subjects=200, interaction_sd=0.03, noise_sd=0.03)
    designs = {
        "3 seeds, 200 subjects": quiet.with_(seed_sd=0.012),
        "2 seeds, 150 subjects": quiet.with_(seeds=2, subjects=150),
        "3 seeds, 60 subjects": quiet.with_(subjects=60, interaction_sd=0.06, noise_sd=0.06),
        "5 quiet seeds, 40 subjects": quiet.with_(seeds=5, subjects=40, interaction_sd=0.05, seed_sd=0.003),
        "3 seeds, uneven types": quiet.with_(subjects=100, seed_sd_of=UNEVEN, noise_sd=0.06),
        "five of five folds": quiet.with_(seeds=5, folds=5, subjects=150, seed_sd=0.006, interaction_sd=0.05),
        "three of five folds": quiet.with_(folds=5, subjects=300),
    }
    wanted = {f"decided_{name}": (0.75, 1.0) for name in ("replicates", "subjects", "both")}
    return [
        Scenario(f"deciding: {name}, {truth}", design.with_(levels={"AU": gain}), count_decided, wanted, draw_reserve)
        for name, design in designs.items()
        for truth, gain in (("no gain", 0.0), ("a loss of the margin", -MARGIN))
    ]
