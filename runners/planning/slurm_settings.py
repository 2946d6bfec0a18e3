"""The `slurm` section of a study: what its job array asks the cluster for. It decides when and where runs are trained,
not what they are, so no run's id depends on it."""

import difflib
import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from aggregation_lab.config_fields import Config
from aggregation_lab.text import printable

FIELD_OF = {
    "array": "slurm.tasks",
    "partition": "slurm.partition",
    "time": "slurm.hours",
    "gpus-per-node": "slurm.gpus",
    "cpus-per-task": "slurm.cpus",
    "mem": "slurm.memory_gb",
}
"""Directives of sbatch that have a field of their own."""
FIXED = ("error", "job-name", "nodes", "ntasks", "ntasks-per-node", "open-mode", "output", "signal")
"""Directives that agglab sets: tasks are processes of one node, their logs are read, the time limit is announced."""
# fmt: off
ALLOWED = frozenset({
    "account", "acctg-freq", "batch", "bb", "begin", "clusters", "comment", "constraint", "contiguous",
    "core-spec", "cores-per-socket", "cpu-freq", "cpus-per-gpu", "deadline", "delay-boot", "dependency",
    "distribution", "exclude", "exclusive", "extra", "extra-node-info", "gpu-bind", "gpu-freq", "gpus",
    "gpus-per-socket", "gpus-per-task", "gres", "gres-flags", "hint", "hold", "ignore-pbs", "kill-on-invalid-dep",
    "licenses", "mail-type", "mail-user", "mcs-label", "mem-bind", "mem-per-cpu", "mem-per-gpu", "mincpus",
    "network", "nice", "no-kill", "nodefile", "nodelist", "ntasks-per-core", "ntasks-per-gpu", "ntasks-per-socket",
    "overcommit", "oversubscribe", "power", "prefer", "priority", "profile", "propagate", "qos", "reboot",
    "requeue", "reservation", "resv-ports", "segment", "sockets-per-node", "spread-job", "switches", "thread-spec",
    "threads-per-core", "time-min", "tmp", "tres-bind", "tres-per-job", "tres-per-task", "use-min-nodes",
    "wait-all-nodes", "wckey"
})
# fmt: on
"""Options of sbatch that say where, when and on whose account a job runs. Those that change what a job does, by
commands, environments or files, such as wrap, export and chdir, are not among them."""
_VALUE = re.compile(r"[A-Za-z0-9 _.,:;=+@%/&|!?*()\[\]{}^~<>#-]{1,500}")
_PARTITION = re.compile(r"[A-Za-z0-9_.,+-]{1,200}")


def _partition(name: str) -> str:
    if not _PARTITION.fullmatch(name):
        raise ValueError(
            f"is {printable(name)!r}; it takes letters, digits, dots, dashes, underscores, and commas between"
        )
    return name


def _value(value: object) -> object:
    """Directives are written into a shell script, so nothing that a shell or sbatch could read as more than a value."""
    if not isinstance(value, str | int | float):
        raise ValueError("takes text, a number, or true for an option without a value")
    if value != value or value in (float("inf"), -float("inf")):
        raise ValueError("takes a finite number")
    if isinstance(value, str) and (not _VALUE.fullmatch(value) or value != value.strip()):
        raise ValueError(
            f"is {printable(value)!r}; it takes one line of letters, digits and signs, without quotes, $ or \\"
        )
    return value


Directive = Annotated[str | int | float | bool, BeforeValidator(_value)]


class SlurmSettings(Config):
    """What `run-grid --engine slurm` asks for: a job array whose tasks all work until no run is left to take."""

    tasks: int = Field(4, ge=1, le=1000)
    """Width of the array: so many jobs work at a time, if the cluster lets them."""
    partition: Annotated[str, AfterValidator(_partition)] | None = None
    """Empty: the cluster's default."""
    hours: float = Field(4, ge=0.1, le=8760)
    """Time limit of a job. A short one starts sooner: at the limit a job leaves a checkpoint and queues again.
    The least is six minutes, because the warning comes 90 seconds ahead and Slurm counts in minutes."""
    gpus: int = Field(1, ge=0, le=64)
    """GPUs of each task, 0 for none. Tasks of one GPU find a place in the queue sooner than one task of many."""
    cpus: int = Field(4, ge=1, le=4096)
    """Cores of each task."""
    memory_gb: float | None = Field(None, ge=0.1, le=100_000)
    """Memory of each task in GB. Empty: the cluster's default."""
    directives: dict[str, Directive] = Field(default_factory=dict)
    """Any other option of sbatch by its long name, as account or constraint; true for one without a value."""

    @field_validator("directives")
    @classmethod
    def _free(cls, directives: dict[str, Directive]) -> dict[str, Directive]:
        named: dict[str, Directive] = {}
        for key, value in directives.items():
            name = key.removeprefix("--").replace("_", "-")
            if name in FIELD_OF:
                raise ValueError(f"{name} has a field of its own; set {FIELD_OF[name]}")
            if name in FIXED:
                raise ValueError(f"{name} is set by agglab; leave it out")
            if name not in ALLOWED:
                close = difflib.get_close_matches(name, ALLOWED, n=1)
                hint = f"did you mean {close[0]}?" if close else "it takes long names such as account, qos, constraint"
                raise ValueError(f"{printable(key, 60)} is no option of sbatch that a study may set; {hint}")
            if name in named:
                raise ValueError(f"{name} stands twice; keep one")
            named[name] = value
        return named
