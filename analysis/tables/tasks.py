"""Tables by task: the data, scores, gains, their power and how far verdicts depend on choices."""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd

from aggregation_lab.aggregation import FLOOR
from aggregation_lab.tasks import METRICS
from analysis.frames import FRAMES
from analysis.named_frames import NamedFrames
from analysis.questions.caveats.training import MATCHED
from analysis.questions.power import notices_nothing
from analysis.settings import SCALES, farthest_gain
from analysis.statistics.uncertainty import CASES
from analysis.statistics.verdicts import NO_LOSS, VERDICTS
from analysis.tables.cells import (
    IMPROVING,
    MISSING,
    VERDICT_MARKS,
    arrow,
    change,
    count,
    data_share,
    decides_at,
    decimals,
    limits,
    margin_decimals,
    number,
    of_base,
    of_data,
    p_value,
    percent,
    text,
    with_unit,
)
from analysis.tables.collapsed import CollapsedMarks
from analysis.tables.order import at_full, by_task, records
from analysis.tables.paper import Column, PaperTable, Row, build, plain

MARKS_NOTE = ", ".join(f"{mark} {verdict}" for verdict, mark in VERDICT_MARKS.items())
SHARE_NOTE = "2/5: in two of five seeds"
IMPROVING_NOTE = f"{IMPROVING} the base model still improved when its training ended ({SHARE_NOTE})"
DECIDE_NOTE = (
    "would notice: the smallest true gain or loss that these data find with 80 % power. What follows gives that power "
    "to find a loss of the margin, or to exclude one where there is none, with the scatter as uncertain as these data "
    "leave it and the other verdicts as they are. Test subjects are those in all; rotating folds (data.folds) test all"
)


def data_table(analysis: NamedFrames) -> PaperTable:
    """Tasks with their type, group, training cases at every fraction, test cases, subjects and margin."""
    raw = analysis.frames["data"]
    full = at_full(raw)
    shares = sorted(set(raw["fraction"]))
    # pivot_table drops a fraction of which no task has a size
    sizes = raw.pivot_table(index="task", columns="fraction", values="n_train", aggfunc="first").reindex(columns=shares)
    titles = {share: f"train {data_share(share)}" for share in shares}
    rows = by_task(full.join(sizes.rename(columns=titles), on="task"))
    columns = [*plain(str, "task", "type", "group"), *plain(text, "metric")]
    columns += [
        replace(column, meaning=f"training cases at fraction {share:g}")
        for share, column in zip(titles, plain(count, *titles.values()), strict=True)
    ]
    columns += [
        Column("test", lambda row: count(row["n_test"] or math.nan), "n_test"),
        Column("subjects", lambda row: count(row["subjects"] or math.nan), "subjects"),
        *plain(number, "margin"),
        Column("in the metric", _raw_margin, "margin_raw"),
    ]
    note = (
        "train and test: cases. margin: largest loss of unit-free score that counts as none; in the metric: the same "
        "in the primary metric, and its share of what the base's mean score lies above the floor's. "
        f"{MISSING} not known, or the base is not above the floor."
    )
    return build("data", "Tasks and their data", rows, columns, note=note, raw=raw)


def _raw_margin(row: Row) -> str:
    unit = METRICS[row["metric"]].unit if row["metric"] in METRICS else "1"
    shown, share = number(row["margin_raw"], decimals(unit)), percent(row["margin_share"])
    if shown != MISSING:
        shown = with_unit(shown, unit)
    return shown if shown == share == MISSING else f"{shown} ({share})"


def scores_table(analysis: NamedFrames) -> PaperTable:
    """Primary metric of every task at full data, a column per aggregation, mean ± sd over seeds, with the floor."""
    raw = analysis.frames["scores"]
    full = at_full(raw[raw["aggregation"] != FLOOR])
    first = full.drop_duplicates("task").set_index("task")
    names = list(dict.fromkeys(full["aggregation"]))
    wide = full.pivot_table(index="task", columns="aggregation", values="mean", aggfunc="first")
    wide = wide.reindex(columns=names).add_prefix("mean ")
    rows = by_task(first.join(wide).reset_index())
    cells = {(row["task"], row["aggregation"]): row for row in records(full)}
    marks = CollapsedMarks(analysis)

    def cell(name: str, row: Row) -> str:
        return _score(cells.get((row["task"], name)), marks)

    columns = [
        *plain(str, "task", "group"),
        Column("metric", metric_title, "metric"),
        Column("train", lambda row: count(row["n_train"]), "n_train"),
        Column("floor", lambda row: number(row["floor"], decimals(row["unit"])), "floor"),
    ]
    columns += [Column(name, partial(cell, name), f"mean {name}", FRAMES["scores"]["mean"]) for name in names]
    beside = at_full(analysis.frames["reference"])
    if len(beside):
        title, plain_cells = f"{beside['reference'].iloc[0]}, TS", {row["task"]: row for row in records(beside)}
        rows = rows.join(beside.set_index("task")["mean"].rename(title), on="task")
        columns.append(
            Column(title, lambda row: _score(plain_cells.get(row["task"])), title, FRAMES["reference"]["mean"])
        )
    note = (
        f"Primary metric on test, mean ± sd over seeds, {of_data(full['fraction'].iloc[0])}. "
        f"Against {analysis.study.aggregations[0]}: {MARKS_NOTE}. "
        "† this mean is not better than that of the floor, a trivial predictor; where neither compared mean is, the "
        f"verdict is undecided. {IMPROVING} this model was still improving at the end "
        f"({SHARE_NOTE}).{marks.note}"
    )
    return build("scores", "Scores by task and aggregation", rows, columns, note=note, raw=raw)


