"""The folder of one run. Its state is read from its files, never stored, so no crash can make it wrong.

    spec.json       what the run is
    claim-N.json    a worker has claimed it, or had (runners.store.claims)
    checkpoint.pt   where an interrupted run continues
    error.json      why it failed, with the traceback; log.txt has what it printed
    done.json       finished; its tables lie beside it, and the files that it keeps, among them before-cooldown.pt,
                    from which a run with a larger cap goes on

done takes precedence over a living claim, and that over an error. A claim whose holder has ended counts for nothing.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from aggregation_lab.files import cannot_be_written, read_bytes, sweep, write_json
from aggregation_lab.run import CHECKPOINT, DONE, SPEC
from aggregation_lab.storage.sealed_json import read_sealed
from aggregation_lab.tasks.same_answer import said
from runners.planning.plan import PlannedRun
from runners.store import claims
from runners.store.process_identity import slurm_job
from runners.store.run_files import Done, Failure, RunProgress

ERROR, LOG = "error.json", "log.txt"


class State(StrEnum):
    """`WAITING`: the run that it starts from is not finished; `BLOCKED`: that one has failed."""

    PENDING = "pending"
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    BLOCKED = "blocked"
    STALE = "stale"


UNTOUCHED = frozenset({State.PENDING, State.WAITING, State.BLOCKED})
"""States of runs that have neither a result nor a failure, and that nobody has claimed."""


def counted(states: Sequence[State]) -> str:
    """How many there are of each, such as `3 done, 1 failed`."""
    return ", ".join(f"{states.count(state)} {state}" for state in State if state in states)


@dataclass(frozen=True)
class Status:
    """State of a run, and why; `progress` is the last one of a run under way.

    `job` is the Slurm job that has it, or in which it failed; `seconds` is what a finished run took, `images` what it
    has seen, 0 where that is not known. `device` is the type of device that it was trained on, empty where its result
    does not say. `damaged`: it has a result that cannot be used. `kept`: names of the files that a finished run has
    left, tables and others. `begun`: a part of it is trained, by another process or before it was interrupted.
    `same_answer`: tasks of which a finished run gives all validation cases the same answer, and the step since when.
    """

    state: State
    reason: str = ""
    progress: RunProgress | None = None
    job: str = ""
    seconds: float = 0.0
    images: int = 0
    device: str = ""
    damaged: bool = False
    kept: frozenset[str] = frozenset()
    begun: bool = False
    same_answer: Mapping[str, int] = field(default_factory=dict)


def run_state(folder: Path, run_id: str) -> Status:
    """State of the run in `folder`, which need not exist; never stale."""
    try:
        names = set(os.listdir(folder))
    except OSError:
        return Status(State.PENDING)
    done, fault = _read_done(folder, run_id) if DONE in names else (None, "")
    if done:
        kept = frozenset(names & done.files)
        return Status(
            State.DONE,
            seconds=done.seconds,
            images=done.images_seen,
            device=done.device,
            kept=kept,
            same_answer=done.same_answer,
        )
    number = claims.latest(names)
    claim = claims.living(folder, number) if number else None
    if claim is not None:
        job = f", Slurm job {claim.job}" if claim.job else ""
        step = f"{claim.progress.where}, " if claim.progress else ""
        reason = f"{step}process {claim.process} on {claim.host or 'another machine'}{job}"
        return Status(State.RUNNING, reason, claim.progress, claim.job, begun=True)
    failure = _read_failure(folder)
    if failure:
        return Status(State.FAILED, failure.message, job=failure.job)
    if fault:
        return Status(State.PENDING, f"its {DONE} {fault}; it is trained again", damaged=True)
    if CHECKPOINT in names:
        return Status(State.PENDING, "interrupted; continues from its checkpoint", begun=True)
    return Status(State.PENDING, "interrupted before its first checkpoint" if number else "")


def same_answer_lines(run: PlannedRun, status: Status) -> list[str]:
    """A warning for each task of which a finished run gives all validation cases the same answer."""
    return [f"warning  {run.title}: {line}" for line in said(status.same_answer)]


def read_done(folder: Path, run_id: str) -> Done | None:
    """The `done.json` of the run in `folder`; None where it is missing, damaged or of another run."""
    return _read_done(folder, run_id)[0]


def _read_done(folder: Path, run_id: str) -> tuple[Done | None, str]:
    """The content of `done.json`, or None and what is wrong with it."""
    try:
        done = Done.model_validate(read_sealed(folder / DONE))
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, f"cannot be read ({error.strerror})"
    except ValueError:
        return None, "is damaged"
    return (done, "") if done.run == run_id else (None, f"is of another run, {done.run[:40]}")


def _read_failure(folder: Path) -> Failure | None:
    try:
        return Failure.parse(read_bytes(folder / ERROR))
    except OSError:
        return None


@contextmanager
def claimed(folder: Path, run: PlannedRun) -> Iterator[claims.Claim | None]:
    """Claim a run's folder for this process; None where another process has claimed it, or it has ended.

    Removes half-written files of an earlier attempt. Raises `AgglabError` where the folder cannot be written.
    """
    claim = claims.take(folder)
    if claim is None:
        yield None
        return
    with claim:
        try:
            ended = bool(read_done(folder, run.id) or _read_failure(folder))  # since the caller last looked
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
    # A path in the message may hold bytes that are no text, which neither JSON nor a terminal takes.
    message, trace = (text.encode(errors="backslashreplace").decode() for text in (message, trace))
    failure = Failure(message=message, when=when, job=slurm_job(), traceback=tuple(trace.splitlines()))
    write_json(folder / ERROR, failure.model_dump())


def latest_holder(folder: Path) -> int | None:
    """Process of this machine, alive or dead, that has claimed the run and not released it; None for any other."""
    try:
        return claims.holder(folder, claims.latest(os.listdir(folder)))
    except OSError:
        return None  # another grid has set it aside at this moment, or it is no folder
