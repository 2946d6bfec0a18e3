"""Tables by research question: group means, scale, types, stability, guidelines, what a study cost, findings."""

from functools import partial

import pandas as pd

from analysis.named_frames import NamedFrames
from analysis.questions.advice.guideline_table import EVERY_GROUP
from analysis.settings import farthest_gain
from analysis.tables.cells import (
    BEYOND,
    IMPROVING,
    MISSING,
    count,
    crossing,
    data_share,
    flagged,
    grouped,
    limits,
    number,
    p_value,
    percent,
    share_gaining,
    significant,
    text,
    true_minus,
)
from analysis.tables.order import at_full, records
from analysis.tables.paper import Column, PaperTable, Row, build, plain

_COUNTED_NOTE = f"{IMPROVING} and number: tasks whose base model was still improving when its training ended."

NOT_CORRECTED = "p: not corrected for the number of rows."

_LINE_NOTE = (
    "slope: change of gain per doubling of n_train. n*: training cases at which the line crosses zero, with 99 % "
    f"limits, named only where the slope differs from 0; {BEYOND} a limit beyond the sizes seen."
)


POOLED_SLOPE = (
    Column("tasks of", lambda row: row["name"], "name"),
    *plain(count, "tasks"),
    Column("slope [95%]", lambda row: flagged(limits(row, "slope", digits=4), row["base_improving"]), "slope"),
    *plain(p_value, "p"),
)
"""A line that is pooled over tasks, in a row of its own."""


def pooled_table(analysis: NamedFrames) -> PaperTable:
    """Mean gains over all tasks, types and groups: of these very tasks, and of tasks of their kind."""
    raw, most = analysis.frames["pooled"], farthest_gain(analysis.settings.scale)
    columns = [
        *plain(str, "contrast"),
        *plain(data_share, "fraction"),
        *plain(str, "level", "name"),
        Column("tasks", tasks_in_mean, "tasks"),
        Column("mean gain [these tasks]", partial(_pooled_gain, most), "gain"),
        *plain(p_value, "p"),
        Column("gaining", share_gaining, "gaining"),
        Column("median [tasks of this kind]", partial(_pooled_median, most), "median"),
        Column("p new", lambda row: p_value(row["p_new"]), "p_new"),
        Column("sd", lambda row: number(row["sd_tasks"]), "sd_tasks"),
    ]
    note = (
        "Two intervals: of the mean gain of these very tasks, and of the median gain of tasks of this kind, these "
        "being a sample (six independent tasks or more; fewer where clinical groups are alike). gaining: tasks whose "
        f"gain is above 0. {NOT_CORRECTED} {_COUNTED_NOTE}"
        f"{nothing_note(raw)}"
    )
    return build("group_means", "Mean gains over tasks", raw, columns, note=note, of="pooled")


def tasks_in_mean(row: Row) -> str:
    """The tasks of a mean, and how many of them learned nothing."""
    nothing = f" ({count(row['learned_nothing'])}{_LEARNED_NOTHING})" if row["learned_nothing"] else ""
    return f"{count(row['tasks'])}{nothing}"


_LEARNED_NOTHING = "∅"


def nothing_note(means: pd.DataFrame) -> str:
    """What the mark of tasks that learned nothing means, where any row of means has such tasks."""
    said = f" {_LEARNED_NOTHING} tasks in which neither model's mean is above the floor: they are in the means."
    return said if means["learned_nothing"].gt(0).any() else ""


def _pooled_gain(most: float, row: Row) -> str:
    return _counted(limits(row, "gain", most=most), row)


def _pooled_median(most: float, row: Row) -> str:
    return limits(row, "median", "low_new", "high_new", most=most)


def _counted(cell: str, row: Row) -> str:
    """The cell with the arrow, and of how many tasks the base was still improving."""
    improving = row["base_improving"]
    return cell if pd.isna(improving) or not improving else f"{flagged(cell, improving)} {count(improving)}"


