"""Where a file of a source goes in the train folder: the same names, made safe for every system, none taken twice."""

import hashlib
import os
import re
import unicodedata
from pathlib import Path

from aggregation_lab.data.importing.receipt import ImageEntry, Receipt
from aggregation_lab.data.rows.csv_rows import CSV_FOLDER
from aggregation_lab.data.rows.layout import OTHER_PARTS
from aggregation_lab.files import file_digest
from aggregation_lab.tasks import TaskType

_UNSAFE = re.compile(r'[\\/:*?"<>|\x00-\x1f\x7f]')
_LONGEST = 120  # bytes of a name, so that an ending and a digest have room
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)
_TAKEN = frozenset({CSV_FOLDER, "train", *OTHER_PARTS, *(task_type.name for task_type in TaskType)})


def safe_part(text: str) -> str:
    """A name of a file or folder that every system takes: readable characters stay."""
    plain = _UNSAFE.sub("_", unicodedata.normalize("NFC", text))
    plain = (
        "".join(char if char.isprintable() or unicodedata.category(char) == "Zs" else "_" for char in plain)
        .strip()
        .rstrip(".")
    )
    if plain.startswith((".", "-", "~")) or _DEVICES.fullmatch(plain) or not plain:
        plain = f"_{plain}"
    if len(plain.encode()) > _LONGEST:
        cut = plain.encode()[:_LONGEST].decode(errors="ignore").rstrip(" .")
        plain = f"{cut}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    return plain


def safe_path(text: str) -> str:
    """A path of safe names without `.` and `..`."""
    parts = [part for part in text.split("/") if part not in ("", ".", "..")]
    return "/".join(map(safe_part, parts)) or "image"


def safe_folder(text: str) -> str:
    """A folder of the train folder that means nothing else there."""
    plain = safe_part(text)
    return f"{plain}_set" if plain.lower() in _TAKEN else plain


class Places:
    """Gives out paths in a train folder. A file that is there, of the same content and subject, is used again."""

    def __init__(self, train: Path, receipts: dict[str, Receipt]):
        self._train = train
        self._entries: dict[str, ImageEntry] = {}
        for each in receipts.values():
            for path, entry in each.images.items():
                if path not in self._entries or entry.subject:  # one task may know the subject, another not
                    self._entries[path] = entry
        self._by_content: dict[str, list[str]] = {}
        for path, entry in sorted(self._entries.items()):
            self._by_content.setdefault(entry.content, []).append(path)
        self._given: set[str] = set()

    def known(self, content: str, subject: str, name: str) -> tuple[str, bool]:
        """The image file of another task that holds the same, "" where none does; and whether its subject differs.

        A file serves once per task: a copy within a source stays a file of its own.
        """
        paths = [path for path in self._by_content.get(content, ()) if path.casefold() not in self._given]
        same = [path for path in paths if not subject or self._entries[path].subject in ("", subject)]
        same = [path for path in same if (self._train / path).is_file()]
        if same:
            best = max(same, key=lambda path: os.path.splitext(path)[0].endswith(name))
            self._given.add(best.casefold())
            return best, False
        return "", bool(paths)

    def entry(self, path: str) -> ImageEntry:
        """What an earlier import wrote of an image."""
        return self._entries[path]

    def free(self, path: str, ending: str, content: str) -> str:
        """The path, with the content's digest, or a number too, behind it where another file has it."""
        for suffix in ("", f"-{content[:8]}", *(f"-{content[:8]}-{number}" for number in range(2, 10_000))):
            candidate = f"{path}{suffix}{ending}"
            if candidate.casefold() in self._given or candidate in self._entries:
                continue
            if self._is_another(candidate, content):
                continue
            self._given.add(candidate.casefold())
            return candidate
        raise ValueError("has the name of ten thousand other files")

    def _is_another(self, path: str, content: str) -> bool:
        """Whether a file that no receipt knows is in the way; an interrupted import leaves the same one."""
        file = self._train / path
        try:
            return os.path.lexists(file) and file_digest(file) != content
        except OSError:
            return True
