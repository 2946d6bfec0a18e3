"""From a study to an output folder that workers can start from: data, split, cache, floor, plan."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from aggregation_lab.errors import DataError, ResultsError, StudyError
from aggregation_lab.files import read_bytes, sweep, write_atomic
from aggregation_lab.run import RECIPE
from aggregation_lab.tasks import Task
from aggregation_lab.text import printable
from runners.planning import cost
from runners.planning.plan import PlannedRun, dataset_digest, plan_runs
from runners.planning.study import DataConfig, PhantomSettings, Study
from runners.store import study_folder

if TYPE_CHECKING:
    from aggregation_lab.data.challenge import Dataset
    from aggregation_lab.data.rows.problems import Problem
    from aggregation_lab.data.splits.split import Split
    from aggregation_lab.results import Table

Progress = Callable[[str, int, int], None]

SCAN = "scan.parquet"
_WRITTEN = {
    ".": ("study.*", "plan.json", "threads.json", "split*"),
    "prepared": ("*",),
    "floor": ("*",),
    "cache": ("scan*", "images*", "masks*"),
}
"""Files that only the holder of the folder's lock writes, by subfolder."""


@dataclass(frozen=True)
class Plan:
    """The runs of a study, what is less than wished in its data and their split, and what was put right."""

    runs: list[PlannedRun]
    warnings: tuple["Problem", ...]
    notes: tuple[str, ...] = ()


def prepare(study: Study, source: Path, out: Path, progress: Progress) -> Plan:
    """Bring `out` to where runs can start and return the plan; what is there already is checked and kept.

    `source` is the study file, kept as a copy. The caller holds the folder's lock. Raises `StudyError` where `out`
    belongs to another study, another data set or another split, and `DataError` where the data cannot be used.
    """
    from aggregation_lab.data.cache import open_cache

    study_folder.check_owner(out, study)
    for folder, names in _WRITTEN.items():
        sweep(out / folder, names)
    known = study_folder.read_identity(out) or study_folder.Identity(study, None, None)
    if known.dataset is None:
        study_folder.write_identity(out, study, dataset=None, split=None)
    dataset = read_data(study, out, study_folder.cache_folder(out), progress)
    digest, split, notes = _checked(study, dataset, out, known)
    runs = plan_runs(study, dataset, split)
    split.save(out)
    cache = open_cache(dataset, study.training.image_size, study_folder.cache_folder(out), progress)
    study_folder.save_dataset(out, dataset)
    write_floor(study, dataset, split, cache, out, progress)
    write_atomic(out / "study.yaml", lambda stream: stream.write(source.read_bytes()))
    study_folder.write_plan(out, runs)
    study_folder.write_identity(out, study, dataset=digest, split=split.digest)
    return Plan(runs, (*dataset.warnings, *split.warnings), notes)


def check_model(study: Study, tasks: Sequence[Task]) -> None:
    """Build the model once, before any worker does. Raises `ModelError` where it cannot be built."""
    from aggregation_lab.model.m2dino import build_m2dino

    build_m2dino(study.model, tasks)


def _checked(
    study: Study, dataset: "Dataset", out: Path, known: study_folder.Identity
) -> tuple[str, "Split", tuple[str, ...]]:
    """Digest and split of the data, and what to tell of them. Raises `StudyError` where `out` was made from another
    data set or split."""
    digest = dataset_digest(dataset)
    study_folder.check_same(out, "data set", known.dataset, digest)
    if known.split is None or study.data.split is not None:
        split, notes = find_split(study.data, dataset), ()
        study_folder.check_same(out, "split", known.split, split.digest)
        return digest, split, notes
    return digest, *_kept_split(study.data, dataset, out, known.split)


def _kept_split(settings: DataConfig, dataset: "Dataset", out: Path, digest: str) -> tuple["Split", tuple[str, ...]]:
    """The split in `out`; where it is lost or damaged, the same one drawn again, and a line that says so.

    Raises `StudyError` where it is lost and the data or their reading have changed so that another one is drawn.
    """
    from aggregation_lab.data.splits.split import SPLIT_FILE, draw_split

    file = out / SPLIT_FILE
    try:
        split = find_split(settings, dataset, out)
        if split.digest == digest:
            return split, ()
        fault = "is not the split that the runs so far were made with"
    except DataError as error:
        fault = str(error).splitlines()[0].removeprefix(f"{file}: ").partition(";")[0]
    again = draw_split(dataset, shares=settings.shares, seed=settings.split_seed)
    if again.digest != digest:
        advice = "restore the file, or choose another --out"
        raise StudyError(f"{file}: {fault}, and drawing it again gives another split; {advice}")
    return again, (f"{file}: {fault}; drawn again, equal to the one that was there",)


