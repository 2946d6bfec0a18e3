"""What a DICOM image shows (DICOM PS3.3): windowed, right way round in grey, colours as RGB.

- Grey images are shown through their own VOI LUT or window (C.11.2), in 8 bits; without one the values stay, in 16
  bits. A window of no width is none. MONOCHROME1, which has white at 0, is inverted. Palettes and YBR become RGB.
- Palettes and VOI LUTs whose entries all fit 8 bits are taken as of 8 bits: some scanners say 16 of such.
"""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom.multival import MultiValue
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array

from aggregation_lab.data.importing.pixels import as_image
from aggregation_lab.text import printable


@contextmanager
def quietly() -> Iterator[None]:
    """Without the warnings of pydicom, which are for programmers: what matters of them is looked for here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def window_fault(header: Any) -> str:
    """What to say where the window of a grey image has no width; "" where all is well."""
    grey = str(header.get("PhotometricInterpretation", "")).startswith("MONOCHROME")
    if not grey or header.get("VOILUTSequence") or not _has_window(header) or _fits_window(header):
        return ""
    return f"has a window of width {_first(header.WindowWidth):g}, which shows nothing; its values stay as they are"


def shown_image(file: Path, frame: int | None) -> Image.Image:
    """The picture as a viewer shows it, or the one numbered `frame`, from 0, of a clip.

    Raises `ValueError` where its pixels cannot be decoded.
    """
    try:
        with quietly():
            data = pydicom.dcmread(file)
            pixels = pixel_array(data, index=frame)
            if pixels.ndim > (3 if int(data.get("SamplesPerPixel", 1)) > 1 else 2):
                raise ValueError(f"holds {len(pixels)} frames, its header names one; correct NumberOfFrames")
            return as_image(_shown(data, pixels))
    except ValueError as error:
        raise ValueError(printable(str(error), 200)) from error
    except Exception as error:  # pydicom and its decoders raise many types
        raise ValueError(_undecoded(str(error))) from error


def _undecoded(text: str) -> str:
    """Why pixels cannot be decoded, with the packages that pydicom lacks for them where it names some."""
    packages = re.search(r"pylibjpeg - requires (.+)", text)
    if packages:
        kind = re.search(r"'([^']+)'", text)
        names = " ".join(re.findall(r"pylibjpeg[a-z-]*", packages[1]))
        return f"is compressed as {kind[1] if kind else 'JPEG'}, for which a package is missing; pip install {names}"
    advice = "; export it without compression" if "not supported" in text else ""
    return f"its pixels cannot be decoded ({printable(' '.join(text.split()), 150)}){advice}"


def _shown(data: Any, pixels: np.ndarray) -> np.ndarray:
    form = str(data.get("PhotometricInterpretation", ""))
    if form == "PALETTE COLOR":
        count, first, _ = map(int, data.RedPaletteColorLookupTableDescriptor)
        highest = apply_color_lut(np.arange(first, first + (count or 2**16)), data).max()
        colours = apply_color_lut(pixels, data)
        return (colours >> 8 if highest > 255 else colours).astype(np.uint8)
    if pixels.ndim == 3:
        bits = int(data.get("BitsStored", 8))
        return (pixels >> (bits - 8)).astype(np.uint8) if bits > 8 else pixels.astype(np.uint8)
    inverted = form == "MONOCHROME1"
    if data.get("VOILUTSequence") or (_has_window(data) and _fits_window(data)):
        shown = _windowed(data, pixels)
        return 255 - shown if inverted else shown
    if inverted:  # in stored values: 0 is white
        bits = int(data.get("BitsStored", 8))
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if data.get("PixelRepresentation") else (0, 2**bits - 1)
        pixels = low + high - pixels.astype(np.int64)
        pixels = pixels.astype(np.uint8) if not low and high == 255 else pixels
    return apply_modality_lut(pixels, data)


def _is_filled(value: Any) -> bool:
    """Whether an element is there and has a value: programs that take out identities leave some empty."""
    return value is not None and str(value).strip() not in ("", "[]")


def _has_window(data: Any) -> bool:
    return all(_is_filled(data.get(name)) for name in ("WindowCenter", "WindowWidth"))


def _fits_window(data: Any) -> bool:
    """Whether the window has a width that its function can show (C.11.2.1.2.1, C.11.2.1.3)."""
    width = _first(data.WindowWidth)
    return width >= 1 if str(data.get("VOILUTFunction") or "LINEAR").upper() == "LINEAR" else width > 0


def _first(value: Any) -> float:
    """The number, or the first of several."""
    return float(value[0] if isinstance(value, MultiValue) else value)


def _windowed(data: Any, pixels: np.ndarray) -> np.ndarray:
    """Through the VOI LUT, or the window, on 0..255; the first of several."""
    values = apply_modality_lut(pixels, data)
    if data.get("VOILUTSequence"):
        count, first, bits = map(int, data.VOILUTSequence[0].LUTDescriptor)
        entries = apply_voi_lut(np.arange(first, first + (count or 2**16)), data, prefer_lut=True)
        highest = 2**bits - 1 if entries.max() > 255 else 255
        shown = apply_voi_lut(values, data, prefer_lut=True)
        return np.clip(shown * (255.0 / highest), 0, 255).round().astype(np.uint8)
    flat = np.append(values.astype(np.float64).ravel(), (-1e9, 1e9))  # what lies below, and above, the window
    with np.errstate(over="ignore"):  # so far outside, a sigmoid is 0 or 1
        shown = apply_voi_lut(flat, data)
    low, high = shown[-2], shown[-1]
    return ((shown[:-2] - low) * (255 / (high - low))).round().astype(np.uint8).reshape(pixels.shape)