def types_table(analysis: NamedFrames) -> PaperTable:
    """Mean gain of each task type, shares of harmed tasks, and its difference from the other types."""
    raw, most = analysis.frames["sensitivity"], farthest_gain(analysis.settings.scale)
    columns = [
        *plain(str, "contrast"),
        *plain(data_share, "fraction"),
        *plain(str, "type"),
        *plain(count, "tasks"),
        Column("mean gain [95%]", partial(_pooled_gain, most), "gain"),
        *plain(percent, "harmed", "negative"),
        Column(
            "against other types [95%]",
            lambda row: limits(row, "against_others", "others_low", "others_high", most=2 * most),
            "against_others",
        ),
        *plain(p_value, "p"),
    ]
    tests = [
        f"{row['contrast']} at {data_share(row['fraction'])}: F = {number(row['statistic'], 2)}, "
        f"p = {p_value(row['p'])}"
        for row in records(at_full(analysis.frames["type_test"]))
        if not pd.isna(row["p"])
    ]
    note = f"Means of these very tasks; p by permutation of types over tasks. {NOT_CORRECTED} {_COUNTED_NOTE}"
    note += f" All types at once: {'; '.join(tests)}." if tests else ""
    return build("types", "Gains by task type", raw, columns, note=note, of="sensitivity")


_SLOPE = Column("slope [95%]", lambda row: _counted(limits(row, "slope", digits=4), row), "slope")
_N_STAR = Column("n* [99%]", crossing, "n_star")


def across_table(analysis: NamedFrames) -> PaperTable:
    """Slopes of gain against training cases over different tasks, with crossovers."""
    raw = analysis.frames["across"]
    columns = [
        *plain(str, "contrast", "scope", "method"),
        *plain(count, "tasks"),
        _SLOPE,
        *plain(p_value, "p"),
        _N_STAR,
        *plain(text, "crossover", "note"),
    ]
    note = (
        f"Different tasks with different n_train: observation, not intervention. {_LINE_NOTE} {NOT_CORRECTED} "
        f"{_COUNTED_NOTE}"
    )
    return build("scale_across", "Gain against training cases, across tasks", raw, columns, note=note, of="across")


def within_table(analysis: NamedFrames) -> PaperTable | None:
    """Pooled lines; the tasks' own are in the CSV. None where no line was pooled."""
    raw = analysis.frames["within"]
    rows = raw[raw["level"] == "pooled"]
    if rows.empty:
        return None
    columns = [
        *plain(str, "contrast"),
        *POOLED_SLOPE,
        Column("from n", lambda row: count(row["n_min"]), "n_min"),
        Column("to n", lambda row: count(row["n_max"]), "n_max"),
        _N_STAR,
        *plain(text, "crossover"),
    ]
    note = (
        f"The same tasks, all with fewer training cases together: intervention. {_LINE_NOTE} {NOT_CORRECTED} "
        f"{IMPROVING} a base model was still improving when its training ended."
    )
    return build(
        "scale_within", "Gain against training cases, within tasks", rows, columns, note=note, raw=raw, of="within"
    )


def stability_table(analysis: NamedFrames) -> PaperTable:
    """Spread, worst cell and share of losses over clinical groups and fractions."""
    raw, most = analysis.frames["stability"], farthest_gain(analysis.settings.scale)

    def worst(row: Row) -> str:
        differences = 1 + (row["worst_cell"] == "")
        return _counted(limits(row, "worst", "worst_low", "worst_high", most=differences * most), row)

    columns = [
        *plain(str, "contrast", "scope"),
        *plain(count, "cells"),
        Column("spread [95%]", lambda row: limits(row, "spread", "spread_low", "spread_high"), "spread"),
        Column("worst cell [95%]", worst, "worst"),
        Column("where", lambda row: text(row["worst_cell"]), "worst_cell"),
        *plain(percent, "harmed"),
        Column("negative [95%]", _negative, "negative"),
    ]
    note = (
        "A cell is a clinical group at a fraction. spread: sd of mean gain over cells; low is steady. The worst cell "
        "was chosen for being lowest: its interval holds with 95 % for all cells together (Bonferroni), so it is wider "
        "than that of the same cell in the means. The difference "
        "of two is over the tasks that both have in a cell, and without what seeds do to them: a seed moves all groups "
        "of AU together, those of CG one by one. "
        f"{IMPROVING} and number: task x fraction whose base model was still improving when its training ended."
    )
    return build("stability", "Stability over groups and amounts of data", raw, columns, note=note)


def _negative(row: Row) -> str:
    share, low, high = (percent(row[name]) for name in ("negative", "negative_low", "negative_high"))
    return share if MISSING in (low, high) else f"{share} [{low}, {high}]"


