"""The `slurm` section of a study: what its job array asks the cluster for. It decides when and where runs are trained,
not what they are, so no run's id depends on it."""

from pydantic import Field, field_validator

from aggregation_lab.config import Config

OURS = {
    "array": "slurm.tasks",
    "partition": "slurm.partition",
    "time": "slurm.hours",
    "gpus-per-node": "slurm.gpus",
    "cpus-per-task": "slurm.cpus",
    "mem": "slurm.memory_gb",
}
"""Directives of sbatch that have a field of their own."""
FIXED = ("error", "job-name", "nodes", "ntasks", "ntasks-per-node", "open-mode", "output", "signal")
"""Directives that agglab sets: its tasks are processes of one node, it reads their logs and hears the time limit."""


class SlurmSettings(Config):
    """What `run-grid --engine slurm` asks for: a job array whose tasks all work until no run is left to take."""

    tasks: int = Field(4, ge=1, le=1000)
    """Width of the array: so many jobs work at a time, if the cluster lets them."""
    partition: str | None = None
    """Empty: the cluster's default."""
    hours: float = Field(4, ge=0.1)
    """Time limit of a job. A short one starts sooner: at the limit a job leaves a checkpoint and queues again.
    The least is six minutes, because the warning comes 90 seconds ahead and Slurm counts in minutes."""
    gpus: int = Field(1, ge=0)
    """GPUs of each task, 0 for none. Tasks of one GPU find a place in the queue sooner than one task of many."""
    cpus: int = Field(4, ge=1)
    """Cores of each task."""
    memory_gb: float | None = Field(None, gt=0)
    """Memory of each task in GB. Empty: the cluster's default."""
    directives: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Any other option of sbatch by its long name, as account or constraint; true for one without a value."""

    @field_validator("directives")
    @classmethod
    def _free(cls, directives: dict[str, str | int | float | bool]) -> dict[str, str | int | float | bool]:
        named = {name.removeprefix("--").replace("_", "-"): value for name, value in directives.items()}
        for name in named:
            if name in OURS:
                raise ValueError(f"{name} has a field of its own; set {OURS[name]}")
            if name in FIXED:
                raise ValueError(f"{name} is set by agglab; leave it out")
        return named
