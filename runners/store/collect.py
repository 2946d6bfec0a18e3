"""Gather the tables of finished runs, labelled with every aggregation they count in, into the tables of the study."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from aggregation_lab import results
from aggregation_lab.data.splits.leakage import sharing
from aggregation_lab.errors import AgglabError
from aggregation_lab.files import read_bytes, sweep, write_text
from aggregation_lab.manifest import MANIFEST, Manifest
from aggregation_lab.storage.spreadsheet_csv import csv_text
from aggregation_lab.tasks import Task
from aggregation_lab.version import __version__
from runners.planning.plan import Label, PlannedRun
from runners.store.first_stage_cost import share, with_first_stages
from runners.store.floor_tables import read_floor
from runners.store.found_partition import outdated
from runners.store.look_record import read_looks
from runners.store.prepared_data import read_case_tables, read_tasks
from runners.store.run_folder import read_done
from runners.store.study_folder import StudyFolder
from runners.store.verdicts_seen import read_seen


class DamagedResult(AgglabError):
    """A table of a finished run is not what the run wrote; the run has to be repeated."""

    def __init__(self, run: PlannedRun, path: Path):
        super().__init__(f"{path}: is damaged; the same run-grid command sets it aside and repeats its run")
        self.run, self.path = run, path


@dataclass(frozen=True)
class FinishedRun:
    """A finished run, its folder, and the digest of each table as it wrote it."""

    run: PlannedRun
    folder: Path
    digests: Mapping[str, str]


def collect(folder: StudyFolder) -> list[PlannedRun]:
    """Write the tables of `folder` from its finished runs and the floor, and the manifest of what they do not hold.

    Returns the plan, which is read under the lock: another grid may have changed it together with the study, and rows
    of an older plan would get the labels of the new study. An optional table is there where a run has rows of it. Each
    file replaces its predecessor at once. Raises `DamagedResult`, and `StudyError` where there is no readable plan.
    """
    with folder.collecting():
        runs = folder.read_plan()
        sweep(folder.path, ("*.parquet", "scores.csv", MANIFEST))
        finished = finished_runs(folder, runs)
        for name, table in results.TABLES.items():
            frame = gather(folder, finished, name)
            results.write_table(frame, table, folder.table(name))
            if name == "scores":
                write_text(folder.path / "scores.csv", csv_text(frame))
        for name, table in results.OPTIONAL_TABLES.items():
            holders = [result for result in finished if name in result.digests]
            if holders:
                results.write_table(gather(folder, holders, name), table, folder.table(name))
            else:
                folder.table(name).unlink(missing_ok=True)
        manifest(folder, runs, finished=len(finished)).write(folder.path)
    return runs


def manifest(folder: StudyFolder, runs: Sequence[PlannedRun], *, finished: int) -> Manifest:
    """What the analysis must know of the study beside its tables; no path of this machine. `runs` is the plan."""
    identity, looks = folder.read_identity(), read_looks(folder)
    study = identity.study
    found = folder.find_found(study)
    unused = {"margins": True, "slurm": True, "keep": True, "affinity": True}
    settings = study.model_dump(mode="json", exclude={**unused, "data": {"root", "split"}})
    if study.data.split is not None:  # neither shares nor a seed of the study's made it
        about_data = {name: value for name, value in settings["data"].items() if name not in ("shares", "split_seed")}
        settings["data"] = {"split_given": True, **about_data}
    if study.arms or len(study.variants) > 1:  # a list, because their order is the reader's
        settings["arms"] = [{"name": name} | arm.model_dump(mode="json") for name, arm in study.variants.items()]
        settings["base_arm"] = study.base_arm
    tasks, seen = read_tasks(folder), read_seen(folder)
    return Manifest(
        study=study.name,
        margins={name: study.margin(task) for name, task in tasks.items()},
        settings=settings,
        version=__version__,
        dataset=identity.dataset,
        split=identity.split,
        leakage=sharing(*read_case_tables(folder)),
        planned=len(runs),
        finished=finished,
        found=found.for_manifest(outdated(found, study, runs, folder.runs)) if found else None,
        looks=looks.to_json() if looks is not None else None,
        verdicts_seen=seen.seeds,
        margins_named=tuple(name for name, task in tasks.items() if study.names_margin(task)),
        margins_seen=seen.margins,
        recipe=max((run.spec.recipe for run in runs), default=None),
    )


def finished_runs(folder: StudyFolder, runs: Sequence[PlannedRun]) -> list[FinishedRun]:
    """The finished runs of the plan."""
    folders = folder.runs.folders(runs)
    done = [(run, read_done(folders[run.id], run.id)) for run in runs]
    return [FinishedRun(run, folders[run.id], result.digests) for run, result in done if result]


def gather(folder: StudyFolder, finished: Sequence[FinishedRun], name: str) -> pd.DataFrame:
    """One table over the finished runs and the floor. Raises `DamagedResult` naming a run's damaged file."""
    table, of_run = results.find_table(name)
    tasks, arms = read_tasks(folder), folder.read_study().variants
    rows = [(_read(result, of_run), result.run.labels) for result in finished]
    parts = [(part, label) for part, labels in rows for label in labels]
    frames = [_labelled(parts, only_arm=next(iter(arms))).to_pandas()] if parts else []
    if name == "runs":
        starts = {result.run.id: result.run.start for result in finished if result.run.start}
        frames = [with_first_stages(frame, starts, _shares(finished)) for frame in frames]
    if name in ("scores", "cases"):
        frames += read_floor(folder, table)
    if any(column.name == "group" for column in table.columns):
        frames = [_grouped(frame, tasks) for frame in frames]
    return results.append(frames, table)


