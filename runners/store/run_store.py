"""Run folders and their states. A state is read off the files of a run, never stored, so no crash can make it lie.

    spec.json       what the run is
    claim-N.json    a worker has it, or had it (runners.store.claims)
    checkpoint.pt   where an interrupted run continues
    error.json      why it failed, with the traceback; log.txt has what it printed
    done.json       finished; its tables lie beside it

done wins over a living claim, that over an error, that over nothing. A claim whose holder is gone counts for nothing.
"""

import errno
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from aggregation_lab.files import cannot_be_written, sweep, write_json
from aggregation_lab.run import CHECKPOINT, DONE, SPEC
from aggregation_lab.storage.sealed_json import read_json, read_sealed
from runners.planning.plan import PlannedRun, RunKey
from runners.store import claims

ERROR, LOG = "error.json", "log.txt"
SET_ASIDE = "runs-set-aside"


class State(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STALE = "stale"


@dataclass(frozen=True)
class Status:
    """State of a run, and why; `progress` of a run under way is what its worker last said of it.

    `job` is the Slurm job that has it, or in which it failed; `seconds` is what a finished run took. `damaged`: there
    is a result, but not to be used.
    """

    state: State
    reason: str = ""
    progress: Mapping[str, Any] = field(default_factory=dict)
    job: str = ""
    seconds: float = 0.0
    damaged: bool = False


_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
"""Why a folder cannot get a name: something else has it."""


class RunStore:
    """The run folders of one output folder, in its folder `root`."""

    def __init__(self, root: Path):
        self.root = root

    def folder(self, run: PlannedRun) -> Path:
        """Folder of the run: the one that carries its id, whatever its unit was called when it was made."""
        return self.folders([run])[run.id]

    def folders(self, runs: Sequence[PlannedRun]) -> dict[str, Path]:
        """Folder of every run, by id."""
        found = self._by_id()
        return {run.id: found.get(run.id, self.root / run.folder_name) for run in runs}

    def present(self, runs: Sequence[PlannedRun]) -> dict[str, Status]:
        """State of every run by what its own folder holds, by id: quick, and never stale."""
        folders = self._by_id()
        return {run.id: _state(folders[run.id], run.id) if run.id in folders else Status(State.PENDING) for run in runs}

    def statuses(self, runs: Sequence[PlannedRun]) -> dict[str, Status]:
        """State of every run, by id; stale where only other settings have a result. `runs` is the whole plan."""
        states, folders = self.present(runs), self._by_id()
        planned = {run.id for run in runs}
        if any(status.state is State.PENDING for status in states.values()):
            earlier = self._finished([folder for run_id, folder in folders.items() if run_id not in planned])
            for run in runs:
                if states[run.id].state is State.PENDING and run.key in earlier:
                    states[run.id] = Status(State.STALE, difference(earlier[run.key], run.spec.to_json()))
        return states

    def held_by(self, process: int, runs: Sequence[PlannedRun]) -> list[PlannedRun]:
        """Runs that a process of this machine has claimed and not let go, be it alive or dead."""
        folders = self._by_id()
        return [
            run
            for run in runs
            if run.id in folders and _latest_holder(folders[run.id]) == process and not is_done(folders[run.id], run.id)
        ]

    def set_aside(self, runs: Sequence[PlannedRun]) -> list[Path]:
        """Move the folders of runs that are to be trained anew out of the way; nothing is deleted.

        A run that somebody has claimed since the caller looked stays where it is. Returns where the folders are now.
        """
        moved = []
        for run_id, folder in self.folders(runs).items():
            if _state(folder, run_id).state is not State.RUNNING:
                moved += _moved(folder, self.root.with_name(SET_ASIDE))
        return moved

    def forget_failures(self, runs: Sequence[PlannedRun]) -> None:
        """Let failed runs be taken again."""
        for folder in self.folders(runs).values():
            try:
                (folder / ERROR).unlink(missing_ok=True)
            except NotADirectoryError:
                continue  # a file where the folder should be: whoever takes the run says so
            except OSError as error:
                raise cannot_be_written(folder / ERROR, error) from error

    def _by_id(self) -> dict[str, Path]:
        names = sorted(os.listdir(self.root)) if self.root.is_dir() else []
        return {name.rsplit("-", 1)[-1]: self.root / name for name in names}

    @staticmethod
    def _finished(folders: Sequence[Path]) -> dict[RunKey, dict[str, Any]]:
        """Specs of finished runs, the latest of each key."""
        finished = {folder: at for folder in folders if (at := _finished_at(folder)) is not None}
        specs = {}
        for folder in sorted(finished, key=finished.__getitem__):
            spec = _object(folder / SPEC)
            if (key := _key(spec)) is not None:
                specs[key] = spec
        return specs


def _key(spec: Mapping[str, Any]) -> RunKey | None:
    tasks, fraction, seed = (spec.get(name) for name in ("tasks", "fraction", "seed"))
    if not isinstance(tasks, list) or not isinstance(fraction, int | float) or not isinstance(seed, int):
        return None
    names = [str(task["name"]) for task in tasks if isinstance(task, dict) and "name" in task]
    return (tuple(names), fraction, seed) if len(names) == len(tasks) else None


def _moved(folder: Path, kept: Path) -> list[Path]:
    """Where the folder is once it is moved into `kept`, under the next name that is free; nothing where it is gone."""
    number = 1
    try:
        kept.mkdir(exist_ok=True)
        while folder.exists():
            target = kept / f"{folder.name}.{number}"
            number += 1
            try:
                if not os.path.lexists(target):
                    return [folder.rename(target)]
            except FileNotFoundError:
                if folder.exists():
                    raise  # not the folder is gone, which another grid would have set aside, but where it should go
            except OSError as error:
                if error.errno not in _TAKEN or not os.path.lexists(target):
                    raise
    except OSError as error:
        raise cannot_be_written(kept, error) from error
    return []


def _state(folder: Path, run_id: str) -> Status:
    try:
        names = set(os.listdir(folder))
    except OSError:
        return Status(State.PENDING)
    done, fault = _finished_as(folder, run_id) if DONE in names else ({}, "")
    if done:
        return Status(State.DONE, seconds=_seconds(done))
    number = claims.latest(names)
    claim = claims.living(folder, number) if number else None
    if claim is not None:
        job = f", Slurm job {claim['job']}" if claim["job"] else ""
        at = claim["progress"] if claims.is_progress(claim["progress"]) else {}
        step = f"step {at['step']}/{at['steps']}, " if at else ""
        reason = f"{step}process {claim['process']} on {claim['host'] or 'another machine'}{job}"
        return Status(State.RUNNING, reason, at, claim["job"])
    error = _error(folder)
    if error:
        return Status(State.FAILED, error["message"], job=error["job"])
    if fault:
        return Status(State.PENDING, f"its {DONE} {fault}; it is trained again", damaged=True)
    if CHECKPOINT in names:
        return Status(State.PENDING, "interrupted; continues from its checkpoint")
    return Status(State.PENDING, "interrupted before its first checkpoint" if number else "")


def is_done(folder: Path, run_id: str) -> bool:
    """Whether the run in `folder` is finished; a `done.json` that is damaged or of another run says nothing."""
    return bool(_finished_as(folder, run_id)[0])


def _finished_as(folder: Path, run_id: str) -> tuple[dict[str, Any], str]:
    """What `done.json` says, or nothing and what is wrong with it."""
    try:
        done = read_sealed(folder / DONE, required=False)
    except FileNotFoundError:
        return {}, ""
    except OSError as error:
        return {}, f"cannot be read ({error.strerror})"
    except ValueError:
        return {}, "is damaged"
    if not isinstance(done.get("run"), str):
        return {}, "is damaged"
    return (done, "") if done["run"] == run_id else ({}, f"is of another run, {done['run'][:40]}")


def _seconds(done: Mapping[str, Any]) -> float:
    seconds = done.get("seconds")
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        return 0.0
    return float(seconds) if 0 <= seconds < 1e12 else 0.0


def _error(folder: Path) -> dict[str, str]:
    """Message and job of a failed run; nothing where there is none, or a damaged one, which says nothing."""
    error = _object(folder / ERROR)
    job = error.get("job")
    if not isinstance(error.get("message"), str):
        return {}
    message = error["message"].encode(errors="replace").decode()  # half a character would not print
    return {"message": message, "job": job if isinstance(job, str) else ""}


def _finished_at(folder: Path) -> float | None:
    try:
        return (folder / DONE).stat().st_mtime
    except OSError:
        return None  # not finished, or set aside at this moment


def _latest_holder(folder: Path) -> int | None:
    try:
        return claims.holder(folder, claims.latest(os.listdir(folder)))
    except OSError:
        return None  # another grid has set it aside at this moment, or it is no folder


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Which settings of two specs differ, as `field: old -> new`."""
    before, after = _flat(old), _flat(new)
    parts = []
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name, "nothing"), after.get(name, "nothing")
        if one == other:
            continue
        if name == "data":
            parts.append("data: its cases or their split changed")
        elif name == "recipe":
            parts.append("agglab trains or scores differently since")
        else:
            parts.append(f"{name}: {one} -> {other}")
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


@contextmanager
def claimed(folder: Path, run: PlannedRun) -> Iterator[claims.Claim | None]:
    """Claim a run's folder for this process; None where the run is not to be had: another has it, or it has ended.

    What an earlier attempt left half written goes. Raises `AgglabError` where the folder cannot be written.
    """
    claim = claims.take(folder)
    if claim is None:
        yield None
        return
    with claim:
        try:
            ended = is_done(folder, run.id) or bool(_error(folder))  # since the caller last looked
            if not ended:
                sweep(folder, ("*",))
                if not (folder / SPEC).is_file():
                    write_json(folder / SPEC, run.spec.to_json())
        except FileNotFoundError:
            ended = True  # here: another grid has set the folder aside at this moment
        except OSError as error:
            raise cannot_be_written(folder, error) from error
        yield None if ended else claim


def record_failure(folder: Path, message: str, trace: str = "") -> None:
    """Mark the run as failed. The caller holds its claim."""
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    write_json(
        folder / ERROR, {"message": message, "when": when, "job": claims.slurm_job(), "traceback": trace.splitlines()}
    )


def written_digests(folder: Path) -> Mapping[str, str]:
    """SHA-256 of each table as the finished run in `folder` wrote it; what is not there counts as damaged."""
    digests = _object(folder / DONE).get("digests")
    return {name: str(digest) for name, digest in digests.items()} if isinstance(digests, dict) else {}


def _object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where the file is absent, damaged or holds something else."""
    try:
        value = read_json(path)
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
