"""From the named cells of a score table to typed rows, every optional column filled, and their checks."""

from functools import partial

import numpy as np
import pandas as pd

from aggregation_lab.aggregation import FLOOR
from aggregation_lab.results import ONLY_ARM, SEEDLESS
from aggregation_lab.tasks import CHALLENGE_TASKS, METRICS
from aggregation_lab.text import printable
from analysis.external.case_rows import named_cases
from analysis.external.floor_rows import floors_everywhere
from analysis.external.names import clean_names, directions, metric_names, task_types
from analysis.external.sheet import Sheet, shown
from analysis.external.values import check_scales, numbers, seeds, shares_of_percent
from analysis.statistics.weighted_metrics import VALUE

UNKNOWN = "unknown"
"""Type and group of tasks of which none is given."""

KEY = ["task", "arm", "aggregation", "fraction", "seed", "metric"]
"""Columns that tell one score of a task from another."""

_SHARES = frozenset({"score", "DSC", "IoU", "AUC", "accuracy", "F1_macro", "F1_weighted", "MCC"})


def typed_rows(cells: pd.DataFrame, sheet: Sheet) -> pd.DataFrame:
    """The rows with every optional column filled; how they were read is noted. Raises `ResultsError`."""
    rows = pd.DataFrame(index=cells.index)
    for name in ("task", "aggregation", "type", "group", "metric", "direction", "split", "arm"):
        if name in cells:
            rows[name] = clean_names(metric_names(cells[name]) if name == "metric" else cells[name], sheet)
    unnamed = pd.DataFrame({"arm": rows["arm"] == "" if "arm" in rows else False}, index=rows.index)
    rows["arm"] = rows["arm"].replace("", ONLY_ARM) if "arm" in rows else ONLY_ARM
    for name in ("task", "aggregation"):
        sheet.check_filled(rows[name] == "", name)
    cases = named_cases(cells, rows["task"], sheet)
    if cases is not None:
        rows[["case", "subject"]] = cases
    rows["seed"] = SEEDLESS
    trained, texts = rows["aggregation"] != FLOOR, cells["seed"].str.strip()
    seeded = trained | texts.isin(set(texts[trained]))  # the floor has seeds where folds rotate
    if seeded.any():
        rows.loc[seeded, "seed"] = seeds(cells.loc[seeded, "seed"], sheet.rows(seeded.to_numpy()))
    rows["value"] = numbers(cells["value"], sheet, gaps=False)
    unnamed["fraction"] = _fill_sizes(rows, cells, sheet)
    _fill_types_and_groups(rows, sheet)
    _fill_metrics(rows, sheet)
    _check_sizes(rows, sheet)
    rows["value"] = shares_of_percent(rows, _SHARES | {"MRE_relative"}, sheet)
    _check_ranges(rows, sheet)
    check_scales(rows, sheet)
    # an unknown metric can be averaged over tasks if its values lie in [0, 1]
    bounded = rows.groupby("metric")["value"].transform(lambda values: values.between(0, 1).all()).astype(bool)
    guessed = ~rows["metric"].isin(list(METRICS)) & bounded
    rows["unit_free"] = rows["metric"].isin([name for name in METRICS if METRICS[name].unit == "1"]) | guessed
    _note_errors(rows[guessed & (rows["direction"] == "lower")], sheet)
    key = [*KEY, *(name for name in ("case", "split") if name in rows)]
    _check_repeats(rows, key, sheet)
    _check_tasks(rows, sheet)
    return floors_everywhere(rows, unnamed, key)


