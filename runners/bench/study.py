"""The study of the benchmarks: `us_mini` in small, run by `agglab run-grid` as a user runs it."""

import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
import yaml

from aggregation_lab.data.rows.csv_rows import read_rows
from aggregation_lab.data.rows.layout import find_train_folder
from aggregation_lab.data.rows.problems import Findings
from aggregation_lab.results import RUNS, read_table
from runners.bench.process import Measured, measure
from runners.bench.setting import Setting
from runners.bench.subset import cut_down
from runners.planning.study_file import find_study, read_study_file

AGGLAB = (sys.executable, "-m", "runners.cli")
MIN_STEPS, EVALUATIONS = 4, 3
"""As `budget: smoke`, since the study is cut down."""


@dataclass(frozen=True)
class StudyRun:
    """A finished study in `out`: what it took, `preparation` seconds of it before the first worker started."""

    out: Path
    measured: Measured
    preparation: float
    workers: int
    runs: pd.DataFrame

    @property
    def grid_seconds(self) -> float:
        return self.measured.seconds - self.preparation

    @property
    def worker_seconds(self) -> float:
        """Time of the grid, counted once for each worker."""
        return self.grid_seconds * self.workers


@cache
def write_bench_study(setting: Setting) -> tuple[Path, Path]:
    """Data folder and study file in the scratch folder; `--data` is cut down, phantoms are taken as they are."""
    own = setting.data
    data = setting.phantoms if own is None else cut_down(own, setting.share, setting.scratch / "data")
    shipped = read_study_file(find_study("us_mini"))
    tasks = {row.cells["task_id"] for row in read_rows(find_train_folder(data) or data, Findings())}
    study = {
        "name": "bench",
        "data": {"groups": {task: group for task, group in shipped.data.groups.items() if task in tasks}},
        "aggregations": ["TS", "CG", "AU"],
        "model": shipped.model.model_dump(),
        "training": {
            "image_size": setting.size,
            "batch_size": shipped.training.batch_size,
            "learning_rate": shipped.training.learning_rate,
            "passes": setting.passes,
            "min_steps": MIN_STEPS,
            "evaluations": EVALUATIONS,
        },
    }
    file = setting.scratch / "bench.yaml"
    file.write_text(yaml.safe_dump(study))
    return file, data


@cache
def run_study(setting: Setting) -> StudyRun:
    """Run the study from nothing in a process of its own, once for all parts that need it."""
    file, data = write_bench_study(setting)
    out = setting.scratch / "agglab"
    command = [*AGGLAB, "run-grid", str(file), "--data", str(data), "--out", str(out)]
    log = setting.scratch / "agglab.log"
    measured = measure(command, log)
    prepared = (out / "study.json").stat().st_mtime  # written last before the workers start
    # one row per run: a unit shared by two aggregations was trained once
    runs = read_table(out / "runs.parquet", RUNS).drop_duplicates("run")
    workers = re.search(r"(\d+) at a time", log.read_text())
    assert workers is not None
    return StudyRun(out, measured, prepared - measured.started, int(workers.group(1)), runs)
