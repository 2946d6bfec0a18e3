"""Areas of classes painted over one another: which lies on top, and what is not seen then."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aggregation_lab.data.importing.targets import Remark

_MOST = 0.5
"""A shape that loses a larger share of its pixels to others, which do not lie inside of it, is mostly hidden."""


@dataclass(frozen=True)
class Patch:
    """An area of one class: truth values `inside` the smallest `window` (rows, columns) around it; `size` are true."""

    index: int
    layer: float
    window: tuple[slice, slice]
    inside: np.ndarray
    size: int

    @classmethod
    def of(cls, index: int, layer: float, inside: np.ndarray) -> "Patch":
        """The patch of H x W truth values."""
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        top, bottom = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 0)
        left, right = (int(columns[0]), int(columns[-1]) + 1) if len(columns) else (0, 0)
        window = slice(top, bottom), slice(left, right)
        return cls(index, layer, window, inside[window].copy(), int(inside.sum()))

    def holds(self, other: "Patch") -> bool:
        """Whether another one, of fewer pixels, lies in it wholly."""
        if not other.size or self.size <= other.size:
            return False
        shifts = []
        for mine, its in zip(self.window, other.window, strict=True):
            if its.start < mine.start or its.stop > mine.stop:
                return False
            shifts.append(slice(its.start - mine.start, its.stop - mine.start))
        return bool(self.inside[shifts[0], shifts[1]][other.inside].all())


def painted(patches: Sequence[Patch], height: int, width: int, remark: Remark) -> np.ndarray:
    """H x W class indices on the background 0: later patches over earlier ones, but one that lies in a later one of its
    layer and of another class over that. `remark` takes which are not seen."""
    classes = np.zeros((height, width), np.uint8)
    one_class = len({patch.index for patch in patches}) == 1
    order = list(range(len(patches))) if one_class else _order(patches, remark)
    for place in order:
        classes[patches[place].window][patches[place].inside] = patches[place].index
    for patch in patches:
        if not patch.size:
            remark("a shape covers no pixel (it is too small, or lies outside the image), and is lost")
        elif not one_class:
            _note_hidden(patch, patches, classes, remark)
    return classes


def _order(patches: Sequence[Patch], remark: Remark) -> list[int]:
    """Places of the patches in the order in which they are painted."""
    over = list(range(len(patches)))
    for place, patch in enumerate(patches):
        for later in range(place + 1, len(patches)):
            other = patches[later]
            if other.index != patch.index and other.layer == patch.layer and other.holds(patch):
                over[place] = later
    if over != list(range(len(patches))):
        remark("a shape lies in a larger one of another class that stands behind it in the file, and is drawn over it")
    return sorted(range(len(patches)), key=lambda place: (over[place], -patches[place].size, place))


def _note_hidden(patch: Patch, patches: Sequence[Patch], classes: np.ndarray, remark: Remark) -> None:
    """Say where a patch is hidden by others that do not lie in it."""
    seen = classes[patch.window] == patch.index
    hidden = patch.inside & ~seen
    if hidden.sum() <= _MOST * patch.size:
        return
    inner = np.zeros_like(classes, bool)
    for other in patches:
        if other.index != patch.index and patch.holds(other):
            inner[other.window] |= other.inside
    if (hidden & ~inner[patch.window]).sum() > _MOST * patch.size:
        remark("a shape is hidden, for the most part or wholly, by one of another class; see which of them is meant")
