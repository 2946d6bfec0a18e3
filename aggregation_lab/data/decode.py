"""Decoding of image and mask files: the one place that turns bytes into pixels."""

from io import BytesIO

import numpy as np
from PIL import Image


def decode_image(data: bytes) -> Image.Image:
    """A fully decoded 8-bit image of mode L (grey) or RGB; an RGB image with three equal channels becomes L.

    Raises `ValueError` with a reason a user understands where the bytes are no whole image.
    """
    image = _decode(data)
    if image.mode in ("I;16", "I;16L", "I;16B", "I"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))  # the top byte, as common readers do
    if image.mode in ("L", "1"):
        return image.convert("L")
    image = image.convert("RGB")
    pixels = np.asarray(image)
    grey = (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all()
    return image.getchannel(0) if grey else image


def decode_mask(data: bytes) -> Image.Image:
    """A fully decoded mask of mode L whose values are class indices.

    Palette files give their indices. Raises `ValueError` where the file is no image or has several channels.
    """
    image = _decode(data)
    if image.mode not in ("L", "P", "1"):
        raise ValueError(f"has mode {image.mode}; a mask is a single-channel 8-bit image of class indices")
    return Image.fromarray(np.asarray(image).astype(np.uint8))


def _decode(data: bytes) -> Image.Image:
    if not data:
        raise ValueError("is empty (0 bytes)")
    try:
        image = Image.open(BytesIO(data))
        image.load()
    except Exception as error:  # Pillow's decoders raise many types for broken bytes
        raise ValueError(f"cannot be decoded, it is truncated or no image ({type(error).__name__})") from error
    return image
