"""Work timed side by side, so that the speed of the machine cancels out; commands in processes of their own; tables."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

GIB, MIB = 1024**3, 1024**2
LOOK_EVERY = 0.05, 0.5
"""Seconds between two looks at the memory, of a short command and of a long one: a look takes time itself."""
END_WITHIN = 0.01
"""Seconds after which the end of the command is seen."""


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    work()
    return clock() - start


def counts_processor_time() -> bool:
    """Whether `paired` counts processor time: on one thread of a CPU, where other work on the machine is left out."""
    import torch  # here, so that a measured process can use this module without it

    return not torch.accelerator.is_available() and torch.get_num_threads() == 1


def paired(*works: Callable[[], object], rounds: int) -> list[list[float]]:
    """Seconds of each work over alternating rounds, after one round to warm up: processor time (user and system) where
    `counts_processor_time`, else by the wall clock."""
    clock = time.process_time if counts_processor_time() else time.perf_counter
    for work in works:
        work()
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for times, work in zip(taken, works, strict=True):
            times.append(seconds(work, clock))
    return taken


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """Median over the rounds."""
    return statistics.median(one / other for one, other in zip(numerators, denominators, strict=True))


class CommandFailed(Exception):
    """A measured command ended with an error; the message is the last line it printed."""


@dataclass(frozen=True)
class Measured:
    """`seconds` by the wall clock, `processor` those of user and system in all its processes; `started` is the wall
    clock at the start; `memory` in bytes counts pages shared by several processes once; `device_memory` is what the
    accelerator held more than before, 0 without one."""

    seconds: float
    processor: float
    started: float
    memory: int
    device_memory: int


def measure(command: Sequence[str], log: Path, threads: int | None = None) -> Measured:
    """Run `command` to its end, its output going to `log`. Raises `CommandFailed`.

    Without `threads` they are left to the command: OMP_NUM_THREADS of this process is not passed on.
    """
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w", encoding="utf-8") as stream:
        before, memory, device_memory = _device_bytes(), 0, 0
        started, start, spent = time.time(), time.perf_counter(), _children_seconds()
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
    return Measured(now - start, _children_seconds() - spent, started, memory, device_memory)


def measure_module(module: str, *arguments: object, scratch: Path, threads: int | None = None) -> tuple[Any, Measured]:
    """What `python -m module RESULT ARGUMENTS` writes into the JSON file RESULT, and what it took.

    Raises `CommandFailed`.
    """
    result = scratch / f"{module}.json"
    command = [sys.executable, "-m", module, str(result), *map(str, arguments)]
    measured = measure(command, scratch / f"{module}.log", threads)
    return json.loads(result.read_text(encoding="utf-8")), measured


def _children_seconds() -> float:
    """Processor time of the processes that were started here and have ended, with those that they waited for."""
    times = os.times()
    return times.children_user + times.children_system


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


Cell = str | int | float


@dataclass(frozen=True)
class Table:
    """Rows under a title, in Markdown; `note` says what was run and how to read it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def __str__(self) -> str:
        cells = [self.columns, *([as_text(cell) for cell in row] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in cells]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return "\n".join([f"### {self.title}", "", *lines, *(["", self.note] if self.note else [])])


def as_text(cell: Cell) -> str:
    """A figure with as many digits as are read."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}" if abs(cell) < 0.1 else f"{cell:.2f}"


def ratios(title: str, figures: dict[str, float], goals: dict[str, str], note: str = "") -> Table:
    """A table of ratios beside their goals."""
    rows = tuple((label, value, goals.get(label, "")) for label, value in figures.items())
    return Table(title, ("ratio", "measured", "goal"), rows, note)
