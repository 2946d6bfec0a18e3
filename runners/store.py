"""Run folders and their states. A state is read off the files of a run, never stored, so no crash can make it lie.

    spec.json       what the run is
    claim.json      a worker has it: host, process; its time of change is the worker's heartbeat
    checkpoint.pt   where an interrupted run continues
    error.json      why it failed, with the traceback; log.txt has what it printed
    done.json       finished; its tables lie beside it

done wins over a living claim, that over an error, that over nothing. A claim whose process is gone counts for nothing.
"""

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from aggregation_lab.files import write_json
from aggregation_lab.run import CHECKPOINT, DONE
from runners.plan import PlannedRun, RunKey

SPEC, CLAIM, ERROR, LOG = "spec.json", "claim.json", "error.json", "log.txt"
HEARTBEAT_LOST = 120.0
"""Seconds without a heartbeat after which the claim of another host counts as dead."""


class State(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STALE = "stale"


@dataclass(frozen=True)
class Status:
    state: State
    reason: str = ""


class RunStore:
    """The run folders of one output folder."""

    def __init__(self, out: Path):
        self.root = out / "runs"

    def folder(self, run: PlannedRun) -> Path:
        """Folder of the run: the one that carries its id, whatever its unit was called when it was made."""
        return self.folders([run])[run.id]

    def folders(self, runs: Sequence[PlannedRun]) -> dict[str, Path]:
        """Folder of every run, by id."""
        found = self._by_id()
        return {run.id: found.get(run.id, self.root / run.folder_name) for run in runs}

    def statuses(self, runs: Sequence[PlannedRun]) -> dict[str, Status]:
        """State of every run, by id."""
        folders = self._by_id()
        planned = {run.id for run in runs}
        states = {run.id: _state(folders[run.id]) if run.id in folders else Status(State.PENDING) for run in runs}
        if any(status.state is State.PENDING for status in states.values()):
            earlier = self._finished([folder for run_id, folder in folders.items() if run_id not in planned])
            for run in runs:
                if states[run.id].state is State.PENDING and run.key in earlier:
                    states[run.id] = Status(State.STALE, difference(earlier[run.key], run.spec.to_json()))
        return states

    def _by_id(self) -> dict[str, Path]:
        folders = sorted(self.root.iterdir()) if self.root.is_dir() else []
        return {folder.name.rsplit("-", 1)[-1]: folder for folder in folders}

    @staticmethod
    def _finished(folders: Sequence[Path]) -> dict[RunKey, dict[str, Any]]:
        """Specs of finished runs, the latest of each key."""
        finished = [folder for folder in folders if (folder / DONE).is_file()]
        specs = {}
        for folder in sorted(finished, key=lambda folder: (folder / DONE).stat().st_mtime):
            spec = _read_json(folder / SPEC, "tasks", "fraction", "seed")
            if spec is not None:
                specs[tuple(task["name"] for task in spec["tasks"]), spec["fraction"], spec["seed"]] = spec
        return specs


def _state(folder: Path) -> Status:
    if (folder / DONE).is_file():
        return Status(State.DONE)
    claim = _read_json(folder / CLAIM, "host", "process", "birth")
    if claim is not None and _alive(claim, folder / CLAIM):
        return Status(State.RUNNING, f"process {claim['process']} on {claim['host']}")
    error = _read_json(folder / ERROR, "message")
    if error is not None:
        return Status(State.FAILED, error["message"])
    if (folder / CHECKPOINT).is_file():
        return Status(State.PENDING, "interrupted; continues from its checkpoint")
    return Status(State.PENDING, "interrupted before its first checkpoint" if claim is not None else "")


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Which settings of two specs differ, as `field: old -> new`."""
    before, after = _flat(old), _flat(new)
    parts = []
    for field in sorted(before.keys() | after.keys()):
        one, other = before.get(field, "nothing"), after.get(field, "nothing")
        if one == other:
            continue
        if field == "data":
            parts.append("data: its cases or their split changed")
        elif field == "recipe":
            parts.append("agglab trains or scores differently since")
        else:
            parts.append(f"{field}: {one} -> {other}")
    return "; ".join(parts)


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        entries: Iterator[tuple[str, Any]] = iter(value.items())
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        entries = ((str(item.get("name", index)), item) for index, item in enumerate(value))
    else:
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, item in entries:
        flat.update(_flat(item, f"{prefix}.{key}" if prefix else key))
    return flat


class Claim:
    """Held by the worker that trains the run; `beat` shows other hosts that it is still there."""

    BEAT_EVERY = HEARTBEAT_LOST / 8

    def __init__(self, path: Path):
        self._path = path
        self._beaten = time.monotonic()
        write_json(path, {"host": socket.gethostname(), "process": os.getpid(), "birth": _birth(os.getpid())})

    def beat(self) -> None:
        now = time.monotonic()
        if now - self._beaten >= self.BEAT_EVERY:
            self._beaten = now
            os.utime(self._path)

    def release(self) -> None:
        self._path.unlink(missing_ok=True)


@contextmanager
def claimed(folder: Path, spec: Mapping[str, Any]) -> Iterator[Claim]:
    """Claim a run's folder for this process. What an earlier attempt left half written, and its error, go."""
    for half_written in folder.glob(".*.part"):
        half_written.unlink(missing_ok=True)
    if not (folder / SPEC).is_file():
        write_json(folder / SPEC, spec)
    claim = Claim(folder / CLAIM)
    (folder / ERROR).unlink(missing_ok=True)
    try:
        yield claim
    finally:
        claim.release()


def record_failure(folder: Path, message: str, trace: str = "") -> None:
    """Mark the run as failed."""
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    write_json(folder / ERROR, {"message": message, "when": when, "traceback": trace.splitlines()})
    (folder / CLAIM).unlink(missing_ok=True)


def finished_seconds(folder: Path) -> float | None:
    """Seconds the finished run in `folder` took."""
    done = _read_json(folder / DONE, "seconds")
    return None if done is None else done["seconds"]


def _alive(claim: Mapping[str, Any], path: Path) -> bool:
    if claim["host"] != socket.gethostname():
        return time.time() - path.stat().st_mtime < HEARTBEAT_LOST
    try:
        os.kill(claim["process"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return claim["birth"] == _birth(claim["process"])


def _birth(process: int) -> str:
    """Start time of a process in clock ticks, which tells it from a later one of the same number; "" if unknown."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _read_json(path: Path, *fields: str) -> dict[str, Any] | None:
    """The file's object; None where the file is absent, damaged or lacks a field."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) and all(field in value for field in fields) else None
