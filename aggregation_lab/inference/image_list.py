"""Which images a command is to predict: those of folders, of lists, and single files."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from aggregation_lab.errors import DataError
from aggregation_lab.files import read_bytes, walk
from aggregation_lab.text import printable

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".pgm", ".ppm", ".jp2")
"""Files of a folder that count as images, in small or capital letters; one that is named counts whatever its ending."""
LISTS = (".txt", ".lst")


@dataclass(frozen=True)
class ListedImage:
    """An image file, and its `name` in the answer: its path below the folder or list that brought it."""

    name: str
    file: Path


def list_images(sources: Sequence[Path]) -> list[ListedImage]:
    """The images of all sources, in the order of the sources, those of a folder by name. A `.txt` holds a path a line,
    relative to it.

    Raises `DataError` where a source is not there, holds no image, or two images have one name.
    """
    found = [image for source in sources for image in _of(source)]
    names = Counter(image.name for image in found)
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice is not None:
        one, other = [image.file for image in found if image.name == twice][:2]
        both = f"{printable(str(one), 400)} and {printable(str(other), 400)}"
        raise DataError(f"{both} would both be {printable(twice)} in the answer; predict them one after the other")
    return found


def mask_names(images: Sequence[ListedImage]) -> list[str]:
    """A PNG for each image, under its own name; one that shares its stem with another keeps its ending, too."""
    stems = [str(PurePosixPath(image.name).with_suffix(".png")) for image in images]
    count = Counter(stem.casefold() for stem in stems)
    return [
        stem if count[stem.casefold()] == 1 else f"{image.name}.png" for image, stem in zip(images, stems, strict=True)
    ]


def _of(source: Path) -> Iterator[ListedImage]:
    named = printable(str(source), 400)
    if source.is_dir():
        files = sorted(_walk(source))
        if not files:
            raise DataError(f"{named}: holds no image ({', '.join(ENDINGS)}); give the folder of the images")
        yield from (ListedImage(file, source / file) for file in files)
    elif source.suffix.lower() in LISTS:
        try:
            lines = read_bytes(source).decode("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{named}: cannot be read as a list of images ({error}); write a path a line") from error
        if not any(line.strip() for line in lines):
            raise DataError(f"{named}: names no image; write a path a line")
        for line in filter(None, map(str.strip, lines)):
            file = source.parent / line
            yield ListedImage(_below(file, source.parent), file)
    elif source.is_file():
        yield ListedImage(source.name, source)
    else:
        raise DataError(f"{named}: is not there; give a folder, an image, or a .txt with a path a line")


def _below(file: Path, folder: Path) -> str:
    """The file's path below the folder, its name alone where it lies elsewhere."""
    path = os.path.relpath(os.path.abspath(file), os.path.abspath(folder))
    return file.name if path.startswith("..") else Path(path).as_posix()


def _walk(root: Path) -> Iterator[str]:
    for file in walk(root, ENDINGS):
        yield Path(os.path.relpath(file, root)).as_posix()
