"""Studies of seconds on the `tiny_data` folder, and made-up runs for the machinery around training."""

from dataclasses import replace
from pathlib import Path

import yaml

from aggregation_lab.config import ModelConfig, TrainingConfig
from aggregation_lab.run import RunSpec, Start
from aggregation_lab.tasks import Task, TaskType
from runners.planning.plan import Label, PlannedRun

STUDY = {
    "name": "tiny",
    "data": {"groups": {name: "head" for name in ("tiny_head", "tiny_head_det", "tiny_head_axis")}},
    "aggregations": ["TS", "CG", "AU"],
    "seeds": 1,
    "budget": "smoke",
    "model": {"encoder": "vit_tiny_patch16_dinov3_qkvb", "head_width": 8},
    "training": {"image_size": 32, "batch_size": 4, "min_steps": 3, "passes": 0.1, "precision": "fp32"},
}
"""Six runs: four tasks under TS, the heads together under CG (the kind is a unit of its own, as in TS), one of AU."""


def write_study(file: Path, **changes: object) -> Path:
    """STUDY with some fields replaced."""
    file.write_text(yaml.safe_dump(STUDY | changes))
    return file


def planned(name: str, *, seed: int = 0, steps: int = 5, fraction: float = 1.0, **training: object) -> PlannedRun:
    """A run of one made-up task, as a plan would hold it."""
    task = Task(name, TaskType.CLASSIFICATION, 2, name)
    config = TrainingConfig.model_validate({"min_steps": steps, **training})
    spec = RunSpec((task,), fraction, seed, ModelConfig(), config, "data")
    return PlannedRun(spec, (Label("TS", name),), 10, steps, 10 * steps, float(steps))


def first(run: PlannedRun) -> PlannedRun:
    """The run as one that others start from."""
    return replace(run, is_start=True)


def after(start: PlannedRun, run: PlannedRun) -> PlannedRun:
    """The run as one that starts from another."""
    spec = replace(run.spec, start=Start(start.id, tuple(task.name for task in start.spec.tasks)))
    return replace(run, spec=spec, labels=(Label("AU>TS", run.labels[0].unit),))
