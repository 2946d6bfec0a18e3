"""The disk of kept files: counted without a model in memory, and what the files then take."""

from dataclasses import replace

import pytest
from safetensors.torch import save

from aggregation_lab.config import ModelConfig, MoEConfig
from aggregation_lab.model.m2dino import build_m2dino
from aggregation_lab.tasks import Task, TaskType
from aggregation_lab.training.keep import Keep
from runners.planning.disk import disk_line, kept_files, model_bytes, size_text
from tests.tiny import planned

ALL = (
    Task("seg", TaskType.SEGMENTATION, 5, "g"),
    Task("det", TaskType.DETECTION, 1, "g"),
    Task("reg", TaskType.REGRESSION, 3, "g"),
    Task("cls", TaskType.CLASSIFICATION, 8, "g"),
)
MODELS = (
    ModelConfig(encoder="vit_tiny_patch16_dinov3_qkvb", moe=MoEConfig(experts=2, kind="copy", blocks=2)),
    ModelConfig(encoder="resnet18", moe=MoEConfig(experts=0), head_width=32),
)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.encoder)
@pytest.mark.parametrize("tasks", [ALL, ALL[3:]], ids=["four", "one"])
def test_weights_take_what_was_counted(model, tasks):
    run = planned("cls", image_size=64)
    run = replace(run, spec=replace(run.spec, tasks=tasks, model=model), keep=Keep(models=("last", "best")))
    real = len(save(build_m2dino(model, tasks, image_size=64).state_dict()))
    assert model_bytes(run) == pytest.approx(real, rel=0.01, abs=0)
    (use,) = kept_files([run, run, planned("keeps nothing")])
    assert use.runs == 2 and use.bytes == pytest.approx(4 * real, rel=0.01, abs=0)
    assert disk_line([run]) == [f"kept on disk: models of 1 runs {size_text(2 * model_bytes(run))}"]


def test_nothing_kept_is_not_told():
    assert disk_line([planned("one")]) == []


def test_sizes_are_rounded_for_reading():
    assert [size_text(count) for count in (850e3, 42.4e6, 3.14e9, 31.4e9)] == ["850 kB", "42 MB", "3.1 GB", "31 GB"]
