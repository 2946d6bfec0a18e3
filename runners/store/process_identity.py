"""Who a process is: its machine, the time of its start, its Slurm job."""

import os
import socket
from pathlib import Path


def machine() -> tuple[str, str]:
    """Machine and process namespace: containers of one machine can share its name, but not its process numbers."""
    try:
        return socket.gethostname(), os.readlink("/proc/self/ns/pid")
    except OSError:
        return socket.gethostname(), ""


def boot() -> str:
    """What tells this machine, since its last start, from all others, whatever their names; "" where the system does
    not say. The namespace of processes does not tell: outside of containers it has the same number everywhere."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def birth(process: int) -> str | None:
    """Start time of a process in clock ticks since boot, which tells it from a later one of the same number.

    None where it does not exist any more, "" where the system does not say.
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


def slurm_job() -> str:
    """The Slurm job that this process runs in, as its logs are named: JOB, or ARRAY_TASK; "" outside of Slurm."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID", "")
