"""What lies in a study's output folder beside its score tables: where its images are, and what its runs predicted.

No torch here: pictures of cases are made from this.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from aggregation_lab.data.images.decode import decode_image
from aggregation_lab.data.images.deep_levels import Levels
from aggregation_lab.data.prepared_files import TASKS, read_prepared_table, read_root_and_tasks
from aggregation_lab.data.rows.layout import find_train_folder
from aggregation_lab.errors import DataError, ResultsError
from aggregation_lab.files import read_bytes
from aggregation_lab.kept.digests import TRAIN_AGAIN, kept_digests
from aggregation_lab.kept.predictions import RunPredictions, read_predictions
from aggregation_lab.run import PREDICTIONS, run_folders
from aggregation_lab.scoring import reference_of
from aggregation_lab.tasks import Task
from aggregation_lab.text import listed

_NAMED = 3


@dataclass(frozen=True, eq=False)
class StudyImages:
    """The images of a study with their targets, and the predictions that its runs have kept.

    `cases` is the case table by case; `root` the data folder.
    """

    folder: Path
    root: Path
    tasks: Mapping[str, Task]
    cases: pd.DataFrame
    _read: dict[str, RunPredictions | None] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, folder: Path, dataset: str | None, data: Path | None = None) -> "StudyImages":
        """Those of an output folder; `dataset` is the digest of its data set, `data` where its images lie now if they
        were moved. Raises `ResultsError` where the folder does not say which images its cases are."""
        prepared = folder / "prepared"
        try:
            root, tasks = read_root_and_tasks(prepared, dataset)
            cases = read_prepared_table(prepared, "cases", dataset)
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or error
            raise ResultsError(
                f"{prepared / TASKS}: cannot be used ({reason}); the same run-grid command writes it again"
            ) from error
        root = root if data is None else find_train_folder(data) or data
        return cls(folder, root, tasks, cases.set_index("case", drop=False))

    @cached_property
    def _folders(self) -> dict[str, Path]:
        return run_folders(self.folder / "runs")

    def row(self, case: str) -> Any:
        """The row of the case table, by attributes. Raises `ResultsError` where there is none."""
        if case not in self.cases.index:
            raise ResultsError(f"{self.folder}: {case} is no case of its data set; collect the study again")
        return next(self.cases.loc[[case]].itertuples(index=False))

    def image(self, case: str) -> Image.Image:
        """The decoded image, L or RGB, of its original size. Raises `DataError` where it has changed or is gone."""
        row = self.row(case)
        path, (digest, _, levels) = self.root / row.image, row.content.partition("@")
        try:
            data = read_bytes(path)
        except OSError as error:
            raise _no_image(path, f"cannot be read ({error.strerror or error})") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise _no_image(path, "has changed since the study was run")
        return decode_image(data, Levels.parse(levels))

    def truth(self, task: Task, case: str) -> np.ndarray:
        """The target as a prediction would be, see `TaskType.in_pixels`. Raises as `image` does."""
        row = self.row(case)
        try:
            return task.type.truth(reference_of(row, self.root), task.classes)
        except OSError as error:
            raise _no_image(self.root / row.mask, f"cannot be read ({error.strerror or error})") from error

    def prediction(self, task: Task, case: str, run: str) -> np.ndarray | None:
        """What a run predicted, in pixels of the original image; None where it has kept no predictions.

        Raises `ResultsError` naming a file that is damaged, or where the run is not here any more.
        """
        if run not in self._read:
            self._read[run] = read_predictions(self._folder_of(run), run)
        kept = self._read[run]
        return None if kept is None else kept.of(task, case)

    def without_predictions(self, runs: Iterable[str]) -> list[str]:
        """The runs, by id, that have kept none."""
        return [run for run in dict.fromkeys(runs) if PREDICTIONS not in kept_digests(self._folder_of(run))]

    def _folder_of(self, run: str) -> Path:
        if run not in self._folders:
            raise ResultsError(f"{self.folder / 'runs'}: has no folder of run {run}; collect the study again")
        return self._folders[run]


def none_kept(runs: Iterable[str]) -> str:
    """One line: which runs have kept no predictions, and how to get them."""
    missing = sorted(runs)
    runs_have = "run has" if len(missing) == 1 else "runs have"
    return f"{len(missing)} {runs_have} kept no predictions ({listed(missing, _NAMED)}); {TRAIN_AGAIN}"


def _no_image(path: Path, reason: str) -> DataError:
    moved = "say where the images lie now (--data of `agglab report` and `agglab gallery`)"
    return DataError(f"{path}: {reason}; restore it, or {moved}")
