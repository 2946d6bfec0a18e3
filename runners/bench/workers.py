"""Two workers side by side against one: on the CPU with half of the cores each, on an accelerator sharing it."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch

from aggregation_lab.config import ModelConfig
from aggregation_lab.model.m2dino import build_m2dino
from aggregation_lab.training.device import pick_device
from runners.bench.bare import TASK, finished, model_step
from runners.bench.setting import ENCODER, Setting
from runners.bench.tables import Table, ratios
from runners.bench.timing import repeat, seconds
from runners.planning import cost


def workers(setting: Setting) -> Table:
    """Throughput of two workers over that of one."""
    steps, half = 2 * setting.rounds, max(1, cost.cores() // 2)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        two = max(pool.map(_steps_in_process, (half, half), (setting.size,) * 2, (steps, steps)))
        one = pool.submit(_steps_in_process, 2 * half, setting.size, steps).result()
    label = f"two workers of {half} thread(s) / one worker of {2 * half}"
    if pick_device().type != "cpu":
        label = "two workers on one accelerator / one worker"
    return ratios("Workers", {label: 2 * one / two}, {})


def _steps_in_process(threads: int, size: int, steps: int) -> float:
    torch.set_num_threads(threads)
    device = pick_device()
    step = model_step(build_m2dino(ModelConfig(encoder=ENCODER), [TASK]).to(device), size)
    step()
    return seconds(finished(lambda: repeat(step, steps), device))
