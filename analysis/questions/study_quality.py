"""How far a study can be trusted: its data, scores beside the floor, compute and learning curves.

Where a table is missing its columns are missing too: NaN for numbers, None for yes or no. None of it is guessed.
"""

import numpy as np
import pandas as pd

from aggregation_lab.aggregation import FLOOR
from analysis.contrasts import default_base
from analysis.frames import FRAMES, at_full, frame, ordered
from analysis.primary_metric import ModelKey, means_above_floor, primary_rows
from analysis.study import StudyTables

PIXEL_ERROR = "MRE"
"""The metric in pixels whose unit-free score is 1 - error / diagonal."""

IMPROVING = "↗"
"""Stands beside a gain whose base model was still improving when its training ended: the gain may be too large."""


def data(study: StudyTables) -> pd.DataFrame:
    """The frame `data`; numbers of cases are means over runs, `subjects` is 0 without the table `cases`.

    Margins are of unit-free scores: a task without one has none, or one in the unit of its metric that was named.
    """
    rows = primary_rows(study.scores, study.primary)
    keys = ["task", "type", "group", "metric", "fraction"]
    trained = rows[rows["aggregation"] != FLOOR]
    tasks = trained.groupby(keys, as_index=False).agg(n_train=("n_train", "mean"), n_test=("n_cases", "mean"))
    subjects = {} if study.cases is None else study.cases.groupby("task")["subject"].nunique().to_dict()
    tasks["subjects"] = [subjects.get(task, 0) for task in tasks["task"]]
    comparable = set(study.scores.loc[study.scores["metric"] == "score", "task"])
    known = tasks["task"].isin(comparable) | (tasks["metric"].map(study.unit_of) == "1")
    tasks["margin"] = np.where(known, [study.manifest.margin(task) for task in tasks["task"]], np.nan)
    own = {task: unit for task, unit in study.margin_units.items() if unit != "1"}
    tasks["margin"] = tasks["margin"].mask(tasks["task"].isin(own))
    tasks = _with_margins(tasks, scores(study, frame("gains", [])), study.aggregations[0])
    in_its_unit = tasks["task"].map({task: study.manifest.margin(task) for task in own})
    return ordered("data", tasks.assign(margin_raw=tasks["margin_raw"].fillna(in_its_unit.astype(float))))


def _with_margins(tasks: pd.DataFrame, means: pd.DataFrame, base: str) -> pd.DataFrame:
    """The rows with their margin in the primary metric, and as a share of what the base has learned over the floor.

    The score of a pixel error is 1 - error / diagonal, so the base's two means give the diagonal; they do so exactly
    where all images of a task have one size.
    """
    keys = ["task", "fraction"]
    of_base, of_floor = (means[means["aggregation"] == name].set_index(keys) for name in (base, FLOOR))
    score, raw, unit = (_at(of_base[name], tasks, keys) for name in ("score", "mean", "unit"))
    score, raw = score.astype(float), raw.astype(float)
    diagonal = (raw / (1 - score).where(score < 1)).where(tasks["metric"] == PIXEL_ERROR)
    learned = score - _at(of_floor["score"], tasks, keys).astype(float)
    return tasks.assign(
        margin_raw=tasks["margin"] * diagonal.where(unit != "1", 1.0),
        margin_share=tasks["margin"] / learned.where(learned > 0),
    )


def scores(study: StudyTables, gains: pd.DataFrame) -> pd.DataFrame:
    """The frame `scores`, verdicts taken from the frame `gains`.

    Undefined values are left out of means, and `seeds` counts the others; the floor has no seeds. `score` is the
    primary metric where a table has no unit-free score and that metric can stand in for it.
    """
    keys = ["aggregation", "fraction", "task"]
    rows = (
        primary_rows(study.scores, study.primary)
        .groupby([*keys, "type", "group", "metric", "direction"], as_index=False)
        .agg(
            n_train=("n_train", "mean"),
            n_test=("n_cases", "mean"),
            mean=("value", "mean"),
            sd=("value", "std"),
            seeds=("value", "count"),
        )
    )
    if rows.empty:
        return frame("scores", [])
    is_floor = rows["aggregation"] == FLOOR
    rows["seeds"] = rows["seeds"].where(~is_floor, 0)
    rows["unit"] = rows["metric"].map(study.unit_of)
    free = study.scores[study.scores["metric"] == "score"].groupby(keys)["value"].mean()
    primary = rows["mean"].where((rows["unit"] == "1") & (rows["direction"] == "higher"))
    rows["score"] = _at(free, rows, keys).astype(float).fillna(primary)
    floor = rows[is_floor].set_index(["task", "fraction"])["mean"]
    rows["floor"] = _at(floor, rows, ["task", "fraction"]).astype(float)
    above = _at(pd.Series(means_above_floor(study.scores, study.primary)), rows, keys).astype(object)
    rows["beats_floor"] = _or_none(above.eq(True), above.notna())
    base = study.aggregations[0]
    default = gains["joint"].map(lambda joint: default_base(joint, base, study.aggregations)).astype(object)
    verdicts = gains[gains["base"] == default].set_index(["joint", *keys[1:]])["verdict"]
    rows["verdict"] = _at(verdicts, rows, keys).astype(object).fillna("").astype(str)
    seen = study.improving().set_index(keys)
    rising = _at(seen["improving"], rows, keys).astype(object)
    rows["still_improving"] = _or_none(rising.eq(True), rising.notna() | is_floor)
    rows[["rising", "curves"]] = np.column_stack([_at(seen[name], rows, keys) for name in ("rising", "curves")])
    rows = rows.astype({"rising": float, "curves": float})
    order = {name: index for index, name in enumerate([*study.aggregations, FLOOR])}
    rows = rows.assign(order=rows["aggregation"].map(order)).sort_values(["order", "fraction", "task"])
    return rows[list(FRAMES["scores"])].reset_index(drop=True)


