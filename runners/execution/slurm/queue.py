"""The jobs of an output folder: those in the cluster's queue, their logs, and the runs that they are to train."""

import os
import re
import shlex
import subprocess
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path

from aggregation_lab.errors import StudyError
from aggregation_lab.files import read_bytes
from aggregation_lab.storage.sealed_json import read_sealed, write_sealed
from runners.store.study_folder import StudyFolder

WAITING = ("PD", "RD", "RF", "RH", "RQ", "SE")
"""States of `squeue` in which a job waits, be it for resources, a hold to end or its next start."""


_OUTPUT = re.compile(r"^#SBATCH --output=(.+)$", re.MULTILINE)
"""Where a job of a script prints: a file in the folder `slurm` that the job works for."""


@dataclass(frozen=True)
class Queue:
    """Jobs of an output folder that the cluster still has, counted by array, and why some wait."""

    running: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()

    @property
    def arrays(self) -> list[str]:
        return sorted(self.running.keys() | self.waiting.keys(), key=int)

    @property
    def jobs(self) -> int:
        return sum(self.running.values()) + sum(self.waiting.values())

    def __str__(self) -> str:
        parts = []
        for array in self.arrays:
            running, waiting = self.running.get(array, 0), self.waiting.get(array, 0)
            counts = [f"{running} running"] * bool(running) + [f"{waiting} waiting"] * bool(waiting)
            parts.append(f"Slurm array {array}: {', '.join(counts)}")
        reasons = f" ({', '.join(self.reasons)})" if self.reasons else ""
        return "; ".join(parts) + reasons


def jobs_left(folder: StudyFolder) -> Queue | None:
    """What the cluster still has of the arrays of `folder`; None where `squeue` does not answer."""
    known = _arrays(folder)
    if not known:
        return Queue()
    command = ["squeue", "--noheader", "--array", "--user", str(os.getuid()), "--format", "%F|%t|%r"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    running, waiting, reasons = Counter[str](), Counter[str](), dict[str, None]()
    for line in answer.splitlines():
        array, state, reason = [*line.strip().split("|", 2), "", ""][:3]
        if array in known and state in WAITING:
            waiting[array] += 1
            reasons |= {} if reason == "None" else {reason: None}  # "None": Slurm has not looked at it yet
        elif array in known:
            running[array] += 1
    return Queue(dict(running), dict(waiting), tuple(reasons))


def _arrays(folder: StudyFolder) -> set[str]:
    """Numbers of the arrays that were ever submitted for the folder; not those whose jobs work in another one that is
    still there, of which this one is a copy."""
    found = set[str]()
    for script in folder.slurm.glob("[0-9]*_submission.sh"):
        array, output = script.name.removesuffix("_submission.sh"), re.search(_OUTPUT, _text(script))
        place = Path("".join(shlex.split(output[1]))).parent if output else folder.slurm
        # a folder that is gone was renamed, or is mounted elsewhere
        if array.isdecimal() and (not place.is_dir() or place.samefile(folder.slurm)):
            found.add(array)
    return found


def _text(file: Path) -> str:
    try:
        return read_bytes(file).decode(errors="replace")
    except OSError:
        return ""


def log_file(folder: StudyFolder, job: str) -> Path:
    """Where the job prints that claims name `job`."""
    return folder.slurm / f"{job}_0_log.out"


def last_message(folder: StudyFolder) -> str:
    """The last line for a user who stops watching."""
    left = jobs_left(folder)
    stop = f"the jobs go on: `scancel {' '.join(left.arrays)}` stops them, " if left and left.jobs else ""
    return f"no longer watching; {stop}the same command watches again"


@dataclass(frozen=True)
class Search:
    """An order to find the groups once that is possible, and then to train the runs of them that fit the patterns
    `only`; all where there is none."""

    only: tuple[str, ...] = ()


def write_orders(folder: StudyFolder, runs: Set[str], search: Search | None = None) -> None:
    """Let the jobs of `folder` train the runs of these ids, the jobs that are at work already included."""
    ordered: dict[str, list[str]] = {"runs": sorted(runs)}
    write_sealed(folder.slurm / "orders.json", ordered if search is None else ordered | {"found": list(search.only)})


def read_orders(folder: StudyFolder) -> set[str]:
    """The ids of the runs that are ordered. Raises `StudyError` where the file that says so is damaged."""
    return _read_orders(folder)[0]


def read_search(folder: StudyFolder) -> Search | None:
    """The order to find the groups, if there is one. Raises as `read_orders`."""
    return _read_orders(folder)[1]


def _read_orders(folder: StudyFolder) -> tuple[set[str], Search | None]:
    file = folder.slurm / "orders.json"
    try:
        orders = read_sealed(file)
        return set(orders["runs"]), Search(tuple(orders["found"])) if "found" in orders else None
    except FileNotFoundError:
        return set(), None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(f"{file}: is damaged ({error}); delete it and give the run-grid commands again") from error
