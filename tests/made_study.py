"""A finished tiny study made in a second: really prepared, its run tables made up from the floor, not trained."""

from pathlib import Path

import pandas as pd

from aggregation_lab import results
from aggregation_lab.files import file_digest, write_json
from aggregation_lab.run import DONE, SPEC
from aggregation_lab.storage.sealed_json import write_sealed
from runners.planning.plan import PlannedRun
from runners.planning.study_file import read_study_file
from runners.planning.study_schema import Study
from runners.store.collect import collect
from runners.store.floor_tables import floor_file
from runners.store.prepare import prepare
from runners.store.study_folder import StudyFolder
from tests.tiny import write_study


def make_finished(folder: Path, data: Path, /, **changes: object) -> Path:
    """`folder`/out with six finished runs and collected tables; `folder`/study.yaml is its study, with `changes`."""
    file, out = write_study(folder / "study.yaml", **changes), StudyFolder(folder / "out")
    study = read_study_file(file, data=data)
    prepare(study, file, out, lambda *_: None)
    out.fixed_threads(1)
    runs = out.read_plan()
    for run in runs:
        finish(out.path, study, run)
    collect(out)
    return out.path


def finish(out: Path, study: Study, run: PlannedRun) -> Path:
    """Write the results of a run as if it had been trained. Returns its folder."""
    folder, frames = StudyFolder(out).runs.folder(run), made_up(out, study, run)
    for name, frame in frames.items():
        results.write_table(frame, results.RUN_TABLES[name], folder / f"{name}.parquet")
    write_json(folder / SPEC, run.spec.to_json())
    digests = {name: file_digest(folder / f"{name}.parquet") for name in frames}
    write_sealed(folder / DONE, {"run": run.id, "seconds": 2.0, "device": "cpu", "digests": digests})
    return folder


def made_up(out: Path, study: Study, run: PlannedRun) -> dict[str, pd.DataFrame]:
    """The tables of a run, with the floor's scores and cases as its own."""
    names = [task.name for task in run.spec.tasks]
    identity = {"run": run.id, "fraction": run.spec.fraction, "seed": run.spec.seed}
    frames = {}
    for name in ("scores", "cases"):
        file = floor_file(StudyFolder(out), run.spec.training.image_size, run.spec.fraction, name, run.fold)
        floor = results.read_table(file, results.TABLES[name])
        rows = floor[floor["task"].isin(names)].assign(**identity)
        frames[name] = rows[[column.name for column in results.RUN_TABLES[name].columns]]
    per_task = [{**identity, "task": task.name, "type": str(task.type)} for task in run.spec.tasks]
    curve = {"step": run.steps, "images_seen": run.images, "loss": 0.5, "score": 0.5, "still_improving": False}
    frames["curves"] = pd.DataFrame([{**row, **curve} for row in per_task])
    frames["routing"] = pd.DataFrame([{**row, "block": 6, "expert": 0, "share": 1.0} for row in per_task])
    ledger = {"steps": run.steps, "images_seen": run.images, "passes": 1.0, "flops": 1.0, "parameters": 1}
    measured = {"seconds": 2.0, "train_seconds": 1.0, "peak_memory": 1.0, "converged": True, "resumes": 0}
    setting = {"device": "cpu", "precision": "fp32", "versions": "none", "started": "2026-01-01T00:00:00Z"}
    frames["runs"] = pd.DataFrame([{**identity, "tasks": "+".join(names), **ledger, **measured, **setting}])
    return frames