def metric_title(row: Row) -> str:
    """The metric of a row with its unit, if it has one, and the direction that is better."""
    arrow = " ↑" if row["direction"] == "higher" else " ↓"
    return f"{metric_with_unit(row)}{arrow}"


def metric_with_unit(row: Row) -> str:
    """The metric of a row, and its unit if it has one."""
    unit = "" if row["unit"] in ("1", row["metric"]) else f", {row['unit']}"
    return f"{row['metric']}{unit}"


def _score(row: Row | None, collapsed: CollapsedMarks | None = None) -> str:
    if row is None or pd.isna(row["mean"]):
        return MISSING
    digits = decimals(row["unit"])
    spread = "" if pd.isna(row["sd"]) else f" ± {number(row['sd'], digits)}"
    marks = [
        VERDICT_MARKS.get(row.get("verdict", ""), ""),
        "†" if _is(row["beats_floor"], False) else "",
        arrow(row["rising"], row["curves"]) if _is(row.get("still_improving"), True) else "",
        collapsed.of_score(row) if collapsed else "",
    ]
    return " ".join([number(row["mean"], digits) + spread, *(mark for mark in marks if mark)])


def _is(value: Any, wanted: bool) -> bool:
    return value is not None and not pd.isna(value) and bool(value) is wanted


def gains_table(analysis: NamedFrames) -> PaperTable:
    """Gains at full data by task and contrast: raw metrics, adjusted interval, p values, margin, verdict."""
    raw = analysis.frames["gains"]
    rows, settings, marks = by_task(at_full(raw)), analysis.settings, CollapsedMarks(analysis)
    columns = [
        *plain(str, "task", "contrast"),
        Column("metric", metric_with_unit, "metric", on_screen=True),
        Column("base", lambda row: number(row["base_raw"], decimals(row["unit"])), "base_raw"),
        Column("joint", lambda row: number(row["joint_raw"], decimals(row["unit"])), "joint_raw"),
        Column("change", lambda row: change(row["relative"]), "relative"),
        Column(
            "gain [adjusted interval]",
            lambda row: marks.of_gain(of_base(_gain(row, farthest_gain(settings.scale)), row), row),
            "gain",
        ),
        Column("p", lambda row: p_value(row["p_adjusted"]), "p_adjusted"),
        Column(
            decides_at("p loss", settings.alpha / 2), lambda row: p_value(row["p_loss_adjusted"]), "p_loss_adjusted"
        ),
        Column("margin", lambda row: number(row["margin"], margin_decimals(row)), "margin"),
        *plain(text, "verdict"),
        Column("supports", lambda row: number(row["supported_margin"], margin_decimals(row)), "supported_margin"),
        *_compute(rows),
        Column("what would decide it", lambda row: row["would_decide"], "would_decide", on_screen=True),
    ]
    note = (
        "base, joint and change: primary metric (in print the table of data names it), positive change is better. Gain "
        f"{SCALES[settings.scale]}, {of_data(rows['fraction'].iloc[0])}, positive favours the joint aggregation; "
        "interval and p corrected over all tasks and contrasts at full data: they decide between benefit and harm. "
        "cases only: one seed, so the 95 % interval covers test cases alone and decides nothing. p loss: of a loss as "
        "large as the margin, one-sided and corrected by itself; at the level in brackets or below it shows no "
        "meaningful loss, so the interval, which is of the difference from 0, may reach beyond a loss of the margin. "
        f"supports: the smallest margin for which the data show no meaningful loss. {IMPROVING_NOTE}.{marks.note}"
        + (f" {DECIDE_NOTE}." if rows["would_decide"].ne("").any() else "")
        + (" compute: operations spent on images of the task, joint over base." if _compute(rows) else "")
    )
    return build("gains", "Gains and verdicts by task", rows, columns, note=note, raw=raw)


def _compute(rows: pd.DataFrame) -> list[Column]:
    """The column that says where compute was not matched; none where it was throughout."""
    ratio = rows["compute_ratio"].astype(float)
    if (ratio.between(*MATCHED) | ratio.isna()).all():
        return []
    return [Column("compute", lambda row: _times(row["compute_ratio"]), "compute_ratio", on_screen=True)]


def _times(ratio: float) -> str:
    return MISSING if pd.isna(ratio) else f"×{ratio:.2f}"


