"""One look at every image and mask file: content hash, size, thumbnail, mask values; remembered between calls."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from aggregation_lab.data.decode import decode_image, decode_mask
from aggregation_lab.tabular import read_frame, write_frame

THUMBNAIL = 32
"""Side of the thumbnails near-duplicates are found with, in pixels."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and how much there is."""

_VERSION = 2  # of the remembered table: another version is read anew
_BATCH = 256  # files in flight at once, so that memory stays bounded


@dataclass(frozen=True)
class Scan:
    """What one file holds. `fault` is "" for a good file; the other fields then are as the file has them.

    `thumbnail` is THUMBNAIL x THUMBNAIL grey bytes (images), `values` the class indices found, "0,2" (masks).
    """

    content: str = ""
    height: int = 0
    width: int = 0
    grey: bool = True
    thumbnail: bytes = b""
    values: str = ""
    fault: str = ""


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
    Threads serve: Pillow and hashlib let go of the interpreter lock, and no process needs to start.
    """
    known = _remembered(memory)
    wanted = [("image", path) for path in sorted(set(images))] + [("mask", path) for path in sorted(set(masks))]
    keys = {item: _key(item[0], root / item[1]) for item in wanted}
    fresh = [item for item in wanted if keys[item] not in known]
    damaged = memory is not None and memory.exists() and not known
    what = f"{memory} is damaged or of another agglab, reading images anew" if damaged else "reading images"
    for item, scan in _scan_all(root, fresh, what, progress):
        known[keys[item]] = scan
    if memory is not None and fresh:
        _remember(memory, {keys[item]: known[keys[item]] for item in wanted})
    found = {item: known[keys[item]] for item in wanted}
    return (
        {path: scan for (kind, path), scan in found.items() if kind == "image"},
        {path: scan for (kind, path), scan in found.items() if kind == "mask"},
    )


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
        data = path.read_bytes()
    except FileNotFoundError:
        return Scan(fault="does not exist")
    except OSError as error:
        return Scan(fault=f"cannot be read ({error.strerror})")
    content = hashlib.sha256(data).hexdigest()
    try:
        image = decode_image(data) if kind == "image" else decode_mask(data)
    except ValueError as error:
        return Scan(content, fault=str(error))
    if kind == "mask":
        values = np.flatnonzero(image.histogram())
        return Scan(content, image.height, image.width, values=",".join(map(str, values)))
    thumbnail = image.convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX).tobytes()
    return Scan(content, image.height, image.width, image.mode == "L", thumbnail)


def _remember(memory: Path, scans: dict[Key, Scan]) -> None:
    rows = [(*key, *asdict(scan).values()) for key, scan in scans.items() if not scan.fault]
    write_frame(memory, pd.DataFrame(rows, columns=_COLUMNS), _LABEL)


def _remembered(memory: Path | None) -> dict[Key, Scan]:
    """What an earlier call left in `memory`; nothing where it is absent, damaged or of another version."""
    if memory is None or not memory.is_file():
        return {}
    try:
        frame = read_frame(memory, _LABEL)
    except (OSError, ValueError):
        return {}
    return {row[:4]: Scan(*row[4:]) for row in frame.itertuples(index=False, name=None)}


_COLUMNS = ["kind", "path", "size", "mtime_ns", *Scan.__dataclass_fields__]
_LABEL = f"scan {_VERSION} {' '.join(_COLUMNS)}"
