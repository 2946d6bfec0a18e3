"""Who trains a run: numbered claim files in its folder, safe between processes and machines that share a file system.

    claim-3.json    the third attempt; its time of change is the holder's heartbeat, its content says who and how far
    claim-3.json    empty: the attempt has ended and released it

A claim is taken by linking a finished file to the next number, which succeeds for one contender only, on network file
systems too. Numbers only grow while a claim is dead or released, and a file is removed only when a higher one exists,
so a contender with an old view of the folder finds its number taken, or a higher one beside it, and gives up. A holder
that counted as dead sees the higher number at its next heartbeat, and stops. So does one whose folder was set aside and
made again: the claim with its number there, if any, does not hold its token.
"""

import errno
import os
import re
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aggregation_lab import files
from aggregation_lab.errors import AgglabError
from aggregation_lab.files import NOT_KNOWN_TO_FILE_SYSTEM, cannot_be_written, open_regular, read_bytes
from runners.store.process_identity import birth, boot, machine, slurm_job
from runners.store.run_files import ClaimContent, RunProgress

BEAT_EVERY = 2.0
"""Seconds between two heartbeats; progress is written with them."""
HEARTBEAT_LOST = 120.0
"""Seconds without a heartbeat after which the claim of another machine counts as dead."""
_NO_LINKS = (
    "its file system has no hard links (FAT, exFAT and some network shares have none), by which a run is claimed for "
    "one process; choose an output folder on another file system"
)
_NAME = re.compile(r"claim-(\d+)\.json")


def latest(names: Iterable[str]) -> int:
    """Highest number of the claims among the file names of a folder; 0 where there is none."""
    return max((int(match.group(1)) for name in names if (match := _NAME.fullmatch(name))), default=0)


def living(folder: Path, number: int) -> ClaimContent | None:
    """Content of claim `number` while its holder lives; None where it is released or dead.

    Processes of this machine are looked up; those of other machines and containers are known by their heartbeat.
    """
    path = folder / f"claim-{number}.json"
    try:
        text = read_bytes(path)
        changed = path.stat().st_mtime
    except OSError:
        return None
    if not text:
        return None
    claim = _content(text)
    if _is_of_this_machine(claim):
        return claim if claim.birth == birth(claim.process) else None
    # Both times come from the clock of the file system, not of this machine.
    return claim if abs(_now(folder) - changed) < HEARTBEAT_LOST else None


def holder(folder: Path, number: int) -> int | None:
    """Process of this machine that holds or held claim `number` without releasing it; None for any other."""
    try:
        claim = _content(read_bytes(folder / f"claim-{number}.json"))
    except OSError:
        return None
    return claim.process if _is_of_this_machine(claim) else None


def _is_of_this_machine(claim: ClaimContent) -> bool:
    """Machines of one network file system can have the same name, so the start of the system counts where both know
    it; a claim from before a restart is judged by its heartbeat."""
    if (claim.host, claim.namespace) != machine():
        return False
    here = boot()
    return not claim.boot or not here or claim.boot == here


class Claim:
    """Held by the worker that trains the run, as a context; another thread keeps it alive.

    `progress` is shown to others; `lost` says that another process took over the run, or moved its folder. The claim's
    file is ours as long as it holds `token`, which no other claim does.
    """

    def __init__(self, folder: Path, number: int, token: str):
        self.number = number
        self.progress: RunProgress | None = None
        self.lost = False
        self._folder, self._path = folder, folder / f"claim-{number}.json"
        self._token, self._written = token, _about_us(None, token)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_alive, daemon=True)

    def __enter__(self) -> "Claim":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        try:
            # The file that is read is the one that is emptied, even if its folder is moved meanwhile.
            with open(self._path, "r+b", opener=open_regular) as file:
                if self._is_ours(file.read()):
                    file.truncate(0)  # needs no space, so a full disk does not keep the claim alive
        except OSError:
            return  # the folder is gone or read-only; the claim dies with this process

    def _keep_alive(self) -> None:
        while not self._ended.wait(BEAT_EVERY):
            self.beat()

    def beat(self) -> None:
        """Write the heartbeat and the progress, and check whether the claim is still ours."""
        try:
            if self._still_ours():
                self._write()
            else:
                self.lost = True
        except OSError:
            return  # a full disk, or a file system that does not answer for a while

    def _write(self) -> None:
        text = _about_us(self.progress, self._token)
        if text == self._written:
            os.utime(self._path)
            return
        # The temporary file first, then the check: in a folder that is replaced after it, there is nothing to move.
        with _temporary(self._folder, text) as temporary:
            if self._still_ours():
                os.replace(temporary, self._path)
                self._written = text

    def _still_ours(self) -> bool:
        try:
            highest, text = latest(os.listdir(self._folder)), read_bytes(self._path)
        except FileNotFoundError:
            return False  # the highest claim is removed only with its folder
        return not self.lost and highest <= self.number and self._is_ours(text)

    def _is_ours(self, text: bytes) -> bool:
        return _content(text).token == self._token