def task_compute(study: StudyTables) -> dict[ModelKey, tuple[float, float]]:
    """What each model spent on a task, mean over seeds: passes over its images, and operations for each of them.

    The operations of a unit are shared by its images alike, so their ratio over two models compares what was spent on
    the images of the task. Those of a first stage count, by the share that was spent on them. Empty without the table
    `runs`.
    """
    if study.runs is None:
        return {}
    keys = ["aggregation", "fraction", "task"]
    tasks = study.scores[["run", "aggregation", "task"]].drop_duplicates()
    runs = study.runs.merge(tasks, on=["run", "aggregation"])
    images = runs["images_seen"].where(runs["images_seen"] > 0) / runs["passes"]
    runs = runs.assign(
        operations=(runs["flops"] + runs["flops_before"]) / images, passes=runs["passes"] + runs["passes_before"]
    )
    means = runs.groupby(keys)[["passes", "operations"]].mean()
    return {key: (passes, operations) for key, passes, operations in means.itertuples(name=None)}


def _at(values: pd.Series, rows: pd.DataFrame, keys: list[str]) -> pd.Series:
    """The values at the rows' keys, missing where there are none."""
    known = values.to_dict()
    return pd.Series([known.get(key) for key in rows[keys].itertuples(index=False, name=None)], index=rows.index)


def _or_none(flags: pd.Series, known: pd.Series) -> pd.Series:
    """Flags, None where unknown; plain bool where all are known."""
    return flags.astype(bool) if known.all() else flags.astype(object).where(known, None)


def ledger(study: StudyTables) -> pd.DataFrame:
    """The frame `ledger`.

    Costs are summed over the runs of a seed, then averaged over seeds; a run that counts in two aggregations counts in
    each. `flops_ratio` compares both stages with the base on the same tasks and seeds, so that neither an unfinished
    study nor a partition of some tasks distorts it. Costs are missing without the table `runs`.
    """
    keys = ["aggregation", "fraction"]
    means = scores(study, frame("gains", []))
    trained = means[means["aggregation"] != FLOOR]
    rows = trained[keys].drop_duplicates().set_index(keys)
    rows["beats_floor"] = trained.assign(known=trained["beats_floor"].astype(float)).groupby(keys)["known"].mean()
    columns = [name for name in FRAMES["ledger"] if name not in (*keys, "beats_floor")]
    rows[columns] = np.nan
    if study.runs is not None:
        runs = study.runs.assign(hours=study.runs["seconds"] / 3600)
        costs = ["images_seen", "steps", "flops", "flops_before", "hours"]
        of_seed = runs.groupby([*keys, "seed"])[costs]
        known = of_seed.count().eq(of_seed.size(), axis=0)  # a sum without some of its runs would be too small
        rows[costs] = of_seed.sum().where(known).groupby(keys).mean()
        rows["runs"] = runs.groupby(keys)["run"].nunique()
        rows["passes_low"] = runs.groupby(keys)["passes"].min()
        rows["passes_high"] = runs.groupby(keys)["passes"].max()
        rows["flops_ratio"] = _flops_ratio(runs, study.scores, keys, study.aggregations[0])
    if study.curves is not None:
        by_model = study.curves.groupby([*keys, "task", "seed"])["still_improving"].any()
        rows["still_improving"] = by_model.astype(float).groupby(keys).mean()
    return rows.reset_index()[list(FRAMES["ledger"])]


def _flops_ratio(runs: pd.DataFrame, scores: pd.DataFrame, keys: list[str], base: str) -> pd.Series:
    """Operations over those of the base on the same tasks. The tasks of a run are those it has scores of; where a run
    of the base has several, each has the share of the operations that it has of the training cases."""
    tasks = scores.loc[scores["run"] != "", ["run", "task", "n_train"]].drop_duplicates(["run", "task"])
    of_run = tasks.groupby("run")["n_train"]
    share = tasks["n_train"] / of_run.transform("sum").where(of_run.transform("min") > 0)
    tasks = tasks.assign(share=share.where(of_run.transform("size") > 1, 1.0))
    runs = runs.assign(flops=runs["flops"] + runs["flops_before"])
    spent = runs[runs["aggregation"] == base].merge(tasks, on="run")
    cells = zip(spent["task"], spent["fraction"], spent["seed"], strict=True)
    of_base = dict(zip(cells, spent["flops"] * spent["share"], strict=True))
    members = tasks.groupby("run")["task"].unique().to_dict()
    expected = [
        sum(of_base.get((task, share, seed), np.nan) for task in members.get(run, ())) or np.nan
        for run, share, seed in zip(runs["run"], runs["fraction"], runs["seed"], strict=True)
    ]
    compared = runs.assign(base=expected).dropna(subset=["base", "flops"])
    sums = compared.groupby(keys)[["flops", "base"]].sum()
    return sums["flops"] / sums["base"].where(sums["base"] > 0)


def learning_curves(study: StudyTables) -> pd.DataFrame:
    """The frame `learning_curves` at the largest fraction; empty without curves."""
    if study.curves is None or study.curves.empty:
        return frame("learning_curves", [])
    curves = at_full(study.curves)
    last = curves.groupby(["aggregation", "task", "seed"])["step"].transform("max")
    curves = curves.assign(share=curves["step"] / last.where(last > 0))
    curves = curves.sort_values(["aggregation", "task", "seed", "step"], ignore_index=True)
    return curves[list(FRAMES["learning_curves"])]
