"""DICOM images and clips (DICOM PS3.3): which files are images, their ultrasound region, and their patient.

- What pixels show: `documents.dicom`. They are taken in the order in which they are stored; nothing is turned.
- Files that hold no image but what belongs to one (segmentations, presentation states, doses) are left out.
- Sequence of Ultrasound Regions (0018,6011): the largest region of tissue is kept, which leaves out burned-in names;
  targets move along. Without the sequence the whole image is kept.
- The subject is PatientID, hashed with a secret of OUT. Capitals and zeros before a number mean nothing, as in tables;
  nor does who assigned the id, which only some files of a patient may say. Where it is empty, as in files without
  identity, the subject is the study (0020,000D), which is of one patient, and where that is empty, too, the clip:
  frames of one clip show nearly the same. Names of files in OUT are hashed too, for paths of DICOM files often hold
  names and dates of birth.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pydicom

from aggregation_lab.data.images.foreign_formats import ENDINGS
from aggregation_lab.data.importing.documents.dicom import quietly, shown_image, window_fault
from aggregation_lab.data.importing.files import LoadMap, Opened, Opener, as_subject
from aggregation_lab.data.importing.mask_values import MaskValues
from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.readers.labelled import read_labelled
from aggregation_lab.data.importing.records import Crop, Picture, ReadTask, Report
from aggregation_lab.data.importing.subjects import hashed
from aggregation_lab.data.progress import Progress
from aggregation_lab.data.subjects.subject_ids import subject_key
from aggregation_lab.files import open_file
from aggregation_lab.text import printable

_TISSUE, _TWO_DIMENSIONAL = 1, 1
"""Region Data Type (0018,6014) and Region Spatial Format (0018,6012) of a B-mode image (C.8.5.5)."""
_MOST_FRAMES = 100_000
_NO_IMAGES = {"SEG": "a segmentation", "PR": "a presentation state", "RTDOSE": "a dose distribution"}
"""By Modality (0008,0060): objects with pixels, or a reference to some, that belong to an image and are none."""
_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""SOP classes (0008,0016) of segmentations and label maps, whatever their Modality says."""


def read(source: Path, options: ImportOptions, report: Report, progress: Progress) -> list[ReadTask]:
    """One task, labelled by a table or by a folder per class. Of clips every `step`-th frame is a case."""
    return read_labelled(source, options, report, progress, _DicomOpener(options, report))


class _DicomOpener(Opener):
    endings = ENDINGS["DICOM"]
    what = "DICOM files (.dcm, .dicom, .ima, or others that begin as DICOM does)"
    or_labels = ", or a table with --labels"
    subjects = "PatientID, or the study or clip of files without one"

    def __init__(self, options: ImportOptions, report: Report):
        self._key, self._step, self._crop, self._report = options.key, options.step or 1, options.crop, report

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
            with quietly():
                header = pydicom.dcmread(file, stop_before_pixels=True)
                count = int(header.get("NumberOfFrames") or 1)
                size = int(header.get("Columns") or 0), int(header.get("Rows") or 0)
                regions, kind, odd_window = _regions(header), _no_image(header), window_fault(header)
                burned = str(header.get("BurnedInAnnotation", "")).upper() == "YES"
                subject, unit = _subject(header, where, count > 1)
        except Exception as error:  # pydicom raises many types for broken bytes
            raise ValueError(f"is no DICOM file ({printable(str(error), 80)})") from error
        if kind:
            raise ValueError(f"is {kind}, and no image")
        if not all(size):
            raise ValueError("holds no image")
        if not 1 <= count <= _MOST_FRAMES:
            raise ValueError(f"names {count} frames")
        if frame is not None and frame >= count:
            raise ValueError(f"has no frame {frame}; it has {count}, counted from 0")
        crop = max(regions, key=_area, default=None) if self._crop else None
        if burned and (crop is None or _area(crop) >= size[0] * size[1]):
            self._report.remark(where, "has burned-in text and no region that leaves it out, so it stays in the image")
        if crop is not None and (others := _apart(regions, crop)):
            message = f"shows {others} more region(s) of tissue beside the largest, to which it is cut"
            self._report.remark(where, f"{message}; --no-crop keeps the whole image")
        if odd_window:
            self._report.remark(where, odd_window)
        name = f"{hashed(self._key, subject) or 'unknown'}/{hashed(self._key, where)}"
        frames = [frame] if frame is not None else range(0, count, self._step)
        opened = []
        for number in frames:
            part = f"_f{number:04d}" if count > 1 else ""
            shown = f"{where} frame {number}" if count > 1 else where
            load = partial(shown_image, file, number if count > 1 else None)
            opened.append(Opened(Picture(shown, f"{name}{part}", load=load, crop=crop), subject, unit))
        return opened

    def with_mask(
        self, file: Path, where: str, frame: int | None, mask: Path, values: MaskValues
    ) -> list[tuple[Opened, LoadMap]]:
        if self.takes(mask):
            raise ValueError("its mask is a DICOM file, which is not read as a mask; save it as PNG")
        return super().with_mask(file, where, frame, mask, values)


def _no_image(header: Any) -> str:
    """What the file is where it is no image; "" where it may be one."""
    segmentation = str(header.get("SOPClassUID", "")) in _SEGMENTATIONS
    return _NO_IMAGES.get("SEG" if segmentation else str(header.get("Modality", "")).upper(), "")


def _subject(header: Any, where: str, is_clip: bool) -> tuple[str, str]:
    """The patient, or the largest part of their images that the file tells, with its unit; "" for a still that tells
    none."""
    patient = subject_key(str(header.get("PatientID") or ""))
    study = subject_key(str(header.get("StudyInstanceUID") or ""))
    if patient:
        return patient, ""
    return (study, "study") if study else (as_subject(where), "clip") if is_clip else ("", "")


def _regions(header: Any) -> list[Crop]:
    """The two-dimensional regions of tissue."""
    regions = []
    for item in header.get("SequenceOfUltrasoundRegions") or ():
        if item.get("RegionDataType") != _TISSUE or item.get("RegionSpatialFormat", 1) != _TWO_DIMENSIONAL:
            continue
        names = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")
        left, top, right, bottom = (int(item.get(name, -1)) for name in names)
        if 0 <= left < right and 0 <= top < bottom:
            regions.append((left, top, right + 1, bottom + 1))  # the maxima are inside
    return regions


def _area(box: Crop) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _apart(regions: Sequence[Crop], crop: Crop) -> int:
    """How many regions do not lie within the one that is kept."""
    return sum(
        not (crop[0] <= box[0] and crop[1] <= box[1] and box[2] <= crop[2] and box[3] <= crop[3]) for box in regions
    )
