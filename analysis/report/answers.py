"""The answers first: what each aggregation does to which tasks, and what became of the paper's findings."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from aggregation_lab.text import enumerated
from analysis.frames import at_full
from analysis.questions.finding_parts import NOT_TESTABLE
from analysis.questions.findings import WHOLE
from analysis.report import words
from analysis.report.page_table import Cell, PageTable, page_table
from analysis.report.trace import GainLinks, answered
from analysis.result import Analysis
from analysis.settings import farthest_gain
from analysis.statistics.uncertainty import CASES
from analysis.statistics.verdicts import BENEFIT, HARM, NO_LOSS, SAME_MODEL, UNDECIDED
from analysis.tables.cells import (
    count,
    decimals,
    margin_decimals,
    number,
    of_base,
    of_data,
    p_value,
    text,
    true_minus,
    with_unit,
)
from analysis.tables.collapsed import CollapsedMarks
from analysis.tables.paper import Column, build, plain

PHRASES: Final = {
    BENEFIT: ("gains", "gain"),
    HARM: ("is harmed", "are harmed"),
    NO_LOSS: ("shows no meaningful loss", "show no meaningful loss"),
    UNDECIDED: ("is undecided", "are undecided"),
    SAME_MODEL: ("trains the same model under both", "train the same model under both"),
}
"""What an answer says of one task, and of several; in the order in which a reader wants to know."""

_MOST_NAMED: Final = 60
"""Tasks of a verdict that are named in an answer."""


@dataclass(frozen=True)
class VerdictTasks:
    """The tasks of one contrast that share a verdict."""

    name: str
    slug: str
    tasks: tuple[Cell, ...]
    more: int = 0
    """Tasks that are not named here."""

    @property
    def count(self) -> int:
        """All tasks, named or not."""
        return len(self.tasks) + self.more


@dataclass(frozen=True)
class Answer:
    """One contrast at full data."""

    contrast: str
    anchor: str
    title: str
    sentence: str
    mean: str
    verdicts: tuple[VerdictTasks, ...]


@dataclass(frozen=True)
class FindingPart:
    """One tested part of a finding."""

    part: str
    effect: str
    p: str
    verdict: str
    evidence: tuple[Cell, ...]


@dataclass(frozen=True)
class Finding:
    """One finding of the paper. `sentence` says which parts led to the verdict."""

    number: str
    claim: str
    verdict: str
    sentence: str
    parts: tuple[FindingPart, ...]


def answers(analysis: Analysis) -> list[Answer]:
    """One answer per contrast, at the largest fraction that was compared; the first of very many."""
    gains, links, marks = analysis.frames["gains"], GainLinks(analysis), CollapsedMarks(analysis)
    most = farthest_gain(analysis.settings.scale)
    result = []
    for name in answered(gains):
        rows = gains[gains["contrast"] == name]
        rows = at_full(rows).sort_values(["gain", "task"], ascending=[False, True])
        joint, base = str(rows["joint"].iloc[0]), str(rows["base"].iloc[0])
        groups = []
        for verdict in PHRASES:
            same = rows[rows["verdict"] == verdict].to_dict("records")
            named = tuple(_task(row, links, marks, most) for row in same[:_MOST_NAMED])
            groups.append(VerdictTasks(verdict, words.slug(verdict), named, len(same) - len(named)))
        title = f"{joint} against {base}: {words.aggregation(joint)} instead of {words.aggregation(base)}"
        sentence = _counted(rows)
        anchor, mean = words.anchor("answer", name), _mean(analysis, name)
        result.append(Answer(name, anchor, title, sentence, mean, tuple(groups)))
    return result


def _task(row: Mapping[Hashable, Any], links: GainLinks, marks: CollapsedMarks, most: float) -> Cell:
    """A task with its gain; the hint has the interval that decides and the runs."""
    runs = links.runs_behind(row["contrast"], float(row["fraction"]), row["task"])
    most = most if row["gain_unit"] == "1" else math.inf
    if row["basis"] == CASES:
        limits = f"{words.limits(row['low'], row['high'], most)} of test cases alone (one seed)"
    else:
        limits = f"corrected interval {words.limits(row['low_adjusted'], row['high_adjusted'], most) or 'unknown'}"
    # A task without a unit-free score keeps the unit of its metric.
    unit = row["gain_unit"]
    gain = with_unit(words.signed(row["gain"], decimals(unit)), unit)
    shown = marks.of_gain(of_base(f"{row['task']} {gain}", row), row)
    margin = number(row["supported_margin"], margin_decimals(row))
    supported = "" if pd.isna(row["supported_margin"]) else f"; supports a margin of {margin}"
    title = f"{limits}{supported}. {runs}"
    return Cell(shown, title=title, href=links.target(row["task"]), more=row["would_decide"])


def _counted(rows: pd.DataFrame) -> str:
    """How many tasks have which verdict, how many gains are shown to be larger than the margin, and in how many of the
    undecided tasks the models learned nothing."""
    counts, more = rows["verdict"].value_counts(), words.beside_counts(rows)
    parts = [
        f"{counts[name]} {PHRASES[name][int(counts[name] > 1)]}{more.get(name, '')}"
        for name in PHRASES
        if name in counts
    ]
    fraction = float(rows["fraction"].iloc[0])
    return f"Of {words.count(len(rows), 'task')} {of_data(fraction)}, {enumerated(parts)}."


def _mean(analysis: Analysis, contrast: str) -> str:
    pooled = analysis.frames["pooled"]
    rows = pooled[(pooled["contrast"] == contrast) & (pooled["level"] == "overall") & pooled["gain"].notna()]
    if rows.empty:
        return "No mean over tasks: no task of this contrast has a unit-free gain of two different models."
    row = rows.sort_values("fraction").iloc[-1]
    most = farthest_gain(analysis.settings.scale)
    gaining = f"The estimates are gains in {int(row['gaining'])} of {words.count(int(row['tasks']), 'task')}"
    median = (
        f"median {words.signed(row['median'])}{_limits(row['low_new'], row['high_new'], 'tasks of this kind', most)}"
    )
    mean = f"mean {words.signed(row['gain'])}{_limits(row['low'], row['high'], 'these very tasks', most)}"
    none = "" if "interval" in median + mean else " (no interval can be given)"
    nothing = int(row["learned_nothing"])
    below = f" {nothing} of these tasks learned nothing and {'counts' if nothing == 1 else 'count'} in both."
    return f"{gaining}; {median}; {mean}{none}.{below * bool(nothing)}"


def _limits(low: float, high: float, whose: str, most: float) -> str:
    limits = words.limits(low, high, most)
    return f" (95\u00a0% interval for {whose} {limits})" if limits else ""


def verdict_counts(analysis: Analysis) -> PageTable:
    """Tasks by verdict, for every contrast and fraction."""
    gains = analysis.frames["gains"]
    rows = pd.crosstab([gains["contrast"], gains["fraction"]], gains["verdict"]).reset_index()
    order = rows["contrast"].map({name: index for index, name in enumerate(dict.fromkeys(gains["contrast"]))})
    rows = rows.assign(order=order).sort_values(["order", "fraction"], ascending=[True, False], ignore_index=True)
    columns = [
        *plain(str, "contrast"),
        Column("fraction", lambda row: f"{row['fraction']:g}", "fraction"),
        *(_count(name) for name in PHRASES if name in rows),
    ]
    return page_table(build("verdicts", "Tasks by verdict", rows, columns, of="gains"))


def _count(name: str) -> Column:
    return Column(name, lambda row: count(row[name]), name, f"tasks with the verdict: {name}")


def findings(analysis: Analysis) -> list[Finding]:
    """The paper's findings in their order: the verdict on the whole, the part that decides it, and all parts."""
    result = []
    for name, rows in analysis.frames["findings"].groupby("finding", sort=True):
        is_whole = rows["part"] == WHOLE
        whole = (rows[is_whole] if is_whole.any() else rows).iloc[0]
        parts = tuple(
            FindingPart(
                str(row["part"]),
                true_minus(text(row["effect"])),
                p_value(row["p"]),
                str(row["verdict"]),
                _evidence(str(row["evidence"])),
            )
            for row in rows[~is_whole].to_dict("records")
        )
        verdict = str(whole["verdict"])
        result.append(Finding(str(name), str(whole["claim"]), verdict, _decided(parts, verdict), parts))
    return result


