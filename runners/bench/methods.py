"""What multi-task methods cost: a step of mixed batches by each of them over the plain step, in time and memory."""

import gc
import re
import statistics
import time
from pathlib import Path
from typing import get_args

import torch

from aggregation_lab.config import ModelConfig, TrainingConfig
from aggregation_lab.method_names import Aggregator, Weighting, missing_packages
from aggregation_lab.run import RunSpec
from aggregation_lab.training.device import peak_memory, pick_device, reset_peak_memory
from aggregation_lab.training.trainer import Trainer
from runners.bench.measuring import MIB, Table, ratio
from runners.bench.setting import BATCH, ENCODER, Setting, write_bench_study
from runners.bench.training import prepared


def methods(setting: Setting) -> Table:
    """Seconds and memory of a step of all tasks at once by each method, over those of the plain step.

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
    seconds: dict[str, list[float]] = {name: [] for name in trainers}
    memory: dict[str, list[float]] = {name: [] for name in trainers}
    for lap in range(setting.rounds + 1):
        for name, trainer in trainers.items():
            taken, held = _step(trainer)
            if lap:  # the first warms up
                seconds[name].append(taken)
                memory[name].append(held)
    rows = []
    for name in trainers:
        more = (statistics.median(memory[name]) - statistics.median(memory["none"])) / MIB
        rows.append((name, ratio(seconds[name], seconds["none"]), more))
    plain = trainers["none"]
    present = statistics.mean(len(plain.sampler.draw(step)) for step in range(50))
    parameters = sum(each.numel() for each in plain.model.parameters())
    note = (
        f"{setting.described}: {len(plain.tasks)} tasks, {present:.1f} of them in a batch of {BATCH} on average; "
        f"{ENCODER}, {setting.size} px, {parameters / 1e6:.1f} million parameters ({4 * parameters / MIB:.0f} MiB); "
        f"{setting.rounds} rounds; the plain step: {statistics.median(seconds['none']):.2f} s."
    )
    columns = ("method", "step / plain step", "more memory in a step, MiB")
    return Table("Multi-task methods", columns, tuple(rows), note)


def trainer_with(setting: Setting, **training: str) -> Trainer:
    """A run of all tasks of the data, ready to train."""
    _, folder = write_bench_study(setting)
    data = prepared(folder, setting.scratch / "methods_cache", setting.size)
    fields = {"image_size": setting.size, "batch_size": BATCH, "passes": 1000.0, "precision": "fp32", **training}
    tasks = tuple(data.dataset.tasks.values())
    spec = RunSpec(tasks, 1.0, 0, ModelConfig(encoder=ENCODER), TrainingConfig.model_validate(fields), data="bench")
    trainer = Trainer(spec, data.dataset, data.split(), data.cache, setting.scratch, pick_device())
    trainer.model.train()
    return trainer


def _step(trainer: Trainer) -> tuple[float, float]:
    """Seconds of one step, and the bytes it held at most beyond what was held before."""
    on_cpu = trainer.device.type == "cpu"
    gc.collect()
    clock = time.process_time if on_cpu else time.perf_counter
    before = _resident_bytes() if on_cpu else torch.accelerator.memory_allocated()
    reset_peak_memory(trainer.device)
    start = clock()
    trainer.train_step()
    if not on_cpu:
        torch.accelerator.synchronize()
    return clock() - start, peak_memory(trainer.device) - before


def _resident_bytes() -> float:
    """What this process holds now; 0 where the system does not tell, so that the peak itself counts."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return float(found.group(1)) * 1024 if found else 0.0
