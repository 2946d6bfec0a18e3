"""Bring your own: the score table of any trainer as a study.

Needed: task, aggregation, seed, value. Used if there: metric, direction, fraction, n_train, type, group, case,
subject, split, arm. With a column `case` each row is one test case's score and a task's score is their mean, so the
metric must be one that averages over cases (Dice, IoU, point error; not AUC, F1 or MCC). Without, each row is a task's
score. Rows whose aggregation is `floor` are of the trivial predictor (`floor_rows`).
How a file is read stands in `score_file`, `columns`, `names` and `values`: what can mean one thing only is read, and
reported in the notes.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from aggregation_lab.aggregation import ARROW, FLOOR, FOUND
from aggregation_lab.manifest import Manifest
from aggregation_lab.results import CASES
from aggregation_lab.tasks import METRICS
from aggregation_lab.text import printable
from analysis.external.case_rows import check_common, note_namesakes
from analysis.external.chosen_metric import ChosenMetric, chosen_metrics, said
from analysis.external.columns import is_known, named_columns
from analysis.external.margins import named_margins
from analysis.external.score_file import read_sheet
from analysis.external.sheet import Sheet, shown
from analysis.external.summary_rows import without_summaries
from analysis.external.typed_rows import KEY, UNKNOWN, typed_rows
from analysis.frames import frame
from analysis.statistics.weighted_metrics import VALUE
from analysis.study import StudyTables

EXAMPLES = Path(__file__).parents[1] / "examples"
PAPER = EXAMPLES / "paper_public_numbers.csv"
"""The numbers of arXiv 2603.18123 that are public: one value each, without seeds or cases."""

_NOT_MEANS = ("AUC", "F1_macro", "F1_weighted", "MCC", "missed")


def read_scores(
    path: Path | str,
    base: str | None = None,
    mapped: Mapping[str, str] | None = None,
    margins: Mapping[str, float] | None = None,
) -> StudyTables:
    """A study from a score table, and in its `notes` how it was read and what cannot be computed from it.

    `base` is the aggregation that gains are over, TS where not given; `mapped` names columns of the file that this
    project calls otherwise; `margins` are losses that count as none, by task, metric or task type, in the unit of the
    gains, `default` for other unit-free scores (0.02). Raises `ResultsError` with one line naming the file and the row
    or column at fault.
    """
    sheet = read_sheet(Path(path), is_known)
    cells = named_columns(sheet, mapped or {})
    if cells.empty:
        raise sheet.fail("has no rows")
    cells, sheet = without_summaries(cells, sheet)
    rows = _test_rows(typed_rows(cells, sheet), sheet)
    _check_base(rows, base, sheet)
    cases = _cases(rows, sheet) if "case" in rows else None
    scores = _task_scores(rows)
    chosen = chosen_metrics(scores)
    losses = named_margins(margins or {}, rows, chosen, sheet)
    return StudyTables(
        manifest=Manifest(sheet.path.stem, losses.margins, margins_named=tuple(losses.margins) if margins else None),
        scores=_with_unit_free(scores, chosen),
        cases=cases,
        excluded=frame("excluded", []),
        notes=(*sheet.notes, *_lacking(scores), *said(chosen)),
        base=base,
        unit_free=frozenset(rows.loc[rows["unit_free"], "metric"]),
        chosen={task: metric.primary for task, metric in chosen.items()},
        margin_units=losses.units,
    )


def _task_scores(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a task's score: the mean over its cases where rows are cases."""
    if "case" not in rows:
        return rows.assign(n_cases=0)
    labels = {name: "first" for name in rows.columns if name not in (*KEY, "value", "case", "subject")}
    scores = rows.groupby(KEY, sort=False, as_index=False).agg(labels | {"value": "mean", "case": "nunique"})
    return scores.rename(columns={"case": "n_cases"})


