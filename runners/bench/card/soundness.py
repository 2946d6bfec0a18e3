"""Does it work on the device: a study from phantoms to scores, and runs that are repeated and continued."""

import math
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
import yaml

from aggregation_lab.config import ModelConfig, TrainingConfig
from aggregation_lab.results import RUNS, SCORES, read_table
from aggregation_lab.run import CHECKPOINT, RunSpec
from aggregation_lab.training.checkpoint import read_checkpoint
from aggregation_lab.training.trainer import Progress, RunInterrupted, Trainer
from runners.bench.card.scale import Row, Scale
from runners.bench.measuring import measure
from runners.bench.setting import AGGLAB, BATCH, ENCODER
from runners.bench.training import phantoms
from runners.planning.study_file import find_study


def study(scale: Scale) -> list[Row]:
    """The shipped demo, shortened: TS, CG and AU of phantoms, from nothing to scores, by `agglab run-grid`."""
    file, out = scale.setting.scratch / "card.yaml", scale.setting.scratch / "study"
    file.write_text(yaml.safe_dump(yaml.safe_load(find_study("demo").read_text()) | scale.study))
    done = measure([*AGGLAB, "run-grid", str(file), "--out", str(out)], scale.setting.scratch / "study.log")
    runs = read_table(out / "runs.parquet", RUNS).drop_duplicates("run")
    elsewhere = sorted(set(runs["device"]) - {scale.place.type})
    if elsewhere:
        raise RuntimeError(f"runs were trained on {', '.join(elsewhere)}, not on {scale.place.type}")
    scores = read_table(out / "scores.parquet", SCORES)
    defined = int(scores["value"].notna().sum())
    note = f"{len(runs)} runs, {int(runs['steps'].sum())} steps, {defined} of {len(scores)} scores defined"
    return [("phantom study, TS + CG + AU, from nothing to scores: s", done.seconds, note)]


def resume(scale: Scale) -> list[Row]:
    """The largest difference of a weight between a run and its repetition, and one interrupted half-way, as torch
    computes where nothing is said and with its deterministic algorithms."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic with it alone
    rows = _compared(scale, "as agglab trains")
    torch.use_deterministic_algorithms(True)
    try:
        rows += _compared(scale, "deterministic algorithms")
    except RuntimeError as error:
        rows.append(("deterministic algorithms", "refused", str(error).splitlines()[0][:160]))
    finally:
        torch.use_deterministic_algorithms(False)
    return rows


def _compared(scale: Scale, how: str) -> list[Row]:
    run = _trained(scale)
    repeated = _difference(run, _trained(scale))
    continued = _difference(run, _continued(scale))
    return [
        (f"run and repetition, {how}: largest difference of a weight", repeated, _said(repeated)),
        (f"run and the same interrupted, {how}: largest difference of a weight", continued, _said(continued)),
    ]


def _said(difference: float) -> str:
    return "bit by bit the same" if difference == 0 else "rounding, in another order"


def _difference(one: Trainer, other: Trainer) -> float:
    pairs = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    largest = max(float((this - that).abs().max()) for this, that in pairs if this.is_floating_point())
    if not math.isfinite(largest):
        raise RuntimeError("a weight is not finite")
    return largest


def _trainer(scale: Scale) -> Trainer:
    """A run of one task of each type, with stochastic depth, whose draws are the device's."""
    data = phantoms(scale.setting)
    tasks = {str(task.type): task for task in reversed(data.dataset.tasks.values())}
    training = TrainingConfig(
        image_size=scale.setting.size, batch_size=BATCH, passes=1e-6, min_steps=scale.steps, evaluations=3
    )
    model = ModelConfig(encoder=ENCODER, drop_path=0.1)
    spec = RunSpec(tuple(tasks.values()), 1.0, 0, model, training, data="card")
    return Trainer(spec, data.dataset, data.split(), data.cache, scale.setting.scratch, scale.place)


def _trained(scale: Scale, report: Callable[[Progress], None] = lambda progress: None) -> Trainer:
    trainer = _trainer(scale)
    trainer.train(report, checkpoint_seconds=math.inf)
    return trainer


def _continued(scale: Scale) -> Trainer:
    def stop(progress: Progress) -> None:
        if progress.step == scale.steps // 2:
            raise RunInterrupted

    checkpoint: Path = scale.setting.scratch / CHECKPOINT
    with suppress(RunInterrupted):
        _trained(scale, stop)
    trainer = _trainer(scale)
    trainer.restore(read_checkpoint(checkpoint))
    trainer.train(lambda progress: None, checkpoint_seconds=math.inf)
    return trainer
