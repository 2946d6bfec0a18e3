"""Decoding of image and mask files: bytes become pixels nowhere else."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from io import BytesIO

from PIL import Image, ImageChops

from aggregation_lab.data.images.deep_levels import Levels, is_deep, scaled, strips
from aggregation_lab.data.images.quiet_pillow import QuietPillow

LARGEST = 40_000_000
"""Pixels of the largest image that is decoded; an ultrasound image has about one million."""

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "DIB", "GIF", "WEBP", "JPEG2000", "AVIF", "PPM", "PCX", "TGA", "SGI")
"""What Pillow may take a file for; not the formats whose decoders run other programs."""

_ALONE = 4_000_000  # pixels from which images are decoded one at a time, so that memory stays bounded
_ORIENTATION = 0x0112  # EXIF tag
_PHOTOMETRIC = 262  # TIFF tag
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_THEIR_SIDE = {_TURNS[orientation] for orientation in (5, 6, 7, 8)}
_quiet = QuietPillow()
_large = threading.Lock()


@dataclass(frozen=True)
class Picture:
    """The first picture of a file, turned as its EXIF orientation says, and properties of the file.

    `image` is of mode L or RGB, or of a deep mode (I, I;16, F) whose values are as the file has them.
    """

    image: Image.Image
    frames: int = 1
    turned: bool = False
    transparent: bool = False
    """Some pixels are transparent, and black behind them changes what is seen."""
    top_bytes: bool = False
    """A colour image of 16 bits, of which only the top 8 are read."""

    @property
    def deep(self) -> bool:
        return is_deep(self.image)


def decode_image(data: bytes, levels: Levels | None = None) -> Image.Image:
    """A fully decoded 8-bit image of mode L (grey) or RGB; an RGB image with three equal channels becomes L.

    `levels` scale a deep image (16 bits, float); those of other images are 0 and 255. Raises `ValueError` with a
    reason a user understands where the bytes are no whole image, or a deep one comes without levels.
    """
    image = read_picture(data).image
    if not is_deep(image):
        return image
    if levels is None:
        raise ValueError("holds more than 8 bits per pixel and no range of values is known for it")
    return scaled(image, levels)


def read_picture(data: bytes) -> Picture:
    """The picture in the bytes. Raises `ValueError` as `decode_image` does."""
    with decoded_file(data) as opened:
        return _picture(opened)


def picture_of(image: Image.Image) -> Picture:
    """The picture that an image of Pillow shows, read as the file of it would be. Raises `ValueError` likewise."""
    return _picture(_load(image))


def _picture(opened: "DecodedFile") -> Picture:
    image, transparent = opened.image, False
    if is_deep(image):
        if opened.file.format == "TIFF" and opened.file.tag_v2.get(_PHOTOMETRIC) == 0:  # type: ignore[attr-defined]
            raise ValueError("stores white as 0 in more than 8 bits, which is not read; save it with black as 0")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode != "L":
        image, transparent = _on_black(image)
        image = image.getchannel(0) if is_grey(image) else image
    return Picture(image, opened.frames, opened.turned, transparent, opened.top_bytes)


def is_grey(image: Image.Image) -> bool:
    """Whether the first three channels are equal everywhere."""
    for _, strip in strips(image):
        if (strip[..., 0] != strip[..., 1]).any() or (strip[..., 1] != strip[..., 2]).any():
            return False
    return True


def _on_black(image: Image.Image) -> tuple[Image.Image, bool]:
    """The image as RGB, on black where pixels are transparent, and whether that changed it.

    Transparency that is the same everywhere is dropped.
    """
    if image.mode == "LAB":
        raise ValueError("has the colour space LAB, which is not read; save it as RGB or grey")
    if not image.has_transparency_data or image.mode == "RGB":
        return image.convert("RGB"), False
    layers = image.convert("RGBA")
    opaque = layers.convert("RGB")
    low, high = layers.getchannel("A").getextrema()
    if low == high:
        return opaque, False
    black = Image.new("RGB", image.size)
    black.paste(opaque, mask=layers.getchannel("A"))
    return black, ImageChops.difference(black, opaque).getbbox() is not None


@dataclass(frozen=True)
class DecodedFile:
    """A decoded file before its mode is read: the first picture, turned, and properties of the file.

    `raw` names the form in which the file keeps its pixels, in Pillow's words.
    """

    image: Image.Image
    file: Image.Image
    frames: int
    turned: bool
    raw: str

    @property
    def top_bytes(self) -> bool:
        """Whether it has 16 bits per channel of which only the top 8 are read: so it is with colour."""
        return not is_deep(self.image) and "16" in self.raw


@contextmanager
def decoded_file(data: bytes) -> Iterator[DecodedFile]:
    """The decoded first picture; while the block lasts no other large one is decoded.

    Raises `ValueError` where the bytes are no whole image or too large a one.
    """
    if not data:
        raise ValueError("is empty (0 bytes); restore the file")
    with _quiet:
        try:
            image = Image.open(BytesIO(data), formats=_formats())
        except Exception as error:  # Pillow's decoders raise many types for broken bytes
            raise ValueError(_reason(error)) from error
        width, height = image.size
        if width * height > LARGEST:
            size = f"has {width} x {height} pixels, more than {LARGEST // 10**6} million"
            raise ValueError(f"{size}; save it at a smaller size")
        with _large if width * height > _ALONE else nullcontext():
            yield _load(image)


@cache
def _formats() -> tuple[str, ...]:
    """Those of FORMATS that this build of Pillow knows."""
    Image.init()
    return tuple(form for form in FORMATS if form in Image.OPEN)


def _load(image: Image.Image) -> DecodedFile:
    raw = " ".join(str(tile[3]) for tile in getattr(image, "tile", ()))  # gone once the pixels are there
    try:
        frames = 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))  # phones add previews
        turn = _turn(image)
        image.load()
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(_reason(error)) from error
    # Pillow turns TIFF files itself
    upright = image if turn is None or image.format == "TIFF" else image.transpose(turn)
    return DecodedFile(upright, image, frames, turn is not None, raw)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of an opened file once it is decoded, as its orientation says."""
    on_its_side = image.format != "TIFF" and _turn(image) in _ON_THEIR_SIDE
    return image.size[::-1] if on_its_side else image.size


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF says nothing of the orientation
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, ValueError) and "too large" in str(error).lower():
        return "carries a text block or profile too large to be safe; save the image again without metadata"
    return f"cannot be decoded, it is truncated or no image ({type(error).__name__}); restore the file"
