"""From a study to an output folder that workers can start from: data, split, cache, floor, plan."""

import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from aggregation_lab.files import write_text
from runners import cost, output
from runners.plan import PlannedRun, dataset_digest, plan_runs
from runners.study import PhantomSettings, Study

if TYPE_CHECKING:
    from aggregation_lab.data.challenge import Dataset
    from aggregation_lab.data.splits import Split

Progress = Callable[[str, int, int], None]

SCAN = "scan.parquet"


def prepare(study: Study, source: Path, out: Path, progress: Progress) -> list[PlannedRun]:
    """Bring `out` to where runs can start and return the plan; what is there already is checked and kept.

    `source` is the study file, kept as a copy. The caller holds the folder's lock. Raises `StudyError` where `out`
    belongs to another study, another data set or another split, and `DataError` where the data cannot be used.
    """
    from aggregation_lab.data.cache import open_cache

    output.check_owner(out, study)
    known = output.read_identity(out) or {"dataset": None, "split": None}
    if known["dataset"] is None:
        output.write_identity(out, study, dataset=None, split=None)
    dataset = read_data(study, out, output.cache_folder(out), progress)
    digest = dataset_digest(dataset)
    output.check_same(out, "data set", known["dataset"], digest)
    split = find_split(study, dataset, out, drawn=known["split"] is not None)
    output.check_same(out, "split", known["split"], split.digest)
    runs = plan_runs(study, dataset, split)
    split.save(out)
    cache = open_cache(dataset, study.training.image_size, output.cache_folder(out), progress)
    output.save_dataset(out, dataset)
    write_floor(study, dataset, split, cache, out, progress)
    write_text(out / "study.yaml", source.read_text(encoding="utf-8"))
    output.write_plan(out, runs)
    output.write_identity(out, study, dataset=digest, split=split.digest)
    return runs


def read_data(study: Study, out: Path, memory: Path, progress: Progress) -> "Dataset":
    """The study's data set; its phantoms are written to `out`/data first where it has no data of its own.

    `memory` is the folder in which the scan of the files is remembered.
    """
    from aggregation_lab.data.challenge import read_dataset

    root = study.data.root or out / "data"
    if study.data.root is None:
        make_phantoms(root, study.data.phantoms, progress)
    return read_dataset(
        root,
        tasks=study.data.tasks,
        groups=study.data.groups,
        subjects=study.data.subjects,
        scan_file=memory / SCAN,
        progress=progress,
    )


def make_phantoms(folder: Path, settings: PhantomSettings, progress: Progress) -> None:
    """Write phantoms into `folder`, or leave it as it is where it holds them.

    Raises `DataError` where it holds something else.
    """
    from aggregation_lab.data.phantoms import PhantomConfig, write_phantoms

    config = PhantomConfig(**settings.model_dump(exclude_none=True))
    write_phantoms(folder, config, partial(progress, "drawing phantoms"), workers=cost.cores())


def find_split(study: Study, dataset: "Dataset", out: Path, *, drawn: bool) -> "Split":
    """The split kept in `out` where one was drawn, else the study's split file, else a new one."""
    from aggregation_lab.data.splits import Split, draw_split

    if study.data.split is None and not drawn:
        return draw_split(dataset, shares=study.data.shares, seed=study.data.split_seed)
    return Split.load(study.data.split or out, dataset)


def write_floor(study: Study, dataset: "Dataset", split: "Split", cache, out: Path, progress: Progress) -> None:
    """Scores of the trivial predictors at every fraction, computed once."""
    from aggregation_lab import results
    from aggregation_lab.floor import floor_tables

    for index, fraction in enumerate(study.fractions):
        places = [floor_file(out, fraction, name) for name in ("scores", "cases")]
        if all(place.is_file() for place in places):
            continue
        progress("scoring the floor", index, len(study.fractions))
        scores, cases = floor_tables(dataset, split, fraction, cache)
        for frame, table, place in zip((scores, cases), (results.SCORES, results.CASES), places, strict=True):
            results.write_table(frame, table, place)


def floor_file(out: Path, fraction: float, table: str) -> Path:
    return out / "floor" / f"f{fraction:g}-{table}.parquet"


def plan_only(study: Study, out: Path, progress: Progress) -> list[PlannedRun]:
    """The plan that `prepare` would make, leaving no trace in `out`. Raises as `prepare` does."""
    output.check_owner(out, study)
    identity = output.read_identity(out) or {"split": None}
    with tempfile.TemporaryDirectory(prefix="agglab-plan-") as scratch:
        memory = Path(scratch)
        for remembered in output.cache_folder(out).glob("scan*.parquet"):
            shutil.copy(remembered, memory)
        dataset = read_data(study, out if (out / "data").is_dir() else memory, memory, progress)
        return plan_runs(study, dataset, find_split(study, dataset, out, drawn=identity["split"] is not None))
