"""Arrays of pixels -> images that agglab reads without a loss: 8 or 16 bits, or floating point."""

import numpy as np
from PIL import Image


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
    return Image.fromarray(np.ascontiguousarray(pixels.astype(np.float32)))