def guidelines_table(analysis: NamedFrames) -> PaperTable:
    """Which aggregation to train, by task type, clinical group and training cases."""
    raw = analysis.frames["guidelines"]
    columns = [
        *plain(str, "type", "group"),
        Column("from n", lambda row: count(row["n_low"]), "n_low"),
        Column("to n", lambda row: count(row["n_high"]), "n_high"),
        *plain(text, "advice"),
        Column("gains", lambda row: percent(row["chance"]), "chance"),
        Column("harmed", lambda row: percent(row["harm"]), "harm"),
        Column("expected gain [one task]", lambda row: _counted(true_minus(text(row["expected"])), row), "expected"),
        *plain(count, "tasks"),
        *plain(text, "reason"),
    ]
    note = (
        "gains, harmed: chance that a new task gains, or loses more than the margin, under the aggregation advised, "
        "else under the one with the best chance. Advised: with 95 % confidence over all types "
        "together, nine in ten such tasks gain. from n, to n: training cases of the task; expected, with 95 % limits "
        "for one task, at their middle. Where too few tasks of the type, or none of such a size, were seen under an "
        "aggregation, it says so instead. "
        f"{EVERY_GROUP}: too few tasks tell groups apart. tasks: of this type, under the aggregation advised. "
        f"{_COUNTED_NOTE}"
    )
    return build("guidelines", "Which aggregation to train", raw, columns, note=note)


def regret_table(analysis: NamedFrames) -> PaperTable:
    """What following the guideline loses on tasks left out, against simple rules."""
    raw = analysis.frames["regret"]
    columns = [
        *plain(str, "rule", "scheme"),
        *plain(count, "tasks"),
        Column("regret [95%]", lambda row: limits(row, "regret"), "regret"),
        *plain(number, "worst"),
        *plain(percent, "abstained"),
    ]
    note = "regret: mean loss of unit-free score against the best aggregation in hindsight; 0 is best."
    return build("regret", "What the guideline is worth", raw, columns, note=note)


def ledger_table(analysis: NamedFrames) -> PaperTable | None:
    """None where the source of the scores says nothing about its runs."""
    raw = analysis.frames["ledger"]
    if raw["runs"].isna().all():
        return None
    staged = bool((raw["flops_before"] > 0).any())
    columns = [
        *plain(str, "aggregation"),
        *plain(data_share, "fraction"),
        *plain(count, "runs"),
        Column("images seen", lambda row: grouped(row["images_seen"]), "images_seen"),
        *plain(grouped, "steps"),
        Column("FLOPs", lambda row: significant(row["flops"], 2), "flops"),
        *([Column("first stage", lambda row: significant(row["flops_before"], 2), "flops_before")] if staged else []),
        Column(f"× {analysis.study.aggregations[0]}", lambda row: number(row["flops_ratio"], 2), "flops_ratio"),
        Column("hours", lambda row: significant(row["hours"], 2), "hours"),
        Column("passes", _passes, "passes_low"),
        Column("still improving", lambda row: percent(row["still_improving"]), "still_improving"),
        Column("above floor", lambda row: percent(row["beats_floor"]), "beats_floor"),
    ]
    note = "Images, steps, operations and worker hours are per seed; passes: fewest to most of any unit over its data."
    return build("ledger", "What the study cost", raw, columns, note=note)


def _passes(row: Row) -> str:
    low, high = number(row["passes_low"], 1), number(row["passes_high"], 1)
    return low if low == high else f"{low} {MISSING} {high}"


def findings_table(analysis: NamedFrames) -> PaperTable:
    """The five findings of arXiv 2603.18123 on these data, part by part."""
    raw = analysis.frames["findings"]
    rows = raw.assign(again=raw.duplicated(["finding", "claim"]))
    columns = [
        *plain(text, "finding"),
        Column("claim", lambda row: "" if row["again"] else text(row["claim"]), "claim"),
        Column("tested part", lambda row: text(row["part"]), "part"),
        Column("estimate [95%]", lambda row: limits(row, "estimate"), "estimate"),
        *plain(p_value, "p"),
        *plain(text, "verdict"),
        Column("effect", lambda row: true_minus(text(row["effect"])), "effect"),
        *plain(text, "evidence"),
    ]
    note = (
        "The findings of arXiv 2603.18123, tested on this study. A part is tested at 5 % by itself, and p is not "
        "corrected for the number of parts; a finding is supported where all its parts are, contradicted where one "
        "part is after Holm's correction over its parts. median: of tasks of this kind, which a few tasks do not move; "
        "mean: of exactly these tasks; the two may differ in sign. evidence: result frames the numbers come from."
    )
    return build("findings", "The paper's findings on these data", rows, columns, note=note, raw=raw)
