"""MedMNIST: an npz file with train_images, train_labels and the same of val and test.

Format: https://medmnist.com; images N x H x W or N x H x W x 3 of 8 bits, labels N x 1.
"""

import zipfile
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.records import Picture, ReadTask, Record, Report
from aggregation_lab.data.importing.source_files import need_file, source_name
from aggregation_lab.data.importing.targets import Label
from aggregation_lab.errors import DataError
from aggregation_lab.files import open_file
from aggregation_lab.tasks import TaskType

_PARTS = ("train", "val", "test")


def read(source: Path, options: ImportOptions, report: Report, progress: object) -> list[ReadTask]:
    """One classification task of the three parts together: agglab draws one split."""
    need_file(source, "an npz file of MedMNIST")
    parts = _parts(source)
    records: list[Record] = []
    highest = 0
    for part, (images, labels) in parts.items():
        for number, (pixels, label) in enumerate(zip(images, labels, strict=True)):
            name = f"{part}_{number:06d}"
            picture = Picture(f"{part}_images[{number}]", name, load=partial(_image, pixels))
            if label < 0:
                report.skip(picture.where, f"its label is {label}; a label counts from 0")
                continue
            highest = max(highest, int(label))
            records.append(Record(picture, Label(int(label))))
    if len(parts) > 1:
        report.note_parts(list(parts))
    if highest < 1:
        raise DataError(f"{source}: has one class, a classification task takes two or more")
    return [ReadTask(source_name(source), TaskType.CLASSIFICATION, records, highest + 1)]


def _parts(source: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images and labels of each part. Raises `DataError` where the file is none of MedMNIST, or of several labels."""
    parts = {}
    try:
        with open_file(source) as stream, np.load(stream, allow_pickle=False) as arrays:
            for part in _PARTS:
                if f"{part}_images" in arrays:
                    parts[part] = _checked(source, part, arrays)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise DataError(f"{source}: is no npz file of plain arrays; download it again") from error
    if not parts:
        raise DataError(f"{source}: holds no train_images; give an npz file of MedMNIST")
    return parts


def _checked(source: Path, part: str, arrays: np.lib.npyio.NpzFile) -> tuple[np.ndarray, np.ndarray]:
    if f"{part}_labels" not in arrays:
        raise DataError(f"{source}: holds {part}_images without {part}_labels; download it again")
    images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
    if images.ndim == 4 and images.shape[-1] not in (1, 3):
        raise DataError(f"{source}: holds volumes of {' x '.join(map(str, images.shape[1:]))}; agglab takes 2D images")
    if images.ndim not in (3, 4) or images.dtype != np.uint8:
        raise DataError(f"{source}: {part}_images is {images.dtype} {images.shape}; it takes N x H x W (x 3) of 8 bits")
    if labels.ndim == 2 and labels.shape[1] > 1:
        raise DataError(f"{source}: has {labels.shape[1]} labels per image; a classification task takes one")
    if len(labels) != len(images):
        raise DataError(f"{source}: has {len(images)} {part}_images and {len(labels)} labels; give each its own")
    if labels.dtype.kind not in "iu":
        advice = "save them as whole numbers from 0, as np.int64"
        raise DataError(f"{source}: {part}_labels are {labels.dtype}, and classes count from 0; {advice}")
    return images, labels.reshape(-1)


def _image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(
        np.ascontiguousarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 and pixels.ndim == 3 else pixels)
    )