def take(folder: Path) -> Claim | None:
    """Claim the run of `folder` for this process; None where another has it or is faster, or moves the folder away.

    Raises `AgglabError` where the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        before = latest(os.listdir(folder))
        if before and living(folder, before) is not None:
            return None
        number, token = before + 1, secrets.token_hex(16)
        if not _link(folder, number, token):
            return None
        names = os.listdir(folder)
        if latest(names) > number:
            (folder / f"claim-{number}.json").unlink(missing_ok=True)
            return None
        for name in names:
            if 0 < latest([name]) < number:
                with suppress(OSError):  # a lower claim counts for nothing
                    (folder / name).unlink()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise cannot_be_written(folder, error) from error
    return Claim(folder, number, token)


def check_claims(folder: Path) -> None:
    """Raise `AgglabError` where no run below `folder` could be claimed, since its file system has no hard links."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _temporary(folder, b"") as temporary:
            other = temporary.with_suffix(".claimed.part")
            _hard_link(temporary, other)
            other.unlink()
    except OSError as error:
        raise cannot_be_written(folder, error) from error


def _link(folder: Path, number: int, token: str) -> bool:
    """Whether the claim with `number` could be made: no other process was faster, removed the unfinished file or moved
    the folder."""
    try:
        with _temporary(folder, _about_us(None, token)) as temporary:
            _hard_link(temporary, folder / f"claim-{number}.json")
    except (FileExistsError, FileNotFoundError):
        return False
    return True


def _hard_link(file: Path, other: Path) -> None:
    """Give `file`, which was just written, the name `other`, too. Raises `AgglabError` where a file has one name only,
    and `OSError` otherwise."""
    try:
        os.link(file, other)
    except OSError as error:
        if error.errno in (errno.EPERM, *NOT_KNOWN_TO_FILE_SYSTEM):
            raise AgglabError(f"{file.parent}: {_NO_LINKS}") from error
        raise


@contextmanager
def _temporary(folder: Path, text: bytes) -> Iterator[Path]:
    """A file with `text` that vanishes at the end of the block if it still has its name."""
    handle, path = files.temporary_file(folder, "claim")
    try:
        with open(handle, "wb") as stream:
            stream.write(text)
        yield path
    finally:
        path.unlink(missing_ok=True)


def _about_us(progress: RunProgress | None, token: str) -> bytes:
    host, namespace = machine()
    process = os.getpid()
    born, job = birth(process) or "", slurm_job()
    claim = ClaimContent(
        host=host,
        namespace=namespace,
        boot=boot(),
        process=process,
        birth=born,
        token=token,
        job=job,
        progress=progress,
    )
    return claim.model_dump_json(exclude_none=True).encode()


def _content(text: bytes) -> ClaimContent:
    """The content of a claim. A damaged one belongs to no process of this machine, and is judged by its heartbeat."""
    return ClaimContent.parse(text) or ClaimContent()


def _now(folder: Path) -> float:
    """The clock of the file system that holds `folder`."""
    try:
        with _temporary(folder, b"") as path:
            return path.stat().st_mtime
    except OSError:
        return time.time()
