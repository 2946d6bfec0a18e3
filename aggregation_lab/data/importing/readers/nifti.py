"""NIfTI images and volumes: an image of one slice is a case, of a volume --slices says which slices are.

A slice lies in the plane of the first two axes, the first from left to right and the second from top to bottom, as the
array is stored (nnU-Net writes 2D images so); slices count along the third. Nothing is turned or resampled, so a mask
that lies elsewhere than its image, by the affines of both, is left out. Values are those of the file with its scale; of
8 or 16 bits where they fit, else floating point.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from PIL import Image

from aggregation_lab.data.images.foreign_formats import ENDINGS
from aggregation_lab.data.importing.files import LoadMap, Opened, Opener, as_subject
from aggregation_lab.data.importing.mask_values import Held, MaskValues
from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.pixels import as_image
from aggregation_lab.data.importing.readers.labelled import read_labelled
from aggregation_lab.data.importing.records import Picture, ReadTask, Report
from aggregation_lab.data.importing.source_files import without_ending
from aggregation_lab.data.progress import Progress
from aggregation_lab.text import printable


def read(source: Path, options: ImportOptions, report: Report, progress: Progress) -> list[ReadTask]:
    """One task, labelled by a table (its masks may be NIfTI too) or by a folder per class."""
    return read_labelled(source, options, report, progress, VolumeOpener(options, report))


class VolumeOpener(Opener):
    """Opens NIfTI files. The subject of slices is the volume, where nothing else tells it.

    `labelled` takes slices whose mask marks something, `largest` the one slice whose mask marks most.
    """

    endings = ENDINGS["NIfTI"]
    what = "NIfTI files (.nii, .nii.gz)"
    or_labels = ", or a table with --labels"
    subjects = "the volumes"

    def __init__(self, options: ImportOptions, report: Report):
        self._slices, self._step, self._report = options.slices, options.step or 1, report

    def held_by_mask(self, file: Path) -> Held:
        if not self.takes(file):
            return super().held_by_mask(file)
        values = _values(file)
        return Held([] if values.dtype.kind == "f" else np.unique(values).tolist())

    def open(self, file: Path, where: str, frame: int | None) -> list[Opened]:
        numbers = self._numbers(_slice_count(file), frame)
        return [each for _, each in self._pictures(file, where, numbers)]

    def _pictures(self, file: Path, where: str, numbers: Sequence[int]) -> Iterator[tuple[int, Opened]]:
        many, name = _slice_count(file) > 1, without_ending(where, self.endings)
        for number in numbers:
            part = f"_s{number:04d}" if many else ""
            shown = f"{where} slice {number}" if many else where
            picture = Picture(shown, f"{name}{part}", load=partial(_image, file, number))
            yield number, Opened(picture, *((as_subject(name), "volume") if many else ()))

    def with_mask(
        self, file: Path, where: str, frame: int | None, mask: Path, values: MaskValues
    ) -> list[tuple[Opened, LoadMap]]:
        if not self.takes(mask):
            return super().with_mask(file, where, frame, mask, values)
        shapes = [tuple(_opened(each).shape) for each in (file, mask)]
        if shapes[0][:2] != shapes[1][:2] or _slice_count(file) != _slice_count(mask):
            sizes = [" x ".join(map(str, shape)) for shape in shapes]
            raise ValueError(f"has {sizes[0]} voxels, its mask {sizes[1]}")
        codes = ["".join(map(str, nibabel.aff2axcodes(_opened(each).affine))) for each in (file, mask)]
        if codes[0] != codes[1]:
            raise ValueError(f"has the orientation {codes[0]}, its mask {codes[1]}; save both in one orientation")
        self._check_place(file, where, mask)
        chosen = self._chosen(mask, values, frame)
        return [(each, _SliceMap(mask, number, values)) for number, each in self._pictures(file, where, chosen)]

    def _check_place(self, file: Path, where: str, mask: Path) -> None:
        """Raise `ValueError` where image and mask say that they lie in two places; say where one of them says nothing.

        They differ where a corner of the volume lies more than half a voxel away from its place in the other.
        """
        one, other = (_opened(each).affine for each in (file, mask))
        sizes = (*_opened(file).shape, 1)[:3]
        corners = np.array([[*corner, 1] for corner in product(*((0, size - 1) for size in sizes))]).T
        apart = np.linalg.norm(((one - other) @ corners)[:3], axis=0).max()
        if apart <= 0.5 * min(nibabel.affines.voxel_sizes(one)[:2]):
            return
        said = f"{_place(one)}, its mask {_place(other)}"
        if any(map(_says_nothing, (file, mask))):
            advice = "which may be a header that was lost; see that the voxels of both show the same places"
            self._report.remark(where, f"has {said}, {advice}")
        else:
            raise ValueError(f"has {said}; resample the mask to its image")

    def _chosen(self, mask: Path, values: MaskValues, frame: int | None) -> Sequence[int]:
        """The slices that --slices takes of a volume with a mask."""
        count = _slice_count(mask)
        if frame is not None or count == 1 or self._slices not in ("labelled", "largest"):
            return self._numbers(count, frame)
        sizes = [int((_SliceMap(mask, number, values)(0, 0) > 0).sum()) for number in range(count)]
        if not any(sizes):
            raise ValueError("its mask marks nothing in any slice")
        if self._slices == "largest":
            return [int(np.argmax(sizes))]
        return [number for number, size in enumerate(sizes) if size][:: self._step]

    def _numbers(self, count: int, frame: int | None) -> Sequence[int]:
        if frame is not None:
            if frame >= count:
                raise ValueError(f"has no slice {frame}; it has {count}, counted from 0")
            return [frame]
        if count == 1:
            return [0]
        if self._slices is None:
            raise ValueError(f"is a volume of {count} slices; give --slices all, labelled, largest or middle")
        if self._slices in ("labelled", "largest"):
            raise ValueError(f"has no mask, so --slices {self._slices} chooses nothing; give all or middle")
        return [count // 2] if self._slices == "middle" else range(0, count, self._step)


def _says_nothing(file: Path) -> bool:
    """Whether a header tells no place: it names no space, or holds what a program writes that knows none."""
    image = _opened(file)
    named = any(int(image.header.get(code, 1)) for code in ("qform_code", "sform_code"))
    return not named or np.array_equal(np.abs(image.affine), np.eye(4))


def _place(affine: np.ndarray) -> str:
    """Where a header puts its voxels, in mm."""
    spacing = " x ".join(f"{size:.4g}" for size in nibabel.affines.voxel_sizes(affine))
    return f"voxels of {spacing} mm and the origin {', '.join(f'{each:.4g}' for each in affine[:3, 3])}"


def _opened(file: Path) -> Any:
    try:
        return nibabel.load(file)
    except FileNotFoundError as error:
        raise ValueError("the file does not exist") from error
    except Exception as error:  # nibabel raises many types for broken bytes
        raise ValueError(f"is no NIfTI file ({printable(str(error), 80)})") from error


def _slice_count(file: Path) -> int:
    shape = [size for size in _opened(file).shape[3:] if size != 1]
    if shape:
        sizes = " x ".join(map(str, _opened(file).shape))
        raise ValueError(f"has more than three dimensions ({sizes}); save each of its volumes as a file of its own")
    shape = _opened(file).shape
    if len(shape) < 2 or min(shape) < 1:
        raise ValueError("is no image")
    return shape[2] if len(shape) > 2 else 1


@lru_cache(maxsize=2)
def _values(file: Path) -> np.ndarray:
    """X x Y x Z values; kept for the slices that follow."""
    volume = _opened(file)
    try:
        values = np.asanyarray(volume.dataobj)
    except Exception as error:  # truncated or damaged data
        raise ValueError(f"its values cannot be read ({printable(str(error), 80)})") from error
    values = values.reshape(*values.shape[:2], -1)
    if values.dtype.kind == "f" and np.isfinite(values).all() and (values == np.rint(values)).all():
        low, high = values.min(), values.max()
        values = values.astype(
            np.uint8 if low >= 0 and high < 256 else np.int32 if max(-low, high) < 2**24 else values.dtype
        )
    return values


def _plane(file: Path, number: int) -> np.ndarray:
    """H x W values of a slice."""
    return _values(file)[:, :, number].T


def _image(file: Path, number: int) -> Image.Image:
    return as_image(_plane(file, number))


@dataclass(frozen=True)
class _SliceMap:
    file: Path
    number: int
    values: MaskValues

    def __call__(self, width: int, height: int) -> np.ndarray:
        plane = _plane(self.file, self.number)
        if plane.dtype.kind == "f":
            raise ValueError("its mask holds values that are not whole numbers")
        return self.values.apply(plane.astype(np.int64))
