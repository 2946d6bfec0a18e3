"""Bring your own: the score table of any trainer as a study.

Needed: task, aggregation, seed, value. Used if there: metric, direction, fraction, n_train, type, group, case,
subject, split. With a column `case` each row is one test case's score and a task's score is their mean, so the metric
must be one that averages over cases (Dice, IoU, point error; not AUC, F1 or MCC). Without, each row is a task's score.
How a file is read stands in `score_file`, `columns`, `names` and `values`: what can mean one thing only is read, and
said in the notes.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from aggregation_lab.aggregation import FLOOR
from aggregation_lab.errors import ResultsError
from aggregation_lab.manifest import Manifest
from aggregation_lab.results import SEEDLESS
from aggregation_lab.tasks import CHALLENGE_TASKS, METRICS, TaskType, find_type
from aggregation_lab.text import printable
from analysis.external.columns import is_known, named_columns
from analysis.external.names import clean_names, directions, metric_names, task_types
from analysis.external.score_file import Sheet, read_sheet, shown
from analysis.external.summary_rows import without_summaries
from analysis.external.values import check_scales, numbers, seeds, shares_of_percent
from analysis.frames import frame
from analysis.statistics.weighted_metrics import VALUE
from analysis.study import StudyTables

EXAMPLES = Path(__file__).parents[1] / "examples"
PAPER = EXAMPLES / "paper_public_numbers.csv"
"""The numbers of arXiv 2603.18123 that are public: one value each, without seeds or cases."""

UNKNOWN = "unknown"
"""Type and group of tasks of which none is given."""

KNOWN_ARMS = ("TS", "CG", "AU")

_KEY = ["task", "aggregation", "fraction", "seed", "metric"]
_NOT_MEANS = ("AUC", "F1_macro", "F1_weighted", "MCC", "missed")
_SHARES = frozenset({"score", "DSC", "IoU", "AUC", "accuracy", "F1_macro", "F1_weighted", "MCC"})


def read_scores(path: Path | str, baseline: str | None = None, mapped: Mapping[str, str] | None = None) -> StudyTables:
    """A study from a score table, and in its `notes` how it was read and what cannot be computed from it.

    `baseline` is the arm that gains are over, TS where not given; `mapped` names columns of the file that this project
    calls otherwise. Raises `ResultsError` with one line naming the file and the row or column at fault.
    """
    path = Path(path)
    sheet = read_sheet(path, is_known)
    cells, notes = named_columns(sheet, mapped or {}, path)
    if cells.empty:
        raise ResultsError(f"{path}: has no rows")
    cells, sheet, summaries = without_summaries(cells, sheet)
    rows, read = _typed(cells, sheet, path)
    _check_repeats(rows, sheet, path)
    rows, tested = _test_rows(rows, path)
    notes = [*notes, *summaries, *read, *tested]
    base = _baseline(rows, baseline, path)
    cases = None
    if "case" in rows.columns:
        cases = _cases(rows, path)
        scores = rows.groupby(_KEY, sort=False, as_index=False).agg(
            {name: "first" for name in rows.columns if name not in (*_KEY, "value", "case", "subject")}
            | {"value": "mean", "case": "nunique"}
        )
        scores = scores.rename(columns={"case": "n_cases"})
    else:
        scores = rows.assign(n_cases=0)
    chosen, several = _unit_free_metric(scores)
    notes += _lacking(scores)
    if several:
        named = shown([f"{chosen[task]} of {task}" for task in several])
        notes.append(f"Gains are of one metric per task, where there are several unit-free ones: {named}.")
    return StudyTables(
        manifest=Manifest(path.stem),
        scores=_with_unit_free(scores, chosen),
        cases=cases,
        excluded=frame("excluded", []),
        notes=tuple(notes),
        baseline=base,
    )


def _lacking(scores: pd.DataFrame) -> list[str]:
    """What cannot be computed."""
    notes = []
    if not (scores["n_train"] > 0).any():
        notes.append("No n_train: data scale, crossovers and guidelines cannot be computed.")
    if (scores["type"] == UNKNOWN).all():
        notes.append(
            "No task types: sensitivity by type cannot be computed, and all tasks share their scatter over seeds; name "
            "types where some scores scatter much more than others."
        )
    if scores["group"].nunique() < 2:
        notes.append("One clinical group only: groups cannot be compared, and stability over groups is not given.")
    other = sorted(set(scores["task"]) - set(scores.loc[scores["unit_free"], "task"]))
    if other:
        notes.append(
            f"No unit-free score for {shown(other)}: gains are in the metric's own unit and stay out of every "
            "mean over tasks, because a mean of pixel errors and DSC has no unit and follows the largest numbers."
        )
        own = scores.loc[scores["task"].isin(other) & ~scores["metric"].isin(list(METRICS)), "value"]
        if len(own) and own.between(0, 100).all() and own.max() > 2:
            notes.append("If such values are per cent, divide them by 100, or name the metric (DSC, IoU, AUC).")
    return notes


def _typed(cells: pd.DataFrame, sheet: Sheet, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """The rows with every optional column filled, and how they were read."""
    rows, notes = pd.DataFrame(index=cells.index), []

    def kept(found: tuple[pd.Series, list[str]]) -> pd.Series:
        notes.extend(found[1])
        return found[0]

    for name in ("task", "aggregation", "type", "group", "metric", "direction", "split"):
        if name in cells:
            rows[name] = kept(clean_names(cells[name], sheet, path))
    for name in ("task", "aggregation"):
        _check_filled(rows[name], sheet, path)
    if "case" in cells and (cells["case"].str.strip() != "").any():
        rows["case"] = cells["case"].str.strip()
        _check_cases(rows, sheet, path)
        subject = cells["subject"].str.strip() if "subject" in cells else rows["case"]
        rows["subject"] = subject.where(subject != "", rows["case"])
    elif "case" in cells:
        notes.append("The column case is empty: each row counts as a task's score.")
    trained = rows["aggregation"] != FLOOR
    rows["seed"] = SEEDLESS
    if trained.any():
        part = Sheet(sheet.header, sheet.cells, tuple(np.array(sheet.lines)[trained.to_numpy()].tolist()))
        rows.loc[trained, "seed"] = kept(seeds(cells.loc[trained, "seed"], part, path))
    rows["value"] = kept(numbers(cells["value"], sheet, path, gaps=False))
    for name, missing in (("fraction", 1.0), ("n_train", np.nan)):
        rows[name] = kept(numbers(cells[name], sheet, path, gaps=True)).fillna(missing) if name in cells else missing
    rows = _filled(rows, sheet, path)
    rows["value"] = kept(shares_of_percent(rows, _SHARES))
    _check_ranges(rows, sheet, path)
    check_scales(rows, path)
    rows["unit_free"] = _unit_free(rows)
    return rows, notes


def _check_filled(column: pd.Series, sheet: Sheet, path: Path) -> None:
    empty = column == ""
    if empty.any():
        row = int(empty.to_numpy().argmax())
        raise ResultsError(f"{path}: {sheet.row(row)}: {column.name} is empty; fill it, or take the row out")


def _check_cases(rows: pd.DataFrame, sheet: Sheet, path: Path) -> None:
    empty = (rows["case"] == "").to_numpy()
    if empty.any():
        lines = [str(sheet.lines[row]) for row in np.flatnonzero(empty)]
        tasks = shown(list(dict.fromkeys(rows["task"][empty])), 5)
        raise ResultsError(
            f"{path}: case is empty in {len(lines)} of {len(rows)} rows (rows {shown(lines, 5)}; tasks {tasks}); name "
            "every test case, or take the column out where rows are scores of tasks"
        )


def _filled(rows: pd.DataFrame, sheet: Sheet, path: Path) -> pd.DataFrame:
    known = CHALLENGE_TASKS
    if "type" in rows:
        rows["type"] = task_types(rows["type"], sheet, path)
    for name, of_task in (("type", lambda task: str(task.type)), ("group", lambda task: task.group)):
        default = {task: of_task(known[task].task) if task in known else UNKNOWN for task in rows["task"].unique()}
        if name in rows:
            given = rows[rows[name] != ""].drop_duplicates(["task", name]).drop_duplicates("task", keep="first")
            default |= dict(zip(given["task"], given[name], strict=True))
            rows[name] = rows[name].where(rows[name] != "", rows["task"].map(default))
        else:
            rows[name] = rows["task"].map(default)
    metric = metric_names(rows["metric"]) if "metric" in rows else pd.Series("", rows.index)
    rows["metric"] = metric.where(metric != "", VALUE)
    stated = directions(rows["direction"]) if "direction" in rows else pd.Series("", rows.index)
    own = rows["metric"].map(lambda name: METRICS[name].direction if name in METRICS else "")
    own = own.where(rows["metric"] != VALUE, "higher")
    rows["direction"] = stated.where(stated != "", own)
    against = (stated != "") & (own != "") & (stated != own) & (rows["metric"] != VALUE)
    for fault, text in (
        (rows["direction"] == "", "has no known direction; add a column direction with higher or lower"),
        (~rows["direction"].isin(["higher", "lower"]), "has a direction that is neither higher nor lower"),
        (against, "has the other direction; take the column direction out, or give the metric a name of its own"),
    ):
        if fault.any():
            row = int(fault.to_numpy().argmax())
            raise ResultsError(f"{path}: {sheet.row(row)}: metric {printable(rows['metric'].iloc[row], 60)} {text}")
    for fault, text in (
        (~rows["fraction"].between(0, 1, inclusive="right"), "fraction must be in (0, 1]; a quarter is 0.25 or 25%"),
        (rows["n_train"] <= 0, "n_train must be greater than 0; leave it empty where it is not known"),
        (
            rows["n_train"].notna() & (rows["n_train"] % 1 != 0),
            "n_train is a number of cases; write a whole number, without a sign between thousands",
        ),
    ):
        if fault.any():
            raise ResultsError(f"{path}: {sheet.row(int(fault.to_numpy().argmax()))}: {text}")
    return rows


def _check_ranges(rows: pd.DataFrame, sheet: Sheet, path: Path) -> None:
    """Values of known metrics lie where these metrics can: a DSC of 71.3 is a percentage, and no gain of 0.02."""
    low = rows["metric"].map(lambda name: -1.0 if name == "MCC" else 0.0 if name in METRICS else -np.inf)
    high = rows["metric"].map(lambda name: 1.0 if name in _SHARES else np.inf)
    fault = (rows["value"] < low) | (rows["value"] > high)
    if fault.any():
        row = int(fault.to_numpy().argmax())
        metric, value = rows["metric"].iloc[row], rows["value"].iloc[row]
        wanted = (
            f"[{low.iloc[row]:g}, {high.iloc[row]:g}]; give shares, not per cent" if metric in _SHARES else "[0, inf)"
        )
        raise ResultsError(f"{path}: {sheet.row(row)}: {metric} {value:g} lies outside {wanted}")


def _unit_free(rows: pd.DataFrame) -> pd.Series:
    """Whether a metric can be averaged over tasks: the unit-free ones, or an unknown one whose values lie in [0, 1]."""
    of_types = {task_type.unit_free for task_type in TaskType}
    names = {"score", *of_types, "F1_macro", "F1_weighted", "accuracy", "MRE_relative"}
    bounded = rows.groupby("metric")["value"].transform(lambda values: values.between(0, 1).all())
    return rows["metric"].isin(names) | (~rows["metric"].isin(list(METRICS)) & bounded.astype(bool))


def _check_repeats(rows: pd.DataFrame, sheet: Sheet, path: Path) -> None:
    key = [*_KEY, *(name for name in ("case", "split") if name in rows)]
    repeated = rows.duplicated(key).to_numpy()
    if repeated.any():
        row = int(repeated.argmax())
        first = int((rows[key] == rows[key].iloc[row]).all(axis=1).to_numpy().argmax())
        named = ", ".join(f"{name} {printable(str(rows[name].iloc[row]), 60)}" for name in key)
        raise ResultsError(
            f"{path}: {sheet.row(row)}: repeats {named} of {sheet.row(first)}; {int(repeated.sum())} such row(s), each "
            "may stand once"
        )
    metrics = rows.groupby("task")["metric"].nunique()
    if metrics.max() > 1 and "case" in rows:
        raise ResultsError(f"{path}: task {metrics.idxmax()} has cases of several metrics; keep one metric per task")
    for name in ("type", "group", "direction"):
        keys = ["task"] if name != "direction" else ["task", "metric"]
        several = rows.groupby(keys)[name].nunique()
        if several.max() > 1:
            at = several.idxmax()
            task = at[0] if isinstance(at, tuple) else at
            values = shown(sorted(set(rows.loc[rows["task"] == task, name])), 5)
            raise ResultsError(f"{path}: task {task} has more than one {name} ({values}); give it one")


def _test_rows(rows: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """The rows of the test split, where the table says which they are."""
    if "split" not in rows:
        return rows, []
    tested = rows["split"].str.casefold() == "test"
    left_out = int((~tested).sum())
    if not tested.any():
        values = shown(list(rows["split"].unique()), 5)
        raise ResultsError(f"{path}: no row has the split test, only {values}; gains are on test cases")
    notes = [f"{left_out} rows of other splits than test are left out."] if left_out else []
    return rows[tested].drop(columns="split").reset_index(drop=True), notes


def _baseline(rows: pd.DataFrame, given: str | None, path: Path) -> str | None:
    """The arm that gains are over. Raises `ResultsError` where only a user can say which."""
    arms = sorted(set(rows["aggregation"]) - {FLOOR})
    if given is not None and given not in arms:
        raise ResultsError(f"{path}: --baseline {printable(given, 60)}: no such arm; there are {shown(arms)}")
    if given is None and len(arms) > 1 and not set(arms) & set(KNOWN_ARMS):
        raise ResultsError(
            f"{path}: no arm is called TS, so which are gains over? Say it with --baseline, one of {shown(arms)}"
        )
    return given


def _cases(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Rows in the columns of the table `cases`: one quantity `value` per case."""
    wrong = rows["metric"].isin(_NOT_MEANS)
    if wrong.any():
        name = rows["metric"][wrong].iloc[0]
        raise ResultsError(f"{path}: {name} is no mean over cases; give {name} per task, without the column case")
    # as in _with_unit_free: a unit-free score is oriented
    turned = rows["unit_free"] & (rows["direction"] == "lower")
    return pd.DataFrame(
        {
            "run": "",
            "aggregation": rows["aggregation"],
            "unit": "",
            "task": rows["task"],
            "type": rows["type"],
            "group": rows["group"],
            "fraction": rows["fraction"],
            "seed": rows["seed"],
            "split": "test",
            "case": rows["case"],
            "subject": rows["subject"],
            "quantity": VALUE,
            "index": 0,
            "value": (1 - rows["value"]).where(turned, rows["value"]),
        }
    )


