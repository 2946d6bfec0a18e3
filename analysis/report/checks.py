"""How far the study can be trusted, in one line at the head of the page."""

from dataclasses import dataclass
from typing import cast

import pandas as pd

from aggregation_lab.aggregation import FLOOR
from analysis.frames import at_full
from analysis.questions.caveats.training import MATCHED
from analysis.report import words
from analysis.result import Analysis
from analysis.statistics.uncertainty import DECIDES
from analysis.statistics.verdicts import BENEFIT, HARM, NO_LOSS, SAME_MODEL
from analysis.tables.cells import IMPROVING, of_data
from analysis.tables.collapsed import COLLAPSED

GOOD, CAUTION, UNKNOWN = "good", "caution", "unknown"


@dataclass(frozen=True)
class Check:
    """One thing a sceptical reader asks; `state` is good, caution or unknown, `target` where the page has more."""

    state: str
    text: str
    target: str


def checks(analysis: Analysis) -> list[Check]:
    """The trust line of the header."""
    always = [_finished(analysis), _leakage(analysis), _compute(analysis), _convergence(analysis), _floor(analysis)]
    others = (_collapsed(analysis), _reference(analysis), _multiverse(analysis), _warnings(analysis))
    return always + [check for check in others if check]


def alerts(analysis: Analysis) -> list[str]:
    """What must be read before any verdict, a sentence each."""
    about, sentences = analysis.study.manifest, []
    if about.looks is not None:
        made, planned = (len(about.looks[name]) for name in ("made", "planned"))
        if not about.looks["finished"]:
            sentences.append(
                f"This grid is not finished: {made} of {planned} looks are made. Open verdicts may change."
            )
    elif about.planned is not None and about.finished is not None and about.finished < about.planned:
        sentences.append(
            f"This grid is not finished: {about.finished:,} of {words.count(about.planned, 'run')}. Verdicts rest on "
            "the pairs of runs that are there, and may change."
        )
    gains = analysis.frames["gains"]
    if len(gains) and (gains["basis"] == SAME_MODEL).all():
        sentences.append(
            "There is nothing to compare: under every aggregation each task is trained alone, by the same runs. Add "
            "a task that it can share a model with."
        )
    elif len(gains) and not gains["basis"].isin(DECIDES).any():
        sentences.append(
            "No verdict can be given: every comparison rests on one seed, which tells nothing of the chance of "
            "training. Intervals, where there are any, cover test cases alone."
        )
    return sentences


def _finished(analysis: Analysis) -> Check:
    about = analysis.study.manifest
    if about.planned is None or about.finished is None:
        return Check(UNKNOWN, "planned runs unknown", "runs-section")
    state = GOOD if about.finished >= about.planned else CAUTION
    return Check(state, f"{about.finished:,} of {words.count(about.planned, 'run')} finished", "runs-section")


def _leakage(analysis: Analysis) -> Check:
    leakage = analysis.study.manifest.leakage
    if leakage is None or "crossing_components" not in leakage:
        return Check(UNKNOWN, "leakage not counted", "leakage")
    crossing = leakage["crossing_components"]
    total = f" of {leakage['components']:,}" if "components" in leakage else ""
    parts = "the folds" if analysis.study.manifest.folds > 1 else "the split"
    return Check(CAUTION if crossing else GOOD, f"{crossing:,}{total} image components cross {parts}", "leakage")


def _compute(analysis: Analysis) -> Check:
    ratio = analysis.frames["ledger"]["flops_ratio"].dropna().astype(float)
    if ratio.empty:
        return Check(UNKNOWN, "compute unknown", "ledger")
    state = GOOD if ratio.between(*MATCHED).all() else CAUTION
    spread = " to ".join(dict.fromkeys((f"{ratio.min():.2f}", f"{ratio.max():.2f}")))
    return Check(state, f"compute {spread} times that of {_base(analysis)}", "ledger")


def _base(analysis: Analysis) -> str:
    """What gains are over."""
    return analysis.study.aggregations[0]


def _of_baselines(analysis: Analysis, column: str, kind: type = bool) -> pd.Series:
    """What is known of the base at full data, a value per task."""
    scores = analysis.frames["scores"]
    return at_full(scores[scores["aggregation"] == _base(analysis)])[column].dropna().astype(kind)