_SECTIONS = {
    "gains": ("task by task", "tasks"),
    "pooled": ("means over tasks", "means"),
    "within": ("scale within tasks", "within"),
    "across": ("scale across tasks", "across"),
    "sensitivity": ("task types", "types"),
    "stability": ("stability", "stability"),
    "capacity": ("arms", "arms"),
}
"""Where the page shows a frame: name and anchor of the section."""


def _evidence(frames: str) -> tuple[Cell, ...]:
    """The sections of the page that a part rests on."""
    named = [name.strip() for name in frames.split(",")]
    return tuple(Cell(_SECTIONS[name][0], href=_SECTIONS[name][1]) for name in named if name in _SECTIONS)


def _decided(parts: Sequence[FindingPart], verdict: str) -> str:
    """One sentence: how many parts say what, and the first of those that decide."""
    tested = [part.verdict for part in parts if part.verdict != NOT_TESTABLE]
    if not tested:
        return "No part of it can be tested on these data."
    counts = enumerated([f"{tested.count(name)} {name}" for name in dict.fromkeys(tested)])
    deciding = next((part for part in parts if part.verdict == verdict), parts[0])
    effect = f"{deciding.part}, {deciding.effect}"
    if len(parts) == 1:
        return f"{effect}."
    left = len(parts) - len(tested)
    missing = f"; {left} cannot be tested on these data" if left else ""
    return f"Of {words.count(len(parts), 'part')}, {counts}{missing}. {deciding.verdict.capitalize()}: {effect}."
