"""What `--engine slurm` does on the machine where it is called: a job array through submitit."""

import contextlib
import io
import math
import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import yaml

from aggregation_lab.errors import StudyError
from aggregation_lab.text import printable
from runners.execution.device_slots import MOST_PER_DEVICE
from runners.execution.slurm.job import ArrayJob
from runners.execution.slurm.queue import Search, jobs_left, read_orders, read_search, write_orders
from runners.planning.accelerators import GPU
from runners.planning.plain_yaml import parse_yaml, plain_scalar
from runners.planning.plan import PlannedRun
from runners.planning.slurm_settings import SlurmSettings
from runners.planning.study_file import parse_study
from runners.planning.study_schema import Study
from runners.store.run_folder import State
from runners.store.study_folder import StudyFolder

NUMBERS = ("tasks", "hours", "gpus", "cpus", "memory_gb")
"""Fields of the section that take a number."""
NO_END = 1_000_000
"""Times that a job may reach its time limit and queue again; submitit's default of 3 is too few for a study of days."""


def check_available() -> None:
    """Raise `StudyError` where this machine cannot submit to a Slurm cluster."""
    if find_spec("submitit") is None:
        raise StudyError("--engine slurm: submitit is not installed; pip install submitit")
    for command in ("sbatch", "srun", "squeue"):
        if shutil.which(command) is None:
            raise StudyError(f"--engine slurm: there is no {command} here; call it on a login node of a Slurm cluster")


def overridden(study: Study, changes: Sequence[str]) -> Study:
    """The study with fields of its `slurm` section replaced by `changes`, each KEY=VALUE as in `hours=12` or
    `directives.account=lab`; values are written as in the study file. Raises `StudyError` for what the section does not
    take."""
    section: dict[str, Any] = study.slurm.model_dump()
    for change in changes:
        key, equals, value = (part.strip() for part in change.partition("="))
        shown = printable(change)
        if not equals:
            raise StudyError(f"--slurm {shown}: takes KEY=VALUE, such as hours=12 or directives.account=lab")
        if key == "directives":
            raise StudyError(f"--slurm {shown}: takes one directive at a time, such as directives.account=lab")
        name = key.removeprefix("directives.")
        (section if name == key else section["directives"])[name] = _plain(key, value)
    parsed = parse_study(study.model_dump() | {"slurm": section}, "--slurm")
    return study.model_copy(update={"slurm": parsed.slurm})


def _plain(key: str, text: str) -> Any:
    """The value that `text` means in a study file; a number stays text where the field takes text, as an account may
    be 0123 and a partition 7."""
    try:
        value = parse_yaml(text) if text[:1] in ("'", '"') else plain_scalar(text)
    except yaml.YAMLError:
        return text
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return text if is_number and key not in NUMBERS else value


def check_folder(folder: StudyFolder) -> None:
    """Raise `StudyError` where sbatch would read the path of `folder` as another one."""
    strange = next((char for char in str(folder) if char in "%'\"\\"), None)
    if strange:
        raise StudyError(
            f"--engine slurm: {folder} holds {strange}, which sbatch replaces in paths; choose another --out"
        )


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


def device_of(settings: SlurmSettings, device: str | None) -> str:
    """Type of the device that jobs train on: that of `device`, else a GPU where they ask for any."""
    return (device or (GPU if settings.gpus else "cpu")).partition(":")[0]


def workers_per_job(settings: SlurmSettings, jobs: int | None) -> int:
    """Workers of a job of the array: `jobs`; None is one per core, or at most as many as share each GPU."""
    return jobs or min(settings.gpus * MOST_PER_DEVICE, max(settings.gpus, settings.cpus)) or settings.cpus


def threads_per_worker(settings: SlurmSettings, jobs: int | None) -> int:
    """Threads of each worker of a job that has `jobs` workers; None is one per core, or several per GPU."""
    return max(1, settings.cpus // (jobs or settings.gpus * MOST_PER_DEVICE or settings.cpus))


def ensure_jobs(study: Study, job: ArrayJob, runs: Sequence[PlannedRun], search: Search | None = None) -> None:
    """Have `runs` trained by the jobs that the cluster still has, and by new ones as far as those are too few; and the
    groups found where there is an order to.

    Raises `StudyError` where the cluster does not answer or refuses the jobs.
    """
    with job.folder.preparing():
        left = jobs_left(job.folder)
        if left is None:
            raise StudyError("--engine slurm: squeue does not answer; try again when the cluster does")
        ordered = {run.id for run in runs} | (read_orders(job.folder) if left.jobs else set())
        write_orders(job.folder, ordered, search or (read_search(job.folder) if left.jobs else None))
        states = job.folder.runs.present(runs).values()
        pending = sum(status.state in (State.PENDING, State.WAITING) for status in states)
        useful = math.ceil(pending / (job.jobs or 1)) + sum(left.running.values())
        missing = min(study.slurm.tasks, useful) - left.jobs
        if missing > 0:
            submit(study, job, missing)


def submit(study: Study, job: ArrayJob, width: int) -> None:
    """Submit an array of `width` jobs. Raises `StudyError` where the cluster refuses it."""
    from submitit import SlurmExecutor
    from submitit.core.utils import FailedJobError
    from submitit.helpers import clean_env

    executor = SlurmExecutor(job.folder.slurm, max_num_timeout=NO_END)
    executor.update_parameters(**parameters(study.slurm, study.name))
    try:
        # Called from inside a job, that job's settings must not leak into the array.
        with clean_env(), contextlib.redirect_stderr(io.StringIO()), executor.batch():
            for _ in range(width):
                executor.submit(job)
    except FailedJobError as error:
        reason = str(error).splitlines()[0].removeprefix("sbatch: ").removeprefix("error: ")
        advice = "change the study's slurm section, or --slurm"
        raise StudyError(f"--engine slurm: sbatch refuses the job array ({reason}); {advice}") from error
