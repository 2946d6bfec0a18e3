"""Who trains a run: numbered claim files in its folder, safe between processes and machines that share a file system.

    claim-3.json    the third attempt; its time of change is the holder's heartbeat, its content says who and how far
    claim-3.json    empty: the attempt has ended and let go

A claim is taken by linking a finished file to the next number, which succeeds for one contender only, on network file
systems too. Numbers only grow while a claim is dead or released, and a file goes away only when a higher one stands, so
a contender with an old view of the folder finds its number taken, or a higher one beside it, and steps back. A holder
that was taken for dead sees the higher number at its next beat, and stops. So does one whose folder was set aside and
made anew: the claim that has its number there, if any, does not hold its token.
"""

import json
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from aggregation_lab import files
from aggregation_lab.files import cannot_be_written, open_regular, read_bytes

BEAT_EVERY = 2.0
"""Seconds between two heartbeats; progress is written with them."""
HEARTBEAT_LOST = 120.0
"""Seconds without a heartbeat after which the claim of another machine counts as dead."""
_NAME = re.compile(r"claim-(\d+)\.json")


def latest(names: Iterable[str]) -> int:
    """Highest number of the claims among the file names of a folder; 0 where there is none."""
    return max((int(found.group(1)) for name in names if (found := _NAME.fullmatch(name))), default=0)


def living(folder: Path, number: int) -> dict[str, Any] | None:
    """Content of claim `number` while its holder lives; None where it has let go or is gone.

    Processes of this machine are asked for; those of others, and of other containers, are known by their heartbeat.
    """
    path = folder / f"claim-{number}.json"
    try:
        text = _text(path)
        changed = path.stat().st_mtime
    except OSError:
        return None
    if not text:
        return None
    claim = _content(text)
    if (claim["host"], claim["namespace"]) == _place():
        return claim if claim["birth"] == _birth(claim["process"]) else None
    # Both times come from the clock of the file system, whatever the clock of this machine says.
    return claim if abs(_now(folder) - changed) < HEARTBEAT_LOST else None


def holder(folder: Path, number: int) -> int | None:
    """Process of this machine that holds or held claim `number` without having let go; None for any other."""
    try:
        claim = _content(_text(folder / f"claim-{number}.json"))
    except OSError:
        return None
    return claim["process"] if (claim["host"], claim["namespace"]) == _place() else None


class Claim:
    """Held by the worker that trains the run, as a context; another thread keeps it alive.

    `progress` is shown to whoever looks; `lost` says that somebody took the run over, or its folder away. The claim's
    file is ours as long as it holds `token`, which no other claim does.
    """

    def __init__(self, folder: Path, number: int, token: str):
        self.number = number
        self.progress: Mapping[str, Any] = {}
        self.lost = False
        self._folder, self._path = folder, folder / f"claim-{number}.json"
        self._token, self._written = token, _about_us({}, token)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_alive, daemon=True)

    def __enter__(self) -> "Claim":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        try:
            # What is read is what is emptied, wherever its folder goes meanwhile.
            with open(self._path, "r+", encoding="utf-8", opener=open_regular) as file:
                if self._is_ours(file.read()):
                    file.truncate(0)  # needs no space, so a full disk does not keep the claim alive
        except OSError:
            return  # the folder is gone or read-only; the claim dies with this process

    def _keep_alive(self) -> None:
        while not self._ended.wait(BEAT_EVERY):
            self.beat()

    def beat(self) -> None:
        """Show that the holder lives and how far it is, and find out whether the claim is still its own."""
        try:
            if self._still_ours():
                self._write()
            else:
                self.lost = True
        except OSError:
            return  # a full disk, or a file system that is away for a while

    def _write(self) -> None:
        text = _about_us(self.progress, self._token)
        if text == self._written:
            os.utime(self._path)
            return
        # First the temporary file, then the look: in a folder that is exchanged after that, there is nothing to move.
        with _temporary(self._folder, text) as temporary:
            if self._still_ours():
                os.replace(temporary, self._path)
                self._written = text

    def _still_ours(self) -> bool:
        try:
            found = latest(os.listdir(self._folder)), _text(self._path)
        except FileNotFoundError:
            return False  # nobody takes the highest claim away, but with its folder
        return not self.lost and found[0] <= self.number and self._is_ours(found[1])

    def _is_ours(self, text: str) -> bool:
        return bool(_content(text)["token"] == self._token)


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
        found = os.listdir(folder)
        if latest(found) > number:
            (folder / f"claim-{number}.json").unlink(missing_ok=True)
            return None
        for name in found:
            if 0 < latest([name]) < number:
                with suppress(OSError):  # a lower claim counts for nothing, whatever it is
                    (folder / name).unlink()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise cannot_be_written(folder, error) from error
    return Claim(folder, number, token)


