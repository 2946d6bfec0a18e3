"""Kept files are checked against `done.json`, which the run wrote after them."""

import hashlib
from pathlib import Path

from aggregation_lab.errors import ResultsError
from aggregation_lab.files import file_digest, read_bytes
from aggregation_lab.run import DONE
from aggregation_lab.storage.sealed_json import read_sealed
from aggregation_lab.text import printable

KEPT = "kept"
"""Field of done.json: SHA-256 of each kept file, by its name."""
TRAIN_AGAIN = "`agglab run-grid STUDY --rerun unkept` trains it again, with keep in the study file"


def kept_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of the files that the finished run in `folder` has kept, by name.

    Raises `ResultsError` where the folder holds no finished run.
    """
    named = printable(str(folder), 400)
    if not folder.is_dir():
        raise ResultsError(f"{named}: there is no such folder; give one of the folders in runs/ of a study")
    try:
        digests = read_sealed(folder / DONE).get(KEPT, {})
    except FileNotFoundError as error:
        raise ResultsError(f"{named}: its run is not finished (it has no {DONE}); finish it first") from error
    except (OSError, ValueError) as error:
        raise ResultsError(f"{named}: {DONE} cannot be used ({error}); run the grid again") from error
    return digests if isinstance(digests, dict) else {}


def check_digest(file: Path, digest: str | None) -> None:
    """Raise `ResultsError` where a file that a finished run wrote is gone, or has another SHA-256 than `digest`."""
    try:
        is_whole = file_digest(file) == digest
    except OSError as error:
        raise ResultsError(f"{file}: cannot be read ({error.strerror or error})") from error
    if not is_whole:
        raise ResultsError(f"{file}: its content has changed since it was written")


def read_kept(folder: Path, name: str) -> bytes:
    """The content of a kept file. Raises `ResultsError` where it was not kept, is gone, or is not what was written."""
    named, digest = printable(str(folder / name), 400), kept_digests(folder).get(name)
    if digest is None:
        raise ResultsError(f"{named}: was not kept by its run; {TRAIN_AGAIN}")
    try:
        content = read_bytes(folder / name)
    except OSError as error:
        raise ResultsError(f"{named}: cannot be read ({error.strerror}); restore it, or {TRAIN_AGAIN}") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise ResultsError(f"{named}: its content has changed since it was written; restore it, or {TRAIN_AGAIN}")
    return content
