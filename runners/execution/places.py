"""Where the runs of a grid are trained, as far as their time depends on it: on this machine, or on a Slurm cluster."""

from collections.abc import Sequence

from rich.console import Console

from runners.execution.device_slots import device_type, share_of_cores, worker_devices
from runners.execution.slurm import submit
from runners.execution.time_estimate import Place
from runners.options import EngineName, GridOptions
from runners.planning.study_schema import Study


def place_of(study: Study, options: GridOptions, console: Console, threads: int | None) -> Place:
    """Where a grid with these options trains; `threads` are those of each run where the folder has fixed them. Raises
    `ModelError` where they name a device that does not exist here."""
    if options.engine is EngineName.SLURM:
        return _on_cluster(study, options)
    device = device_type(options.device)
    slots = worker_devices(study, device, options, console, threads)
    return here(device, slots, threads)


def here(device: str, slots: Sequence[str | None], threads: int | None = None) -> Place:
    """This machine, with a worker on each of the `slots`, each with its share of the cores or with `threads`."""
    jobs = len(slots)
    sharing = 1.0 if device == "cpu" else jobs / len(set(slots))
    return Place(device, jobs, sharing, threads or share_of_cores(jobs), device, f"{jobs} at a time on {device}")


def _on_cluster(study: Study, options: GridOptions) -> Place:
    """The job array of the study's slurm section, whose nodes nobody has seen yet: with GPUs they are taken to be CUDA
    devices, each with as many workers as share one at most."""
    settings, each = study.slurm, submit.workers_per_job(study.slurm, options.jobs)
    device = submit.device_of(settings, options.device)
    sharing = 1.0 if device == "cpu" else each / (settings.gpus or 1)
    jobs, threads = settings.tasks * each, submit.threads_per_worker(settings, options.jobs)
    at_most = "" if options.jobs or device == "cpu" else "up to "
    words = f"{at_most}{jobs} at a time on {device} in a Slurm array of {settings.tasks} jobs"
    return Place(device, jobs, sharing, threads, device_type(None), words, is_elsewhere=True)
