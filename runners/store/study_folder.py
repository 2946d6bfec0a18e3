"""The output folder of a study: where each file of it lies, and the files that say what it is.

study.json           name, settings and digests: what this folder belongs to
study.yaml           the study file as it was given
plan.json            every run of the study
found.json           the partition that the grid has found, where the study asks for one
threads.json         threads of each run
looks.json           the looks that decide how many seeds are trained, if they do; verdicts_seen.json: when plain ones
                     were read
prepared/            the case table and the tasks, as workers read them
split.*, folds.csv   the one split, or the folds; splits_final.json is their nnU-Net form
data/, cache/        phantoms, if the study has no data of its own; decoded images
floor/, runs/        the trivial predictors; one folder per run
slurm/               job scripts, orders and logs
scores.parquet ...   the tables of aggregation_lab.results, gathered from the finished runs
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aggregation_lab.errors import DataError, StudyError
from aggregation_lab.storage.sealed_json import read_sealed, write_sealed
from runners.planning.plan import PlannedRun
from runners.planning.study_schema import Study
from runners.store.folder_lock import COLLECTING, PREPARING, locked
from runners.store.found_partition import FoundPartition, read_found
from runners.store.identity import Identity, read_identity
from runners.store.run_store import RunStore

if TYPE_CHECKING:
    from aggregation_lab.data.splits.folds import Folds

MOST_THREADS = 4096


@dataclass(frozen=True)
class StudyFolder:
    """The output folder at `path`."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def runs(self) -> RunStore:
        return RunStore(self.path / "runs")

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def cache(self) -> Path:
        return self.path / "cache"

    @property
    def prepared(self) -> Path:
        return self.path / "prepared"

    @property
    def slurm(self) -> Path:
        return self.path / "slurm"

    @property
    def _threads_file(self) -> Path:
        return self.path / "threads.json"

    @property
    def plan_file(self) -> Path:
        return self.path / "plan.json"

    @property
    def identity_file(self) -> Path:
        return self.path / "study.json"

    @property
    def found_file(self) -> Path:
        return self.path / "found.json"

    @property
    def looks_file(self) -> Path:
        return self.path / "looks.json"

    @property
    def seen_file(self) -> Path:
        return self.path / "verdicts_seen.json"

    def table(self, name: str) -> Path:
        """A table of aggregation_lab.results over all finished runs."""
        return self.path / f"{name}.parquet"

    def preparing(self, waiting: Callable[[], None] = lambda: None) -> AbstractContextManager[None]:
        """The lock of what a grid does before and between runs. Raises as `locked` does."""
        return locked(self.path / PREPARING, waiting)

    def collecting(self) -> AbstractContextManager[None]:
        """The lock of the tables. Raises as `locked` does."""
        return locked(self.path / COLLECTING)

    def find_identity(self) -> Identity | None:
        """What the folder belongs to; None where it is new. Raises `StudyError` where study.json is damaged."""
        return read_identity(self.identity_file)

    def read_identity(self) -> Identity:
        """What the folder belongs to. Raises `StudyError` where it is no output of a study."""
        identity = self.find_identity()
        if identity is None:
            raise StudyError(f"{self}: is not the output of a study (it has no study.json); give the folder of --out")
        return identity

    def read_study(self) -> Study:
        """The study that the folder was made for. Raises `StudyError` where there is none."""
        return self.read_identity().study

    def read_plan(self) -> list[PlannedRun]:
        """The runs of the study. Raises `StudyError` where there is no plan yet, or none that can be read."""
        self.read_identity()
        try:
            return [PlannedRun.from_json(value) for value in read_sealed(self.plan_file)["runs"]]
        except FileNotFoundError as error:
            raise StudyError(
                f"{self}: is not planned yet; `agglab run-grid` is preparing it, or was stopped: run it again"
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StudyError(f"{self.plan_file}: cannot be read; `agglab run-grid` writes it again") from error

    def write_plan(self, runs: list[PlannedRun]) -> None:
        write_sealed(self.plan_file, {"runs": [run.to_json() for run in runs]})

    def find_found(self, study: Study) -> FoundPartition | None:
        """The partition that was found for a study that seeks one; None where none was. Raises `StudyError`."""
        return read_found(self.found_file) if study.seeks_found else None

    def read_folds(self) -> "Folds":
        """The splits that the finished runs were made with. Raises `StudyError` where they are not there."""
        from aggregation_lab.data.splits.fold_files import load_folds, split_file

        identity = self.read_identity()
        file = split_file(self.path, identity.study.data.folds)
        try:
            folds = load_folds(file, identity.study.data.folds)
        except DataError as error:
            raise cannot_be_used(file, error) from error
        if identity.split not in (None, folds.digest):
            raise cannot_be_used(file, ValueError("it is not the split of the study"))
        return folds

    def fixed_threads(self, threads: int) -> int:
        """Threads of each run of this folder: `threads` at the first call, and the same number at every later one.

        The number of threads changes the order of sums and so the last bits of a score, which must not depend on how
        many runs were left when a run was resumed.
        """
        known = self.known_threads()
        if known is None:
            write_sealed(self._threads_file, {"threads": threads})
        return known or threads

    def known_threads(self) -> int | None:
        """Threads of each run of this folder; None before the first call of `fixed_threads`."""
        file = self._threads_file
        try:
            fixed = read_sealed(file, required=False).get("threads")
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            fixed = None
        if not isinstance(fixed, int) or not 1 <= fixed <= MOST_THREADS:
            raise StudyError(
                f'{file}: is damaged; write {{"threads": N}} into it, with the threads of each run that is finished, '
                "or delete it where none is"
            )
        return fixed


def cannot_be_used(file: Path, error: Exception) -> StudyError:
    """The error to raise for a file of the folder that every `run-grid` writes."""
    reason = (error.strerror if isinstance(error, OSError) else None) or error
    return StudyError(f"{file}: cannot be used ({reason}); the same run-grid command writes it again")
