"""From a study to an output folder that workers can start from: data, split, cache, floor, plan."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from aggregation_lab.errors import StudyError
from aggregation_lab.files import write_text
from runners import output
from runners.plan import PlannedRun, dataset_digest, plan_runs
from runners.study import PhantomConfig, Study

if TYPE_CHECKING:
    from aggregation_lab.data.challenge import Dataset
    from aggregation_lab.data.splits import Split

Progress = Callable[[str, int, int], None]


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
    dataset = read_data(study, out, progress)
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


def read_data(study: Study, out: Path, progress: Progress) -> "Dataset":
    """The study's data set; its phantoms are written to OUT/data first where it has no data of its own."""
    from aggregation_lab.data.challenge import read_dataset

    root = study.data.root or out / "data"
    if study.data.root is None and not root.is_dir():
        make_phantoms(root, study.data.phantoms, progress)
    return read_dataset(
        root,
        tasks=study.data.tasks,
        groups=study.data.groups,
        subjects=study.data.subjects,
        scan_file=output.cache_folder(out) / "scan.parquet",
        progress=progress,
    )


def make_phantoms(folder: Path, config: PhantomConfig, progress: Progress) -> None:
    """Write phantoms into `folder`, which appears only when all of them are there."""
    from aggregation_lab.data.phantoms import write_phantoms

    unfinished = folder.with_name(f"{folder.name}.part")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        write_phantoms(
            unfinished,
            tasks=config.tasks,
            scale=config.scale,
            min_cases=config.min_cases,
            seed=config.seed,
            progress=progress,
        )
        os.replace(unfinished, folder)
    except OSError as error:
        raise StudyError(f"{folder}: cannot be written ({error.strerror or error}); choose another folder") from error


def find_split(study: Study, dataset: "Dataset", out: Path, *, drawn: bool) -> "Split":
    """The split kept in `out` where one was drawn, else the study's split file, else a new one."""
    from aggregation_lab.data.splits import Split, draw_split

    if study.data.split is None and not drawn:
        return draw_split(dataset, shares=study.data.shares, seed=study.data.split_seed)
    split = Split.load(study.data.split or out)
    missing = set(dataset.cases["case"]) - set(split.table["case"])
    if missing:
        place = study.data.split or out
        raise StudyError(f"{place}: the split lacks {len(missing)} cases, first {min(missing)}; draw it for this data")
    return split


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
