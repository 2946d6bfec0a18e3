"""Growth with the number of finished runs, of tasks and of images, on studies whose data and runs are made up."""

import csv
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

from aggregation_lab import results
from aggregation_lab.files import file_digest, write_json
from aggregation_lab.run import DONE, SPEC
from aggregation_lab.storage.sealed_json import write_sealed
from runners.bench.measuring import MIB, Cell, Table, measure, measure_module
from runners.bench.setting import AGGLAB, ENCODER, Setting
from runners.planning.plan import PlannedRun, RunKey
from runners.planning.study_file import read_study_file
from runners.store.collect import collect
from runners.store.floor_tables import floor_file
from runners.store.prepare import prepare
from runners.store.study_folder import StudyFolder

TASKS, IMAGES, RUNS_PER_SEED = 7, 64, 10
"""Seven tasks in two groups: seven units of TS, two of CG and one of AU are ten runs for each seed."""
TASKS_PER_GROUP = 4
BLOCKS, EXPERTS, CURVE = 6, 4, 3


def growth(setting: Setting) -> Table:
    """One row for each number of runs, and how the last step grows: the exponent of time or memory in their number."""
    rows = [_with_runs(seeds, setting.scratch) for seeds in setting.growth_seeds]
    note = (
        f"Made-up finished runs of {TASKS} classification tasks with {IMAGES} images each: tables of the real schema, "
        "no training. `status` and `plan` are commands, their start and imports included; collecting reads the five "
        "tables of every run and writes those of the study, in a process that has its imports behind it. Goals: below "
        "2 s at 1,000 runs, exponents of at most 1."
    )
    columns = ("runs", "status s", "status MiB", "plan s", "plan MiB", "collecting s", "collecting MiB")
    return Table("Growth with runs", columns, (*rows, exponents(rows)), note)


def more_data(setting: Setting) -> Table:
    """One row for each size: first more tasks, then more images of the same tasks, each with its exponents."""
    rows: list[tuple[Cell, ...]] = []
    for sizes in setting.data_sizes:
        measured = [_with_data(tasks, images, setting.scratch) for tasks, images in sizes]
        label, *grown = exponents([(row[0], *row[3:]) for row in measured])
        rows += [*measured, (label, "", "", *grown)]
    note = (
        "Made-up classification tasks under TS, CG and AU with one seed. Preparing is scan, near-duplicates, split, "
        "cache, floor and plan from nothing; `plan` is the command on what is prepared, its start included. Exponents "
        "of the last step in the number of images: at most 1 is linear or better."
    )
    columns = ("images", "tasks", "runs", "preparing s", "preparing MiB", "plan s", "plan MiB")
    return Table("Growth with tasks and images", columns, tuple(rows), note)


def exponents(rows: list[tuple[Cell, ...]]) -> tuple[Cell, ...]:
    """log(ratio of a column) / log(ratio of the first one) over the last two rows; 1 is linear growth."""
    before, after = ([float(cell) for cell in row] for row in rows[-2:])
    base = math.log(after[0] / before[0])
    return ("exponent", *(math.log(one / other) / base for one, other in zip(after[1:], before[1:], strict=True)))


@contextmanager
def _made_study(scratch: Path, tasks: int, images: int, seeds: int) -> Iterator[tuple[Path, Path]]:
    """Study file and output folder of a made-up study, removed at the end."""
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        yield write_study(Path(name), tasks=tasks, images=images, seeds=seeds), Path(name) / "out"


def _with_runs(seeds: int, scratch: Path) -> tuple[Cell, ...]:
    with _made_study(scratch, TASKS, IMAGES, seeds) as (file, out):
        runs = make_up(file, out)
        assert len(runs) == RUNS_PER_SEED * seeds
        status = measure([*AGGLAB, "status", str(out)], file.with_suffix(".log"))
        plan = measure([*AGGLAB, "plan", str(file), "--out", str(out)], file.with_suffix(".log"))
        seconds, collecting = measure_module(__name__, "collect", file, out, scratch=file.parent)
        memory = [measured.memory / MIB for measured in (status, plan, collecting)]
        return (len(runs), status.seconds, memory[0], plan.seconds, memory[1], seconds, memory[2])


def _with_data(tasks: int, images: int, scratch: Path) -> tuple[Cell, ...]:
    with _made_study(scratch, tasks, images, seeds=1) as (file, out):
        seconds, preparing = measure_module(__name__, "prepare", file, out, scratch=file.parent)
        plan = measure([*AGGLAB, "plan", str(file), "--out", str(out)], file.with_suffix(".log"))
        counts = (tasks * images, tasks, len(StudyFolder(out).read_plan()))
        return (*counts, seconds, preparing.memory / MIB, plan.seconds, plan.memory / MIB)


