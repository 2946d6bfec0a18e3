"""The image file that an annotation file names, wherever the two folders lie to each other."""

from pathlib import Path

from aggregation_lab.data.importing.records import Picture
from aggregation_lab.data.importing.source_files import PICTURES, relative, walk, without_ending


class ImageLookup:
    """Finds images by the names of an annotation file.

    They are looked for in `given` (--images), beside the annotations, in folders around them; at last by the bare name
    anywhere below `top`, where one file has it.
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
            try:
                if (folder / plain).is_file():
                    return self._picture(folder / plain)
            except OSError:
                continue
        files = self._below().get(Path(plain).name.casefold(), [])
        if not files:
            files = self._below().get(without_ending(Path(plain).name).casefold(), [])
        if len(files) > 1:
            raise ValueError("several files have its name; --images says which folder counts")
        if not files:
            raise ValueError("its image file does not exist")
        return self._picture(files[0])

    def _picture(self, file: Path) -> Picture:
        where = relative(file, self._top)
        return Picture(where, without_ending(where), file=file)

    def _below(self) -> dict[str, list[Path]]:
        """Files below the top folder by their name in small letters, with and without ending."""
        if self._names is None:
            self._names = {}
            for file in walk(self._top, PICTURES):
                for name in (file.name.casefold(), without_ending(file.name).casefold()):
                    self._names.setdefault(name, []).append(file)
        return self._names