def _gain(row: Row, most: float) -> str:
    digits, most = decimals(row["gain_unit"]), most if row["gain_unit"] == "1" else math.inf
    if row["basis"] == CASES:  # one seed: an interval of test cases alone, and no verdict
        gain = f"{limits(row, 'gain', digits=digits, most=most)} cases only"
    else:
        gain = limits(row, "gain", "low_adjusted", "high_adjusted", digits, most=most)
    return with_unit(gain, row["gain_unit"])


def fractions_table(analysis: NamedFrames) -> PaperTable | None:
    """Gains at every fraction, one column each; None where there is one fraction only."""
    raw = analysis.frames["gains"]
    shares = sorted(set(raw["fraction"]))
    if len(shares) < 2:
        return None
    keys = ["contrast", "task"]
    wide = raw.pivot_table(index=keys, columns="fraction", values="gain", aggfunc="first")
    titles = {share: f"gain at {data_share(share)}" for share in shares}
    rows = raw.drop_duplicates(keys).drop(columns="gain").join(wide.rename(columns=titles), on=keys)
    cells = {(row["contrast"], row["task"], row["fraction"]): row for row in records(raw)}
    marks = CollapsedMarks(analysis)

    def cell(share: float, row: Row) -> str:
        gain = cells.get((row["contrast"], row["task"], share))
        if gain is None:
            return MISSING
        value = _gain(gain, farthest_gain(analysis.settings.scale))
        return marks.of_gain(of_base(f"{value} {VERDICT_MARKS.get(gain['verdict'], '')}".rstrip(), gain), gain)

    columns = plain(str, "task", "contrast", "type", "group")
    columns += [
        Column(title, partial(cell, share), title, f"gain at fraction {share:g}") for share, title in titles.items()
    ]
    note = (
        f"Gain {SCALES[analysis.settings.scale]}, with adjusted interval of the difference from 0. {MARKS_NOTE}; "
        f"{VERDICT_MARKS[NO_LOSS]} rests on p_loss_adjusted of gains.csv. {IMPROVING_NOTE}.{marks.note} What would "
        "decide each ? stands in the column would_decide of gains.csv."
    )
    return build(
        "gains_by_fraction", "Gains by amount of training data", by_task(rows), columns, note=note, raw=raw, of="gains"
    )


def power_table(analysis: NamedFrames) -> PaperTable:
    """What the seeds at hand can show for every task and contrast, and how many more it takes."""
    raw = analysis.frames["power"]
    columns = [
        *plain(str, "task", "contrast"),
        *plain(number, "margin"),
        *plain(count, "seeds"),
        Column("subjects", lambda row: count(row["subjects"] or math.nan), "subjects", on_screen=True),
        Column("sd seeds", lambda row: number(row["sd_seed"]), "sd_seed"),
        Column("se cases", lambda row: number(row["se_cases"]), "se_cases"),
        Column("detectable", lambda row: _detectable(row, farthest_gain(analysis.settings.scale)), "detectable"),
        Column("seeds to detect", lambda row: count(row["seeds_to_detect"]), "seeds_to_detect"),
        Column("seeds to exclude", lambda row: count(row["seeds_to_exclude"]), "seeds_to_exclude"),
        Column("hours", lambda row: number(row["hours"], 1), "hours"),
        Column("more seeds", lambda row: count(row["more_replicates"]), "more_replicates", on_screen=True),
        Column("more subjects", lambda row: count(row["more_test_subjects"]), "more_test_subjects", on_screen=True),
        Column("by", lambda row: text(row["decided_by"]), "decided_by", on_screen=True),
        Column("limit", lambda row: row["limit"] or "none", "limit"),
    ]
    note = (
        "seeds to detect: to find a gain or loss of the margin with 80 % power; to exclude: to show no meaningful "
        "loss; both at the error rate at which the task would be the next to be decided, and averaged over what the "
        "scatter may be. more seeds, more subjects: to add for a verdict; by: which of them does by itself, or both "
        f"together. {MISSING} out of reach, unknown, or decided. limit: what stands in the way; none where the seeds "
        "at hand will do."
    )
    return build("power", "What more seeds would buy", by_task(raw), columns, note=note, raw=raw)


def multiverse_table(analysis: NamedFrames) -> PaperTable:
    """Share of other analyses that give each verdict, by task and contrast."""
    raw = analysis.frames["multiverse"]
    columns = [
        *plain(str, "task", "contrast"),
        *plain(data_share, "fraction"),
        *plain(text, "verdict"),
        Column("analyses", lambda row: count(row["choices"]), "choices"),
        Column("same", lambda row: percent(row["share"]), "share"),
        *plain(percent, *VERDICTS),
    ]
    note = "Share of analyses (other scales, corrections, metrics and margins) that give each verdict."
    return build("multiverse", "Verdicts under other choices", by_task(raw), columns, note=note, raw=raw)


def _detectable(row: Row, most: float) -> str:
    """The smallest gain or loss that is noticed, or that it is larger than any that there can be."""
    return f">{number(most, 0)}" if notices_nothing(row, most) else number(row["detectable"])