def write_study(folder: Path, *, tasks: int, images: int, seeds: int) -> Path:
    """Classification tasks on smooth noise, `images` each, one subject per image, and a study of them under TS, CG and
    AU; returns the study file."""
    names = [f"task_{number:02d}" for number in range(tasks)]
    random, train = np.random.default_rng(0), folder / "data" / "train"
    (train / "csv_files").mkdir(parents=True)
    for name in names:
        (train / name).mkdir()
        with open(train / "csv_files" / f"{name}.csv", "w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["task_id", "task_name", "num_classes", "image_path", "mask"])
            for number in range(images):
                coarse = Image.fromarray(random.integers(0, 256, (8, 8), np.uint8))
                coarse.resize((64, 64), Image.Resampling.BICUBIC).save(train / name / f"{number}.png")
                writer.writerow([name, "classification", 2, f"../{name}/{number}.png", number % 2])
    study = {
        "name": "growth",
        "data": {
            "root": str(folder / "data"),
            "groups": {name: f"group_{index // TASKS_PER_GROUP}" for index, name in enumerate(names)},
        },
        "seeds": seeds,
        "budget": "smoke",
        "model": {"encoder": ENCODER},
        "training": {"image_size": 32},
    }
    file = folder / "growth.yaml"
    file.write_text(yaml.safe_dump(study))
    return file


def make_up(file: Path, out: Path) -> list[PlannedRun]:
    """Prepare the study in `out` and give every run its tables: of the real schema, with the scores of the floor."""
    study, folder = read_study_file(file), StudyFolder(out)
    runs = prepare(study, file, folder, lambda what, done, total: None).runs
    folders = folder.runs.folders(runs)
    floors = {
        name: results.read_table(floor_file(folder, study.training.image_size, 1.0, name), results.TABLES[name])
        for name in ("scores", "cases")
    }
    of_unit: dict[RunKey, dict[str, pa.Table]] = {}
    for run in runs:
        unit = (run.key[0], run.spec.fraction, 0, ())
        if unit not in of_unit:
            of_unit[unit] = _unit_tables(run, floors)
        _write_run(run, folders[run.id], of_unit[unit])
    return runs


def _unit_tables(run: PlannedRun, floors: dict[str, pd.DataFrame]) -> dict[str, pa.Table]:
    """What a finished run of this unit leaves, checked against the schema of a run's tables."""
    tasks = {task.name: str(task.type) for task in run.spec.tasks}
    labels: dict[str, Any] = {"run": run.id, "fraction": run.spec.fraction, "seed": run.spec.seed}
    frames = {name: floor[floor["task"].isin(list(tasks))].assign(**labels) for name, floor in floors.items()}
    per_task = pd.DataFrame({"task": list(tasks), "type": list(tasks.values())})
    steps = pd.DataFrame({"step": np.arange(1, CURVE + 1), "images_seen": np.arange(1, CURVE + 1)})
    frames["curves"] = per_task.merge(steps, "cross").assign(**labels, loss=1.0, score=0.5, still_improving=False)
    gates = pd.DataFrame(
        {"block": np.repeat(np.arange(BLOCKS), EXPERTS), "expert": np.tile(np.arange(EXPERTS), BLOCKS)}
    )
    frames["routing"] = per_task.merge(gates, "cross").assign(**labels, share=1 / EXPERTS)
    ledger = {
        "tasks": "+".join(tasks), "steps": run.steps, "images_seen": run.images, "passes": run.passes,
        "flops": run.flops, "parameters": 1, "seconds": 1.0, "train_seconds": 1.0, "peak_memory": 1.0,
        "converged": True, "device": "cpu", "precision": "fp32", "versions": "", "started": "", "resumes": 0,
    }  # fmt: skip
    frames["runs"] = pd.DataFrame([labels | ledger])
    return {
        name: results.validate(frames[name][[column.name for column in table.columns]], table)
        for name, table in results.RUN_TABLES.items()
    }


def _write_run(run: PlannedRun, folder: Path, tables: dict[str, pa.Table]) -> None:
    """A finished run's folder: the tables of its unit under its own id and seed."""
    write_json(folder / SPEC, run.spec.to_json())
    for name, table in tables.items():
        for column, value in (("run", run.id), ("seed", run.spec.seed)):
            index = table.schema.get_field_index(column)
            table = table.set_column(index, table.schema.field(index), pa.repeat(value, table.num_rows))
        pq.write_table(table, folder / f"{name}.parquet")
    digests = {name: file_digest(folder / f"{name}.parquet") for name in tables}
    write_sealed(folder / DONE, {"run": run.id, "seconds": 1.0, "images_seen": run.images, "digests": digests})


def main(result: str, work: str, study_file: str, out: str) -> None:
    """Write the seconds of `collect` or `prepare` to `result`, without the imports that they share with a grid."""
    import aggregation_lab.data.cache
    import aggregation_lab.data.splits
    import aggregation_lab.floor  # noqa: F401  # imported here, so that `prepare` finds it

    file, folder = Path(study_file), StudyFolder(Path(out))
    start = time.perf_counter()
    if work == "collect":
        collect(folder)
    else:
        prepare(read_study_file(file), file, folder, lambda what, done, total: None)
    write_json(Path(result), time.perf_counter() - start)


if __name__ == "__main__":
    main(*sys.argv[1:])
