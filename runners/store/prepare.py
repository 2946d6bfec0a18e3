"""From a study to an output folder that workers can start from: data, split, cache, floor, plan."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from aggregation_lab.data.progress import Progress
from aggregation_lab.errors import DataError, StudyError
from aggregation_lab.files import read_bytes, sweep, write_bytes
from aggregation_lab.text import printable
from runners.planning import cost
from runners.planning.data_digests import dataset_digest
from runners.planning.disk import prediction_bytes
from runners.planning.fold_words import fold_lines
from runners.planning.found_settings import alone
from runners.planning.plan import PlannedRun, plan_runs
from runners.planning.setting_notes import (
    checkpoint_lines,
    compares_groups,
    equal_fraction_lines,
    lost_lines,
    unknown_group_lines,
    unused_lines,
)
from runners.planning.study_schema import DataConfig, PhantomSettings, Study
from runners.store.claims import check_claims
from runners.store.floor_tables import write_floor
from runners.store.identity import Identity
from runners.store.ownership import check_data, check_owner, check_split
from runners.store.prepared_data import load_dataset, save_dataset
from runners.store.study_folder import StudyFolder

if TYPE_CHECKING:
    from aggregation_lab.data.challenge import Dataset
    from aggregation_lab.data.rows.problems import Problem
    from aggregation_lab.data.splits.folds import Folds

SCAN = "scan.parquet"
_WRITTEN = {
    ".": ("study.*", "plan.json", "found.json", "threads.json", "split*", "folds*", "claim*"),
    "prepared": ("*",),
    "floor": ("*",),
    "cache": ("scan*", "images*", "masks*"),
}
"""Files that only the holder of the folder's lock writes, by subfolder."""


@dataclass(frozen=True)
class PlannedStudy:
    """The runs of a study, what is less than wished in its data and their split, and what was put right."""

    runs: list[PlannedRun]
    warnings: tuple["Problem", ...]
    notes: tuple[str, ...] = ()
    predictions: Mapping[str, float] = field(default_factory=dict)
    """Bytes of the predictions that runs keep, by id, where they were asked for."""
    at_most: Sequence[PlannedRun] = ()
    """Where the units of `found` are not known yet: runs that take as much as those of any units, or more. A unit of
    several tasks takes no more steps than its tasks do alone, so these are the runs of one task each."""


def prepare(study: Study, source: Path, folder: StudyFolder, progress: Progress) -> PlannedStudy:
    """Bring `folder` to where runs can start and return the plan; what is there already is checked and kept.

    `source` is the study file, kept as a copy. The caller holds the lock `preparing`. Raises `StudyError` where
    `folder` belongs to another study, another data set or another split, `AgglabError` where no run could be claimed
    in it, and `DataError` where the data cannot be used.
    """
    from aggregation_lab.data.cache import open_cache
    from aggregation_lab.data.lost_classes import lost_classes

    check_owner(folder, study)
    check_claims(folder.path)
    for name, patterns in _WRITTEN.items():
        sweep(folder.path / name, patterns)
    known = folder.find_identity()
    if known is None or known.dataset is None:
        Identity(study).write(folder.identity_file)
    dataset = read_data(study, folder.data, folder.cache, progress)
    plan, folds = _plan(study, folder, dataset)
    folds.save(folder.path)
    caches = {size: open_cache(dataset, size, folder.cache, progress) for size in study.image_sizes}
    save_dataset(folder, dataset)
    write_floor(folder, study, dataset, folds, caches, progress)
    write_bytes(folder.path / "study.yaml", source.read_bytes())
    with folder.collecting():  # whoever writes tables sees the plan and the study that belong together
        folder.write_plan(plan.runs)
        Identity(study, dataset_digest(dataset), folds.digest).write(folder.identity_file)
    lost = [line for cache in caches.values() for line in lost_classes(dataset, cache)]
    return replace(plan, notes=(*plan.notes, *lost))


def plan_only(study: Study, folder: StudyFolder, progress: Progress) -> PlannedStudy:
    """The plan that `prepare` would make, leaving no trace in `folder`. Raises as `prepare` does."""
    check_owner(folder, study)
    with tempfile.TemporaryDirectory(prefix="agglab-plan-") as scratch:
        memory = Path(scratch)
        for remembered in folder.cache.glob("scan*.parquet"):
            with suppress(OSError):  # what cannot be read is not remembered
                (memory / remembered.name).write_bytes(read_bytes(remembered))
        dataset = read_data(study, folder.data if folder.data.is_dir() else memory / "data", memory, progress)
        plan, folds = _plan(study, folder, dataset)
        return replace(plan, predictions=prediction_bytes(plan.runs, dataset, folds))


def plan_again(folder: StudyFolder) -> list[PlannedRun]:
    """Write the plan of a prepared folder anew, from what lies there, and return it. The caller holds the lock
    `preparing`. Raises `StudyError` where something of it cannot be used."""
    study = folder.read_study()
    found = folder.find_found(study)
    runs = plan_runs(study, load_dataset(folder), folder.read_folds(), found.units if found else None)
    folder.write_plan(runs)
    return runs


def check_models(runs: Sequence[PlannedRun]) -> None:
    """Build every model of the runs once, before any worker does. Raises `ModelError` where one cannot be built."""
    from aggregation_lab.model.m2dino import build_m2dino

    tasks_of = {(run.spec.model, run.spec.training.image_size): run.spec.tasks[:1] for run in runs}
    for (model, image_size), tasks in tasks_of.items():
        build_m2dino(model, tasks, image_size=image_size)


