"""The image file that an annotation file names, wherever the two folders lie to each other."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from aggregation_lab.data.importing.records import Picture
from aggregation_lab.data.importing.source_files import PICTURES, existing, relative, walk, without_ending
from aggregation_lab.data.rows.file_paths import fold

MASK_FOLDER = re.compile(
    "masks?|labels?(tr|ts)?|segmentations?|segmentation(class|object)|annotations?|gt|ground_?truths?", re.IGNORECASE
)
"""Folders that hold targets. An image looked for by its bare name is none of those in them."""
MASK_NAME = re.compile(r"[_\- ](mask|label|seg|segmentation|gt|annotation)(?:[_\- ]?\d+)?$", re.IGNORECASE)
"""What the name of a mask has behind that of its image."""

_PARTS = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}
_PARTS |= {part: part for part in _PARTS.values()}
"""Parts of a data set, by the words that name them."""
_USUAL = ("images", "JPEGImages", "train", "val", "test", "data")


class ImageLookup:
    """Finds images by the names of an annotation file.

    They are looked for in `given` (--images), beside the annotations, in folders around them; at last by the bare name
    anywhere below `top` but in folders of masks, where one file has it. Capitals and the Unicode form of a name do not
    count there, folders before it do: `b/1.png` is not `a/1.png` where there is a folder `a`. Where parts of a data set
    use the same names, those of `train.json` (its `title` says so) are not in a folder `test`.
    """

    def __init__(self, given: Path | None, beside: Path, top: Path, title: str = ""):
        self._top = given or top
        near = [[folder, *(folder / name for name in _USUAL)] for folder in (beside, beside.parent)]
        self._folders = [[given]] if given else [[first] if one else rest for first, *rest in near for one in (1, 0)]
        self._parts = _parts_in(title)
        self._names: dict[str, list[Path]] | None = None
        self._parents: set[str] = set()
        self._stems: dict[Path, set[str]] = {}

    def find(self, name: str, own: str = "") -> Picture:
        """The picture of this name. `own` is the name of an annotation file of one image, without its ending.

        Raises `ValueError` where no file, or more than one, has it, and where the image is another than the one that is
        called as its annotation file: one of the two names is old.
        """
        plain = name.replace("\\", "/").strip()
        if not plain or "\0" in plain:
            raise ValueError("names no file")
        files = self._around(plain) or self._anywhere(plain)
        if len(files) > 1:
            shown = " and ".join(os.path.relpath(file, self._top) for file in files[:2])
            raise ValueError(f"several files have its name, as {shown}; write the folder into the name, or keep one")
        if not files:
            raise ValueError("its image file does not exist")
        stem = fold(without_ending(files[0].name))
        if own and stem != fold(own) and fold(own) in self._stems_in(files[0].parent):
            raise ValueError(f"names the image {name}, beside which lies one of its own name; correct the wrong name")
        return self._picture(files[0], plain)

    def _picture(self, file: Path, plain: str) -> Picture:
        place, top = Path(os.path.normpath(file)), Path(os.path.normpath(self._top))
        where = relative(place, top)
        if top not in place.parents and not plain.startswith("/"):  # a bare name would be that of others, too
            where = "/".join(_plain_parts(plain))
        return Picture(where, without_ending(where), file=file)

    def _around(self, plain: str) -> list[Path]:
        """The files of this name in the nearest folders that hold one."""
        for folders in self._folders:
            found = [file for file in (existing(folder, plain) for folder in folders) if file is not None]
            if files := self._of_part({os.path.realpath(file): file for file in found}.values()):
                return files
        return []

    def _anywhere(self, plain: str) -> list[Path]:
        """The files below the top folder that have the bare name, and the folder before it where there is one."""
        *folders, bare = map(fold, _plain_parts(plain) or [""])
        below = self._below()
        files = self._of_part(below.get(bare) or below.get(fold(without_ending(PurePosixPath(plain).name)), []))
        shared = [_shared_folders(file, folders) for file in files]
        if folders and not any(shared) and folders[-1] in self._parents:
            return []
        return [file for file, count in zip(files, shared, strict=True) if count == max(shared)]

    def _of_part(self, files: Iterable[Path]) -> list[Path]:
        """Those that do not lie in another part of the data set than the annotations are of."""
        if not self._parts:
            return list(files)
        parts = [(file, _parts_in(os.path.relpath(file.parent, self._top))) for file in files]
        return [file for file, its in parts if not its or its & self._parts]

    def _below(self) -> dict[str, list[Path]]:
        """Files below the top folder by their folded name, with and without ending."""
        if self._names is None:
            self._names = {}
            for file in walk(self._top, PICTURES):
                if any(map(MASK_FOLDER.fullmatch, relative(file, self._top).split("/")[:-1])):
                    continue
                self._parents.add(fold(file.parent.name))
                for name in (fold(file.name), fold(without_ending(file.name))):
                    self._names.setdefault(name, []).append(file)
        return self._names

    def _stems_in(self, folder: Path) -> set[str]:
        """The folded names, without ending, of the pictures in a folder."""
        if folder not in self._stems:
            names = (name for name in os.listdir(folder) if name.lower().endswith(tuple(PICTURES)))
            self._stems[folder] = {fold(without_ending(name)) for name in names}
        return self._stems[folder]


def _plain_parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".", "..")]


def _parts_in(text: str) -> set[str]:
    """The parts of a data set that the words of a name tell: `instances_train2017` is of train."""
    return {_PARTS[word] for word in re.findall("[a-z]+", text.lower()) if word in _PARTS}


def _shared_folders(file: Path, folders: Sequence[str]) -> int:
    """How many of the folders before a name are those before the file, counted from the name on."""
    pairs = zip(reversed(folders), map(fold, reversed(file.parent.parts)), strict=False)
    count = 0
    for one, other in pairs:
        if one != other:
            break
        count += 1
    return count