def _link(folder: Path, number: int, token: str) -> bool:
    """Whether the claim with `number` could be put there: nobody was faster, swept the unfinished file or moved the
    folder away."""
    try:
        with _temporary(folder, _about_us({}, token)) as temporary:
            os.link(temporary, folder / f"claim-{number}.json")
    except (FileExistsError, FileNotFoundError):
        return False
    return True


class _temporary:
    """A file with `text` that vanishes at the end of the block if it still has its name."""

    def __init__(self, folder: Path, text: str):
        self._folder, self._text = folder, text

    def __enter__(self) -> Path:
        handle, self._path = files.temporary_file(self._folder, "claim")
        try:
            with open(handle, "w", encoding="utf-8") as stream:
                stream.write(self._text)
        except BaseException:
            self.__exit__()
            raise
        return self._path

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)


def _about_us(progress: Mapping[str, Any], token: str) -> str:
    host, namespace = _place()
    process = os.getpid()
    who = {"host": host, "namespace": namespace, "process": process, "birth": _birth(process), "token": token}
    return json.dumps({**who, "job": slurm_job(), "progress": dict(progress)})


def slurm_job() -> str:
    """The Slurm job that this process runs in, as its logs are named: JOB, or ARRAY_TASK; "" outside of Slurm."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID", "")


def _text(path: Path) -> str:
    return read_bytes(path).decode(errors="replace")


def _content(text: str) -> dict[str, Any]:
    """What a claim says. A damaged one is nobody's on this machine, and lives by its heartbeat; early ones have no
    token."""
    nobody = {"host": "", "namespace": "", "process": 0, "birth": "", "token": "", "job": "", "progress": {}}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return nobody
    if not isinstance(value, dict):
        return nobody
    claim = nobody | value
    texts = all(isinstance(claim[name], str) for name in ("host", "namespace", "birth", "token", "job"))
    if not texts or not _is_process(claim["process"]):
        return nobody
    return claim | {"progress": claim["progress"] if isinstance(claim["progress"], dict) else {}}


def _is_process(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31


def is_progress(value: Mapping[str, Any]) -> bool:
    """Whether the value is what a worker says of its run: numbers and a phase."""
    step, steps = value.get("step"), value.get("steps")
    counted = isinstance(step, int) and isinstance(steps, int) and 0 <= step <= steps < 2**53 and steps > 0
    measured = all(isinstance(value.get(name), int | float) for name in ("loss", "score"))
    return counted and measured and isinstance(value.get("phase"), str)


def _place() -> tuple[str, str]:
    """Machine and process namespace: containers of one machine can share its name, but not its process numbers."""
    try:
        return socket.gethostname(), os.readlink("/proc/self/ns/pid")
    except OSError:
        return socket.gethostname(), ""


def _birth(process: int) -> str | None:
    """Start time of a process in clock ticks since boot, which tells it from a later one of the same number.

    None where it does not exist (any more), "" where the system does not tell.
    """
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return "" if not Path("/proc/self").exists() else None
    return None if fields[0] == "Z" else fields[19]


def _now(folder: Path) -> float:
    """The clock of the file system that holds `folder`."""
    try:
        handle, path = files.temporary_file(folder, "claim")
    except OSError:
        return time.time()
    try:
        return os.fstat(handle).st_mtime
    finally:
        os.close(handle)
        path.unlink(missing_ok=True)
