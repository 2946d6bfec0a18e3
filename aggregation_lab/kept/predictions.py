"""Test predictions of one run in pixels of the original images: a Parquet table, and a zip of class maps.

The table has a row per task and case, in the order in which they were scored: `values` holds box, points (x, y, x, y,
...) or probabilities, `mask` the name of the class map in the zip. A class map is a PNG whose palette indices are the
classes. `done.json` has the digests of both files, and is written after them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from aggregation_lab.data.images.masks import decode_mask
from aggregation_lab.errors import ResultsError
from aggregation_lab.files import write_atomic
from aggregation_lab.kept.digests import TRAIN_AGAIN, kept_digests, read_kept
from aggregation_lab.run import MASKS, PREDICTIONS
from aggregation_lab.storage.sealed_parquet import parsed, sealed
from aggregation_lab.tasks import Task

_SCHEMA = pa.schema(
    [("task", pa.string()), ("case", pa.string()), ("values", pa.list_(pa.float64())), ("mask", pa.string())]
)
_PALETTE = ((0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167))
"""Colours that viewers show classes in; those beyond begin again behind the background."""


@dataclass
class PredictionWriter:
    """Takes predictions while they are scored, then writes both files."""

    tasks: list[str] = field(default_factory=list)
    cases: list[str] = field(default_factory=list)
    values: list[list[float]] = field(default_factory=list)
    masks: list[bytes] = field(default_factory=list)

    def passing(self, task: Task, cases: Iterable[str], predictions: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The same predictions in pixels, one per case; each is kept as it passes."""
        for case, prediction in zip(cases, predictions, strict=True):
            self.tasks.append(task.name)
            self.cases.append(case)
            self.values.append([] if task.type.masked else prediction.ravel().tolist())
            self.masks.append(class_map_png(prediction, task.classes) if task.type.masked else b"")
            yield prediction

    def write(self, folder: Path, run: str) -> None:
        """Write the files of a run into its folder, each whole or not at all."""
        write_atomic(folder / PREDICTIONS, lambda stream: self.write_table(stream, run))
        write_atomic(folder / MASKS, self.write_masks)

    def write_table(self, stream: BinaryIO, run: str) -> None:
        """The Parquet file."""
        names = [_entry(row) if mask else "" for row, mask in enumerate(self.masks)]
        _write(pa.table([self.tasks, self.cases, self.values, names], schema=_SCHEMA), stream, run)

    def write_masks(self, stream: BinaryIO) -> None:
        """The zip file, empty where no task has class maps. Entries have no date: the same predictions give the same
        bytes."""
        with ZipFile(stream, "w", ZIP_STORED) as archive:
            for row, mask in enumerate(self.masks):
                if mask:
                    archive.writestr(ZipInfo(_entry(row)), mask)


def _entry(row: int) -> str:
    return f"{row:06d}.png"


def _write(table: pa.Table, stream: BinaryIO, run: str) -> None:
    pq.write_table(sealed(table, _label(run)), stream, compression="zstd")


def relabelled(content: bytes, run: str) -> bytes:
    """The bytes of a run's Parquet file as those of another run with the same predictions."""
    stream = BytesIO()
    _write(pq.read_table(BytesIO(content)).cast(_SCHEMA), stream, run)
    return stream.getvalue()


def _label(run: str) -> str:
    return f"predictions of {run}"


def class_map_png(class_map: np.ndarray, classes: int) -> bytes:
    """H x W class indices as a PNG of palette indices, with as few bits per pixel as the classes need."""
    image, stream = Image.fromarray(class_map), BytesIO()
    colours = [_PALETTE[0], *(_PALETTE[1 + index % (len(_PALETTE) - 1)] for index in range(classes - 1))]
    image.putpalette([level for colour in colours for level in colour])
    image.save(stream, "PNG", compress_level=9)
    return stream.getvalue()


@dataclass(frozen=True, eq=False)
class RunPredictions:
    """The kept predictions of one run, checked; class maps are decoded when they are asked for."""

    folder: Path
    rows: Mapping[tuple[str, str], tuple[list[float], str]]
    """Values, and name of the class map, by task and case, in the order in which they were scored."""
    archive: bytes

    @cached_property
    def _masks(self) -> ZipFile:
        return ZipFile(BytesIO(self.archive))

    def of(self, task: Task, case: str) -> np.ndarray:
        """The prediction in pixels of the original image, as it was scored.

        Raises `ResultsError` where the run has none of this case.
        """
        if (task.name, case) not in self.rows:
            raise ResultsError(f"{self.folder / PREDICTIONS}: has no prediction of {case} for {task.name}")
        values, mask = self.rows[task.name, case]
        if not task.type.masked:
            return np.array(values, float).reshape(task.type.pixel_shape)
        return np.asarray(decode_mask(self._masks.read(mask)))


def read_predictions(folder: Path, run: str) -> RunPredictions | None:
    """The kept predictions of the run in `folder`, checked against its done.json; None where it has kept none.

    Raises `ResultsError` naming the file that is gone or not what the run wrote.
    """
    if PREDICTIONS not in kept_digests(folder):
        return None
    content = read_kept(folder, PREDICTIONS)
    try:
        table = parsed(content, _label(run))
        columns = [table.column(name).to_pylist() for name in ("task", "case", "values", "mask")]
    except (ValueError, KeyError) as error:
        raise ResultsError(f"{folder / PREDICTIONS}: {error}; {TRAIN_AGAIN}") from error
    rows = {(task, case): (values, mask) for task, case, values, mask in zip(*columns, strict=True)}
    return RunPredictions(folder, rows, read_kept(folder, MASKS))