def _fill_sizes(rows: pd.DataFrame, cells: pd.DataFrame, sheet: Sheet) -> pd.Series:
    """Fractions with as many digits as names of runs have, 1 where the table has none; an empty n_train is what other
    rows of the same model of the task say. Returns whether a row names no fraction."""
    rows["fraction"], rows["n_train"] = 1.0, np.nan
    unnamed = pd.Series(False, rows.index)
    if "fraction" in cells:
        fraction = numbers(cells["fraction"], sheet, gaps=True)
        trained, unnamed = rows["aggregation"] != FLOOR, fraction.isna()
        empty = unnamed & trained
        if not fraction[trained].isna().all():
            sheet.check(empty, _in_some("fraction", empty, "write 1 where a model saw all training data"))
        rows["fraction"] = fraction.fillna(1.0).map(lambda share: float(f"{share:g}"))
    if "n_train" in cells:
        thousands = cells["n_train"].str.fullmatch(r"\s*[1-9]\d{0,2}\.000\s*")
        if not cells["n_train"].str.fullmatch(r"\s*\d{4,}\.000\s*").any():  # of which the point parts no thousands
            sheet.check(thousands, "n_train may be in ones or in thousands; write a whole number without a point")
        rows["n_train"] = numbers(cells["n_train"], sheet, gaps=True)
        same = rows.groupby(["task", "arm", "aggregation", "fraction"])["n_train"]
        one = same.transform("first").where(same.transform("nunique") == 1)
        rows["n_train"] = rows["n_train"].fillna(one)
    return unnamed


def _in_some(name: str, empty: pd.Series, advice: str) -> str:
    return f"{name} is empty, as in {int(empty.sum())} of {len(empty)} rows; {advice}"


def _fill_types_and_groups(rows: pd.DataFrame, sheet: Sheet) -> None:
    """Empty cells get what other rows of the task say, else what is known of the challenge's tasks."""
    if "type" in rows:
        rows["type"] = task_types(rows["type"], sheet)
    for name, of_task in (("type", lambda task: str(task.type)), ("group", lambda task: task.group)):
        known = {task: of_task(CHALLENGE_TASKS[task].task) for task in rows["task"].unique() if task in CHALLENGE_TASKS}
        if name in rows:
            given = rows[rows[name] != ""].drop_duplicates("task", keep="first")
            known |= dict(zip(given["task"], given[name], strict=True))
        default = rows["task"].map({task: known.get(task, UNKNOWN) for task in rows["task"].unique()})
        rows[name] = rows[name].where(rows[name] != "", default) if name in rows else default


def _fill_metrics(rows: pd.DataFrame, sheet: Sheet) -> None:
    """The metric, `value` where none is named, and its direction. Raises `ResultsError` where that is not known."""
    metric = rows["metric"] if "metric" in rows else pd.Series("", rows.index)
    unnamed = metric == ""
    if not unnamed.all():
        sheet.check(unnamed, _in_some("metric", unnamed, "name it in every row, or take the column out"))
    rows["metric"] = metric.where(~unnamed, VALUE)
    stated = directions(rows["direction"]) if "direction" in rows else pd.Series("", rows.index)
    known = rows["metric"].map(lambda name: METRICS[name].direction if name in METRICS else "")
    usual = known.where(rows["metric"] != VALUE, "higher")
    rows["direction"] = stated.where(stated != "", usual)
    against = (stated != "") & (usual != "") & (stated != usual) & (rows["metric"] != VALUE)
    for wrong, text in (
        (rows["direction"] == "", "has no known direction; add a column direction with higher or lower"),
        (~rows["direction"].isin(["higher", "lower"]), "has a direction that is neither higher nor lower"),
        (against, "has the other direction; take the column direction out, or give the metric a name of its own"),
    ):
        sheet.check(wrong, partial(_of_metric, rows["metric"], text))
    _note_metrics(rows, assumed=bool((unnamed & (stated == "")).any()), sheet=sheet)


def _note_metrics(rows: pd.DataFrame, *, assumed: bool, sheet: Sheet) -> None:
    """Say what is taken for granted of metrics: that higher is better, and that pixel errors are in pixels."""
    if assumed:
        sheet.notes.append(
            "No metric is named: higher values count as better. For errors and distances add a column direction with "
            "lower."
        )
    in_pixels = sorted({name for name in rows["metric"] if name in METRICS and METRICS[name].unit == "px"})
    if in_pixels:
        sheet.notes.append(
            f"Values of {shown(in_pixels)} count as pixels of the original image; if they are in mm, give the metric a "
            f"name of its own, such as {in_pixels[0]}_mm, and a column direction with lower."
        )


def _of_metric(metric: pd.Series, text: str, row: int) -> str:
    return f"metric {printable(metric.iloc[row], 60)} {text}"