def read_data(study: Study, out: Path, memory: Path, progress: Progress) -> "Dataset":
    """The study's data set; its phantoms are written to `out`/data first where it has no data of its own.

    `memory` is the folder in which the scan of the files is remembered. Raises `DataError` where the data cannot be
    used, and `StudyError` where the study alone is at fault, because it names what they lack.
    """
    root = study.data.root or out / "data"
    if study.data.root is None:
        make_phantoms(root, study.data.phantoms, progress)
    with _faults_of_the_study():
        return read_folder(root, study.data, progress, memory / SCAN)


def read_folder(root: Path, settings: DataConfig, progress: Progress, scan_file: Path | None = None) -> "Dataset":
    """The data set in `root`, read as the `data` section of a study says. Raises `DataError`."""
    from aggregation_lab.data.challenge import read_dataset

    return read_dataset(
        root,
        tasks=settings.tasks,
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


def find_split(settings: DataConfig, dataset: "Dataset", kept: Path | None = None) -> "Split":
    """The study's split file, else the split in the folder `kept` where one was drawn, else a new one."""
    from aggregation_lab.data.splits.split import Split, draw_split

    file = settings.split or kept
    if file is None:
        return draw_split(dataset, shares=settings.shares, seed=settings.split_seed)
    return Split.load(file, dataset)


def write_floor(study: Study, dataset: "Dataset", split: "Split", cache, out: Path, progress: Progress) -> None:
    """Scores of the trivial predictors at every fraction, computed once, and again where a table is damaged."""
    from aggregation_lab import results
    from aggregation_lab.floor import floor_tables

    label = floor_label(dataset_digest(dataset), split.digest)
    for index, fraction in enumerate(study.fractions):
        files = {table: floor_file(out, study, fraction, table.name) for table in (results.SCORES, results.CASES)}
        damaged = [file for table, file in files.items() if not _is_floor(file, table, label)]
        if not damaged:
            continue
        lost = f"{damaged[0]} is damaged or of other data, " if damaged[0].exists() else ""
        progress(f"{lost}scoring the floor", index, len(study.fractions))
        for frame, (table, file) in zip(floor_tables(dataset, split, fraction, cache), files.items(), strict=True):
            results.write_table(frame, table, file, label)


def _is_floor(file: Path, table: "Table", label: str) -> bool:
    from aggregation_lab import results

    try:
        results.read_table(file, table, label)
    except ResultsError:
        return False
    return True


def floor_label(dataset: str | None, split: str | None) -> str:
    """What the floor's tables say that they were made from: the digests of data set and split."""
    return f"floor of {dataset} split {split}"


def floor_file(out: Path, study: Study, fraction: float, table: str) -> Path:
    """Where the floor's rows lie; the name holds all that changes them within one folder."""
    return out / "floor" / f"f{fraction:g}-{study.training.image_size}px-recipe{RECIPE}-{table}.parquet"


def plan_only(study: Study, out: Path, progress: Progress) -> Plan:
    """The plan that `prepare` would make, leaving no trace in `out`. Raises as `prepare` does."""
    study_folder.check_owner(out, study)
    known = study_folder.read_identity(out) or study_folder.Identity(study, None, None)
    with tempfile.TemporaryDirectory(prefix="agglab-plan-") as scratch:
        memory = Path(scratch)
        for remembered in study_folder.cache_folder(out).glob("scan*.parquet"):
            with suppress(OSError):  # what cannot be read is not remembered
                (memory / remembered.name).write_bytes(read_bytes(remembered))
        dataset = read_data(study, out if (out / "data").is_dir() else memory, memory, progress)
        _, split, notes = _checked(study, dataset, out, known)
        return Plan(plan_runs(study, dataset, split), (*dataset.warnings, *split.warnings), notes)