def _unit_free_metric(scores: pd.DataFrame) -> tuple[dict[str, str], list[str]]:
    """The metric that a task's gains are of, and the tasks that had a choice of several.

    It is the same one in every arm: of those with the most arms that of the task's type, else the first in the table.
    """
    chosen, several = {}, []
    free = scores[scores["unit_free"] & (scores["aggregation"] != FLOOR)]
    for task, own in free.groupby("task", sort=True):
        arms = own.groupby("metric", sort=False).size()
        fullest = list(arms[arms == arms.max()].index)
        task_type = find_type(own["type"].iloc[0])
        usual = ("score", task_type.unit_free) if task_type else ("score",)
        chosen[str(task)] = next((metric for metric in usual if metric in fullest), fullest[0])
        if len(arms) > 1 and chosen[str(task)] != "score":
            several.append(str(task))
    return chosen, several


def _with_unit_free(scores: pd.DataFrame, chosen: dict[str, str]) -> pd.DataFrame:
    """In the columns of the table `scores`; the oriented metric `score` is added where a task's metric is unit-free."""
    scores = scores.assign(run="", unit="", split="test", n_undefined=0)
    best = scores[(scores["metric"] == scores["task"].map(chosen)) & (scores["metric"] != "score")]
    oriented = np.where(best["direction"] == "higher", best["value"], 1 - best["value"])
    added = best.assign(metric="score", direction="higher", value=oriented)
    kept = scores[(scores["metric"] != "score") | (scores["task"].map(chosen) == "score")]
    return pd.concat([kept, added], ignore_index=True).drop(columns="unit_free")
