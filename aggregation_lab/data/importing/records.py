"""What a reader hands to the writer: tasks of records, each one image with its target."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from aggregation_lab.tasks import TaskType
from aggregation_lab.text import printable

_TOGETHER = "the parts are taken together; one split is drawn anew"

Crop = tuple[int, int, int, int]
"""x_min, y_min, x_max, y_max in whole pixels of the image as the source has it; the maxima are not inside."""


@dataclass(frozen=True)
class Picture:
    """One image of a source, not decoded yet.

    `where` names it for people, relative to the source; `name` becomes its name in OUT, "/" between folders, without
    an ending. Either `file` is an image file as agglab reads them, or `load` makes the pixels (mode L, RGB, I;16 or F)
    and raises `ValueError` with a reason where it cannot. `crop` cuts image and target. `size` is the width and height
    that the annotations are for, where they say it.
    """

    where: str
    name: str
    file: Path | None = None
    load: Callable[[], Image.Image] | None = None
    crop: Crop | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Frame:
    """What a target needs to know of its image: width and height before cropping, the part that is kept, and whether
    its EXIF orientation turned it."""

    width: int
    height: int
    crop: Crop
    turned: bool = False


@dataclass(frozen=True)
class Written:
    """A target as the layout has it: the cells of each row, and the H x W class map where there is one."""

    rows: Sequence[dict[str, str | int | float]]
    class_map: np.ndarray | None = None


class Target(Protocol):
    """The target of one image, in pixels of the image as the source has it."""

    def write(self, frame: Frame, remark: Callable[[str], None]) -> Written:
        """The target in the part of the image that is kept; `remark` takes what was changed on the way.

        Raises `ValueError` with a reason where it cannot be used.
        """


@dataclass(frozen=True)
class Record:
    """One image with its target. `subject` is "" where the format does not tell it.

    `unit` is what the subject is where the source names no patient and a part of their images stands for one: `volume`,
    `video`, `study`, `clip`.
    """

    picture: Picture
    target: Target
    subject: str = ""
    unit: str = ""


def repeated(records: Sequence[Record]) -> dict[int, str]:
    """Why records are left out whose image another record has, by their place.

    Where all say the same of an image, the first is taken; else nobody knows which is right, and none is.
    """
    places: dict[str, list[int]] = {}
    for place, record in enumerate(records):
        file = record.picture.file
        places.setdefault(os.path.abspath(file) if file else f" {record.picture.where}", []).append(place)
    reasons: dict[int, str] = {}
    for members in places.values():
        first, *others = (records[place] for place in members)
        if all(other.target == first.target for other in others):
            reasons |= dict.fromkeys(members[1:], "stands twice in the source with one target; the first is taken")
        else:
            message = f"stands {len(members)} times in the source with unlike targets; correct it, or join the targets"
            reasons |= dict.fromkeys(members, message)
    return reasons


@dataclass(frozen=True)
class ReadTask:
    """A task of a source. `classes` is None where the masks tell: one more than the greatest class in them.

    `class_names` are those of the source by class index; `subjects` says in a few words where the subjects are from.
    """

    name: str
    type: TaskType
    records: Sequence[Record]
    classes: int | None = None
    class_names: tuple[str, ...] = ()
    subjects: str = ""


@dataclass
class Report:
    """What was left out, and what was changed on the way: reason -> names of files, or of annotations in them."""

    skipped: dict[str, list[str]] = field(default_factory=dict)
    remarks: dict[str, list[str]] = field(default_factory=dict)

    def skip(self, where: str, reason: str) -> None:
        """`where` is not imported, because ..."""
        self.skipped.setdefault(printable(reason, 400), []).append(where)

    def note_parts(self, parts: Sequence[str]) -> None:
        """The source is divided into these parts, as train and test are, and that is not kept; said once."""
        if _TOGETHER not in self.remarks:
            self.remark(", ".join(parts), _TOGETHER)

    def remark(self, where: str, message: str) -> None:
        """`where` is imported, but ..."""
        self.remarks.setdefault(printable(message, 400), []).append(where)
