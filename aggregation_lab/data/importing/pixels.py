"""Pixels of a picture: decoded from its file, or of an array -> images that agglab reads without a loss."""

from io import BytesIO

import numpy as np
from PIL import Image

from aggregation_lab.data.images.decode import Picture as Decoded
from aggregation_lab.data.images.decode import read_picture
from aggregation_lab.data.importing.records import Crop, Picture
from aggregation_lab.files import read_bytes


def as_image(pixels: np.ndarray) -> Image.Image:
    """H x W or H x W x 3 numbers as an image of mode L, RGB, I;16, or F for what 16 bits cannot hold.

    Values stay as they are: agglab gives one range to all images of a task. Raises `ValueError` for other shapes.
    """
    colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    if not colour and pixels.ndim != 2:
        raise ValueError(f"is an array of {' x '.join(map(str, pixels.shape))}, no image")
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    if colour:
        if pixels.dtype != np.uint8:
            raise ValueError(f"is a colour image of {pixels.dtype}, of which 8 bits are read")
        return Image.fromarray(np.ascontiguousarray(pixels))
    if pixels.dtype.kind in "iu":
        low, high = int(pixels.min()), int(pixels.max())
        if pixels.dtype == np.uint8:
            return Image.fromarray(np.ascontiguousarray(pixels))
        if low >= 0 and high < 2**16:
            return Image.fromarray(np.ascontiguousarray(pixels.astype(np.uint16)))
        if max(-low, high) >= 2**24:
            raise ValueError("holds whole numbers beyond 24 bits")
    if pixels.dtype.kind not in "iuf":
        raise ValueError(f"holds {pixels.dtype} values, which are no grey values")
    if not np.isfinite(pixels).all():
        raise ValueError("holds values that are not finite (NaN, infinity); write numbers in their place")
    return Image.fromarray(np.ascontiguousarray(pixels.astype(np.float32)))


def within(crop: Crop, whole: Crop) -> Crop:
    x_min, y_min, x_max, y_max = crop
    inside = max(x_min, 0), max(y_min, 0), min(x_max, whole[2]), min(y_max, whole[3])
    if inside[2] <= inside[0] or inside[3] <= inside[1]:
        raise ValueError("its ultrasound region lies outside the image")
    return inside


def decoded(picture: Picture) -> tuple[Decoded, bytes]:
    """The pixels of a picture, and the bytes of its file where it is one. Raises `ValueError` with the reason."""
    shown, data = (Decoded(picture.load()), b"") if picture.load is not None else _of_file(picture)
    if not all(shown.image.size):
        raise ValueError("is an image without a pixel")
    return shown, data


def _of_file(picture: Picture) -> tuple[Decoded, bytes]:
    assert picture.file is not None
    try:
        data = read_bytes(picture.file)
    except FileNotFoundError:
        raise ValueError("its image file does not exist") from None
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from error
    return read_picture(data), data


def encoded_image(image: Image.Image) -> tuple[Image.Image, bytes, str]:
    """The image, its bytes without loss, and their ending: PNG of 8 or 16 bits, TIFF for floating point."""
    stream = BytesIO()
    form, ending = ("TIFF", ".tif") if image.mode == "F" else ("PNG", ".png")
    image.save(stream, format=form)
    return image, stream.getvalue(), ending
