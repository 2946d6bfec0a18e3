"""Bring your own: the score table of any trainer as a study.

Needed: task, aggregation, seed, value. Used if there: metric, direction, fraction, n_train, type, group, case, subject.
With a column `case` each row is one test case's score and a task's score is their mean, so the metric must be one that
averages over cases (Dice, IoU, point error; not AUC, F1 or MCC). Without, each row is a task's score.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from aggregation_lab.aggregation import FLOOR
from aggregation_lab.errors import ResultsError
from aggregation_lab.manifest import Manifest
from aggregation_lab.results import SEEDLESS
from aggregation_lab.tasks import CHALLENGE_TASKS, METRICS, UNIT_FREE
from analysis.frames import frame
from analysis.study import StudyTables
from analysis.weighted import VALUE

EXAMPLES = Path(__file__).parent / "examples"
PAPER = EXAMPLES / "paper_public_numbers.csv"
"""The numbers of arXiv 2603.18123 that are public: one value each, without seeds or cases."""

NEEDED = ("task", "aggregation", "seed", "value")
OPTIONAL = ("metric", "direction", "fraction", "n_train", "type", "group", "case", "subject")

UNKNOWN = "unknown"
"""Type and group of tasks of which none is given."""

_KEY = ["task", "aggregation", "fraction", "seed", "metric"]
_NOT_MEANS = ("AUC", "F1_macro", "F1_weighted", "MCC", "missed")
_SHARES = ("score", "DSC", "IoU", "AUC", "accuracy", "F1_macro", "F1_weighted", "MCC")
_LARGEST_SEED = 2**53
"""Above, numbers read from a table are no longer exact."""


def read_scores(path: Path | str) -> StudyTables:
    """A study from a CSV or Parquet table, and in its `notes` what cannot be computed from it.

    Raises `ResultsError` with one line naming the file and the row or column at fault.
    """
    path = Path(path)
    rows = _check(_read(path), path)
    notes = []
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
    if not (scores["n_train"] > 0).any():
        notes.append("No n_train: data scale, crossovers and guidelines cannot be computed.")
    if (scores["type"] == UNKNOWN).all():
        notes.append("No task types: sensitivity by type cannot be computed.")
    if scores["group"].nunique() < 2:
        notes.append("One clinical group only: groups cannot be compared, and stability over groups is not given.")
    pixels = sorted(set(scores["task"]) - set(scores.loc[scores["unit_free"], "task"]))
    if pixels:
        notes.append(
            f"No unit-free score for {', '.join(pixels)}: gains are in the metric's own unit and stay out of every "
            "mean over tasks, because a mean of pixel errors and DSC has no unit and follows the largest numbers."
        )
    chosen, several = _unit_free_metric(scores)
    if several:
        named = ", ".join(f"{chosen[task]} of {task}" for task in several)
        notes.append(f"Gains are of one metric per task, where there are several unit-free ones: {named}.")
    return StudyTables(
        manifest=Manifest(path.stem),
        scores=_with_unit_free(scores, chosen),
        cases=cases,
        excluded=frame("excluded", []),
        notes=tuple(notes),
    )


def _read(path: Path) -> pd.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path)
    except FileNotFoundError as error:
        raise ResultsError(f"{path}: does not exist; give a CSV with {', '.join(NEEDED)}") from error
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise ResultsError(
            f"{path}: cannot be read as a table ({first}); save it as UTF-8 CSV with a header"
        ) from error


def _check(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The rows with every optional column filled. Row numbers in messages are those of the file, header being 1."""
    rows = rows.rename(columns=lambda name: str(name).strip())
    missing = [name for name in NEEDED if name not in rows.columns]
    if missing:
        raise ResultsError(
            f"{path}: misses column {', '.join(missing)}; needed are {', '.join(NEEDED)}, "
            f"used if there {', '.join(OPTIONAL)}"
        )
    if rows.empty:
        raise ResultsError(f"{path}: has no rows")
    for name in ("value", "seed", "fraction", "n_train"):
        if name in rows.columns:
            rows[name] = _numbers(rows[name], name, path)
    for name in NEEDED:
        empty = rows[name].isna()
        if empty.any():
            row = int(empty.to_numpy().argmax()) + 2
            raise ResultsError(f"{path}: row {row}: {name} is empty; fill it, or take the row out")
    if not np.isfinite(rows["value"]).all():
        row = int((~np.isfinite(rows["value"])).to_numpy().argmax()) + 2
        raise ResultsError(f"{path}: row {row}: value is not finite; fill it, or take the row out")
    whole = (rows["seed"] == rows["seed"].round()) & (rows["seed"].abs() < _LARGEST_SEED)
    if not whole.all():
        row = int((~whole).to_numpy().argmax()) + 2
        raise ResultsError(f"{path}: row {row}: seed {rows['seed'].iloc[row - 2]:g} is not a whole number below 2^53")
    for name in ("task", "aggregation"):
        rows[name] = rows[name].astype(str).str.strip()
    rows = _filled(rows, path)
    _check_repeats(rows, path)
    keep = [*NEEDED, *(name for name in OPTIONAL if name in rows.columns), "unit_free"]
    return rows[keep]


