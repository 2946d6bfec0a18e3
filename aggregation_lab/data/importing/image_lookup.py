"""The image file that an annotation file names, wherever the two folders lie to each other."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from aggregation_lab.data.importing.receipt import FOLDER as IMPORTED
from aggregation_lab.data.importing.records import Picture
from aggregation_lab.data.importing.source_files import PICTURES, existing, part_of, relative, without_ending
from aggregation_lab.data.rows.csv_rows import CSV_FOLDER
from aggregation_lab.data.rows.file_paths import fold
from aggregation_lab.files import walk

MASK_FOLDER = re.compile(
    "masks?|labels?(tr|ts)?|segmentations?|segmentation(class|object)|annotations?|gt|ground_?truths?", re.IGNORECASE
)
"""Folders that hold targets. An image looked for by its bare name is none of those in them."""
MASK_NAME = re.compile(r"[_\- ](mask|label|seg|segmentation|gt|annotation)(?:[_\- ]?\d+)?$", re.IGNORECASE)
"""What the name of a mask has behind that of its image."""

_REMEDY = "write the folder into the name, or keep one"
IMAGES_TOO = "write the folder into the name, keep one, or say with --images which folder counts"
"""What to do where several files have a name, in formats that take --images."""
_USUAL = ("images", "JPEGImages", "train", "val", "test", "data")


class NoSuchImage(ValueError):
    """No file has the name of an image."""


class ImageLookup:
    """Finds images by the names of annotation files.

    They are looked for in `given` (--images), else beside the annotations and in folders around them; then anywhere
    below `top` but in folders of masks, by the name with as many of the folders before it as a file shares, where one
    file has it. Capitals and the Unicode form of a name do not count there, folders do: `b/1.png` is not `a/1.png`
    where there is a folder `a`. Where the data have a folder of the part that the annotations are of, as `test.json`
    and `test/labels.json` are, images of other parts are none of theirs.
    """

    def __init__(self, given: Path | None, top: Path, remedy: str = _REMEDY):
        """`remedy` says what to do where several files have a name and there is no `given`."""
        self._given, self._top = given, given or top
        self._remedy = _REMEDY if given else remedy
        self._names: dict[str, list[Path]] | None = None
        self._parents: set[str] = set()
        self._parts: set[str] = set()
        self._parts_around: dict[Path, set[str]] = {}
        self._stems: dict[Path, set[str]] = {}
        self._imported: dict[Path, bool] = {}

    def find(self, name: str, beside: Path, title: str, own: str = "") -> Picture:
        """The picture of this name. `beside` is the folder that it is looked for first, `title` the path of the
        annotation file in the source. `own` is the name of an annotation file of one image, without its ending.

        Raises `ValueError` where no file, or more than one, has it, and where the image is another than the one that is
        called as its annotation file: one of the two names is old.
        """
        plain = name.replace("\\", "/").strip()
        if not plain or "\0" in plain:
            raise ValueError("names no file")
        folders, _, last = title.rpartition("/")
        of_name, of_folders = (_part_of_folders(path) for path in (plain.rpartition("/")[0], folders))
        parts = of_name or (set() if own else parts_of_words(without_ending(last))) or of_folders
        files = self._around(plain, beside, parts) or self._anywhere(plain, beside, parts)
        if len(files) > 1:
            shown = " and ".join(os.path.relpath(file, self._top) for file in files[:2])
            raise ValueError(f"several files have its name, as {shown}; {self._remedy}")
        if not files:
            raise NoSuchImage("its image file does not exist")
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

    def _near(self, beside: Path) -> list[list[Path]]:
        """The folders that are searched one after the other; those of one list count alike."""
        if self._given:
            return [[self._given]]
        return [
            folders for place in (beside, beside.parent) for folders in ([place], [place / name for name in _USUAL])
        ]

    def _around(self, plain: str, beside: Path, parts: set[str]) -> list[Path]:
        """The files of this name in the nearest folders that hold one."""
        for folders in self._near(beside):
            found = [file for file in (existing(folder, plain) for folder in folders) if file is not None]
            if files := self._of_part({os.path.realpath(file): file for file in found}.values(), beside, parts):
                return files
        return []

    def _anywhere(self, plain: str, beside: Path, parts: set[str]) -> list[Path]:
        """The files below the top folder that have the bare name, and the folder before it where there is one."""
        *folders, bare = map(fold, _plain_parts(plain) or [""])
        below = self._below()
        named = below.get(bare) or below.get(fold(without_ending(PurePosixPath(plain).name)), [])
        files = self._of_part(named, beside, parts)
        shared = [_shared_folders(file, folders) for file in files]
        if folders and not any(shared) and folders[-1] in self._parents:
            return []
        return [file for file, count in zip(files, shared, strict=True) if count == max(shared)]

    def _of_part(self, files: Iterable[Path], beside: Path, parts: set[str]) -> list[Path]:
        """Those that do not lie in another part of the data set than the annotations are of."""
        return [file for file in files if not self._is_of_another(file, beside, parts)]

    def _is_of_another(self, file: Path, beside: Path, parts: set[str]) -> bool:
        path, above = Path(os.path.relpath(file.parent, self._top)).as_posix(), set[str]()
        if path.startswith(".."):  # beside the top, which may be a part itself
            above = {part_of(os.path.basename(os.path.abspath(self._top)))} - {""}
        its, wanted = _part_of_folders(path), parts or above
        if not its or not wanted or its & wanted:
            return False
        return bool(wanted & (self._parts_there(beside) | (above if self._below() else set())))

    def _parts_there(self, beside: Path) -> set[str]:
        """The parts of the data set of which a folder with pictures is below the top, or around the annotations."""
        if beside not in self._parts_around:
            self._below()
            places = {place / name for place in (beside, beside.parent) for name in _USUAL if part_of(name)}
            near = [place for place in places - {self._top, *self._top.parents} if not self._given]
            there = {part_of(place.name) for place in near if any(True for _ in walk(place, PICTURES))}
            self._parts_around[beside] = self._parts | there
        return self._parts_around[beside]

    def _below(self) -> dict[str, list[Path]]:
        """Files below the top folder by their folded name, with and without ending."""
        if self._names is None:
            self._names = {}
            for file in walk(self._top, PICTURES):
                folders = relative(file, self._top).split("/")[:-1]
                if any(map(MASK_FOLDER.fullmatch, folders)) or self._is_imported(file.parent):
                    continue
                self._parts |= set(map(part_of, folders)) - {""}
                self._parents.add(fold(file.parent.name))
                for name in (fold(file.name), fold(without_ending(file.name))):
                    self._names.setdefault(name, []).append(file)
        return self._names

    def _is_imported(self, folder: Path) -> bool:
        """Whether a folder lies in the OUT of an import, which holds its images, not those of a source."""
        if folder not in self._imported:
            above = folder != self._top and folder != folder.parent and self._is_imported(folder.parent)
            self._imported[folder] = above or all(map(Path.is_dir, (folder / IMPORTED, folder / "train" / CSV_FOLDER)))
        return self._imported[folder]

    def _stems_in(self, folder: Path) -> set[str]:
        """The folded names, without ending, of the pictures in a folder."""
        if folder not in self._stems:
            names = (name for name in os.listdir(folder) if name.lower().endswith(tuple(PICTURES)))
            self._stems[folder] = {fold(without_ending(name)) for name in names}
        return self._stems[folder]


def _plain_parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".", "..")]


def _part_of_folders(path: str) -> set[str]:
    """The part of a data set that the last folder of a path tells that tells one; of whole names, since a word inside
    of one, as in `hospital_test`, may mean anything."""
    return set(list(filter(None, map(part_of, path.split("/"))))[-1:])


def parts_of_words(name: str) -> set[str]:
    """The parts of a data set that the words of a file's name tell: `instances_train2017` is of train."""
    return set(map(part_of, re.findall(r"[a-z]+\d*", name.lower()))) - {""}


def _shared_folders(file: Path, folders: Sequence[str]) -> int:
    """How many of the folders before a name are those before the file, counted from the name on."""
    pairs = zip(reversed(folders), map(fold, reversed(file.parent.parts)), strict=False)
    count = 0
    for one, other in pairs:
        if one != other:
            break
        count += 1
    return count
