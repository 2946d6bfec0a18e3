"""Images per second: of training against the bare loop, of encoders, of several runs at once, of compiled code."""

import time
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier

import torch

from aggregation_lab.config import ModelConfig
from aggregation_lab.errors import is_out_of_memory
from aggregation_lab.model.m2dino import build_m2dino
from aggregation_lab.tasks import TaskType
from aggregation_lab.training.device import peak_memory, pick_precision, release_memory, reset_peak_memory
from runners.bench.card.processes import Work, at_once
from runners.bench.card.scale import Row, Scale
from runners.bench.measuring import GIB, seconds
from runners.bench.setting import BATCH, ENCODER
from runners.bench.training import TASK, bare, model_step, phantoms, steps_of, trainer_of
from runners.planning import cost


def throughput(scale: Scale) -> list[Row]:
    """Training against the bare loop of the same model, as in `make bench`, at the size of the other parts."""
    table = bare(scale.setting)
    return [(f"{label}, {scale.setting.size} px", value, f"goal {goal}") for label, value, goal in table.rows]


def encoders(scale: Scale) -> list[Row]:
    """Training steps of each encoder with its image path and one head, on images in the device's memory."""
    rows: list[Row] = []
    for name in scale.encoders:
        step = partial(_step, scale, name)
        rows.append(_timed(scale, name, BATCH, step(BATCH)))
        most = _most_images(scale, step)
        if most > BATCH:
            rows.append(_timed(scale, name, most, step(most)))
    return rows


def _step(scale: Scale, encoder: str, images: int) -> Callable[[], None]:
    model = build_m2dino(ModelConfig(encoder=encoder), [TASK]).to(scale.place).train()
    return model_step(model, scale.setting.size, pick_precision("auto", scale.place), images)


def _timed(scale: Scale, encoder: str, images: int, step: Callable[[], None]) -> Row:
    reset_peak_memory(scale.place)
    per_second = images * rate(step, scale.seconds)
    precision = str(pick_precision("auto", scale.place)).removeprefix("torch.")
    note = f"{precision}, peak {peak_memory(scale.place) / GIB:.2f} GiB"
    release_memory(scale.place)
    return f"{encoder}, {scale.setting.size} px, batch {images}: images/s", per_second, note


def _most_images(scale: Scale, step: Callable[[int], Callable[[], None]]) -> int:
    """The largest power of two times `BATCH` whose step memory holds."""
    most, size = BATCH, 2 * BATCH
    while size <= scale.most_images:
        try:
            steps_of(step(size))()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            break
        finally:
            release_memory(scale.place)
        most, size = size, 2 * size
    return most


def rate(step: Callable[[], object], least: float) -> float:
    """Steps per second, measured for about `least` seconds after two steps to warm up."""
    once = steps_of(step)
    once()
    count = max(1, round(least / max(seconds(once), 1e-4)))
    return count / seconds(steps_of(step, count))


def sharing(scale: Scale) -> list[Row]:
    """Runs that share the device, each a process that trains: their images per second together."""
    phantoms(scale.setting)  # drawn and cached before they start
    rows: list[Row] = []
    for count in scale.workers:
        together = get_context("spawn").Barrier(count)
        threads = max(1, cost.cores() // count)
        rates = at_once([partial(Work, trained_together, scale, threads, together)] * count, scale.patience)
        note = "one run" if count == 1 else f"{sum(rates) / float(rows[0][1]):.2f} of one run's" if rows else ""
        rows.append((f"{count} at a time, {ENCODER}, {scale.setting.size} px: images/s", sum(rates), note))
    return rows


def trained_together(scale: Scale, threads: int, together: Barrier) -> float:
    """Images per second of one run while the others train, too."""
    torch.set_num_threads(threads)
    trainer = trainer_of(scale.setting, TaskType.CLASSIFICATION, ModelConfig(encoder=ENCODER))
    step = steps_of(trainer.train_step, 4)
    step()
    together.wait(scale.patience)
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < scale.seconds:
        step()
        steps += 4
    return steps * BATCH / (time.perf_counter() - start)


def compiled(scale: Scale) -> list[Row]:
    """`training.compile`: step time with and without, and how long compilation takes."""
    plain = rate(_step(scale, ENCODER, BATCH), scale.seconds)
    model = build_m2dino(ModelConfig(encoder=ENCODER), [TASK]).to(scale.place).train()
    model.compile_encoder()
    step = model_step(model, scale.setting.size, pick_precision("auto", scale.place))
    compiling = seconds(steps_of(step, 3))
    gain = rate(step, scale.seconds) / plain
    return [(f"compiled / not, {ENCODER}, batch {BATCH}: images/s", gain, f"compiling takes {compiling:.0f} s")]
