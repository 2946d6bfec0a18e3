"""Mask files as arrays of whole numbers, and how these become class indices."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from aggregation_lab.data.images.decode import decoded_file, is_grey
from aggregation_lab.data.images.deep_levels import is_deep, strips

MOST_VALUES = 256
"""A mask with more different values is a photograph."""

_FEW_VALUES = 16
_MIDDLE = 0.2  # share of pixels
_NEAR_BLACK = 32  # greys below this look alike, so a palette of them holds values, not colours


@dataclass(frozen=True)
class Mask:
    """A decoded mask file: H x W whole numbers, as the file has them.

    `palette` names the colour of each index in use ("" without a palette), `lossy` says that the file's compression
    changes values, `turned` that its EXIF orientation was applied.
    """

    pixels: np.ndarray
    lossy: bool = False
    turned: bool = False
    palette: str = ""

    @property
    def values(self) -> list[int]:
        """The values in use, in their order."""
        in_use: set[int] = set()
        for rows in np.array_split(self.pixels, 1 + self.pixels.size // 2**20):  # sorting copies what it sorts
            in_use.update(np.unique(rows).tolist())
        return sorted(in_use)

    @property
    def is_photograph(self) -> bool:
        """Whether it has many values, and many pixels far from both extremes: no mask of two classes does."""
        values, counts = np.unique(self.pixels[:: 1 + self.pixels.shape[0] // 512], return_counts=True)
        edge = (values[-1] - values[0]) / 4
        middle = (values > values[0] + edge) & (values < values[-1] - edge)
        return len(values) > _FEW_VALUES and bool(counts[middle].sum() > _MIDDLE * counts.sum())

    @property
    def is_framed(self) -> bool:
        """Whether the greater of two values fills the border and most of the mask, as the background does."""
        border = (self.pixels[0], self.pixels[-1], self.pixels[:, 0], self.pixels[:, -1])
        low, high = self.pixels.min(), self.pixels.max()
        return bool(low < high and all((side == high).all() for side in border) and (self.pixels == high).mean() > 0.5)


def decode_mask(data: bytes, values: Mapping[int, int] | None = None) -> Image.Image:
    """A fully decoded mask of mode L whose values are class indices.

    `values` says which class each value of the file means; without it values are classes. Raises `ValueError` with a
    reason a user understands where the file is no mask.
    """
    pixels = read_mask(data).pixels
    if values is None:
        return Image.fromarray(pixels.astype(np.uint8))
    classes = np.zeros(pixels.shape, np.uint8)
    for value, index in values.items():
        classes[pixels == value] = index
    return Image.fromarray(classes)


def read_mask(data: bytes) -> Mask:
    """The mask in the bytes. Single-channel files give their values, palette files their indices, colour files with
    three equal channels their grey. Raises `ValueError` as `decode_mask` does."""
    with decoded_file(data) as opened:
        if opened.frames > 1:
            raise ValueError(f"holds {opened.frames} pictures; a mask is one, so save the right one alone")
        image = opened.image
        palette = ""
        if image.mode == "P":
            pixels, palette = _indices(image)
        elif image.mode == "1":
            pixels = np.asarray(image).astype(np.uint8)
        elif image.mode == "L":
            pixels = np.asarray(image) // _spread(opened.raw)
        elif is_deep(image):
            pixels = _whole_numbers(image)
        else:
            pixels = _grey(image, opened.top_bytes)
        return Mask(pixels, _is_lossy(opened.file, data), opened.turned, palette)


def write_values(values: Mapping[int, int]) -> str:
    """A mapping as text without commas: "0=0;255=1"."""
    return ";".join(f"{value}={index}" for value, index in sorted(values.items()))


def parse_values(text: str) -> dict[int, int] | None:
    """The mapping that `write_values` wrote; None for ""."""
    pairs: Iterable[list[str]] = (pair.split("=") for pair in text.split(";") if pair)
    return {int(value): int(index) for value, index in pairs} or None


def _spread(raw: str) -> int:
    """What Pillow multiplies grey values of 2 and 4 bits with, so that they fill 8."""
    return 85 if "L;2" in raw else 17 if "L;4" in raw else 1


def _indices(image: Image.Image) -> tuple[np.ndarray, str]:
    """Indices of a palette image and the colours of those in use; its greys where these can only be values.

    Writers of GIF renumber the greys 0, 2 as 0, 1; no mask uses greys that look alike as colours.
    """
    pixels = np.asarray(image)
    colours = np.array(image.getpalette("RGB") or [], int).reshape(-1, 3)
    used = [index for index in np.unique(pixels).tolist() if index < len(colours)]
    greys = colours[used, 0]
    if len(used) and (colours[used] == greys[:, None]).all() and greys.max() < _NEAR_BLACK:
        table = np.zeros(256, np.uint8)
        table[used] = greys
        return table[pixels], ""
    return pixels, ",".join(f"{index}:{bytes(colours[index].tolist()).hex()}" for index in used)


def _whole_numbers(image: Image.Image) -> np.ndarray:
    pixels = np.empty((image.height, image.width), np.int32)
    for rows, strip in strips(image):
        if strip.dtype.kind == "f" and not ((np.abs(strip) < 2**31) & (np.rint(strip) == strip)).all():  # NaN too
            raise ValueError("holds values that are not whole numbers; a mask holds class indices")
        pixels[rows] = strip
    return pixels


def _grey(image: Image.Image, top_bytes: bool) -> np.ndarray:
    """The one channel of a colour file without colours."""
    if top_bytes:
        raise ValueError("is a colour image of 16 bits; save class indices as a single-channel image of 8 bits")
    layers = image.convert("RGBA")
    if not is_grey(layers):
        advice = "a mask is a single-channel image of class indices, so save it as one"
        raise ValueError(f"has coloured pixels; {advice}")
    alpha, grey = layers.getchannel("A"), layers.getchannel(0)
    low, high = alpha.getextrema()
    if low != high and len(set(grey.getextrema())) == 1:
        raise ValueError("has one grey only and classes in its transparency; save these as a grey image")
    if low != high and (np.asarray(grey)[np.asarray(alpha) < high] != 0).any():
        raise ValueError("has transparent pixels; save class indices as a single-channel image")
    return np.asarray(grey)


def _is_lossy(file: Image.Image, data: bytes) -> bool:
    if file.format == "WEBP":
        return b"VP8 " in data[:64]
    jpeg_inside = "jpeg" in str(file.info.get("compression", ""))
    return file.format in ("JPEG", "MPO", "JPEG2000", "AVIF") or jpeg_inside
