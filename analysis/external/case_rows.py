"""Rows of a score table that are test cases: each has a name and one subject, and gains need it under every model."""

import numpy as np
import pandas as pd

from aggregation_lab.aggregation import FLOOR
from aggregation_lab.naming import clean_name
from aggregation_lab.text import listed, printable
from analysis.external.sheet import Sheet, quoted, shown

_MODEL = ["aggregation", "fraction", "seed"]
_NAMED = 5
_TOO_SHORT = "intervals are too short where patients have several"


def named_cases(cells: pd.DataFrame, task: pd.Series, sheet: Sheet) -> pd.DataFrame | None:
    """Columns case and subject of every row; None where rows are scores of tasks.

    A case without a subject is a subject of its own, which is noted. Raises `ResultsError` where a case has no name, or
    two subjects.
    """
    if "case" not in cells:
        return None
    rows = pd.DataFrame({"task": task, "case": _ids(cells["case"])})
    if (rows["case"] == "").all():
        sheet.notes.append("The column case is empty: each row counts as a task's score.")
        return None
    _check_named(rows, sheet)
    given = _ids(cells["subject"]) if "subject" in cells else pd.Series("", cells.index)
    if (given == "").all():
        is_missing = "The column subject is empty" if "subject" in cells else "No column subject"
        remedy = "Fill it in" if "subject" in cells else "Add the column"
        sheet.notes.append(
            f"{is_missing}: each test case counts as a patient of its own, and {_TOO_SHORT}. {remedy}, or name "
            f"{'another' if 'subject' in cells else 'it'} with --map subject=NAME."
        )
        return rows.assign(subject=rows["case"])[["case", "subject"]]
    known = rows.assign(subject=given)[given != ""].drop_duplicates(["task", "case"])
    first = rows.merge(known, on=["task", "case"], how="left")["subject"].set_axis(rows.index).fillna("")

    def several(row: int) -> str:
        whose = f"case {quoted(rows['case'].iloc[row])} of task {quoted(rows['task'].iloc[row])}"
        return f"{whose} has the subjects {quoted(first.iloc[row])} and {quoted(given.iloc[row])}; give it one"

    sheet.check((given != "") & (given != first), several)
    alone = first == ""
    if alone.any():
        where = f"{int(alone.sum())} of {len(rows)} rows (first {sheet.row(int(alone.argmax()))})"
        sheet.notes.append(
            f"subject is empty in {where}: each case there counts as a subject of its own, and {_TOO_SHORT}."
        )
    # a case 3 without a subject is not the patient 3
    own = rows["case"].where(~rows["case"].isin(set(given)), "case " + rows["case"])
    return rows.assign(subject=first.where(~alone, own))[["case", "subject"]]


def _ids(column: pd.Series) -> pd.Series:
    """Names of cases or subjects in one form: a column of whole numbers has no `.0`, which a gap adds to all of it in
    some programs."""
    names = column.map({text: clean_name(text) for text in column.unique()})
    numbered = names.str.fullmatch(r"\d*(\.0+)?").all()
    return names.str.replace(r"\.0+$", "", regex=True) if numbered else names


def _check_named(rows: pd.DataFrame, sheet: Sheet) -> None:
    empty = (rows["case"] == "").to_numpy()
    if empty.any():
        lines = [str(sheet.lines[index]) for index in np.flatnonzero(empty)]
        tasks = shown(list(rows["task"][empty].unique()), 5)
        raise sheet.fail(
            f"case is empty in {len(lines)} of {len(rows)} rows (rows {shown(lines, 5)}; tasks {tasks}); name every "
            "test case, or take the column out where rows are scores of tasks"
        )


