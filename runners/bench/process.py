"""A command in a process of its own: how long it takes, and the most memory it and its children hold."""

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

LOOK_EVERY = 0.05, 0.5
"""Seconds between two looks at the memory, of a short command and of a long one: a look takes time itself."""
END_WITHIN = 0.01
"""Seconds after which the end of the command is seen."""


class CommandFailed(Exception):
    """A measured command ended with an error; the message is the last line it printed."""


@dataclass(frozen=True)
class Measured:
    """`started` is the wall clock at the start; `memory` in bytes counts pages shared by several processes once;
    `device_memory` is what the accelerator held more than before, 0 without one."""

    seconds: float
    started: float
    memory: int
    device_memory: int


def measure(command: Sequence[str], log: Path) -> Measured:
    """Run `command` to its end, its output going to `log`. Raises `CommandFailed`.

    Threads are left to the command: OMP_NUM_THREADS of this process is not passed on.
    """
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w", encoding="utf-8") as stream:
        before, memory, device_memory = _device_bytes(), 0, 0
        started, start = time.time(), time.perf_counter()
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=environment)
        next_look = start
        while True:
            code, now = process.poll(), time.perf_counter()
            if code is not None:
                break
            if now >= next_look:
                memory = max(memory, _tree_bytes(process.pid))
                device_memory = max(device_memory, _device_bytes() - before)
                next_look = now + min(LOOK_EVERY[1], max(LOOK_EVERY[0], (now - start) / 50))
            time.sleep(END_WITHIN)
    if code:
        lines = log.read_text(encoding="utf-8").strip().splitlines() or ["it printed nothing"]
        raise CommandFailed(lines[-1])
    return Measured(now - start, started, memory, device_memory)


def _tree_bytes(root: int) -> int:
    """Memory of a process and its children; proportional set size where the system tells it."""
    total = 0
    try:
        processes = [psutil.Process(root), *psutil.Process(root).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in processes:
        try:
            memory = process.memory_full_info()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # it has ended meanwhile
        total += getattr(memory, "pss", memory.rss)
    return total


def _device_bytes() -> int:
    import torch  # here, so that a measured process can use this module without it

    if not torch.cuda.is_available():
        return 0
    free, total = torch.cuda.mem_get_info()
    return total - free
