"""The formats that can be imported: name, what it is, its reader, the extra it needs, the options it takes."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name

from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.records import ReadTask, Report
from aggregation_lab.data.progress import Progress
from aggregation_lab.errors import AgglabError
from aggregation_lab.text import near_names, printable

Reader = Callable[[Path, ImportOptions, Report, Progress], list[ReadTask]]
"""From a source to its tasks. Raises `DataError` where nothing of the source can be used, and for wrong options."""

_READERS = "aggregation_lab.data.importing.readers"
_TABLE = ("columns", "classes", "mask_values", "type", "each_box")


@dataclass(frozen=True)
class Format:
    """`package` is a module that the reader needs beside the project's own, `extra` the extra that installs it."""

    name: str
    title: str
    module: str
    takes: tuple[str, ...] = ()
    package: str = ""
    extra: str = ""
    hashes: bool = False
    """Whether it hashes identities with the secret of OUT."""

    @property
    def read(self) -> Reader:
        """The reader. Raises `AgglabError` with the way to install it, where a package is missing."""
        if self.package and find_spec(self.package) is None:
            install = f"pip install -e '.[{self.extra}]'"
            raise AgglabError(f"{self.name}: needs the package {self.package}, which is not installed; {install}")
        return resolve_name(f"{_READERS}.{self.module}:read")


FORMATS = {
    each.name: each
    for each in (
        Format("folder", "a folder per class", "folder", ("classes",)),
        Format("csv", "a table of images with a label, mask, box or points", "table", ("images", *_TABLE)),
        Format("masks", "the folders images and masks", "mask_pairs", ("images", "mask_values")),
        Format("coco", "COCO detection, keypoints, segmentation", "coco", ("type", "classes", "images", "each_box")),
        Format(
            "nnunet",
            "nnU-Net v2 raw, one data set or many",
            "nnunet",
            ("mask_values", "slices", "step", "channel"),
        ),
        Format("yolo", "YOLO boxes, segments, pose", "yolo", ("type", "classes", "each_box")),
        Format("voc", "Pascal VOC", "voc", ("type", "classes", "each_box", "mask_values")),
        Format("medmnist", "an npz file of MedMNIST", "medmnist"),
        Format(
            "dicom", "DICOM images and clips", "dicom", ("labels", "step", "crop", *_TABLE), "pydicom", "dicom", True
        ),
        Format("nifti", "NIfTI images and volumes", "nifti", ("labels", "slices", "step", *_TABLE), "nibabel", "nifti"),
        Format("labelme", "LabelMe JSON files", "labelme", ("type", "classes", "each_box")),
        Format("cvat", "CVAT for images 1.1", "cvat", ("type", "classes", "images", "each_box")),
        Format("video", "video files", "video", ("labels", "step", *_TABLE), "av", "video"),
    )
}


def find_format(name: str) -> Format:
    """The format of this name. Raises `ValueError` that names the near ones."""
    if name.lower() not in FORMATS:
        raise ValueError(f"{printable(name, 40)!r} is no format{near_names(name.lower(), FORMATS)}")
    return FORMATS[name.lower()]
