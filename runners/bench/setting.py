"""What the parts of the benchmarks share: model, sizes, data, and one study, run by `agglab run-grid`."""

import csv
import re
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pandas as pd
import yaml

from aggregation_lab.data.phantoms import PhantomConfig, write_phantoms
from aggregation_lab.data.rows.csv_rows import CSV_FOLDER, read_rows
from aggregation_lab.data.rows.layout import find_train_folder
from aggregation_lab.data.rows.problems import Problems
from aggregation_lab.data.rows.row import Row
from aggregation_lab.errors import DataError
from aggregation_lab.results import RUNS, read_table
from runners.bench.measuring import Measured, measure
from runners.planning import cost
from runners.planning.study_file import find_study, read_study_file

AGGLAB = (sys.executable, "-m", "runners.cli")
ENCODER = "vit_tiny_patch16_dinov3_qkvb"
BATCH = 16
SHARE, PASSES = 0.15, 2.0
"""Share of the rows of --data, and passes over them, that keep the whole within ten minutes on two cores."""
FEWEST = 8
"""Rows that each class of a task keeps where it has them, so that every split gets some."""
MIN_STEPS, EVALUATIONS = 4, 3
"""As `budget: smoke`, since the study is cut down."""


@dataclass(frozen=True)
class Setting:
    """`scratch` is a folder for everything that is written; `data` None takes phantoms. `rounds` repeats each timing.

    `size`, `share` and `passes` say how large the study of the parts `peers`, `scoring`, `overhead` and
    `recipe` is. `folds`, `tasks` (empty: all), `out`, where results are kept, and `finished`, to show those alone,
    are of `recipe`, `hypothesis` and `grouping`; `worlds` counts the seeds of each planted world of the last two,
    from `first` on.
    `precision` is that of agglab's trainings, see `TrainingConfig`.
    `growth_seeds` times ten are the runs of `growth`, `data_sizes` the tasks and images per task of `more_data`,
    `analysis_size` the tasks, test cases in all and draws of `analysis`.
    """

    scratch: Path
    data: Path | None = None
    share: float = SHARE
    passes: float = PASSES
    size: int = 128
    rounds: int = 7
    precision: str = "auto"
    folds: int = 5
    tasks: tuple[str, ...] = ()
    out: Path | None = None
    finished: bool = False
    worlds: int = 10
    first: int = 0
    growth_seeds: tuple[int, ...] = (1, 10, 100)
    data_sizes: tuple[tuple[tuple[int, int], ...], ...] = (((3, 64), (9, 64), (27, 64)), ((9, 32), (9, 96), (9, 288)))
    analysis_size: tuple[int, int, int] = (27, 8000, 2000)

    @property
    def world_seeds(self) -> range:
        """The seeds of each planted world."""
        return range(self.first, self.first + self.worlds)

    @property
    def described(self) -> str:
        """The data, for people."""
        return "phantoms" if self.data is None else f"{self.data.name}, {self.share:.0%} of its rows"

    @cached_property
    def phantoms(self) -> Path:
        """A folder of phantoms, drawn on first use."""
        folder = self.scratch / "phantoms"
        write_phantoms(folder, PhantomConfig(scale=0.02), workers=cost.cores())
        return folder


def cut_down(data: Path, share: float, target: Path) -> Path:
    """Write into `target` the CSVs of `data` with `share` of the rows of each class, evenly spread; images are linked.

    Raises `DataError` where `data` is not in the challenge's layout.
    """
    train = find_train_folder(data)
    if train is None:
        raise DataError(f"{data}: has no {CSV_FOLDER}; give a folder in the challenge's layout")
    problems = Problems()
    rows = read_rows(train, problems)
    problems.raise_errors(data)
    folder = target / "train" / CSV_FOLDER
    folder.mkdir(parents=True)
    for path in train.iterdir():
        if path.name != CSV_FOLDER:
            (target / "train" / path.name).symlink_to(path.resolve())
    kept: dict[str, list[dict[str, str]]] = {}
    for row in _spread(rows, share):
        kept.setdefault(Path(row.file).name, []).append(row.cells)
    for name, cells in kept.items():
        with open(folder / name, "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(cells[0]))
            writer.writeheader()
            writer.writerows(cells)
    return target


def _spread(rows: Iterable[Row], share: float) -> list[Row]:
    """`share` of the rows of each task and class, at even distances."""
    keyed = [((row.cells["task_id"], row.cell("mask") or ""), row) for row in rows]
    sizes, seen, kept = Counter(key for key, _ in keyed), Counter[tuple[str, str]](), []
    for key, row in keyed:
        size, index = sizes[key], seen[key]
        wanted = min(size, max(FEWEST, round(share * size)))
        if (index + 1) * wanted // size > index * wanted // size:
            kept.append(row)
        seen[key] += 1
    return kept


@cache
def write_bench_study(setting: Setting) -> tuple[Path, Path]:
    """Study file and data folder: `us_mini` in small. `--data` is cut down, phantoms are taken as they are."""
    whole = setting.data
    data = setting.phantoms if whole is None else cut_down(whole, setting.share, setting.scratch / "data")
    shipped = read_study_file(find_study("us_mini"))
    tasks = {row.cells["task_id"] for row in read_rows(find_train_folder(data) or data, Problems())}
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
            "precision": setting.precision,
            "min_steps": MIN_STEPS,
            "evaluations": EVALUATIONS,
        },
    }
    file = setting.scratch / "bench.yaml"
    file.write_text(yaml.safe_dump(study))
    return file, data


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
def run_study(setting: Setting) -> StudyRun:
    """Run the study from nothing in a process of its own, once for all parts that need it."""
    file, data = write_bench_study(setting)
    out, log = setting.scratch / "agglab", setting.scratch / "agglab.log"
    measured = measure([*AGGLAB, "run-grid", str(file), "--data", str(data), "--out", str(out)], log)
    prepared = (out / "study.json").stat().st_mtime  # written last before the workers start
    # one row per run: a unit shared by two aggregations was trained once
    runs = read_table(out / "runs.parquet", RUNS).drop_duplicates("run")
    workers = re.search(r"(\d+) at a time", log.read_text())
    assert workers is not None
    return StudyRun(out, measured, prepared - measured.started, int(workers.group(1)), runs)
