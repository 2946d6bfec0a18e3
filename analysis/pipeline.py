"""From score tables to every result frame: the table of steps, and the order in which they build on each other."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

import pandas as pd

from analysis.arms.across import NAMES, across_arms
from analysis.arms.hypothesis import HYPOTHESIS, NUMBER
from analysis.arms.reference import reference, weak_baselines
from analysis.cases.gains import case_gains
from analysis.cases.parts import case_parts
from analysis.context import Context, prepare
from analysis.contrasts import Contrast
from analysis.deciding.said import replicates_by_looks
from analysis.frames import part, stacked
from analysis.grouping import grouping_frames
from analysis.grouping.affinities import affinities
from analysis.grouping.found_means import found_means
from analysis.pairing import seed_gains
from analysis.questions import expert_routing, study_quality
from analysis.questions.advice import guidelines
from analysis.questions.advice.guideline_table import guideline_table
from analysis.questions.advice.regret import regret_table
from analysis.questions.caveats.every import caveats
from analysis.questions.collapsed_runs import collapsed_runs
from analysis.questions.findings import CLAIMS, findings
from analysis.questions.left_out import excluded
from analysis.questions.means import pooled
from analysis.questions.multiverse import MOST_CONTRASTS, multiverse
from analysis.questions.power import hours_per_seed, power_frame
from analysis.questions.scale.across_tasks import across_tasks
from analysis.questions.scale.within_tasks import within_tasks
from analysis.questions.stability import stability
from analysis.questions.task_gains import task_gains
from analysis.questions.type_sensitivity import type_sensitivity
from analysis.result import Analysis
from analysis.settings import Settings
from analysis.study import StudyTables

Frames = tuple[pd.DataFrame, ...]


@dataclass(frozen=True)
class Step:
    """One statistic: the progress message, the frames it makes, and how; it may read earlier frames."""

    progress: str
    frames: tuple[str, ...]
    make: Callable[[Context], Frames]


def of_study(progress: str, name: str, make: Callable[[Context], pd.DataFrame]) -> Step:
    """A step of one frame, made once for the whole study."""
    return Step(progress, (name,), lambda context: (make(context),))


def of_contrasts(
    progress: str, names: tuple[str, ...], make: Callable[[Context, Contrast, float], Frames], *, full: bool = False
) -> Step:
    """A step made for every contrast at every fraction, or at full data alone, its parts stacked."""

    def stack(context: Context) -> Frames:
        keys = [(contrast, share) for contrast, share in context.pairs if share == context.study.full or not full]
        parts = [(contrast.at(share), make(context, contrast, share)) for contrast, share in keys]
        return tuple(stacked(name, [(about, made[k]) for about, made in parts]) for k, name in enumerate(names))

    return Step(progress, names, stack)


def advice(context: Context) -> Frames:
    """The frames `guidelines` and `regret`; empty without a rule."""
    rows, rule = context.rule_rows, context.rule
    if rule is None:
        return context.frames["guidelines"], context.frames["regret"]
    return guideline_table(rule, rows), regret_table(rows, context.scores, context.study.aggregations)


def power(context: Context, contrast: Contrast, fraction: float) -> Frames:
    """The frame `power` of one contrast."""
    pairs = context.pairs[contrast, fraction]
    if not pairs:
        return (part("power", []),)
    hours, rows = hours_per_seed(context.study, contrast, fraction), context.headline.rows
    own = [(estimate, verdict) for key, _, estimate, verdict in rows if key == (contrast, fraction)]
    estimates, verdicts = zip(*own, strict=True)
    return (power_frame(pairs, estimates, verdicts, hours, context.headline.levels),)


def types(context: Context, contrast: Contrast, fraction: float) -> Frames:
    """The frames `sensitivity` and `type_test` of one contrast and fraction."""
    verdicts = context.gains(contrast, fraction)["verdict"]
    return type_sensitivity(context.pairs[contrast, fraction], verdicts, context.settings.seed)


def claims(context: Context) -> Frames:
    """The frame `findings`; what the paper supposes of capacity only where the study has arms."""
    asked = CLAIMS | ({NUMBER: HYPOTHESIS} if len(context.frames["arm_gains"]) else {})
    return (findings(context.frames, context.pairs, asked),)


def _excluded(context: Context) -> pd.DataFrame:
    """The frame `excluded`, of which comparisons of arms have made their part."""
    study, scale, of_arms = context.study, context.settings.scale, context.frames["excluded"]
    return excluded(study, context.scores, context.resampled, context.pairs, scale, of_arms.to_dict("records"))


GAINS, SCALE, TYPES, TRUST = "gains and verdicts", "data scale", "task types and stability", "trust, power and choices"
CASES = "single cases"

STEPS = (
    of_study(GAINS, "gains", lambda c: task_gains(c.study, c.resampled, c.pairs, c.settings)),
    of_contrasts(GAINS, ("seed_gains",), lambda c, contrast, share: (seed_gains(c.pairs[contrast, share]),)),
    of_contrasts(GAINS, ("pooled",), lambda c, contrast, share: (pooled(c.pairs[contrast, share]),)),
    of_contrasts(
        SCALE,
        ("across", "across_line", "influence"),
        lambda c, contrast, share: across_tasks(c.pairs[contrast, share]),
        full=True,
    ),
    of_contrasts(
        SCALE,
        ("within", "within_line"),
        lambda c, contrast, share: within_tasks(c.by_fraction(contrast)),
        full=True,
    ),
    of_contrasts(TYPES, ("sensitivity", "type_test"), types),
    of_study(TYPES, "stability", lambda c: stability(c.frames["pooled"], c.frames["gains"], c.against_base, c.pairs)),
    Step("arms", NAMES, lambda context: across_arms(context.study, context.settings)),
    of_study("groups of tasks", "affinities", lambda c: affinities(c.study)),
    Step(
        "groups of tasks",
        grouping_frames.NAMES,
        lambda c: grouping_frames.grouping_frames(c.study, c.scores, c.frames["affinities"]),
    ),
    of_study("groups of tasks", "found_means", lambda c: found_means(c.study, c.pairs)),
    Step("guidelines", ("guidelines", "regret"), advice),
    of_study(TRUST, "data", lambda c: study_quality.data(c.study)),
    of_study(TRUST, "scores", lambda c: study_quality.scores(c.study, c.frames["gains"])),
    of_study(TRUST, "collapsed", lambda c: collapsed_runs(c.study, c.resampled, c.scores)),
    of_study(TRUST, "reference", lambda c: reference(c.study, c.settings)),
    of_study(TRUST, "ledger", lambda c: study_quality.ledger(c.study)),
    of_study(TRUST, "learning_curves", lambda c: study_quality.learning_curves(c.study)),
    of_study(TRUST, "usage", lambda c: expert_routing.usage(c.study)),
    of_study(TRUST, "similarity", lambda c: expert_routing.similarity(c.study)),
    of_contrasts(TRUST, ("power",), power, full=True),
    of_study(TRUST, "multiverse", lambda c: multiverse(c.study, c.resampled, c.frames["gains"], c.settings)[0]),
    Step(TRUST, ("findings",), claims),
    of_study(TRUST, "excluded", _excluded),
    of_study(CASES, "case_gains", case_gains),
    of_study(CASES, "case_parts", lambda c: case_parts(c.frames["case_gains"])),
)
"""All statistics in the order in which they build on each other. A new one is an entry here."""


def analyse(
    study: StudyTables, settings: Settings | None = None, progress: Callable[[str], object] = lambda step: None
) -> Analysis:
    """Compute every frame, of one arm: the study's base where it has several and none is chosen (`study.of_arm`). The
    same study and settings give the same frames to the last bit.

    Raises `ResultsError` where fewer than two aggregations have scores, or the tables contradict each other.
    """
    progress("resampling test subjects")
    context = prepare(study, settings or Settings())
    for label, steps in groupby(STEPS, lambda step: step.progress):
        progress(label)
        for step in steps:
            context.frames.update(zip(step.frames, step.make(context), strict=True))
    fitting = context.rule.notes if context.rule else ()
    study = context.study
    beside = weak_baselines(study, context.frames["reference"])
    warnings = (
        *study.notes,
        *beside,
        *replicates_by_looks(study),
        *caveats(study, context.frames),
        *_bounds(context),
        *fitting,
    )
    return Analysis(study, context.settings, context.frames, warnings, context.rule)


def _bounds(context: Context) -> list[str]:
    """What is not computed where there are very many aggregations."""
    notes, compared = [], len(context.contrasts)
    if compared > MOST_CONTRASTS:
        notes.append(f"Other choices of analysis were tried for the first {MOST_CONTRASTS} of {compared} contrasts.")
    if compared > guidelines.MOST_COMPARED:
        notes.append(
            f"No guideline: the best of more than {guidelines.MOST_COMPARED} aggregations is mostly the luckiest."
        )
    return notes