def _numbers(column: pd.Series, name: str, path: Path) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = numbers.isna() & column.notna()
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise ResultsError(f"{path}: row {row + 2}: {name} {str(column.iloc[row])!r} is not a number")
    return numbers.astype(float)


def _filled(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    known = CHALLENGE_TASKS
    rows["seed"] = rows["seed"].astype(int).where(rows["aggregation"] != FLOOR, SEEDLESS)
    rows["fraction"] = rows["fraction"].fillna(1.0) if "fraction" in rows.columns else 1.0
    rows["n_train"] = rows["n_train"] if "n_train" in rows.columns else np.nan
    for name, of_task in (("type", lambda task: str(task.type)), ("group", lambda task: task.group)):
        default = rows["task"].map(lambda task, of=of_task: of(known[task].task) if task in known else UNKNOWN)
        rows[name] = rows[name].fillna(default).astype(str) if name in rows.columns else default
    rows["metric"] = rows["metric"].fillna(VALUE).astype(str) if "metric" in rows.columns else VALUE
    given = rows["direction"] if "direction" in rows.columns else pd.Series(None, index=rows.index, dtype=object)
    own = rows["metric"].map(lambda name: METRICS[name].direction if name in METRICS else None)
    rows["direction"] = given.where(given.notna(), own)
    rows.loc[rows["direction"].isna() & (rows["metric"] == VALUE), "direction"] = "higher"
    for fault, text in (
        (rows["direction"].isna(), "has no known direction; add a column direction with higher or lower"),
        (~rows["direction"].isin(["higher", "lower"]), "has a direction that is neither higher nor lower"),
    ):
        if fault.any():
            row = int(fault.to_numpy().argmax())
            raise ResultsError(f"{path}: row {row + 2}: metric {rows['metric'].iloc[row]} {text}")
    for fault, text in (
        (~rows["fraction"].between(0, 1, inclusive="right"), "fraction must be in (0, 1]"),
        (rows["n_train"] <= 0, "n_train must be greater than 0; leave it empty where it is not known"),
    ):
        if fault.any():
            raise ResultsError(f"{path}: row {int(fault.to_numpy().argmax()) + 2}: {text}")
    _check_ranges(rows, path)
    rows["unit_free"] = _unit_free(rows)
    return rows


def _check_ranges(rows: pd.DataFrame, path: Path) -> None:
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
        raise ResultsError(f"{path}: row {row + 2}: {metric} {value:g} lies outside {wanted}")


def _unit_free(rows: pd.DataFrame) -> pd.Series:
    """Whether a metric can be averaged over tasks: the unit-free ones, or an unknown one whose values lie in [0, 1]."""
    names = {"score", *UNIT_FREE.values(), "F1_macro", "F1_weighted", "accuracy", "MRE_relative"}
    bounded = rows.groupby("metric")["value"].transform(lambda values: values.between(0, 1).all())
    return rows["metric"].isin(names) | (~rows["metric"].isin(list(METRICS)) & bounded)


def _check_repeats(rows: pd.DataFrame, path: Path) -> None:
    key = [*_KEY, "case"] if "case" in rows.columns else _KEY
    repeated = rows.duplicated(key)
    if repeated.any():
        row = int(repeated.to_numpy().argmax())
        named = ", ".join(f"{name} {rows[name].iloc[row]}" for name in key)
        raise ResultsError(
            f"{path}: row {row + 2}: repeats {named}; {int(repeated.sum())} such row(s), each may stand once"
        )
    metrics = rows.groupby("task")["metric"].nunique()
    if metrics.max() > 1 and "case" in rows.columns:
        raise ResultsError(f"{path}: task {metrics.idxmax()} has cases of several metrics; keep one metric per task")
    for name in ("type", "group", "direction"):
        several = rows.groupby("task" if name != "direction" else ["task", "metric"])[name].nunique()
        if several.max() > 1:
            raise ResultsError(f"{path}: task {several.idxmax()} has more than one {name}; give it one")


def _cases(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Rows in the columns of the table `cases`: one quantity `value` per case."""
    wrong = rows["metric"].isin(_NOT_MEANS)
    if wrong.any():
        name = rows["metric"][wrong].iloc[0]
        raise ResultsError(f"{path}: {name} is no mean over cases; give {name} per task, without the column case")
    subject = rows["subject"] if "subject" in rows.columns else rows["case"]
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
            "case": rows["case"].astype(str),
            "subject": subject.fillna(rows["case"]).astype(str),
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
        usual = ("score", *(metric for kind, metric in UNIT_FREE.items() if kind == own["type"].iloc[0]))
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