def _plan(study: Study, folder: StudyFolder, dataset: "Dataset") -> tuple[PlannedStudy, "Folds"]:
    """The runs of the study on its data, and their splits. Raises `StudyError` where `folder` is of other ones."""
    known, notes = folder.find_identity() or Identity(study), tuple[str, ...]()
    check_data(folder, known, study.data, dataset)
    given = known.study.data.split
    if known.split is None or study.data.split is not None:
        folds = find_folds(study.data, dataset)
        check_split(folder, known.split, folds.digest)
    elif given is not None:  # the folder's split is kept only where the study now says how it came about
        folds = find_folds(study.data, dataset)
        if folds.digest != known.split:
            raise StudyError(
                f"{folder}: was made with the split of data.split {given}, and the study draws another one without it; "
                "put data.split back, or choose another --out"
            )
    else:
        folds, notes = _kept_folds(study.data, dataset, folder, known.split)
    found, warnings = folder.find_found(study), (*dataset.warnings, *folds.warnings)
    runs = plan_runs(study, dataset, folds, found.units if found else None)
    notes += (
        *fold_lines(study, folds, dataset),
        *equal_fraction_lines(study, folds, dataset),
        *(unknown_group_lines(study.data.groups, dataset) if compares_groups(study) else ()),
        *unused_lines(study),
        *lost_lines(study),
        *checkpoint_lines(study),
    )
    if study.seeks_found and found is None:
        at_most = [run for run in plan_runs(study, dataset, folds, alone(dataset.tasks)) if run.holds_found]
        return PlannedStudy(runs, warnings, notes, at_most=at_most), folds
    return PlannedStudy(runs, warnings, notes), folds


def _kept_folds(
    settings: DataConfig, dataset: "Dataset", folder: StudyFolder, digest: str
) -> tuple["Folds", tuple[str, ...]]:
    """The split, or folds, in `folder`; where it is lost or damaged, the same one drawn again, and a line that says so.

    Raises `StudyError` where it is lost and the data or their reading have changed so that another one is drawn.
    """
    from aggregation_lab.data.splits.fold_files import load_folds, split_file
    from aggregation_lab.data.splits.folds import draw_folds

    file = split_file(folder.path, settings.folds)
    try:
        folds = load_folds(file, settings.folds, dataset)
        if folds.digest == digest:
            return folds, ()
        fault = "is not the split that the runs so far were made with"
    except DataError as error:
        fault = str(error).splitlines()[0].removeprefix(f"{file}: ").partition(";")[0]
    again = draw_folds(dataset, settings.folds, shares=settings.shares, seed=settings.split_seed)
    if again.digest != digest:
        advice = "restore the file, or choose another --out"
        raise StudyError(f"{file}: {fault}, and drawing it again gives another split; {advice}")
    return again, (f"{file}: {fault}; drawn again, equal to the one that was there",)


def read_data(study: Study, phantoms: Path, memory: Path, progress: Progress) -> "Dataset":
    """The study's data set; its phantoms are written to the folder `phantoms` first where it has no data of its own.

    `memory` is the folder in which the scan of the files is remembered. Raises `DataError` where the data cannot be
    used, and `StudyError` where the study alone is at fault, because it names what they lack.
    """
    if study.data.root is None:
        make_phantoms(phantoms, study.data.phantoms, progress)
    with _faults_of_the_study():
        return read_folder(study.data.root or phantoms, study.data, progress, memory / SCAN)


def read_folder(root: Path, settings: DataConfig, progress: Progress, scan_file: Path | None = None) -> "Dataset":
    """The data folder `root` as the settings say that it is to be read. Raises `DataError`."""
    from aggregation_lab.data.challenge import read_dataset

    return read_dataset(
        root,
        tasks=settings.tasks,
        subset=settings.subset,
        groups=settings.groups,
        subjects=settings.subjects,
        laterality=settings.laterality,
        rules=settings,
        scan_file=scan_file,
        progress=progress,
    )


@contextmanager
def _faults_of_the_study() -> Iterator[None]:
    """Raise `StudyError` where nothing is wrong with the data but what the study says of them."""
    try:
        yield
    except DataError as error:
        faults = [problem for problem in error.problems if problem.level == "error"]
        if not faults or any(problem.file not in DataConfig.model_fields for problem in faults):
            raise
        lines = (f"data.{printable(f'{fault.file}.{fault.field}: {fault.message}', 1000)}" for fault in faults)
        raise StudyError("\n".join(lines)) from error


def make_phantoms(folder: Path, settings: PhantomSettings, progress: Progress) -> None:
    """Write phantoms into `folder`, or leave it as it is where it holds them.

    Raises `DataError` where it holds something else.
    """
    from aggregation_lab.data.phantoms import PhantomConfig, write_phantoms

    config = PhantomConfig(**settings.model_dump(exclude_none=True))
    write_phantoms(folder, config, partial(progress, "drawing phantoms"), workers=cost.cores())


def find_folds(settings: DataConfig, dataset: "Dataset") -> "Folds":
    """The study's split file, or folds of its file, else new ones."""
    from aggregation_lab.data.splits.fold_files import load_folds
    from aggregation_lab.data.splits.folds import draw_folds

    if settings.split is None:
        return draw_folds(dataset, settings.folds, shares=settings.shares, seed=settings.split_seed)
    return load_folds(settings.split, settings.folds, dataset, seed=settings.split_seed)
