"""Images in any form, made into what a model sees by the steps that made the run's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aggregation_lab.data.cache import model_pixels
from aggregation_lab.data.images.decode import Picture, picture_of, read_picture
from aggregation_lab.data.images.deep_levels import Levels, scaled
from aggregation_lab.errors import DataError
from aggregation_lab.files import read_bytes
from aggregation_lab.text import printable

AnyImage = Path | str | bytes | Image.Image | np.ndarray
"""A file, the bytes of one, an image of Pillow, or an array: H x W grey or H x W x 3 RGB, uint8; H x W uint16, int32
or float32, too."""

_DEEP = {"uint16": "uint16", "int16": "int32", "int32": "int32", "float32": "float32", "float64": "float32"}
"""Types of arrays with more than 8 bits, and the one in which Pillow takes them."""


@dataclass(frozen=True)
class ImageInput:
    """`pixels` S x S x C uint8, C = 1 or 3; `height` and `width` of the original image, the first of `frames`."""

    pixels: np.ndarray
    height: int
    width: int
    frames: int = 1


def image_input(image: AnyImage, size: int, channels: int, levels: Sequence[str] = ()) -> ImageInput:
    """One image as a model of `size` and `channels` sees it. `levels` as `Description` has them, of the task.

    Raises `DataError` where it cannot be read as an image, or has more than 8 bits and no range of values is known.
    """
    name = printable(str(image), 400) if isinstance(image, Path | str) else "the image"
    try:
        picture = _picture(image)
        shown = scaled(picture.image, _only(levels)) if picture.deep else picture.image
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror or error}); check the path") from error
    except ValueError as error:
        raise DataError(f"{name}: {error}") from error
    return ImageInput(model_pixels(shown, size, channels), shown.height, shown.width, picture.frames)


def _picture(image: AnyImage) -> Picture:
    if isinstance(image, Image.Image):
        return picture_of(image)
    if isinstance(image, Path | str | bytes):
        return read_picture(image if isinstance(image, bytes) else read_bytes(Path(image)))
    return picture_of(_from_array(np.asarray(image)))


def _from_array(array: np.ndarray) -> Image.Image:
    plane = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    colour = plane.ndim == 3 and plane.shape[2] == 3
    if not plane.size or not (plane.ndim == 2 or colour) or (colour and plane.dtype != np.uint8):
        raise ValueError(f"is an array of {_shape(array)}; it takes H x W, or H x W x 3 of uint8")
    if plane.dtype == np.uint8:
        return Image.fromarray(np.ascontiguousarray(plane))
    kind = _DEEP.get(str(plane.dtype))
    if kind is None:
        raise ValueError(
            f"is an array of {_shape(array)}; it takes uint8, or uint16, int32 or float32 of more than 8 bits"
        )
    return Image.fromarray(np.ascontiguousarray(plane.astype(kind)))


def _shape(array: Any) -> str:
    return f"{' x '.join(map(str, array.shape)) or 'no side'} {array.dtype}"


def _only(levels: Sequence[str]) -> Levels:
    """The levels of a task's deep images. Raises `ValueError` where there are none, or two."""
    known = [found for found in map(Levels.parse, levels) if found is not None]
    if len(known) == 1:
        return known[0]
    why = "the run saw two ranges of such values" if known else "the run saw no such image of this task"
    raise ValueError(f"holds more than 8 bits per pixel, and {why}; save it with 8 bits")
