"""How a file of a source becomes pictures: an image is one, a clip or a volume is many."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aggregation_lab.data.images.foreign_formats import IMPORTS, MEDICAL, ending_format
from aggregation_lab.data.importing.mask_values import FileMap, Held, MaskValues, held_by
from aggregation_lab.data.importing.records import Picture
from aggregation_lab.data.importing.source_files import PICTURES, without_ending
from aggregation_lab.data.subjects.subject_ids import subject_key

LoadMap = Callable[[int, int], np.ndarray]
"""The `load` of a `ClassMap`."""


@dataclass(frozen=True)
class Opened:
    """A picture of a file; `subject` where the file tells it, `unit` as of `Record`."""

    picture: Picture
    subject: str = ""
    unit: str = ""


def _medical(file: Path) -> str:
    """The import that reads a file of this name, where it is one of a medical format; else ""."""
    form = ending_format(file.name)
    return IMPORTS.get(form, "") if form in MEDICAL else ""


def as_subject(name: str) -> str:
    """A file's name as the subject of its pictures: one that tables take for no subject, such as `unknown`, would leave
    each picture a subject of its own."""
    return name if subject_key(name) else f"file {name}"


class Opener:
    """Image files as agglab reads them; subclasses open other formats."""

    endings: tuple[str, ...] = tuple(sorted(PICTURES))
    what = "images"
    or_labels = ""
    """What to give in place of a folder per class, for messages."""
    subjects = ""
    """Where the subject of a file is from, in a few words."""

    def takes(self, file: Path) -> bool:
        """Whether a file of a folder is one of the format."""
        return file.name.lower().endswith(self.endings)

    def open(self, file: Path, where: str, frame: int | None) -> list[Opened]:
        """The pictures of a file, or the one numbered `frame`, from 0. Raises `ValueError` with a reason."""
        if frame not in (None, 0):
            raise ValueError(f"has no frame {frame}; it is one image")
        form = _medical(file)
        if form:
            raise ValueError(f"is a file of {form}; import the table with agglab import {form} --labels")
        return [Opened(Picture(where, without_ending(where), file=file))]

    def with_mask(
        self, file: Path, where: str, frame: int | None, mask: Path, values: MaskValues
    ) -> list[tuple[Opened, LoadMap]]:
        """The pictures of a file with the `load` of their class maps. Raises `ValueError` with a reason."""
        opened = self.open(file, where, frame)
        form = _medical(mask)
        if form:
            raise ValueError(f"its mask is a file of {form}, which is not read as a mask here; save it as PNG")
        if len(opened) != 1:
            raise ValueError(f"has {len(opened)} frames, its mask is one image; name the frame in a column `frame`")
        return [(opened[0], FileMap(mask, values))]

    def held_by_mask(self, file: Path) -> Held:
        """What a mask file holds. Raises `OSError` and `ValueError`."""
        return held_by(file)


PLAIN = Opener()
