"""Tables on grouping: what predictions are worth, predicted gains, partitions by cost, and the groups found."""

import pandas as pd

from analysis.named_frames import NamedFrames
from analysis.tables.cells import MISSING, count, interval, limits, number, percent, text
from analysis.tables.paper import Column, PaperTable, Row, build, plain

GUESSED = "~"
"""Before hours that nobody has measured."""

_MEASURED = Column("measured", lambda row: number(row["gain"], signed=True), "gain")


def errors_table(analysis: NamedFrames) -> PaperTable:
    """Errors of every predictor beside the naive baselines."""
    rows = analysis.frames["prediction_errors"]
    columns = [
        *plain(str, "predictor", "kind"),
        Column("error, set left out", lambda row: number(row["error_new_set"], 4), "error_new_set"),
        Column("error, task left out", lambda row: number(row["error_new_task"], 4), "error_new_task"),
        Column("better than no information", _skill, "skill"),
        Column("used", lambda row: "yes" if row["used"] else "no", "used"),
        *plain(text, "reason"),
    ]
    note = (
        f"Root mean square errors of gains over TS on validation cases, of {count(rows['gains'].max())} gains of "
        f"{count(rows['tasks'].max())} tasks. Better than no information: share of the mean square error on sets left "
        "out (tasks, where one set was trained), with one standard error over these. All affinities are used together "
        "where they are better there than no information, else none is; the other rows are yardsticks. The row of the "
        "model chooses anew without each set."
    )
    return build("prediction_errors", "What predictions of gains are worth", rows, columns, note=note)


def _skill(row: Row) -> str:
    if pd.isna(row["skill"]):
        return MISSING
    return f"{percent(row['skill'])} ± {percent(row['skill_error'])}"


def predicted_table(analysis: NamedFrames) -> PaperTable:
    """Every trained set: the gain, what was predicted of it unseen, and what test cases say."""
    rows = analysis.frames["predicted_gains"]
    columns = [
        *plain(str, "aggregation", "unit", "task"),
        _MEASURED,
        Column("predicted, task left out [80%]", lambda row: limits(row, "predicted"), "predicted"),
        Column(
            "predicted, set left out",
            lambda row: number(row["predicted_set"], signed=True),
            "predicted_set",
        ),
        Column("on test cases", lambda row: number(row["test_gain"], signed=True), "test_gain"),
    ]
    note = (
        "Gains over TS at full data. Measured: on validation cases, which predictions are made from. Intervals are "
        "jackknife+ over tasks, so wide where tasks are few."
    )
    return build("predicted_gains", "Predicted and measured gains", rows, columns, note=note)


def partitions_table(analysis: NamedFrames) -> PaperTable:
    """Cost and mean score of partitions, trained and predicted."""
    rows = analysis.frames["partitions"]
    columns = [
        *plain(str, "partition"),
        Column("known by", lambda row: "test scores" if row["trained"] else "prediction", "trained"),
        *plain(count, "units"),
        Column("hours per seed", _hours, "hours"),
        Column("mean score", lambda row: number(row["score"]), "score"),
        Column("mean gain", lambda row: interval(row["gain"], row["low"], row["high"]), "gain"),
        Column("best for its cost", _best, "pareto"),
        Column("tasks", lambda row: row["tasks"], "tasks", on_screen=True),
    ]
    note = (
        "A prediction rests on validation scores and is no result: the partition was chosen because its prediction is "
        f"high. Train it, and test scores decide. hours: {GUESSED} is a guess, by the pace of the joint runs on their "
        "training cases; others are measured. best for its cost: among what was trained."
    )
    return build("partitions", "Partitions by cost and score", rows, columns, note=note)


def _hours(row: Row) -> str:
    """`0.59`, or `~0.38` of a guess."""
    return f"{GUESSED if row['hours_guessed'] else ''}{number(row['hours'], 2)}"


def _best(row: Row) -> str:
    if not row["trained"]:
        return MISSING
    return "yes" if row["pareto"] else "no"


def groups_table(analysis: NamedFrames) -> PaperTable:
    """The units of the partition that is predicted to gain most."""
    rows = analysis.frames["found_groups"]
    columns = [
        *plain(str, "unit", "task", "type", "group"),
        Column("predicted gain [80%]", lambda row: limits(row, "predicted"), "predicted"),
        *plain(text, "why"),
    ]
    note = "Intervals are jackknife+ over tasks: those of a task of which no gain is known. Alone: as in TS."
    return build("found_groups", "Groups with the largest predicted gain", rows, columns, note=note)
