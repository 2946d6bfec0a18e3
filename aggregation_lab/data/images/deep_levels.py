"""Images whose values need more than 8 bits: 16-bit, 32-bit and float files, and how they become grey levels."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

BITS = (8, 10, 12, 14, 16)
"""Widths that scanners and exporters use."""
LEAST_SHARE = 1 / 16
"""Values that fill less of a range than this are scaled from their minimum to their maximum."""

_STRIP = 1_000_000  # pixels that pass through NumPy at once


@dataclass(frozen=True)
class Levels:
    """The values of a deep image that become 0 and 255; values between are scaled, values beyond are clipped."""

    black: float
    white: float

    def __str__(self) -> str:
        return f"{self.black:.9g}..{self.white:.9g}"

    @classmethod
    def parse(cls, text: str) -> "Levels | None":
        """The levels that `str` wrote; None for "", the levels of images of 8 bits."""
        black, _, white = text.partition("..")
        return cls(float(black), float(white)) if white else None


def usual_levels(depth: str, low: float, high: float) -> tuple[Levels, bool]:
    """The smallest usual range that holds the values from `low` to `high`, or these themselves, and which it is."""
    if depth == "float":
        rounding = 1e-3
        candidates = [(white, rounding * white) for white in (1.0, 255.0)]
    else:
        candidates = [(2.0**bits - 1, 0.0) for bits in BITS]
    for white, slack in candidates:
        if -slack <= low and high <= white + slack:
            enough = high - low >= LEAST_SHARE * white or low == high
            return (Levels(0.0, white), False) if enough else (Levels(low, high), True)
    return Levels(low, high if high > low else low + 1), True


def is_deep(image: Image.Image) -> bool:
    """Whether the image's values need more than 8 bits."""
    return image.mode[0] in "IF"


def strips(image: Image.Image) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows of the image and their pixels, piece by piece: a whole large image as an array would double its memory."""
    step = max(1, _STRIP // image.width)
    for top in range(0, image.height, step):
        rows = slice(top, min(top + step, image.height))
        yield rows, np.asarray(image.crop((0, rows.start, image.width, rows.stop)))


def scaled(image: Image.Image, levels: Levels) -> Image.Image:
    """A deep image as mode L. Values that are not numbers become black."""
    pixels = np.empty((image.height, image.width), np.uint8)
    factor = 255.0 / (levels.white - levels.black)
    for rows, strip in strips(image):
        values = (strip.astype(np.float64) - levels.black) * factor
        pixels[rows] = np.rint(np.clip(np.nan_to_num(values, nan=0.0, posinf=255.0, neginf=0.0), 0, 255))
    return Image.fromarray(pixels)