def _shares(finished: Sequence[FinishedRun]) -> dict[str, float]:
    """For every second stage the share of its first stage's images that were of its tasks, as far as that is there."""
    by_id, sizes, found = {result.run.id: result for result in finished}, dict[str, dict[str, int]](), {}
    for result in finished:
        first = by_id.get(result.run.start or "")
        if first is None:
            continue
        if first.run.id not in sizes:
            scores = _read(first, results.RUN_TABLES["scores"])
            sizes[first.run.id] = dict(
                zip(*(scores.column(name).to_pylist() for name in ("task", "n_train")), strict=True)
            )
        tasks = [task.name for task in result.run.spec.tasks]
        found[result.run.id] = share(sizes[first.run.id], tasks, first.run.spec.training)
    return found


def _labelled(parts: Sequence[tuple[pa.Table, Label]], only_arm: str) -> pa.Table:
    """The rows of all parts, with the columns arm, aggregation and unit of each."""
    table = pa.concat_tables([rows for rows, _ in parts]).replace_schema_metadata()
    part = np.repeat(np.arange(len(parts)), [rows.num_rows for rows, _ in parts])
    labels = [label._replace(arm=label.arm or only_arm) for _, label in parts]
    for column in Label._fields:
        table = table.append_column(column, pa.array([getattr(label, column) for label in labels]).take(part))
    return table


def _read(finished: FinishedRun, table: results.Table) -> pa.Table:
    """Rows of a run's file; the table as a whole is validated once it is gathered."""
    path = finished.folder / f"{table.name}.parquet"
    try:
        content = read_bytes(path)
        if hashlib.sha256(content).hexdigest() != finished.digests.get(table.name):
            raise DamagedResult(finished.run, path)
        rows = pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)
        if set(rows.column("run").unique().to_pylist()) - {finished.run.id}:
            raise DamagedResult(finished.run, path)
        if rows.schema.equals(table.schema):
            return rows
    except (OSError, pa.ArrowInvalid) as error:
        raise DamagedResult(finished.run, path) from error
    return pa.Table.from_pandas(results.read_table(path, table), table.schema)  # raises, naming what is wrong


def _grouped(frame: pd.DataFrame, tasks: dict[str, Task]) -> pd.DataFrame:
    """The study's groups of today, whatever they were when the rows were written."""
    return frame.assign(group=frame["task"].map({name: task.group for name, task in tasks.items()}).astype("str"))
