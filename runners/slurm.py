"""What `--engine slurm` does on the machine where it is called: a job array through submitit, a look at the queue.

Jobs take runs from the store as any local worker does (`runners.slurm_job`). How a run fares is read off the store,
never off Slurm's accounting, which many clusters do not keep; `squeue` only says whether jobs are left.
"""

import contextlib
import io
import json
import math
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aggregation_lab.errors import StudyError
from aggregation_lab.files import write_json
from runners import output
from runners.places import MOST_PER_DEVICE
from runners.plan import PlannedRun
from runners.slurm_settings import SlurmSettings
from runners.store import RunStore, State
from runners.study import Study
from runners.study_file import parse_study

if TYPE_CHECKING:
    from runners.slurm_job import ArrayJob

FOLDER = "slurm"
"""Folder of an output folder for what submitit writes: job scripts, what each job starts from, and the jobs' logs."""
NO_END = 1_000_000
"""So often may a job reach its time limit and queue again; submitit's own limit is 3, too few for a study of days."""
WAITING = ("PD", "RD", "RF", "RH", "RQ", "SE")
"""States of `squeue` in which a job waits, be it for resources, a hold to end or its next start."""


@dataclass(frozen=True)
class Queue:
    """Jobs of an output folder that the cluster still has, counted by array; what keeps the waiting ones."""

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


def queue(out: Path) -> Queue | None:
    """What the cluster still has of the arrays of `out`; None where `squeue` does not answer."""
    known = {file.name.split("_")[0] for file in (out / FOLDER).glob("[0-9]*_submission.sh")}
    if not known:
        return Queue()
    command = ["squeue", "--noheader", "--array", "--user", str(os.getuid()), "--format", "%F|%t|%r"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    running, waiting, reasons = Counter[str](), Counter[str](), dict[str, None]()
    for line in answer.splitlines():
        array, state, reason = line.strip().split("|", 2)
        if array in known and state in WAITING:
            waiting[array] += 1
            reasons |= {} if reason == "None" else {reason: None}  # "None": Slurm has not looked at it yet
        elif array in known:
            running[array] += 1
    return Queue(dict(running), dict(waiting), tuple(reasons))


def log_file(out: Path, job: str) -> Path:
    """Where the job prints that claims name `job`."""
    return out / FOLDER / f"{job}_0_log.out"


def parting_words(out: Path) -> str:
    """What to tell whoever stops watching."""
    left = queue(out)
    stop = f"the jobs go on: `scancel {' '.join(left.arrays)}` stops them, " if left and left.jobs else ""
    return f"no longer watching; {stop}the same command watches again"


def check_available() -> None:
    """Raise `StudyError` where this machine cannot submit to a Slurm cluster."""
    if find_spec("submitit") is None:
        raise StudyError("--engine slurm: submitit is not installed; pip install submitit")
    for command in ("sbatch", "srun", "squeue"):
        if shutil.which(command) is None:
            raise StudyError(f"--engine slurm: there is no {command} here; call it on a login node of a Slurm cluster")


def overridden(study: Study, changes: Sequence[str]) -> Study:
    """The study with fields of its `slurm` section replaced by `changes`, each KEY=VALUE as in `hours=12` or
    `directives.account=lab`. Raises `StudyError` for what the section does not take."""
    section: dict[str, Any] = study.slurm.model_dump()
    for change in changes:
        key, equals, value = (part.strip() for part in change.partition("="))
        if not equals:
            raise StudyError(f"--slurm {change}: takes KEY=VALUE, such as hours=12 or directives.account=lab")
        name = key.removeprefix("directives.")
        (section if name == key else section["directives"])[name] = value
    parsed = parse_study(study.model_dump() | {"slurm": section}, "--slurm")
    return study.model_copy(update={"slurm": parsed.slurm})


def parameters(settings: SlurmSettings, name: str) -> dict[str, Any]:
    """Parameters of submitit's `SlurmExecutor` for the study `name`."""
    # After preemption or the failure of a node a job queues again, also where that is not the cluster's default.
    directives = {"requeue": True, **settings.directives}
    wanted = {
        "job_name": f"agglab-{name}",
        "partition": settings.partition,
        "time": round(settings.hours * 60),
        "gpus_per_node": settings.gpus or None,
        "cpus_per_task": settings.cpus,
        "mem": None if settings.memory_gb is None else f"{round(settings.memory_gb * 1024)}M",
        "array_parallelism": settings.tasks,
        "stderr_to_stdout": True,
        # Since Slurm 22.05 srun does not take this from the job any more, and may bind all workers to one core.
        "srun_args": [f"--cpus-per-task={settings.cpus}"],
        "additional_parameters": {key: value for key, value in directives.items() if value is not False},
    }
    return {key: value for key, value in wanted.items() if value is not None}


def threads_each(settings: SlurmSettings, jobs: int | None) -> int:
    """Threads of each worker of a job that has `jobs` workers; None is one per core, or several per GPU."""
    return max(1, settings.cpus // (jobs or settings.gpus * MOST_PER_DEVICE or settings.cpus))


def write_orders(out: Path, runs: Set[str]) -> None:
    """Let the jobs of `out` train the runs of these ids, the jobs that are at work already included."""
    write_json(out / FOLDER / "orders.json", sorted(runs))


def read_orders(out: Path) -> set[str]:
    try:
        return set(json.loads((out / FOLDER / "orders.json").read_text()))
    except FileNotFoundError:
        return set()


def ensure_jobs(study: Study, job: "ArrayJob", runs: Sequence[PlannedRun]) -> None:
    """Have `runs` trained by the jobs that the cluster still has, and by new ones as far as those are too few.

    Raises `StudyError` where the cluster does not answer or refuses the jobs.
    """
    with output.locked(job.out, output.PREPARING):
        left = queue(job.out)
        if left is None:
            raise StudyError("--engine slurm: squeue does not answer; try again when the cluster does")
        write_orders(job.out, {run.id for run in runs} | (read_orders(job.out) if left.jobs else set()))
        states = RunStore(job.out).present(runs).values()
        pending = sum(status.state is State.PENDING for status in states)
        useful = math.ceil(pending / (job.jobs or 1)) + sum(left.running.values())
        missing = min(study.slurm.tasks, useful) - left.jobs
        if missing > 0:
            submit(study, job, missing)


def submit(study: Study, job: "ArrayJob", width: int) -> None:
    """Submit an array of `width` jobs. Raises `StudyError` where the cluster refuses it."""
    from submitit import SlurmExecutor
    from submitit.core.utils import FailedJobError
    from submitit.helpers import clean_env

    executor = SlurmExecutor(job.out / FOLDER, max_num_timeout=NO_END)
    executor.update_parameters(**parameters(study.slurm, study.name))
    try:
        # Called from inside a job, that job's own settings must not leak into the array.
        with clean_env(), contextlib.redirect_stderr(io.StringIO()), executor.batch():
            for _ in range(width):
                executor.submit(job)
    except FailedJobError as error:
        reason = str(error).splitlines()[0].removeprefix("sbatch: ").removeprefix("error: ")
        advice = "change the study's slurm section, or --slurm"
        raise StudyError(f"--engine slurm: sbatch refuses the job array ({reason}); {advice}") from error
