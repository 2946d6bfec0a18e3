"""The folder of a report: written under another name and renamed as a whole; it replaces a former report only.

A former report is known by `report.json`, which names its files with their digests, and what it is of. Files that
somebody added to it are kept; one that somebody changed, a report of something else, or a folder that holds other
things, is left as it is.
"""

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from aggregation_lab.errors import StudyError
from aggregation_lab.files import file_digest, write_json
from aggregation_lab.storage.sealed_json import read_json
from aggregation_lab.text import printable
from analysis.study import StudyTables

MARKER = "report.json"
FORMAT = 1
_PARTIAL = ".part"
_ABANDONED = 24 * 3600.0
"""Seconds after which a half-written report is what a killed process left."""


@dataclass(frozen=True)
class ReportOf:
    """What a folder is about: its `kind`, report or gallery; the `source` of the scores, a shipped name or the path
    from where the folder lies; and the `arm`, empty where there is one alone, beside which others may come."""

    kind: str
    source: str
    arm: str = ""

    def is_of(self, other: "ReportOf") -> bool:
        """Whether one may take the place of the other."""
        same = (self.kind, self.source) == (other.kind, other.source)
        return same and (self.arm == other.arm or not (self.arm and other.arm))

    def seen_from(self, parent: Path) -> str:
        """In words, the source as a path of this machine where there is one."""
        path = parent / self.source
        source = os.path.normpath(path) if path.exists() else self.source
        return printable(f"the {self.kind} of {source}{f', arm {self.arm}' if self.arm else ''}", 400)


def report_of(study: StudyTables, kind: str, source: Path | str | None, folder: Path) -> ReportOf | None:
    """What is written of a study into `folder`; None where nobody knows where its scores come from."""
    source = source or study.folder
    if source is None:
        return None
    if isinstance(source, Path):
        source = os.path.relpath(source.expanduser().resolve(), folder.expanduser().resolve().parent)
    return ReportOf(kind, source, study.arm or "" if len(study.compared_arms) > 1 else "")


def check_folder(folder: Path, of: ReportOf | None = None) -> None:
    """Raise `StudyError` where a report would replace something else than a former report of the same, or may not be
    written.

    A report that does not say what it is `of`, as those of earlier versions, can be replaced.
    """
    try:
        target = folder.expanduser().resolve()
        _files_of_report(target)
        known = None if of is None else _of_report(target)
    except (OSError, RuntimeError, ValueError) as error:
        raise _fault(folder, f"cannot be read ({getattr(error, 'strerror', None) or error})") from error
    nearest = next(parent for parent in target.parents if parent.exists())
    if not os.access(nearest, os.W_OK):  # said before the long work, not after it
        raise _fault(folder, f"cannot be written ({nearest} may only be read)")
    if of is not None and known is not None and not known.is_of(of):
        raise _fault(folder, f"holds {known.seen_from(target.parent)}, not {of.seen_from(target.parent)}")


@contextmanager
def whole_folder(folder: Path, of: ReportOf | None = None) -> Iterator[Path]:
    """A new folder that becomes `folder` when the block ends well; else `folder` stays as it was.

    Raises `StudyError` where `folder` holds something else than a former report `of` the same, or cannot be written.
    """
    check_folder(folder, of)
    target = folder.expanduser().resolve()
    new: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(target)
        new = target.with_name(f".{target.name[:50]}.{secrets.token_hex(8)}{_PARTIAL}")
        new.mkdir()  # as private as the umask asks for
        yield new
        files = sorted(path for path in new.rglob("*") if path.is_file())
        digests = {path.relative_to(new).as_posix(): file_digest(path) for path in files}
        about = {} if of is None else {"of": asdict(of)}
        write_json(new / MARKER, {"agglab_report": FORMAT, **about, "files": digests})
        _exchange(new, target)
    except OSError as error:
        raise _fault(folder, f"cannot be written ({error.strerror or error})") from error
    finally:
        if new is not None:
            shutil.rmtree(new, ignore_errors=True)


def _of_report(target: Path) -> ReportOf | None:
    """What the report in a folder is of; None where there is none, or it does not say."""
    try:
        return ReportOf(**read_json(target / MARKER)["of"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _fault(folder: Path, reason: str) -> StudyError:
    return StudyError(f"{printable(str(folder), 400)}: {reason}; choose another folder with --to")


def _files_of_report(target: Path) -> dict[str, str]:
    """The files of the report in a folder with their digests; none where there is no folder, or an empty one."""
    if not target.exists():
        return {}
    if not target.is_dir():
        raise _fault(target, "is a file")
    if not any(target.iterdir()):
        return {}
    try:
        marker = read_json(target / MARKER)
        files = dict(marker["files"]) if marker["agglab_report"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        files = None
    if files is None:
        raise _fault(target, "is not empty and holds no report that could be replaced")
    for name, digest in sorted(files.items()):
        path = target / name
        if path.is_symlink() or path.is_file() and file_digest(path) != digest:
            raise _fault(target, f"{printable(name)} was changed after the report was written; move it away")
    return files


def _exchange(new: Path, target: Path) -> None:
    """Exchange the folders, keep what others added to the old one."""
    files = _files_of_report(target)
    if not target.exists():
        os.rename(new, target)
        return
    old = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name[:50]}.", suffix=".old"))
    try:
        os.rename(target, old)
        os.rename(new, target)
    except BaseException:  # Ctrl-C, too, must not leave the report away
        if not target.exists():
            os.rename(old, target)
        raise
    for name in (*files, MARKER):
        (old / name).unlink(missing_ok=True)
    # Files that others added go into the new folder, where nothing of that name is.
    for path in sorted(old.rglob("*")):
        destination = target / path.relative_to(old)
        if (path.is_symlink() or path.is_file()) and not destination.exists():
            destination.parent.mkdir(parents=True, exist_ok=True)
            os.rename(path, destination)
    shutil.rmtree(old, ignore_errors=not any(path.is_file() for path in old.rglob("*")))


def _remove_abandoned(target: Path) -> None:
    """Remove half-written reports of processes that were killed long ago."""
    for partial in target.parent.glob(f".{target.name[:50]}.*{_PARTIAL}"):
        if partial.is_dir() and time.time() - partial.stat().st_mtime > _ABANDONED:
            shutil.rmtree(partial, ignore_errors=True)
