"""From score tables to every result frame: the order in which the statistics build on each other."""

from collections.abc import Callable, Sequence, Set

import numpy as np
import pandas as pd

from analysis.frames import FRAMES, frame, ordered
from analysis.gains import Contrast, PairedGain, TaskScores, contrasts, pair_all, seed_gains
from analysis.questions import expert_routing, guidelines, study_quality
from analysis.questions.caveats import caveats
from analysis.questions.findings import findings
from analysis.questions.means import pooled_row
from analysis.questions.multiverse import MOST_CONTRASTS, multiverse
from analysis.questions.power import hours_per_seed, power_frame
from analysis.questions.regret import regret_table
from analysis.questions.scale_across_tasks import across_tasks
from analysis.questions.scale_within_tasks import within_tasks
from analysis.questions.stability import stability
from analysis.questions.task_gains import task_gains
from analysis.questions.type_sensitivity import type_sensitivity
from analysis.result import Analysis
from analysis.settings import Scale, Settings
from analysis.study import Resampled, StudyTables, check_two, resample, task_scores

Progress = Callable[[str], object]


Pairs = dict[tuple[str, float], list[PairedGain]]


def analyse(study: StudyTables, settings: Settings | None = None, progress: Progress = lambda step: None) -> Analysis:
    """Compute every frame. The same study and settings give the same frames to the last bit.

    Raises `ResultsError` where fewer than two aggregations have scores, or the tables contradict each other.
    """
    settings = settings or Settings()
    check_two(study)
    progress("resampling test subjects")
    resampled = resample(study, settings.draws, settings.seed)
    scores = task_scores(study, resampled)
    compared = contrasts(study.aggregations)
    full = max(study.fractions)
    pairs: Pairs = {
        (each.name, share): pair_all(scores, each, share, settings.scale)
        for each in compared
        for share in study.fractions
    }
    improving = study_quality.improving(study)
    frames = {name: frame(name, []) for name in FRAMES}

    progress("gains and verdicts")
    frames["gains"] = task_gains(
        study,
        {(each, share): pairs[each.name, share] for each in compared for share in study.fractions},
        settings,
        improving,
    )
    frames["seed_gains"] = joined(
        "seed_gains",
        [seed_gains(pairs[each.name, share], each, share) for each in compared for share in study.fractions],
    )
    frames["pooled"] = pool(pairs, compared, frames["gains"])

    progress("data scale")
    rising = _improving(frames["gains"])
    across = [
        across_tasks(pairs[each.name, full], each, full, rising.get((each.name, full), set())) for each in compared
    ]
    for place, name in enumerate(("across", "across_line", "influence")):
        frames[name] = joined(name, [found[place] for found in across])
    curves = [
        within_tasks(_by_fraction(pairs, each, study.fractions), each, _improving_anywhere(frames["gains"], each.name))
        for each in compared
    ]
    for place, name in enumerate(("within", "within_line")):
        frames[name] = joined(name, [found[place] for found in curves])

    progress("task types and stability")
    typed = [
        type_sensitivity(
            pairs[each.name, share],
            _verdicts(frames["gains"], each, share),
            each,
            share,
            settings.seed,
            rising.get((each.name, share), set()),
        )
        for each in compared
        for share in study.fractions
    ]
    for place, name in enumerate(("sensitivity", "type_test")):
        frames[name] = joined(name, [found[place] for found in typed])
    against_base = [each for each in compared if each.base == compared[0].base]
    frames["stability"] = stability(frames["pooled"], frames["gains"], against_base)

    progress("guidelines")
    margins = {str(task): float(own.median()) for task, own in frames["gains"].groupby("task")["margin"]}
    rows = guidelines.rule_rows({each: _by_fraction(pairs, each, study.fractions) for each in against_base}, margins)
    rule = guidelines.fit_rule(rows) if len(against_base) <= guidelines.MOST_ARMS else None
    if rule is not None:
        undertrained = set().union(*(_improving_anywhere(frames["gains"], each.name) for each in against_base))
        frames["guidelines"] = guidelines.guideline_table(rule, rows, undertrained)
        frames["regret"] = regret_table(rows, scores, study.aggregations)

    progress("trust, power and choices")
    frames["data"] = study_quality.data(study)
    frames["scores"] = study_quality.scores(study, frames["gains"])
    frames["ledger"] = study_quality.ledger(study)
    frames["learning_curves"] = study_quality.learning_curves(study)
    frames["usage"], frames["similarity"] = expert_routing.usage(study), expert_routing.similarity(study)
    frames["power"] = joined(
        "power",
        [
            power_frame(
                pairs[each.name, full],
                each,
                full,
                _margins(frames["gains"], each, full),
                hours_per_seed(study, each, full),
                settings,
            )
            for each in compared
        ],
    )
    frames["multiverse"], _ = multiverse(study, resampled, frames["gains"], settings)
    frames["findings"] = findings(frames, lambda name, share: pairs.get((name, share), []), study.fractions)
    frames["excluded"] = excluded(study, scores, resampled, pairs, settings.scale)
    notes = (*study.notes, *caveats(study, frames), *_bounds(len(compared)), *(rule.notes if rule else ()))
    return Analysis(study, settings, frames, tuple(notes), rule)


