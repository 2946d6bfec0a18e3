"""From a number back to its runs: the runs behind each gain, the seeds of each task, the table of all runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from aggregation_lab import results
from aggregation_lab.aggregation import FLOOR
from aggregation_lab.naming import encoder_title
from analysis.arms.reference import BASE, reference_arm
from analysis.report import words
from analysis.report.page_table import MOST_ROWS, Cell, PageTable, page_table
from analysis.result import Analysis
from analysis.study import StudyTables
from analysis.tables.cells import MISSING, count, data_share, number, text
from analysis.tables.paper import Column, build, plain

GainKey = tuple[str, float, str]
"""Contrast, fraction, task."""


@dataclass(frozen=True)
class RunPair:
    """The two runs of one seed of a gain."""

    seed: int
    joint_run: str
    base_run: str


def pairs_by_gain(seed_gains: pd.DataFrame) -> dict[GainKey, list[RunPair]]:
    """The runs behind every gain."""
    pairs: dict[GainKey, list[RunPair]] = {}
    columns = ["contrast", "fraction", "task", "seed", "joint_run", "base_run"]
    for contrast, fraction, task, seed, joint, base in seed_gains[columns].itertuples(index=False, name=None):
        pairs.setdefault((contrast, float(fraction), task), []).append(RunPair(int(seed), str(joint), str(base)))
    return pairs


def source(pairs: Sequence[RunPair]) -> str:
    """The runs of a gain as a hint."""
    return "; ".join(
        f"seed {pair.seed}: run {pair.joint_run} minus run {pair.base_run}" if pair.joint_run else f"seed {pair.seed}"
        for pair in pairs
    )


def run_ids(pairs: Sequence[RunPair]) -> list[str]:
    """Sorted; a source that names no runs has none."""
    return sorted({run for pair in pairs for run in (pair.joint_run, pair.base_run)} - {""})


def runs_by_contrast(seed_gains: pd.DataFrame) -> dict[str, list[str]]:
    """All runs that enter the gains of a contrast."""
    return {
        str(name): sorted({*rows["joint_run"].astype(str), *rows["base_run"].astype(str)} - {""})
        for name, rows in seed_gains.groupby("contrast", sort=True)
    }


MOST_TASKS = 200
"""Tasks whose seeds stand on the page, the surest gains first; all of them stand in `tables/seed_gains.csv`."""

MOST_ANSWERS = 24
"""Contrasts that get an answer of their own."""


def answered(gains: pd.DataFrame) -> list[str]:
    """The contrasts that get an answer: all, or the first of very many."""
    return list(dict.fromkeys(gains["contrast"]))[:MOST_ANSWERS]


def shown_tasks(analysis: Analysis) -> list[str]:
    """The tasks whose seeds stand on the page, by name."""
    tasks = sorted(set(analysis.frames["seed_gains"]["task"]))
    if len(tasks) <= MOST_TASKS:
        return tasks
    gains = analysis.frames["gains"].sort_values(["p", "task"], kind="stable", na_position="last")
    return sorted(gains["task"].drop_duplicates()[:MOST_TASKS])


class GainLinks:
    """Links tasks, gains, contrasts and aggregations of any table to the seeds and runs they come from."""

    def __init__(self, analysis: Analysis) -> None:
        seed_gains = analysis.frames["seed_gains"]
        self._pairs = pairs_by_gain(seed_gains)
        self._tasks = set(shown_tasks(analysis))
        self._contrasts = set(answered(analysis.frames["gains"]))
        shares = sorted(set(seed_gains["fraction"]))
        self._shares: Mapping[str, float] = {f"gain at {data_share(share)}": share for share in shares}
        self._full = shares[-1] if shares else 1.0

    def __call__(self, title: str, row: Mapping[str, str], cell: Cell) -> Cell:
        if title == "contrast" and cell.text in self._contrasts:
            hint = f"tasks of {cell.text}; each leads to its seeds and runs"
            return replace(cell, title=hint, href=words.anchor("answer", cell.text))
        if title == "aggregation":
            return replace(cell, title=f"runs of {cell.text}", href="runs-section")
        task = row.get("task", "")
        if task not in self._tasks:
            return cell
        if title == "task":
            return replace(cell, href=words.anchor("task", task))
        if title.startswith("gain") and "contrast" in row:
            hint = self.runs_behind(row["contrast"], self._shares.get(title, self._full), task)
            return replace(cell, title=hint, href=words.anchor("task", task)) if hint else cell
        return cell

    def target(self, task: str) -> str:
        """The anchor that a task leads to; nothing where its seeds are not shown."""
        return words.anchor("task", task) if task in self._tasks else ""

    def runs_behind(self, contrast: str, fraction: float, task: str) -> str:
        """The runs of one gain as a hint; empty where there are none."""
        return source(self._pairs.get((contrast, fraction, task), ()))


def seed_tables(analysis: Analysis) -> list[tuple[str, str, PageTable]]:
    """For each task its anchor, its name and the gains of single seeds, linked to their runs."""
    rows = analysis.frames["seed_gains"]
    rows = rows[rows["task"].isin(shown_tasks(analysis))].sort_values(
        ["contrast", "fraction", "seed"], ascending=[True, False, True], ignore_index=True
    )
    columns = [
        *plain(str, "contrast"),
        Column("fraction", lambda row: f"{row['fraction']:g}", "fraction"),
        *plain(count, "seed"),
        Column("joint score", lambda row: number(row["joint_score"]), "joint_score"),
        Column("base score", lambda row: number(row["base_score"]), "base_score"),
        Column("gain", lambda row: words.signed(row["gain"]), "gain"),
        Column("joint run", lambda row: text(row["joint_run"]), "joint_run"),
        Column("base run", lambda row: text(row["base_run"]), "base_run"),
    ]
    tables = []
    for index, (task, part) in enumerate(rows.groupby("task", sort=True)):
        table = build(f"seeds-{index}", f"{task}: gains by seed", part, columns, of="seed_gains")
        tables.append((words.anchor("task", task), str(task), page_table(table, _run_link)))
    return tables


def _run_link(title: str, row: Mapping[str, str], cell: Cell) -> Cell:
    named = title in ("joint run", "base run") and cell.text != MISSING
    return replace(cell, href=words.anchor("run", cell.text)) if named else cell


def run_table(analysis: Analysis) -> PageTable:
    """Every run once, with the aggregations and units it counts in. Without a table `runs`, from the scores.

    Of very many runs those come first to which the page leads, and all of them are there.
    """
    runs = _of_page(analysis.study, lambda study: study.runs)
    detailed = runs is not None and len(runs) > 0
    if runs is None or not detailed:
        scores = _of_page(analysis.study, lambda study: study.scores)
        assert scores is not None
        runs = scores[(scores["aggregation"] != FLOOR) & (scores["run"] != "")]
    rows = _once(runs)
    shown = analysis.frames["seed_gains"]
    shown = shown[shown["task"].isin(shown_tasks(analysis))]
    linked = rows["run"].isin({*shown["joint_run"], *shown["base_run"]})
    if len(rows) > MOST_ROWS:
        rows = pd.concat([rows[linked], rows[~linked]], ignore_index=True)
    meanings = {column.name: column.meaning for column in results.RUNS.columns}
    columns = [
        *plain(text, "run", "aggregation", "unit"),
        Column("fraction", lambda row: f"{row['fraction']:g}", "fraction"),
        *plain(count, "seed"),
    ]
    if detailed:
        columns.append(Column("passes", lambda row: number(row["passes"], 1), "passes"))
        columns += plain(text, "device", "precision", "versions", "started")
    columns = [replace(column, meaning=meanings[column.source]) for column in columns]
    table = build("runs", "Every run behind this page", rows, columns, of="seed_gains")
    anchors = [words.anchor("run", run) for run in rows["run"]]
    return page_table(table, anchors=anchors, most=max(MOST_ROWS, int(linked.sum())))


def _of_page(study: StudyTables, of: Callable[[StudyTables], pd.DataFrame | None]) -> pd.DataFrame | None:
    """Rows of the arm that the page is of, and of the plain network beside it, called `ResNet18, TS`."""
    own, name, every = of(study), reference_arm(study), study.every_arm
    rows = None if every is None else of(every)
    if own is None or name is None or rows is None:
        return own
    plain = rows[(rows["arm"] == name) & (rows["aggregation"] == BASE)]
    return pd.concat([own, plain.assign(aggregation=f"{encoder_title(name)}, {BASE}")], ignore_index=True)


def _once(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per run: a run that counts in two aggregations has both names."""
    labels = runs[["run", "aggregation", "unit"]].drop_duplicates().sort_values(["run", "aggregation", "unit"])
    joined = labels.groupby("run", as_index=False).agg(_together)
    once = runs.drop(columns=["aggregation", "unit"]).drop_duplicates("run").merge(joined, on="run")
    return once.sort_values(["aggregation", "unit", "fraction", "seed", "run"], ignore_index=True)


def _together(names: pd.Series) -> str:
    return ", ".join(dict.fromkeys(names))
