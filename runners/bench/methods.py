"""What multi-task methods cost: a step of mixed batches by each of them over the plain step, in time and memory, and
LibMTL's step by the same method beside it."""

import gc
import re
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from aggregation_lab.config import ModelConfig, TrainingConfig
from aggregation_lab.method_names import Aggregator, Weighting, missing_packages
from aggregation_lab.run import RunSpec
from aggregation_lab.training.device import peak_memory, pick_device, reset_peak_memory
from aggregation_lab.training.trainer import Trainer
from runners.bench.measuring import MIB, Cell, Table, ratio
from runners.bench.setting import ENCODER, Setting, write_bench_study
from runners.bench.training import prepared

PER_TASK = 2
"""Images of each task in a step."""


def methods(setting: Setting) -> Table:
    """Seconds and memory of a step of all tasks at once by each method, over those of the plain step; and of LibMTL's,
    where it is installed and has the method, over its own plain step and over agglab's.

    All take turns in one process, and seconds are those of its processors (of the clock, with an accelerator), so that
    other work on the machine cancels out.
    """
    trainers = {"none": trainer_with(setting)}
    for name in get_args(Aggregator):
        if name != "none" and not missing_packages(name):
            trainers[name] = trainer_with(setting, aggregator=name)
    for name in get_args(Weighting):
        if name != "fixed":
            trainers[name] = trainer_with(setting, weighting=name)
    plain = trainers["none"]
    peers: Mapping[str, Callable[[], None]] = {}
    if find_spec("LibMTL") is not None:
        from runners.bench.libmtl_methods import peer_steps

        peers = peer_steps(plain)
    steps = {("", name): trainer.train_step for name, trainer in trainers.items()}
    steps |= {("LibMTL", name): step for name, step in peers.items()}
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in steps}
    memory: dict[tuple[str, str], list[float]] = {key: [] for key in steps}
    for lap in range(setting.rounds + 1):
        for key, step in steps.items():
            taken, held = _measured(step, plain.device)
            if lap:  # the first warms up
                seconds[key].append(taken)
                memory[key].append(held)
    most = {key: statistics.median(values) / MIB for key, values in memory.items()}
    rows = []
    for name in trainers:
        own, peer = ("", name), ("LibMTL", name)
        beside: tuple[Cell, ...] = ("", "", "")
        if peer in seconds:
            over = [ratio(seconds[peer], seconds[other]) for other in (("LibMTL", "none"), own)]
            beside = (over[0], most[peer] - most["LibMTL", "none"], over[1])
        rows.append((name, ratio(seconds[own], seconds["", "none"]), most[own] - most["", "none"], *beside))
    parameters = sum(each.numel() for each in plain.model.parameters())
    note = (
        f"{setting.described}: {PER_TASK} images of each of {len(plain.tasks)} tasks in every step; {ENCODER}, "
        f"{setting.size} px, {parameters / 1e6:.1f} million parameters ({4 * parameters / MIB:.0f} MiB); "
        f"{setting.rounds} rounds; the plain step: {statistics.median(seconds['', 'none']):.2f} s. LibMTL is handed "
        "its images ready; an empty cell is a method that it lacks."
    )
    columns = (
        "method", "step / plain step", "more memory in a step, MiB",
        "LibMTL: step / its plain step", "LibMTL: more memory, MiB", "LibMTL's step / agglab's",
    )  # fmt: skip
    return Table("Multi-task methods", columns, tuple(rows), note)


@dataclass(frozen=True)
class EveryTask:
    """Draws `PER_TASK` images of every task for each step, in the place of the run's own sampler, whose batches do not
    hold all tasks; LibMTL's always do."""

    sizes: tuple[int, ...]

    def draw(self, step: int) -> list[tuple[int, np.ndarray]]:
        """As `Sampler.draw`."""
        wanted = np.arange(PER_TASK * step, PER_TASK * (step + 1))
        return [(task, wanted % size) for task, size in enumerate(self.sizes)]


def trainer_with(setting: Setting, **training: str) -> Trainer:
    """A run of all tasks of the data, ready to train."""
    _, folder = write_bench_study(setting)
    data = prepared(folder, setting.scratch / "methods_cache", setting.size)
    tasks = tuple(data.dataset.tasks.values())
    batch = PER_TASK * len(tasks)
    fields = {"image_size": setting.size, "batch_size": batch, "passes": 1000.0, "precision": "fp32", **training}
    spec = RunSpec(tasks, 1.0, 0, ModelConfig(encoder=ENCODER), TrainingConfig.model_validate(fields), data="bench")
    trainer = Trainer(spec, data.dataset, data.split(), data.cache, setting.scratch, pick_device())
    every: Any = EveryTask(trainer.sampler.sizes)
    trainer.sampler = every
    trainer.model.train()
    return trainer


def _measured(step: Callable[[], None], device: torch.device) -> tuple[float, float]:
    """Seconds of one step, and the bytes it held at most beyond what was held before."""
    on_cpu = device.type == "cpu"
    gc.collect()
    clock = time.process_time if on_cpu else time.perf_counter
    before = _resident_bytes() if on_cpu else torch.accelerator.memory_allocated()
    reset_peak_memory(device)
    start = clock()
    step()
    if not on_cpu:
        torch.accelerator.synchronize()
    return clock() - start, peak_memory(device) - before


def _resident_bytes() -> float:
    """What this process holds now; 0 where the system does not tell, so that the peak itself counts."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return float(found.group(1)) * 1024 if found else 0.0
