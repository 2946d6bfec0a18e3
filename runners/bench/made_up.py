"""A study whose data and runs are made up in a moment: its tables have the real schema, its scores are the floor's.

What `agglab` does with data and with finished runs can so be timed on thousands of them.
"""

import csv
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
from aggregation_lab.run import DONE
from aggregation_lab.storage.sealed_json import write_sealed
from runners.planning.plan import PlannedRun, RunKey
from runners.planning.study_file import read_study_file
from runners.store.floor_tables import floor_file
from runners.store.prepare import prepare
from runners.store.run_folder import SPEC
from runners.store.study_folder import StudyFolder

TASKS_PER_GROUP = 4
SIDE = 64
BLOCKS, EXPERTS, CURVE = 6, 4, 3

Tables = dict[str, pa.Table]


def write_data(folder: Path, tasks: int, images: int) -> list[str]:
    """Classification tasks on smooth noise, `images` each, one subject per image; returns their names."""
    random = np.random.default_rng(0)
    names = [f"task_{number:02d}" for number in range(tasks)]
    tables = folder / "train" / "csv_files"
    tables.mkdir(parents=True)
    for name in names:
        place = folder / "train" / name
        place.mkdir()
        with open(tables / f"{name}.csv", "w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["task_id", "task_name", "num_classes", "image_path", "mask"])
            for number in range(images):
                coarse = Image.fromarray(random.integers(0, 256, (8, 8), np.uint8))
                coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(place / f"{number}.png")
                writer.writerow([name, "classification", 2, f"../{name}/{number}.png", number % 2])
    return names


def write_study(folder: Path, *, tasks: int, images: int, seeds: int) -> Path:
    """Data in `folder`/data and a study of them under TS, CG and AU; returns the study file."""
    names = write_data(folder / "data", tasks, images)
    study = {
        "name": "growth",
        "data": {
            "root": str(folder / "data"),
            "groups": {name: f"group_{place // TASKS_PER_GROUP}" for place, name in enumerate(names)},
        },
        "seeds": seeds,
        "budget": "smoke",
        "model": {"encoder": "vit_tiny_patch16_dinov3_qkvb"},
        "training": {"image_size": 32},
    }
    file = folder / "growth.yaml"
    file.write_text(yaml.safe_dump(study))
    return file


def make_up(file: Path, out: Path) -> list[PlannedRun]:
    """Prepare the study in `out` and give every run its tables."""
    study, folder = read_study_file(file), StudyFolder(out)
    runs = prepare(study, file, folder, lambda what, done, total: None).runs
    folders = folder.runs.folders(runs)
    floors = {
        name: results.read_table(floor_file(folder, study, 1.0, name), results.TABLES[name])
        for name in ("scores", "cases")
    }
    of_unit: dict[RunKey, Tables] = {}
    for run in runs:
        unit = (run.key[0], run.spec.fraction, 0)
        if unit not in of_unit:
            of_unit[unit] = unit_tables(run, floors)
        write_run(run, folders[run.id], of_unit[unit])
    return runs


def unit_tables(run: PlannedRun, floors: dict[str, pd.DataFrame]) -> Tables:
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
    frames["runs"] = pd.DataFrame([labels | _ledger(run)])
    return {
        name: results.validate(frames[name][[column.name for column in table.columns]], table)
        for name, table in results.RUN_TABLES.items()
    }


def write_run(run: PlannedRun, folder: Path, tables: Tables) -> None:
    """A finished run's folder: the tables of its unit under its own id and seed."""
    write_json(folder / SPEC, run.spec.to_json())
    for name, table in tables.items():
        for column, value in (("run", run.id), ("seed", run.spec.seed)):
            place = table.schema.get_field_index(column)
            table = table.set_column(place, table.schema.field(place), pa.repeat(value, table.num_rows))
        pq.write_table(table, folder / f"{name}.parquet")
    digests = {name: file_digest(folder / f"{name}.parquet") for name in tables}
    write_sealed(folder / DONE, {"run": run.id, "seconds": 1.0, "images_seen": run.images, "digests": digests})


def _ledger(run: PlannedRun) -> dict[str, Any]:
    return {
        "tasks": "+".join(task.name for task in run.spec.tasks),
        "steps": run.steps,
        "images_seen": run.images,
        "passes": run.passes,
        "flops": run.flops,
        "parameters": 1,
        "seconds": 1.0,
        "train_seconds": 1.0,
        "peak_memory": 1.0,
        "converged": True,
        "device": "cpu",
        "precision": "fp32",
        "versions": "",
        "started": "",
        "resumes": 0,
    }