def _convergence(analysis: Analysis) -> Check:
    improving = _of_baselines(analysis, "still_improving")
    if improving.empty:
        return Check(UNKNOWN, f"convergence of {_base(analysis)} unknown", "convergence")
    rising = int(improving.sum())
    several = _of_baselines(analysis, "curves", float).max() > 1
    of_all = f"{rising} of {len(improving)} {_base(analysis)} baselines"
    text = f"{of_all} still improving{' in a seed at least' * bool(several)}"
    return Check(CAUTION if rising else GOOD, f"{text} {IMPROVING}" if rising else text, "convergence")


def _floor(analysis: Analysis) -> Check:
    beats = _of_baselines(analysis, "beats_floor")
    if beats.empty:
        return Check(UNKNOWN, "no trivial floor", "floor")
    state = GOOD if beats.all() else CAUTION
    return Check(
        state, f"mean of {_base(analysis)} above the floor in {int(beats.sum())} of {len(beats)} tasks", "floor"
    )


def _collapsed(analysis: Analysis) -> Check | None:
    """Whether single runs learned next to nothing where others did."""
    tasks = analysis.frames["collapsed"]["task"].nunique()
    text = f"a run learned next to nothing where others did in {words.count(tasks, 'task')} {COLLAPSED}"
    return Check(CAUTION, text, "floor") if tasks else None


def _reference(analysis: Analysis) -> Check | None:
    """Whether the baseline of all gains stands beside a plain network."""
    rows = at_full(analysis.frames["reference"])
    if rows.empty:
        return None
    weak, name = int(rows["weak_base"].astype(bool).sum()), rows["reference"].iloc[0]
    text = f"TS is weaker than {name} in {weak} of {words.count(len(rows), 'task')}"
    return Check(CAUTION if weak else GOOD, text, "reference")


def _multiverse(analysis: Analysis) -> Check | None:
    """Of verdicts that decide something: undecided stays undecided easily."""
    rows = analysis.frames["multiverse"]
    share = rows.loc[rows["verdict"].isin([HARM, BENEFIT, NO_LOSS]), "share"].dropna()
    if share.empty:
        return None
    firm = int((share >= 0.9).sum())
    hold = "holds" if firm == 1 else "hold"
    text = f"{firm} of {words.count(len(share), 'decided verdict')} {hold} in 90 % of the analyses tried"
    return Check(GOOD if firm == len(share) else CAUTION, text, "multiverse")


def _warnings(analysis: Analysis) -> Check | None:
    amount = len(analysis.warnings)
    return Check(CAUTION, words.count(amount, "warning"), "warnings") if amount else None


@dataclass(frozen=True)
class Named:
    """Sentences that name tasks: one per aggregation at full data, and one per aggregation and smaller fraction."""

    full: tuple[str, ...]
    smaller: tuple[str, ...]


def still_improving(analysis: Analysis) -> Named:
    """Which tasks were still improving when their training ended."""
    return _named(analysis, "still_improving", wanted=True)


def below_floor(analysis: Analysis) -> Named:
    """Which tasks have a mean that is no better than the trivial predictor's."""
    return _named(analysis, "beats_floor", wanted=False)


def _named(analysis: Analysis, column: str, *, wanted: bool) -> Named:
    rows = analysis.frames["scores"]
    rows = rows[(rows["aggregation"] != FLOOR) & rows[column].notna()]
    sentences: dict[bool, list[str]] = {True: [], False: []}
    for key, part in rows.groupby(["aggregation", "fraction"], sort=False):
        name, fraction = cast("tuple[str, float]", key)
        chosen = part[part[column].astype(bool) == wanted]
        tasks = list(chosen["task"])
        if column == "still_improving":
            counted = zip(tasks, chosen["rising"], chosen["curves"], strict=True)
            tasks = [f"{task} {up:.0f}/{of:.0f}" if of > 1 else task for task, up, of in counted]
        named = f": {', '.join(tasks)}" if tasks else ""
        full = bool(fraction == rows["fraction"].max())
        data = "" if full else f" {of_data(fraction)}"
        sentences[full].append(f"{name}{data}, {len(tasks)} of {words.count(len(part), 'task')}{named}")
    return Named(tuple(sentences[True]), tuple(sentences[False]))


def leakage(analysis: Analysis) -> list[tuple[str, str]]:
    """What the images share, counted over split or folds, in words."""
    counted = analysis.study.manifest.leakage or {}
    return [(name.replace("_", " "), f"{amount:,}") for name, amount in counted.items()]
