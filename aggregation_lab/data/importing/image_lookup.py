"""The image file that an annotation file names, wherever the two folders lie to each other."""

import re
from pathlib import Path

from aggregation_lab.data.importing.records import Picture
from aggregation_lab.data.importing.source_files import PICTURES, existing, relative, walk, without_ending
from aggregation_lab.data.rows.file_paths import fold

MASK_FOLDER = re.compile(
    "masks?|labels?(tr|ts)?|segmentations?|segmentation(class|object)|annotations?|gt|ground_?truths?", re.IGNORECASE
)
"""Folders that hold targets. An image looked for by its bare name is none of those in them."""


class ImageLookup:
    """Finds images by the names of an annotation file.

    They are looked for in `given` (--images), beside the annotations, in folders around them; at last by the bare name
    anywhere below `top` but in folders of masks, where one file has it. Capitals and the Unicode form of a name do not
    count there.
    """

    def __init__(self, given: Path | None, beside: Path, top: Path):
        self._top = given or top
        usual = ("images", "JPEGImages", "train", "val", "test", "data")
        around = [beside, *(beside / name for name in usual), beside.parent, *(beside.parent / name for name in usual)]
        self._folders = [given] if given else around
        self._names: dict[str, list[Path]] | None = None

    def find(self, name: str) -> Picture:
        """The picture of this name. Raises `ValueError` where no file, or more than one, has it."""
        plain = name.replace("\\", "/").strip()
        if not plain or "\0" in plain:
            raise ValueError("names no file")
        for folder in self._folders:
            file = existing(folder, plain)
            if file is not None:
                return self._picture(file)
        files = self._below().get(fold(Path(plain).name), [])
        if not files:
            files = self._below().get(fold(without_ending(Path(plain).name)), [])
        if len(files) > 1:
            raise ValueError("several files have its name; --images says which folder counts")
        if not files:
            raise ValueError("its image file does not exist")
        return self._picture(files[0])

    def _picture(self, file: Path) -> Picture:
        where = relative(file, self._top)
        return Picture(where, without_ending(where), file=file)

    def _below(self) -> dict[str, list[Path]]:
        """Files below the top folder by their folded name, with and without ending."""
        if self._names is None:
            self._names = {}
            for file in walk(self._top, PICTURES):
                if any(map(MASK_FOLDER.fullmatch, relative(file, self._top).split("/")[:-1])):
                    continue
                for name in (fold(file.name), fold(without_ending(file.name))):
                    self._names.setdefault(name, []).append(file)
        return self._names