def _lacking(scores: pd.DataFrame) -> list[str]:
    """What cannot be computed."""
    notes = []
    if not (scores["n_train"] > 0).any():
        notes.append("No n_train: data scale, crossovers and guidelines cannot be computed.")
    elif unsized := sorted(set(scores["task"]) - set(scores.loc[scores["n_train"] > 0, "task"])):
        notes.append(f"No n_train of {shown(unsized)}: data scale and guidelines leave them out.")
    if (scores["type"] == UNKNOWN).all():
        notes.append(
            "No task types: sensitivity by type cannot be computed, and all tasks share their scatter over seeds; name "
            "types where some scores scatter much more than others."
        )
    for name in ("type", "group"):
        unknown = sorted(set(scores.loc[scores[name] == UNKNOWN, "task"]))
        if 0 < len(unknown) < scores["task"].nunique():
            notes.append(f"No {name} of {shown(unknown)}: such tasks count as a {name} of their own, {UNKNOWN}.")
    if scores["group"].nunique() < 2:
        notes.append("One clinical group only: groups cannot be compared, and stability over groups is not given.")
    other = sorted(set(scores["task"]) - set(scores.loc[scores["unit_free"], "task"]))
    if other:
        notes.append(
            f"No unit-free score for {shown(other)}: gains are in the metric's own unit and stay out of every "
            "mean over tasks, because a mean of pixel errors and DSC has no unit and follows the largest numbers."
        )
        values = scores.loc[scores["task"].isin(other) & ~scores["metric"].isin(list(METRICS)), "value"]
        if len(values) and values.between(0, 100).all() and values.max() > 2:
            notes.append("If such values are per cent, divide them by 100, or name the metric (DSC, IoU, AUC).")
    return notes


def _test_rows(rows: pd.DataFrame, sheet: Sheet) -> pd.DataFrame:
    """The rows of the test split, where the table says which they are."""
    if "split" not in rows:
        return rows
    tested = rows["split"].str.casefold() == "test"
    if not tested.any():
        values = shown(list(rows["split"].unique()), 5)
        raise sheet.fail(f"no row has the split test, only {values}; gains are on test cases")
    if not tested.all():
        sheet.notes.append(f"{int((~tested).sum())} rows of other splits than test are left out.")
    return rows[tested].drop(columns="split").reset_index(drop=True)


def _check_base(rows: pd.DataFrame, given: str | None, sheet: Sheet) -> None:
    """Raise `ResultsError` where only a user can say which aggregation gains are over."""
    names = sorted(set(rows["aggregation"]) - {FLOOR})
    if given is not None and given not in names:
        raise sheet.fail(f"--base {printable(given, 60)}: no such aggregation; there are {shown(names)}")
    of_ones_own = {stage for name in names for stage in name.split(ARROW)} - {"CG", "AU", FOUND}
    if given is None and len(names) > 1 and "TS" not in names and of_ones_own:
        which = f"Say it with --base, one of {shown(names)}"
        raise sheet.fail(f"no aggregation is called TS, so which are gains over? {which}")


def _cases(rows: pd.DataFrame, sheet: Sheet) -> pd.DataFrame:
    """Rows in the columns of the table `cases`: one quantity `value` per case."""
    wrong = rows["metric"].isin(_NOT_MEANS)
    if wrong.any():
        name = rows["metric"][wrong].iloc[0]
        raise sheet.fail(f"{name} is no mean over cases; give {name} per task, without the column case")
    check_common(rows, sheet)
    note_namesakes(rows, sheet)
    # as in _with_unit_free: a unit-free score is oriented
    turned = rows["unit_free"] & (rows["direction"] == "lower")
    values = (1 - rows["value"]).where(turned, rows["value"])
    labels = rows[["arm", "aggregation", "task", "type", "group", "fraction", "seed", "case", "subject"]]
    cases = labels.assign(run="", unit="", split="test", quantity=VALUE, index=0, value=values)
    return cases[[column.name for column in CASES.columns]]


def _with_unit_free(scores: pd.DataFrame, chosen: Mapping[str, ChosenMetric]) -> pd.DataFrame:
    """In the columns of the table `scores`; the oriented metric `score` is added where a task's metric is unit-free."""
    scores = scores.assign(run="", unit="", split="test", n_undefined=0)
    of_gains = scores["task"].map({task: metric.gain for task, metric in chosen.items()})
    best = scores[(scores["metric"] == of_gains) & (scores["metric"] != "score") & scores["unit_free"]]
    oriented = np.where(best["direction"] == "higher", best["value"], 1 - best["value"])
    added = best.assign(metric="score", direction="higher", value=oriented)
    kept = scores[(scores["metric"] != "score") | (of_gains == "score")]
    return pd.concat([kept, added], ignore_index=True).drop(columns="unit_free")
