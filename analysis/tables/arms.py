"""Tables across arms: differences of gains between arms, what an arm itself changes, and gains against capacity."""

import math

from analysis.arms.comparisons import CHANGE, EFFECT
from analysis.frames import FRAMES, at_full
from analysis.named_frames import NamedFrames
from analysis.settings import farthest_gain
from analysis.tables.cells import (
    IMPROVING,
    count,
    data_share,
    decides_at,
    decimals,
    flagged,
    limits,
    number,
    of_data,
    p_value,
    share_gaining,
    significant,
    text,
    with_unit,
)
from analysis.tables.paper import Column, PaperTable, Row, build, plain
from analysis.tables.questions import NOT_CORRECTED, POOLED_SLOPE, nothing_note, tasks_in_mean

_ARM = plain(str, "arm")[0]
_WHAT_CHANGES = {CHANGE: "gain", EFFECT: "score"}
_WHAT = Column("what changes", lambda row: _WHAT_CHANGES[row["kind"]], "kind")


def arm_means_table(analysis: NamedFrames) -> PaperTable | None:
    """Mean differences of gains between arms and effects of arms, over all tasks, types, groups. None with one arm."""
    raw, most = analysis.frames["arm_means"], 2 * farthest_gain(analysis.settings.scale)
    rows = raw[raw["kind"].isin([CHANGE, EFFECT])]
    if rows.empty:
        return None
    columns = [
        _WHAT,
        *plain(str, "contrast"),
        _ARM,
        *plain(data_share, "fraction"),
        *plain(str, "level", "name"),
        Column("tasks", tasks_in_mean, "tasks"),
        Column(
            "mean change [these tasks]",
            lambda row: flagged(limits(row, "gain", most=most), row["base_improving"]),
            "gain",
        ),
        *plain(p_value, "p"),
        Column("larger", share_gaining, "gaining"),
        Column(
            "median [tasks of this kind]",
            lambda row: limits(row, "median", "low_new", "high_new", most=most),
            "median",
        ),
        Column("p new", lambda row: p_value(row["p_new"]), "p_new"),
    ]
    note = (
        f"All against the arm {rows['base_arm'].iloc[0]}. gain: the gain of the contrast in the arm minus that in that "
        "arm, the same tasks, seeds and test cases in all four models. score: of one aggregation, higher is better. "
        "Runs that both arms share cancel; tasks of which nothing is left are not in the means. "
        f"{NOT_CORRECTED} {IMPROVING} a base model was still improving when its training ended.{nothing_note(rows)}"
    )
    return build("arm_means", "Differences between arms, means over tasks", rows, columns, note=note, raw=raw)


def arm_changes_table(analysis: NamedFrames) -> PaperTable:
    """Differences of gains and effects of arms at full data, task by task."""
    raw, most = analysis.frames["arm_changes"], 2 * farthest_gain(analysis.settings.scale)
    rows = at_full(raw)
    columns = [
        _WHAT,
        *plain(str, "contrast"),
        _ARM,
        *plain(str, "task"),
        Column("in base arm", lambda row: number(row["in_base_arm"], decimals(row["unit"])), "in_base_arm"),
        Column("in arm", lambda row: number(row["in_arm"], decimals(row["unit"])), "in_arm"),
        Column("change [adjusted interval]", lambda row: _change(row, most), "change"),
        Column("p", lambda row: p_value(row["p_adjusted"]), "p_adjusted"),
        *plain(number, "margin"),
        Column(
            decides_at("p within margin", analysis.settings.alpha / 2),
            lambda row: p_value(row["p_equivalent_adjusted"]),
            "p_equivalent_adjusted",
        ),
        *plain(text, "verdict"),
    ]
    note = (
        f"All against the arm {rows['base_arm'].iloc[0]}. gain: of the contrast; score: of one aggregation. Models "
        f"trained {of_data(rows['fraction'].iloc[0])}; interval and p corrected over all tasks and comparisons of this "
        "table: they decide between larger and smaller. No meaningful change: a rise and a fall as large as the margin "
        "are both ruled out, by p within margin, at the level in brackets or below and corrected by itself; so the "
        "interval, which is of the difference from 0, may reach beyond the margin. "
        f"{IMPROVING} a base model was still improving when its training ended."
    )
    return build("arm_changes", "Differences between arms by task", rows, columns, note=note, raw=raw)


def _change(row: Row, most: float) -> str:
    beyond = most if row["unit"] == "1" else math.inf
    value = limits(row, "change", "low_adjusted", "high_adjusted", decimals(row["unit"]), most=beyond)
    return flagged(with_unit(value, row["unit"]), row["base_improving"])


def capacity_table(analysis: NamedFrames) -> PaperTable | None:
    """Slopes of gain per doubling of the model; the tasks' own are in the CSV. None where no line was pooled."""
    raw = analysis.frames["capacity"]
    rows = raw[raw["level"] == "pooled"]
    if rows.empty:
        return None
    columns = [
        *plain(str, "contrast"),
        *plain(data_share, "fraction"),
        Column("arms", lambda row: row["series"], "series"),
        *plain(str, "measure"),
        *POOLED_SLOPE,
        Column("from", lambda row: significant(row["size_min"], 2), "size_min"),
        Column("to", lambda row: significant(row["size_max"], 2), "size_max"),
    ]
    note = (
        "slope: change of gain per doubling of the joint model's size, over arms that differ in capacity alone; mean "
        f"of the tasks' slopes, the tasks being a sample. {NOT_CORRECTED} {IMPROVING} a base model was still improving "
        "in one arm."
    )
    return build("capacity", "Gain against the size of the model", rows, columns, note=note, raw=raw)


_MEANS = FRAMES["arm_means"]


def arm_gains_table(analysis: NamedFrames) -> PaperTable:
    """Mean gain of every contrast in every arm at full data, and how many tasks have which verdict."""
    raw, means = analysis.frames["arm_gains"], at_full(analysis.frames["arm_means"])
    full, most = at_full(raw), farthest_gain(analysis.settings.scale)
    keys = ["contrast", "arm", "base_arm"]
    over_all = means[(means["level"] == "overall") & (means["kind"] == "gain")].set_index(keys)
    first = full.drop_duplicates(keys)[[*keys, "joint", "base"]]
    columns = ["gain", "low", "high", "median", "low_new", "high_new", "tasks"]
    rows = first.join(over_all[columns].astype(float), on=keys)
    counts = {key: of["verdict"].value_counts() for key, of in full.groupby(keys, sort=False)}
    cells = [
        *plain(str, "contrast", "arm"),
        Column("base", lambda row: f"{row['base']} in {row['base_arm']}", "base_arm"),
        Column("tasks", lambda row: count(row["tasks"]), "tasks", _MEANS["tasks"]),
        Column("mean gain [these tasks]", lambda row: limits(row, "gain", most=most), "gain", _MEANS["gain"]),
        Column(
            "median [tasks of this kind]",
            lambda row: limits(row, "median", "low_new", "high_new", most=most),
            "median",
            _MEANS["median"],
        ),
        Column(
            "tasks by verdict",
            lambda row: ", ".join(f"{n} {name}" for name, n in counts[tuple(row[key] for key in keys)].items()),
            "contrast",
            "verdicts of single tasks, corrected over all arms and contrasts",
        ),
    ]
    note = (
        f"Models trained {of_data(full['fraction'].iloc[0])}, test cases that all arms have. The gains of single tasks "
        "and their runs are in the CSV."
    )
    return build("arm_gains", "Gains in every arm", rows, cells, note=note, raw=raw)
