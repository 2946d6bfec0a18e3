"""DICOM images and clips (DICOM PS3.3): windowed, right way round in grey, cut to the ultrasound region.

- Grey images are shown through their own VOI LUT or window (C.11.2), in 8 bits; without one the values stay, in 16
  bits. MONOCHROME1, which has white at 0, is inverted. Palettes and YBR become RGB.
- Pixels are taken in the order in which they are stored; nothing is turned or mirrored.
- Sequence of Ultrasound Regions (0018,6011): the largest region of tissue is kept, which leaves out burned-in names;
  targets move along. Without the sequence the whole image is kept.
- The subject is PatientID, hashed with a secret of OUT. Capitals and zeros before a number mean nothing, as in tables;
  nor does who assigned the id, which only some files of a patient may say. Where it is empty, as in files without
  identity, the subject is the study (0020,000D), which is of one patient, and where that is empty, too, the clip:
  frames of one clip show nearly the same. Names of files in OUT are hashed too, for paths of DICOM files often hold
  names and dates of birth.
"""

import hashlib
import hmac
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array

from aggregation_lab.data.importing.files import Opened, Opener
from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.pixels import as_image
from aggregation_lab.data.importing.readers.labelled import read_labelled
from aggregation_lab.data.importing.records import Crop, Picture, ReadTask, Report
from aggregation_lab.data.progress import Progress
from aggregation_lab.data.subjects.subject_ids import subject_key
from aggregation_lab.files import open_file
from aggregation_lab.text import printable

_TISSUE, _TWO_DIMENSIONAL = 1, 1
"""Region Data Type (0018,6014) and Region Spatial Format (0018,6012) of a B-mode image (C.8.5.5)."""
_MOST_FRAMES = 100_000


def read(source: Path, options: ImportOptions, report: Report, progress: Progress) -> list[ReadTask]:
    """One task, labelled by a table or by a folder per class. Of clips every `step`-th frame is a case."""
    return read_labelled(source, options, report, progress, _DicomOpener(options, report))


class _DicomOpener(Opener):
    endings = (".dcm", ".dicom", ".ima")
    what = "DICOM files (.dcm, .dicom, .ima, or others that begin as DICOM does)"
    or_labels = ", or a table with --labels"
    subjects = "PatientID, or the study or clip of files without one, hashed"

    def __init__(self, options: ImportOptions, report: Report):
        self._key, self._step, self._crop, self._report = options.key, options.step or 1, options.crop, report
        self._given = options.subject is not None

    def takes(self, file: Path) -> bool:
        """By its ending, or by its beginning (PS3.10 7.1): scanners write files without an ending."""
        if super().takes(file):
            return True
        if file.name.upper() == "DICOMDIR":  # a table of contents
            return False
        try:
            with open_file(file) as stream:
                return stream.read(132)[128:] == b"DICM"
        except OSError:
            return False

    def open(self, file: Path, where: str, frame: int | None) -> list[Opened]:
        try:
            header = pydicom.dcmread(file, stop_before_pixels=True)
            count = int(header.get("NumberOfFrames") or 1)
            has_pixels = "Rows" in header and "Columns" in header
            crop = _region(header) if self._crop else None
        except Exception as error:  # pydicom raises many types for broken bytes
            raise ValueError(f"is no DICOM file ({printable(str(error), 80)})") from error
        if not has_pixels:
            raise ValueError("holds no image")
        if not 1 <= count <= _MOST_FRAMES:
            raise ValueError(f"names {count} frames")
        if crop is None and self._crop and str(header.get("BurnedInAnnotation", "")).upper() == "YES":
            self._report.remark(where, "has burned-in text and no region tags, so the text stays in the image")
        if frame is not None and frame >= count:
            raise ValueError(f"has no frame {frame}; it has {count}, counted from 0")
        subject = self._hashed(self._subject(header, where, count > 1))
        name = f"{subject or 'unknown'}/{self._hashed(where)}"
        frames = [frame] if frame is not None else range(0, count, self._step)
        opened = []
        for number in frames:
            part = f"_f{number:04d}" if count > 1 else ""
            shown = f"{where} frame {number}" if count > 1 else where
            load = partial(_image, file, number if count > 1 else None)
            opened.append(Opened(Picture(shown, f"{name}{part}", load=load, crop=crop), subject))
        return opened

    def _subject(self, header: Any, where: str, is_clip: bool) -> str:
        """The patient, or the largest part of their images that the file tells; "" for a still that tells none."""
        patient = subject_key(str(header.get("PatientID") or ""))
        if patient:
            return patient
        study = subject_key(str(header.get("StudyInstanceUID") or ""))
        subject, what = (study, "study") if study else (where, "clip") if is_clip else ("", "")
        if subject and not self._given:
            advice = "where a patient has several, give --subject, or the same patient may leak"
            self._report.remark(where, f"has no PatientID, so its {what} counts as the subject; {advice}")
        return subject

    def _hashed(self, text: str) -> str:
        """Twelve hex digits that nobody finds the text for without the secret of OUT; "" for no text."""
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:12] if text else ""


