"""Whether the palettes of a task's masks number their colours alike."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

File = TypeVar("File")

_FILLING = "000000"
"""What programs give the indices of a palette that they have no colour for."""


@dataclass(frozen=True)
class Renumbered(Generic[File]):
    """A colour that has `index` in `file` and `first_index` in `first`."""

    colour: str
    file: File
    index: str
    first: File
    first_index: str


def indices_of(palette: str) -> Iterator[tuple[str, str]]:
    """Index and colour of each entry of a palette as text, "0:000000,1:ff0000"."""
    for entry in filter(None, palette.split(",")):
        index, _, colour = entry.partition(":")
        yield index, colour


def renumbered(palettes: Mapping[File, str]) -> Renumbered[File] | None:
    """A colour with unlike indices in two files: a writer has renumbered the colours of each file. None without one.

    Black counts only where an index has two colours, too; else the files share one palette that was filled up with it.
    """
    index_of: dict[str, tuple[str, File]] = {}
    colour_of: dict[str, str] = {}
    found: dict[str, Renumbered[File]] = {}
    shared = True
    for file, palette in palettes.items():
        for index, colour in indices_of(palette):
            shared = colour_of.setdefault(index, colour) == colour and shared
            first_index, first = index_of.setdefault(colour, (index, file))
            if first_index != index and first != file:
                found.setdefault(colour, Renumbered(colour, file, index, first, first_index))
    return next((each for each in found.values() if not shared or each.colour != _FILLING), None)
