"""At which footing a study compares its aggregations: as long a training for all, or each to its own end."""

from aggregation_lab.aggregation import ARROW
from aggregation_lab.text import enumerated
from analysis.contrasts import trained_twice
from analysis.frames import at_full
from analysis.questions.caveats.design import trained_more
from analysis.questions.caveats.training import MATCHED
from analysis.report import words
from analysis.report.model_paragraph import lifted_passes
from analysis.result import Analysis


def footing(analysis: Analysis) -> str:
    """One or two sentences: the rule by which training ended, and how far compute differs within gains at full data."""
    settings = analysis.study.manifest.settings
    training = settings.get("training", {})
    until = training.get("until", "budget") if training else None
    if until == "converged":
        rule = "Gains compare models each at its own convergence, not at matched compute"
    elif until == "budget":
        passes, done = training.get("passes"), lifted_passes(analysis.study)
        often = f", but more often in units that min_steps lifts (passes of all runs: {done})" if done else ""
        seen = "" if passes is None else f": every training image is seen {passes:g} times in every aggregation{often}"
        again = (settings.get("specialise") or {}).get("passes") or passes
        second = f", and likewise {again:g} times more in a second stage" if seen and _sequential(analysis) else ""
        rule = f"Gains compare models at matched passes{seen}{second}"
    else:
        rule = "How long the models of this table were trained is not known"
    return f"{rule}.{_second_stages(analysis)}{_differences(analysis)}"


def _second_stages(analysis: Analysis) -> str:
    """How much training sequential aggregations have had, and what their gains are over."""
    names, longer = analysis.study.aggregations, _sequential(analysis)
    base = names[0]
    if not longer:
        return ""
    said = f" {enumerated(longer)} count with the training of both stages"
    if trained_twice(base) in names:
        return (
            f"{said}, and their gains are over {trained_twice(base)}, which has had both, too, and over {base} besides."
        )
    return f"{said}. {more}" if (more := trained_more(names)) else f"{said}."


def _sequential(analysis: Analysis) -> list[str]:
    """The sequential aggregations but for the base that was trained twice."""
    names = analysis.study.aggregations
    return [name for name in names if ARROW in name and name != trained_twice(names[0])]


def _differences(analysis: Analysis) -> str:
    full = at_full(analysis.frames["gains"])
    ratio = full["compute_ratio"].dropna().astype(float)
    if ratio.empty:
        return ""
    away = ratio[~ratio.between(*MATCHED)]
    if away.empty:
        return f" In all {words.count(len(ratio), 'gain')} both sides spent as much on the task, within 10\u00a0%."
    spread = f"{ratio.min():.2f} to {ratio.max():.2f}"
    return (
        f" In {len(away)} of {words.count(len(ratio), 'gain')} the joint model spent more or less than the base on "
        f"images of the task, by over 10\u00a0% ({spread} times the operations of the base, in the table of gains)."
    )
