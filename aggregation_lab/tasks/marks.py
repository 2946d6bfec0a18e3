"""What a prediction or a reference looks like on the image: marks that a task type makes of it, for any painter."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Region:
    """A structure: `mask` is H x W, true inside."""

    index: int
    mask: np.ndarray


@dataclass(frozen=True)
class Rectangle:
    """A box in pixels of the image."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Spot:
    """Point `index`, counted from 0, in pixels of the image."""

    index: int
    x: float
    y: float


@dataclass(frozen=True)
class Shares:
    """A share in [0, 1] for each class: a probability, or 1 for the class of the reference. Stands beside the image."""

    values: tuple[float, ...]


Mark = Region | Rectangle | Spot | Shares


def covered(marks: Sequence[Mark], height: int, width: int) -> float:
    """The share of an image of that size that regions or a rectangle cover; NaN where nothing has an extent."""
    regions = [mark.mask for mark in marks if isinstance(mark, Region)]
    if regions:
        return float(np.any(regions, axis=0).mean())
    areas = [(box.right - box.left) * (box.bottom - box.top) for box in marks if isinstance(box, Rectangle)]
    return max(areas) / (height * width) if areas else float("nan")