def _region(header: Any) -> Crop | None:
    """The largest two-dimensional region of tissue; None where there is none."""
    regions = []
    for item in header.get("SequenceOfUltrasoundRegions") or ():
        if item.get("RegionDataType") != _TISSUE or item.get("RegionSpatialFormat", 1) != _TWO_DIMENSIONAL:
            continue
        names = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")
        left, top, right, bottom = (int(item.get(name, -1)) for name in names)
        if 0 <= left < right and 0 <= top < bottom:
            regions.append((left, top, right + 1, bottom + 1))  # the maxima are inside
    return max(regions, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]), default=None)


def _image(file: Path, frame: int | None) -> Image.Image:
    """The picture as a viewer shows it. Raises `ValueError` where its pixels cannot be decoded."""
    try:
        data = pydicom.dcmread(file)
        pixels = pixel_array(data, index=frame)
        return as_image(_shown(data, pixels))
    except ValueError as error:
        raise ValueError(printable(str(error), 200)) from error
    except Exception as error:  # pydicom and its decoders raise many types
        raise ValueError(f"its pixels cannot be decoded ({printable(str(error).splitlines()[0], 150)})") from error


def _shown(data: Any, pixels: np.ndarray) -> np.ndarray:
    form = str(data.get("PhotometricInterpretation", ""))
    if form == "PALETTE COLOR":
        colours = apply_color_lut(pixels, data)
        bits = int(data.RedPaletteColorLookupTableDescriptor[2])
        return (colours >> (bits - 8)).astype(np.uint8) if bits > 8 else colours.astype(np.uint8)
    if pixels.ndim == 3:
        bits = int(data.get("BitsStored", 8))
        return (pixels >> (bits - 8)).astype(np.uint8) if bits > 8 else pixels.astype(np.uint8)
    inverted = form == "MONOCHROME1"
    if data.get("VOILUTSequence") or all(_is_filled(data.get(name)) for name in ("WindowCenter", "WindowWidth")):
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


def _windowed(data: Any, pixels: np.ndarray) -> np.ndarray:
    """Through the VOI LUT, or the window, on 0..255; the first of several."""
    values = apply_modality_lut(pixels, data)
    if data.get("VOILUTSequence"):
        highest = 2 ** int(data.VOILUTSequence[0].LUTDescriptor[2]) - 1
        return (
            np.clip(apply_voi_lut(values, data, prefer_lut=True) * (255.0 / highest), 0, 255).round().astype(np.uint8)
        )
    flat = np.append(values.astype(np.float64).ravel(), (-1e9, 1e9))  # what lies below, and above, the window
    with np.errstate(over="ignore"):  # so far outside, a sigmoid is 0 or 1
        shown = apply_voi_lut(flat, data)
    low, high = shown[-2], shown[-1]
    return ((shown[:-2] - low) * (255 / (high - low))).round().astype(np.uint8).reshape(pixels.shape)
