"""Gather the tables of finished runs, labelled with every aggregation they count in, into the tables of the study."""

import hashlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from aggregation_lab import __version__, results
from aggregation_lab.data.sharing import sharing
from aggregation_lab.errors import AgglabError, StudyError
from aggregation_lab.files import sweep, write_text
from aggregation_lab.manifest import MANIFEST, Manifest
from aggregation_lab.tasks import Task
from runners.output import COLLECTING, locked, read_case_tables, read_identity, read_study, read_tasks
from runners.plan import PlannedRun
from runners.prepare import floor_file
from runners.store import RunStore, State, written_digest


class DamagedResult(AgglabError):
    """A table of a finished run is not what the run wrote; the run has to be repeated."""

    def __init__(self, run: PlannedRun, path: Path):
        super().__init__(f"{path}: is damaged; the same run-grid command sets it aside and repeats its run")
        self.run, self.path = run, path


def collect(out: Path, runs: Sequence[PlannedRun], names: Sequence[str] = tuple(results.TABLES)) -> None:
    """Write the tables of `out` from its finished runs and the floor, and the manifest of what they do not hold.

    Each file replaces its predecessor at once. Grids that share the folder collect one after the other, so that the
    last one's tables hold the runs of all. Raises `DamagedResult`.
    """
    with locked(out, COLLECTING):
        sweep(out, ("*.parquet", "scores.csv", MANIFEST))
        for name in names:
            frame = gather(out, runs, name)
            results.write_table(frame, results.TABLES[name], out / f"{name}.parquet")
            if name == "scores":
                write_text(out / "scores.csv", frame.to_csv(index=False))
        manifest(out, runs).write(out)


def manifest(out: Path, runs: Sequence[PlannedRun]) -> Manifest:
    """What the analysis must know of the study beside its tables; no path of this machine."""
    identity = read_identity(out)
    if identity is None:
        raise StudyError(f"{out}: is not the output of a study (it has no study.json); give the folder of --out")
    settings = identity.study.model_dump(
        mode="json", exclude={"margins": True, "slurm": True, "data": {"root", "split"}}
    )
    states = RunStore(out).present(runs)
    return Manifest(
        study=identity.study.name,
        margins={name: identity.study.margin(task) for name, task in read_tasks(out).items()},
        settings=settings,
        version=__version__,
        dataset=identity.dataset,
        split=identity.split,
        leakage=sharing(*read_case_tables(out)),
        planned=len(runs),
        finished=sum(status.state is State.DONE for status in states.values()),
    )


def gather(out: Path, runs: Sequence[PlannedRun], name: str) -> pd.DataFrame:
    """One table over all finished runs of the plan. Raises `DamagedResult` naming a run's damaged file."""
    table, store, tasks = results.TABLES[name], RunStore(out), read_tasks(out)
    states, folders = store.present(runs), store.folders(runs)
    parts = []
    for run in runs:
        if states[run.id].state is not State.DONE:
            continue
        rows = _read(run, folders[run.id] / f"{name}.parquet", results.RUN_TABLES[name])
        for label in run.labels:
            labelled = rows
            for column, value in zip(("aggregation", "unit"), label, strict=True):
                labelled = labelled.append_column(column, pa.repeat(value, rows.num_rows))
            parts.append(labelled)
    frames = [pa.concat_tables(parts).to_pandas()] if parts else []
    if name in ("scores", "cases"):
        study = read_study(out)
        frames += [results.read_table(floor_file(out, study, share, name), table) for share in study.fractions]
    return results.append([_grouped(frame, tasks) if _has_group(table) else frame for frame in frames], table)


def _read(run: PlannedRun, path: Path, table: results.Table) -> pa.Table:
    """Rows of a run's file; the table as a whole is validated once it is gathered."""
    try:
        content = path.read_bytes()
        written = written_digest(path.parent, table.name)
        if written is not None and hashlib.sha256(content).hexdigest() != written:
            raise DamagedResult(run, path)
        rows = pq.ParquetFile(BytesIO(content)).read(use_threads=False)
        if rows.schema.equals(table.schema):
            return rows.replace_schema_metadata()
    except (OSError, pa.ArrowInvalid) as error:
        raise DamagedResult(run, path) from error
    return pa.Table.from_pandas(results.read_table(path, table), table.schema)  # raises, naming what is wrong


def _has_group(table: results.Table) -> bool:
    return any(column.name == "group" for column in table.columns)


def _grouped(frame: pd.DataFrame, tasks: dict[str, Task]) -> pd.DataFrame:
    """The study's groups of today, whatever they were when the rows were written."""
    return frame.assign(group=frame["task"].map({name: task.group for name, task in tasks.items()}).astype("str"))
