"""A scan of every image and mask file: content hash, size, thumbnail, mask values; remembered between calls."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from aggregation_lab.data.images.decode import Picture, read_picture
from aggregation_lab.data.images.deep_levels import scaled, strips, usual_levels
from aggregation_lab.data.images.foreign_formats import foreign_fault, foreign_format, placeholder_fault
from aggregation_lab.data.images.masks import MOST_VALUES, read_mask
from aggregation_lab.data.progress import Progress
from aggregation_lab.files import read_bytes
from aggregation_lab.storage.sealed_parquet import remembered_frame, write_frame

THUMBNAIL = 32
"""Side of the thumbnails that near-duplicates are searched with, in pixels."""

Note = Literal["frames", "turned", "transparent", "top_bytes", "undefined", "lossy", "photograph", "framed"]
"""What `Scan.notes` holds, with commas: several pictures in a file, EXIF orientation applied, transparent pixels,
only the top bytes of 16-bit colour are read, pixels that are no numbers; of a mask: lossy compression, the greys of a
photograph, the greater of two values around the other."""

VERSION = 3
"""Raised when a scan of the same file would give another result: scans of earlier versions are not used."""

KINDS = ("image", "mask")
_BATCH = 256  # files in flight at once, so that memory stays bounded

LARGEST_FILE = 2**30
"""Bytes of the largest file that is read."""

_SAMPLE = 250_000  # pixels of a deep image that its percentiles are taken from


@dataclass(frozen=True)
class Scan:
    """What one file holds. `fault` is "" for a good file; the other fields then are as the file has them.

    Of images: `grey`, `thumbnail` (THUMBNAIL x THUMBNAIL grey bytes), `depth` ("" for 8 bits, else "whole" or
    "float" numbers), the values `low` and `high` of the darkest and brightest pixel, and `dark` and `bright`, which
    1% of the pixels lie below and above. Of masks: `values`, the values in use, "0,255", and `palette`, the colour of
    each of them in a palette file, "0:000000,1:ff0000". `notes` names what else a reader should know, see `Note`.
    """

    content: str = ""
    height: int = 0
    width: int = 0
    grey: bool = True
    thumbnail: bytes = b""
    depth: str = ""
    low: float = 0.0
    high: float = 255.0
    dark: float = 0.0
    bright: float = 255.0
    values: str = ""
    palette: str = ""
    notes: str = ""
    fault: str = ""

    def has(self, note: Note) -> bool:
        """Whether it has this note."""
        return note in self.notes.split(",")


def scan_files(
    root: Path,
    images: Iterable[str],
    masks: Iterable[str],
    *,
    memory: Path | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, Scan], dict[str, Scan]]:
    """Scans of image and of mask files, by path relative to `root`; every file is decoded in full.

    With `memory`, a Parquet file, a file whose path, size and time of change are known is not opened again.
    Threads suffice: Pillow and hashlib release the interpreter lock.
    """
    frame = remembered_frame(memory, _LABEL)
    known = {} if frame is None else {row[:4]: Scan(*row[4:]) for row in frame.itertuples(index=False, name=None)}
    wanted = [(kind, path) for kind, paths in zip(KINDS, (images, masks), strict=True) for path in sorted(set(paths))]
    keys = {item: _key(item[0], root / item[1]) for item in wanted}
    fresh = [item for item in wanted if keys[item] not in known]
    damaged = memory is not None and memory.exists() and not known
    what = f"{memory} is damaged or of another agglab, reading images again" if damaged else "reading images"
    for item, scan in _scan_all(root, fresh, what, progress):
        known[keys[item]] = scan
    if memory is not None and fresh:
        rows = [(*keys[item], *asdict(known[keys[item]]).values()) for item in wanted if not known[keys[item]].fault]
        write_frame(memory, pd.DataFrame(rows, columns=_COLUMNS), _LABEL)
    scans = {kind: {path: known[key] for (of_kind, path), key in keys.items() if of_kind == kind} for kind in KINDS}
    return scans["image"], scans["mask"]


Key = tuple[str, str, int, int]


def _key(kind: str, path: Path) -> Key:
    try:
        state = path.stat()
    except (OSError, ValueError):
        return kind, str(path.absolute()), -1, -1
    return kind, str(path.absolute()), state.st_size, state.st_mtime_ns


def _scan_all(
    root: Path, items: list[tuple[str, str]], what: str, progress: Progress | None
) -> Iterator[tuple[tuple[str, str], Scan]]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(items), _BATCH):
            batch = items[start : start + _BATCH]
            yield from zip(batch, pool.map(lambda item: _scan_one(item[0], root / item[1]), batch), strict=True)
            if progress:
                progress(what, start + len(batch), len(items))


def _scan_one(kind: str, path: Path) -> Scan:
    try:
        if path.stat().st_size > LARGEST_FILE:
            return Scan(fault=f"is larger than {LARGEST_FILE >> 30} GB; export its pictures as smaller files")
        data = read_bytes(path)
    except FileNotFoundError:
        return Scan(fault="does not exist; restore the file")
    except (OSError, ValueError) as error:
        return Scan(fault=f"cannot be read ({getattr(error, 'strerror', error)}); restore the file")
    content = hashlib.sha256(data).hexdigest()
    try:
        return _scan_image(content, data) if kind == "image" else _scan_mask(content, data)
    except ValueError as error:
        foreign = foreign_format(path.name, data)
        return Scan(content, fault=placeholder_fault(data) or (foreign_fault(foreign) if foreign else str(error)))
    except MemoryError:
        return Scan(content, fault="does not fit into memory; save it at a smaller size")


def _scan_mask(content: str, data: bytes) -> Scan:
    mask = read_mask(data)
    values = mask.values
    if len(values) > MOST_VALUES:
        raise ValueError(f"holds more than {MOST_VALUES} different values; a mask holds a class index per pixel")
    notes = _names(
        turned=mask.turned,
        lossy=mask.lossy,
        photograph=mask.is_photograph,
        framed=len(values) == 2 and mask.is_framed,
    )
    height, width = mask.pixels.shape
    return Scan(content, height, width, values=",".join(map(str, values)), palette=mask.palette, notes=notes)


def _names(**facts: bool) -> str:
    """The names of the facts that hold."""
    return ",".join(name for name, holds in facts.items() if holds)


def _scan_image(content: str, data: bytes) -> Scan:
    picture = read_picture(data)
    extent = _deep_extent(picture) if picture.deep else _extent(picture)
    image = picture.image
    if picture.deep:  # by the range of this image: that is enough for a thumbnail, and the task's is not known yet
        image = scaled(image, usual_levels(extent.depth, extent.low, extent.high)[0])
    notes = _names(
        frames=picture.frames > 1,
        turned=picture.turned,
        transparent=picture.transparent,
        top_bytes=picture.top_bytes,
        undefined=extent.undefined,
    )
    thumbnail = image.convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX).tobytes()
    return Scan(content, image.height, image.width, image.mode == "L", thumbnail, *extent[:5], notes=notes)


class _Extent(NamedTuple):
    """The fields of `Scan` on the values of an image, and whether pixels are no numbers."""

    depth: str
    low: float
    high: float
    dark: float
    bright: float
    undefined: bool = False


def _extent(picture: Picture) -> _Extent:
    counts = np.array(picture.image.convert("L").histogram())
    used = np.flatnonzero(counts)
    dark, bright = np.searchsorted(counts.cumsum() / counts.sum(), (0.01, 0.99))
    return _Extent("", float(used[0]), float(used[-1]), float(dark), float(bright))


def _deep_extent(picture: Picture) -> _Extent:
    """Of the finite pixels; an image without any counts as one of zeros."""
    image = picture.image
    low, high, undefined, sample = np.inf, -np.inf, False, []
    step = max(1, int(np.sqrt(image.width * image.height / _SAMPLE)))
    for rows, strip in strips(image):
        finite = np.isfinite(strip)
        undefined |= not finite.all()
        if finite.any():
            low, high = min(low, float(strip[finite].min())), max(high, float(strip[finite].max()))
        sparse = strip[-rows.start % step :: step, ::step]
        sample.append(sparse[np.isfinite(sparse)])
    depth = "float" if image.mode == "F" else "whole"
    if low > high:
        return _Extent(depth, 0.0, 0.0, 0.0, 0.0, True)
    values = np.concatenate(sample)
    dark, bright = np.percentile(values, (1, 99)) if len(values) else (low, high)
    return _Extent(depth, low, high, float(dark), float(bright), undefined)


_COLUMNS = ["kind", "path", "size", "mtime_ns", *Scan.__dataclass_fields__]
_LABEL = f"scan {VERSION} {' '.join(_COLUMNS)}"