def _check_sizes(rows: pd.DataFrame, sheet: Sheet) -> None:
    fraction, n_train = rows["fraction"], rows["n_train"]
    outside = ~fraction.between(0, 1, inclusive="right")
    sheet.check(outside, "fraction must be in (0, 1]; a quarter is 0.25 or 25%")
    sheet.check(n_train <= 0, "n_train must be greater than 0; leave it empty where it is not known")
    partial = n_train.notna() & (n_train % 1 != 0)
    sheet.check(partial, "n_train is a number of cases; write a whole number, without a sign between thousands")


def _check_ranges(rows: pd.DataFrame, sheet: Sheet) -> None:
    """Values of known metrics lie where these metrics can: a DSC of 71.3 is a percentage, and no gain of 0.02."""
    metric, value = rows["metric"], rows["value"]
    _check_relative(rows[metric == "MRE_relative"], sheet)
    low = metric.map(lambda name: -1.0 if name == "MCC" else 0.0 if name in METRICS else -np.inf)
    high = metric.map(lambda name: 1.0 if name in _SHARES else np.inf)

    def reason(row: int) -> str:
        span = f"[{low.iloc[row]:g}, {high.iloc[row]:g}]; give shares, not per cent"
        wanted = span if metric.iloc[row] in _SHARES else "[0, inf)"
        return f"{metric.iloc[row]} {value.iloc[row]:g} lies outside {wanted}"

    sheet.check((value < low) | (value > high), reason)


def _check_relative(rows: pd.DataFrame, sheet: Sheet) -> None:
    """Errors over the diagonal exceed 1 in a failed case alone. Raises `ResultsError` where they usually do."""
    over, largest = rows["value"] > 1, rows["value"].max()
    if over.mean() > 0.5:
        raise sheet.fail(f"MRE_relative {largest:g} lies outside [0, 1]; give shares of the diagonal, not per cent")
    if over.any():
        sheet.notes.append(f"MRE_relative reaches {largest:g}: an error longer than the diagonal. Is it in per cent?")


def _note_errors(rows: pd.DataFrame, sheet: Sheet) -> None:
    """Say that errors of an unknown metric, which may be in mm, count as shares because they lie in [0, 1]."""
    if len(rows):
        sheet.notes.append(
            f"Values of {shown(sorted(set(rows['metric'])))} lie in [0, 1] and count as shares, their score being 1 - "
            "value; if they have a unit such as mm, give them in a smaller one (µm), so that they are no shares."
        )


def _check_repeats(rows: pd.DataFrame, key: list[str], sheet: Sheet) -> None:
    key = [name for name in key if name != "arm" or rows["arm"].nunique() > 1]
    repeated = rows.duplicated(key)

    def reason(row: int) -> str:
        first = int((rows[key] == rows[key].iloc[row]).all(axis=1).to_numpy().argmax())
        named = ", ".join(f"{name} {printable(str(rows[name].iloc[row]), 60)}" for name in key)
        pair = sheet.cells.iloc[[first, row]].nunique()
        apart = [name for name, found in zip(sheet.header, pair, strict=True) if found > 1]
        told = f", which differs in {shown(apart, 4)}" if apart else ""
        return f"repeats {named} of {sheet.row(first)}{told}; {int(repeated.sum())} such row(s), each may stand once"

    sheet.check(repeated, reason)


def _check_tasks(rows: pd.DataFrame, sheet: Sheet) -> None:
    """Raise `ResultsError` where the rows of one task disagree on what it is."""
    metrics = rows.groupby("task")["metric"].nunique()
    if metrics.max() > 1 and "case" in rows:
        raise sheet.fail(f"task {metrics.idxmax()} has cases of several metrics; keep one metric per task")
    for name, keys in (("type", ["task"]), ("group", ["task"]), ("direction", ["task", "metric"])):
        several = rows.groupby(keys)[name].nunique()
        if several.max() > 1:
            largest = several.idxmax()
            task = largest[0] if isinstance(largest, tuple) else largest
            values = shown(sorted(set(rows.loc[rows["task"] == task, name])), 5)
            raise sheet.fail(f"task {task} has more than one {name} ({values}); give it one")
