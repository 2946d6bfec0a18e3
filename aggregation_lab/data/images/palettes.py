"""Whether the palettes of a task's masks number their colours alike."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

File = TypeVar("File")


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
    """The first colour with unlike indices in two files, where a writer has renumbered the colours of each file.

    None where every index has one colour throughout: then the files share one palette, in which two indices may have
    the same colour, as the black ones that fill it up do.
    """
    index_of: dict[str, tuple[str, File]] = {}
    colour_of: dict[str, str] = {}
    found, shared = None, True
    for file, palette in palettes.items():
        for index, colour in indices_of(palette):
            shared = colour_of.setdefault(index, colour) == colour and shared
            first_index, first = index_of.setdefault(colour, (index, file))
            if found is None and first_index != index and first != file:
                found = Renumbered(colour, file, index, first, first_index)
    return None if shared else found
