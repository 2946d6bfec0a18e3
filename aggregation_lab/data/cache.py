"""Images resized once per size into one memory-mapped file that all runs and processes share."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from aggregation_lab.data.array_files import check, is_intact, open_array, write_array
from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.images.decode import decode_image
from aggregation_lab.data.images.deep_levels import Levels
from aggregation_lab.data.images.masks import decode_mask, parse_values
from aggregation_lab.data.progress import Progress
from aggregation_lab.errors import AgglabError, DataError
from aggregation_lab.files import read_bytes

_VERSION = 2  # raise when the same content would give other pixels
_BATCH = 256  # images in flight at once, so that memory stays bounded


@dataclass(frozen=True, eq=False)
class ImageCache:
    """Resized images and masks, opened read-only.

    `images` is uint8, N x S x S x C, with C = 1 if every image of the data is grey and 3 if not; `masks` is uint8,
    M x S x S class indices. `image_row` and `mask_row` give the row of a content hash. Pickling keeps the two paths,
    not the pixels: another process maps the same files. Raises `AgglabError` where a file is not as it was written.
    """

    image_file: Path
    mask_file: Path
    image_row: dict[str, int]
    mask_row: dict[str, int]
    images: np.ndarray = field(init=False, repr=False)
    masks: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name, file, rows in (("images", self.image_file, self.image_row), ("masks", self.mask_file, self.mask_row)):
            if not is_intact(file):
                raise AgglabError(f"{file}: is damaged; the same run-grid command makes it again")
            # an empty array cannot be mapped
            object.__setattr__(self, name, np.load(file, mmap_mode="r" if rows else None, allow_pickle=False))

    def __reduce__(self) -> tuple:
        return ImageCache, (self.image_file, self.mask_file, self.image_row, self.mask_row)

    def image_rows(self, cases: pd.DataFrame) -> list[int]:
        """Rows of `images` that rows of the case table have."""
        return [self.image_row[content] for content in cases["content"]]

    def mask_rows(self, cases: pd.DataFrame) -> list[int]:
        """Rows of `masks` that rows of the case table have."""
        return [self.mask_row[content] for content in cases["mask_content"]]

    def check(self) -> None:
        """Raise `AgglabError` where a file has been damaged since it was opened."""
        check((self.image_file, self.mask_file))


def open_cache(dataset: Dataset, size: int, folder: Path, progress: Progress | None = None) -> ImageCache:
    """The cache of a data set at `size` x `size` pixels, built into `folder` where it is missing or damaged.

    Images are resized bilinearly with antialiasing, masks by nearest neighbour; the aspect ratio is not kept. Files
    carry a digest of the contents they hold, so other data or sizes get files of their own.

    Raises `DataError` where an image has changed since the data set was read, `AgglabError` on a full disk.
    """
    images, masks = dataset.images, dataset.masks
    channels = 1 if images["grey"].all() else 3
    jobs = (
        ("images", images["content"], images["image"], (size, size, channels), _image_pixels(size, channels)),
        ("masks", masks["mask_content"], masks["mask"], (size, size), _mask_pixels(size)),
    )
    files, rows = [], []
    for kind, contents, paths, shape, pixels in jobs:
        key = hashlib.sha256(f"{_VERSION} {shape} {' '.join(contents)}".encode()).hexdigest()[:16]
        file = Path(folder) / f"{kind}-{size}-{key}.npy"
        sources = [(dataset.root / path, content) for path, content in zip(paths, contents, strict=True)]
        if open_array(file, (len(sources), *shape), np.uint8) is None:
            what = f"{file} is damaged, caching {kind} again" if file.exists() else f"caching {kind}"
            write_array(file, (len(sources), *shape), "|u1", _resized(sources, pixels, what, progress))
        files.append(file)
        rows.append({content: row for row, content in enumerate(contents)})
    return ImageCache(files[0], files[1], rows[0], rows[1])


Pixels = Callable[[bytes, str], np.ndarray]
"""From the bytes of a file, and what its content says of their reading behind the "@"."""
Source = tuple[Path, str]


def _image_pixels(size: int, channels: int) -> Pixels:
    def pixels(data: bytes, reading: str) -> np.ndarray:
        return model_pixels(decode_image(data, Levels.parse(reading)), size, channels)

    return pixels


def model_pixels(image: Image.Image, size: int, channels: int) -> np.ndarray:
    """An 8-bit image as models see it: size x size x channels uint8, bilinear with antialiasing."""
    square = image.convert("L" if channels == 1 else "RGB").resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(square).reshape(size, size, channels)


def _mask_pixels(size: int) -> Pixels:
    def pixels(data: bytes, reading: str) -> np.ndarray:
        mask = decode_mask(data, parse_values(reading))
        return np.asarray(mask.resize((size, size), Image.Resampling.NEAREST))

    return pixels


def _resized(sources: Sequence[Source], pixels: Pixels, what: str, progress: Progress | None) -> Iterator[np.ndarray]:
    def load(source: Source) -> np.ndarray:
        path, content = source
        try:
            data = read_bytes(path)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}); restore the file and start again") from error
        digest, _, reading = content.partition("@")
        if hashlib.sha256(data).hexdigest() != digest:
            raise DataError(f"{path}: has changed since the data were read; start again")
        return pixels(data, reading)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(sources), _BATCH):
            batch = sources[start : start + _BATCH]
            yield from pool.map(load, batch)
            if progress:
                progress(what, start + len(batch), len(sources))