def note_namesakes(rows: pd.DataFrame, sheet: Sheet) -> None:
    """Note the subjects that have one name in several tasks, and so count as one person: their resamples go together.

    `rows` are test cases with the columns task and subject.
    """
    tasks = rows.drop_duplicates(["subject", "task"]).groupby("subject", sort=True)["task"].agg(list)
    several = tasks[tasks.map(len) > 1]
    if several.empty:
        return
    name, where = str(several.index[0]), [printable(str(task), 60) for task in several.iloc[0]]
    sheet.notes.append(
        f"{len(several)} of {len(tasks)} subjects have the same name in several tasks and count as one person there "
        f"(first {quoted(name)}, in {listed(where, _NAMED)}), which enters the intervals of means; put task or source "
        "into the name where it is not so."
    )


def check_common(rows: pd.DataFrame, sheet: Sheet) -> None:
    """Note the cases that some model of their task has no score of: gains of an arm leave out what its own models
    lack, comparisons of arms what any arm lacks.

    `rows` are test cases with the columns arm, task, aggregation, fraction, seed, case. Raises `ResultsError` where a
    task has no case that every model has a score of.
    """
    trained = rows[rows["aggregation"] != FLOOR]
    lacking, example = [], ""
    held_by: dict[str, dict[str, set[str]]] = {}
    for (arm, task), own in trained.groupby(["arm", "task"], sort=False):
        held = pd.crosstab([own[name] for name in _MODEL], own["case"]).astype(bool)
        common = held.all()
        if not common.any():
            raise sheet.fail(f"task {printable(str(task), 60)}: {_nothing_common(own)}")
        held_by.setdefault(str(task), {})[str(arm)] = set(common.index[common])
        if not common.all():
            lacking.append(f"{int((~common).sum())} of {len(common)} of {printable(str(task), 60)}")
            example = example or _first_gap(held)
    if lacking:
        sheet.notes.append(
            f"Cases that some model has no score of are left out of every gain: {listed(lacking, _NAMED)} (first "
            f"{example}). A case on which a model failed has a score, such as 0, and no gap."
        )
    sheet.notes.extend(_between_arms(held_by))


def _between_arms(held_by: dict[str, dict[str, set[str]]]) -> list[str]:
    """Notes on the cases of each task that not all arms have; `held_by` has those that an arm can use, by task and
    arm."""
    some, example, apart, notes = [], "", [], []
    for task, of_arm in held_by.items():
        shared, tested = set.intersection(*of_arm.values()), set.union(*of_arm.values())
        if not shared:
            apart.append(printable(task, 60))
        elif lost := sorted(tested - shared):
            some.append(f"{len(lost)} of {len(tested)} of {printable(task, 60)}")
            without = next(arm for arm, cases in of_arm.items() if lost[0] not in cases)
            example = example or f"{quoted(lost[0])}, not in arm {printable(without, 60)}"
    if some:
        notes.append(
            "Cases that not all arms have are left out of comparisons of arms, whose gains so differ from those of one "
            f"arm by itself: {listed(some, _NAMED)} (first {example})."
        )
    if apart:
        notes.append(f"No case is in all arms in {listed(apart, _NAMED)}: arms are not compared there.")
    return notes


def _first_gap(held: pd.DataFrame) -> str:
    case = next(name for name, full in held.all().items() if not full)
    name, fraction, seed = held.index[int((~held[case]).to_numpy().argmax())]
    return f"{quoted(str(case))} under {printable(str(name), 60)}, fraction {fraction:g}, seed {seed}"


def _nothing_common(own: pd.DataFrame) -> str:
    within = own.groupby(["seed", "case"]).size().groupby("seed").max()
    models = own.groupby("seed")[_MODEL[:2]].apply(lambda rows: len(rows.drop_duplicates()))
    if own["seed"].nunique() > 1 and (within == models).all():
        return (
            "every seed has test cases of its own, as in cross-validation, and gains by case need common ones; write "
            "one row for each task, aggregation and seed, the mean over its cases, without the column case"
        )
    return (
        "no test case has a score under every aggregation, fraction and seed; give a case one name throughout, or "
        "write one row for each task, aggregation and seed, without the column case"
    )
