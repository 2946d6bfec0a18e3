"""Paths as users write them, in a study file or on the command line."""

import re
from pathlib import Path

from aggregation_lab.errors import StudyError
from aggregation_lab.text import printable


def absolute_path(path: Path | str, source: str, folder: Path = Path()) -> Path:
    """`path` made absolute, relative ones from `folder`, with ~ as a home folder; it need not exist.

    Raises `StudyError`, beginning with `source`, where no file system could have it.
    """
    text = str(path)
    if not text.strip():
        raise StudyError(f"{source}: is empty; give a path")
    if re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", text):
        raise StudyError(f"{source}: {printable(text)} holds a character that is no text; rename the folder or file")
    try:
        resolved = (folder / Path(text).expanduser()).resolve()
        resolved.exists()
    except (OSError, RuntimeError, ValueError) as error:  # no such user, a circle of links, a name too long
        reason = getattr(error, "strerror", None) or str(error)
        raise StudyError(f"{source}: {printable(text)} is no usable path ({printable(reason)})") from error
    if "$" in text and not resolved.exists():
        advice = "variables of the environment are not filled in; write the path itself"
        raise StudyError(f"{source}: {printable(text)} does not exist; {advice}")
    return resolved


def output_path(path: Path, source: str = "--out") -> Path:
    """The folder to write to, which need not exist. Raises `StudyError` where it cannot be one."""
    folder = absolute_path(path, source)
    nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not nearest.is_dir():
        raise StudyError(f"{folder}: cannot be written ({nearest} is no folder); choose another {source}")
    return folder


def data_path(path: Path, source: str = "--data", folder: Path = Path()) -> Path:
    """The folder of the data; that a missing one is a fault of the data is reported when it is read.

    Raises `StudyError` where `path` is something else than a folder.
    """
    root = absolute_path(path, source, folder)
    if root.exists() and not root.is_dir():
        raise StudyError(f"{source}: {root} is no folder; give the one that holds train/csv_files and the images")
    return root


def moved_path(path: Path | None, source: str = "--data") -> Path | None:
    """The folder that images were moved to, if they were. Raises `StudyError` where there is none."""
    root = None if path is None else data_path(path, source)
    if root is not None and not root.is_dir():
        raise StudyError(f"{source}: {root} is no folder; give the one that holds train/csv_files and the images")
    return root


def input_path(path: Path | str, source: str, folder: Path, *, folders: bool = False) -> Path:
    """A file to read, or with `folders` a folder; that it is missing is reported when it is read.

    Raises `StudyError` where it is something else, such as a pipe or a device, which could be read forever.
    """
    file = absolute_path(path, source, folder)
    if file.exists() and not (file.is_file() or (folders and file.is_dir())):
        raise StudyError(f"{source}: {file} is no regular file; give one")
    return file
