"""Where the CSV files of a data folder lie; and what to do with a folder in which there are none."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from aggregation_lab.data.images.foreign_formats import MEDICAL, ending_format
from aggregation_lab.data.rows.csv_rows import CSV_FOLDER
from aggregation_lab.data.rows.problems import Problems

_MOST_FILES = 5000  # files of an unknown folder that are looked at
OTHER_PARTS = ("val", "valid", "validation", "test")
"""Folders that hold another part of the data, with the same names of files perhaps."""
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
_WRITE = "write a CSV with the columns task_id, task_name, num_classes, image_path and the target"
_IMPORT = "`agglab import {} SOURCE OUT` brings it into the challenge's"
_IMPORTED = {"DICOM": "dicom", "NIfTI": "nifti"}
"""How `agglab import` calls a medical format."""


def find_train_folder(root: Path) -> Path | None:
    """The folder holding csv_files: `root` itself, `root`/train or `root`/train/train; None if it is none of them."""
    candidates = (root, root / "train", root / "train" / "train")
    return next((folder for folder in candidates if (folder / CSV_FOLDER).is_dir()), None)


def report_other_parts(root: Path, train: Path, problems: Problems) -> None:
    """Warn that folders with another part of the data, beside the train folder or in it, are not read."""
    parents = {root, train} if train.name != "train" else {root, train, train.parent}
    parts = sorted({parent / name for parent in parents for name in OTHER_PARTS if (parent / name).is_dir()})
    for part in parts:
        advice = "the split is drawn from the train folder; move the rows there, or name a split of yours as data.split"
        problems.warning(os.path.relpath(part, train), None, None, f"is not used: {advice}")


def advise(root: Path) -> str:
    """One line for a folder without csv_files: what it seems to be, and what to do."""
    wanted = f"is not there; give a folder in the challenge's layout, with train/{CSV_FOLDER}/*.csv"
    files = list(islice(_walk(root), _MOST_FILES)) if root.is_dir() else []
    pictures = any(os.path.splitext(file.lower())[1] in _PICTURES for file in files)
    formats = set(map(ending_format, files))
    tables = sorted({os.path.dirname(file) for file in files if file.lower().endswith(".csv")})
    if any(part in {"imagesTr", "labelsTr"} for file in files for part in file.split(os.sep)):
        return f"{wanted} (this is nnU-Net's layout: {_IMPORT.format('nnunet')})"
    if tables:
        folder = tables[0] or "this very folder"
        return f"{wanted} (CSV files lie in {folder}: move them there, and write image paths relative to them)"
    if pictures and any(file.lower().endswith(".json") for file in files):
        return f"{wanted} (this holds JSON annotations: {_IMPORT.format('coco')}, or labelme)"
    if read := [name for name in _IMPORTED if name in formats]:
        return f"{wanted} (this holds {read[0]} files: {_IMPORT.format(_IMPORTED[read[0]])})"
    if medical := [name for name in MEDICAL if name in formats]:
        return f"{wanted} ({' and '.join(medical)} files are not read: convert them to PNG, then {_WRITE})"
    return f"{wanted} (`agglab import --help` lists the formats that are imported; or {_WRITE})" if pictures else wanted


def _walk(root: Path) -> Iterator[str]:
    """Paths of all files below `root`, relative to it."""
    for folder, folders, names in os.walk(root):
        folders.sort()
        yield from (os.path.relpath(os.path.join(folder, name), root) for name in sorted(names))
