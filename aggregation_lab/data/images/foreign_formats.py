"""Files that hold images in a form this project does not read, known by their first bytes or their ending."""

from pathlib import PurePosixPath

ENDINGS = {
    "DICOM": (".dcm", ".dicom", ".ima"),
    "NIfTI": (".nii", ".nii.gz"),
    "NRRD": (".nrrd",),
    "MetaImage": (".mha", ".mhd"),
    "MATLAB": (".mat",),
    "NumPy": (".npy", ".npz"),
    "HDF5": (".h5", ".hdf5"),
    "video": (".mp4", ".avi", ".mov"),
    "PDF": (".pdf",),
    "SVG": (".svg",),
}
"""Of the files of a format, in small letters."""
IMPORTS = {"DICOM": "dicom", "NIfTI": "nifti", "video": "video"}
"""How `agglab import` calls a format that it turns into images."""
MEDICAL = ("DICOM", "NIfTI", "NRRD", "MetaImage")
"""Formats of medical images, which have to be converted."""
_STARTS = (
    (128, b"DICM", "DICOM"),
    (344, b"n+1\0", "NIfTI"),
    (344, b"ni1\0", "NIfTI"),
    (0, b"NRRD", "NRRD"),
    (0, b"ObjectType", "MetaImage"),
    (0, b"MATLAB", "MATLAB"),
    (0, b"\x93NUMPY", "NumPy"),
    (0, b"\x89HDF", "HDF5"),
    (4, b"ftypisom", "video"),
    (4, b"ftypmp4", "video"),
    (4, b"ftypqt", "video"),
    (8, b"AVI ", "video"),
    (0, b"%PDF", "PDF"),
)
_PLACEHOLDERS = (
    (b"version https://git-lfs", "cannot be decoded, it is a pointer of Git LFS; run `git lfs pull`"),
    (b"<!doctype html", "cannot be decoded, it is a web page; download the file again"),
    (b"<html", "cannot be decoded, it is a web page; download the file again"),
    (b"<?xml version=", "cannot be decoded, it is an XML text; restore the file"),
)


def placeholder_fault(data: bytes) -> str:
    """What is wrong with a text file in place of an image; "" where it is none of these."""
    start = data[:64].lstrip().lower()
    return next((fault for mark, fault in _PLACEHOLDERS if start.startswith(mark)), "")


def foreign_format(path: str, data: bytes) -> str:
    """Name of the format, "" where the file may be an image that Pillow reads."""
    for offset, start, name in _STARTS:
        if data[offset : offset + len(start)] == start:
            return name
    return ending_format(path)


def foreign_fault(name: str) -> str:
    """What is wrong with a file of such a format, and the way out."""
    advice = "export its pictures as PNG (8 or 16 bits) and name these in the CSV"
    command = IMPORTS.get(name)
    return f"is a {name} file, which is not read; {advice}{f', or use `agglab import {command}`' if command else ''}"


def ending_format(path: str) -> str:
    """Name of the format that the path's ending stands for, "" where it is none of these."""
    name = PurePosixPath(path).name.lower()
    return next((form for form, endings in ENDINGS.items() if name.endswith(endings)), "")