def _bounds(compared: int) -> list[str]:
    """What is not computed where there are very many aggregations."""
    found = []
    if compared > MOST_CONTRASTS:
        found.append(f"Other choices of analysis were tried for the first {MOST_CONTRASTS} of {compared} contrasts.")
    if compared > guidelines.MOST_ARMS:
        found.append(f"No guideline: the best of more than {guidelines.MOST_ARMS} aggregations is mostly the luckiest.")
    return found


def joined(name: str, parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Parts of one frame on top of each other, in its columns."""
    filled = [part for part in parts if len(part)]
    return ordered(name, pd.concat(filled, ignore_index=True)) if filled else frame(name, [])


def _verdicts(gains: pd.DataFrame, contrast: Contrast, fraction: float) -> pd.Series:
    """Verdicts of one family by task."""
    own = gains[(gains["contrast"] == contrast.name) & (gains["fraction"] == fraction)]
    return own.set_index("task")["verdict"]


def _margins(gains: pd.DataFrame, contrast: Contrast, fraction: float) -> Callable[[str], float]:
    """Margin of each task of one family on the scale of its gains."""
    own = gains[(gains["contrast"] == contrast.name) & (gains["fraction"] == fraction)]
    return own.set_index("task")["margin"].to_dict().__getitem__


def _by_fraction(
    pairs: Pairs, contrast: Contrast, fractions: Sequence[float]
) -> list[tuple[float, Sequence[PairedGain]]]:
    return [(share, pairs[contrast.name, share]) for share in fractions if pairs[contrast.name, share]]


def _improving(gains: pd.DataFrame) -> dict[tuple[str, float], set[str]]:
    """Tasks whose base was still improving, by contrast and fraction."""
    rows = gains[gains["base_improving"].astype(bool)]
    found: dict[tuple[str, float], set[str]] = {}
    for name, share, task in rows[["contrast", "fraction", "task"]].itertuples(index=False, name=None):
        found.setdefault((name, share), set()).add(task)
    return found


def _improving_anywhere(gains: pd.DataFrame, contrast: str) -> set[str]:
    return set(gains.loc[(gains["contrast"] == contrast) & gains["base_improving"].astype(bool), "task"])


def pool(pairs: Pairs, compared: Sequence[Contrast], gains: pd.DataFrame) -> pd.DataFrame:
    """The frame `pooled`: overall, by type and by group, for every contrast and fraction."""
    improving = _improving(gains)
    rows, sides = [], {each.name: each.columns for each in compared}
    for (name, share), members in pairs.items():
        scopes = [("overall", "all", members)] if members else []
        scopes += [
            (level, value, [each for each in members if getattr(each, level) == value])
            for level in ("type", "group")
            for value in sorted({getattr(each, level) for each in members})
        ]
        for level, value, chosen in scopes:
            row = pooled_row(level, value, chosen, improving.get((name, share), set()))
            rows.append({**sides[name], "fraction": share} | row)
    return frame("pooled", rows)


def excluded(
    study: StudyTables, scores: Sequence[TaskScores], resampled: Resampled | None, pairs: Pairs, scale: Scale
) -> pd.DataFrame:
    """The frame `excluded`: what the source left out, undefined and unpaired scores, cases, tasks in other units."""
    rows = study.excluded.to_dict("records")
    lacking = "a seed under both aggregations"
    if scale != "absolute":
        lacking += f", or with an undefined {scale} gain"
    undefined = sum(int(np.isnan(each.values).sum()) for each in scores)
    rows.append({"table": "scores", "rows": undefined, "reason": "undefined score (no pair made of it)"})
    compared = {each.name: each for each in contrasts(study.aggregations)}
    for (name, share), members in pairs.items():
        said = f"{name} at fraction {share:g}"
        unpaired = sum(each.unpaired for each in members)
        rows.append({"table": "scores", "rows": unpaired, "reason": f"{said}: seed on one side only"})
        lone = _never_paired(scores, compared[name], share, {each.task for each in members})
        reason = f"{said}: tasks without {lacking}: {', '.join(lone)}"
        rows.append({"table": "scores", "rows": sum(lone.values()), "reason": reason})
    cases = sum(each.left_out for each in resampled.tasks.values()) if resampled else 0
    rows.append({"table": "cases", "rows": cases, "reason": "test cases that some run has not scored"})
    other = [each.task for each in scores if each.unit != "1"]
    reason = f"tasks without a unit-free score, left out of every mean over tasks: {', '.join(other)}"
    rows.append({"table": "scores", "rows": len(other), "reason": reason})
    return frame("excluded", [row for row in rows if row["rows"]])


def _never_paired(
    scores: Sequence[TaskScores], contrast: Contrast, fraction: float, paired: Set[str]
) -> dict[str, int]:
    """Tasks of which a contrast has no pair, and how many scores of theirs stay unused by it."""
    sides = [(name, fraction) for name in (contrast.joint, contrast.base)]
    counts = {each.task: sum(len(each.places.get(side, {})) for side in sides) for each in scores}
    return {task: count for task, count in counts.items() if count and task not in paired}
