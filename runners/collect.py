"""Gather the tables of finished runs, labelled with every aggregation they count in, into the tables of the study."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from aggregation_lab import results
from aggregation_lab.files import write_text
from aggregation_lab.tasks import Task
from runners.output import read_study, read_tasks
from runners.plan import PlannedRun
from runners.prepare import floor_file
from runners.store import RunStore, State


def collect(out: Path, runs: Sequence[PlannedRun], names: Sequence[str] = tuple(results.TABLES)) -> None:
    """Write the tables of `out` from its finished runs and the floor; each replaces its predecessor at once."""
    for name in names:
        frame = gather(out, runs, name)
        results.write_table(frame, results.TABLES[name], out / f"{name}.parquet")
        if name == "scores":
            write_text(out / "scores.csv", frame.to_csv(index=False))


def gather(out: Path, runs: Sequence[PlannedRun], name: str) -> pd.DataFrame:
    """One table over all finished runs of the plan. Raises `ResultsError` naming a run's damaged file."""
    table, store, tasks = results.TABLES[name], RunStore(out), read_tasks(out)
    states = store.statuses(runs)
    frames = []
    for run in runs:
        if states[run.id].state is not State.DONE:
            continue
        frame = results.read_table(store.folder(run) / f"{name}.parquet", results.RUN_TABLES[name])
        for aggregation, unit in run.labels:
            labelled = frame.assign(aggregation=aggregation, unit=unit)
            frames.append(_grouped(labelled, tasks) if _has_group(table) else labelled)
    if name in ("scores", "cases"):
        for fraction in read_study(out).fractions:
            floor = results.read_table(floor_file(out, fraction, name), table)
            frames.append(_grouped(floor, tasks))
    return results.append(frames, table)


def _has_group(table: results.Table) -> bool:
    return any(column.name == "group" for column in table.columns)


def _grouped(frame: pd.DataFrame, tasks: dict[str, Task]) -> pd.DataFrame:
    """The study's groups of today, whatever they were when the rows were written."""
    return frame.assign(group=frame["task"].map({name: task.group for name, task in tasks.items()}).astype("str"))
