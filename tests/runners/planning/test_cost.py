"""The guess of a plan: its operations are those that the model counts, its pace that of the precision of training."""

import pytest
import torch

from aggregation_lab.config import ModelConfig, MoEConfig, TrainingConfig
from aggregation_lab.model.m2dino import build_m2dino
from aggregation_lab.tasks import Task, TaskType
from aggregation_lab.training.device import pick_precision
from aggregation_lab.training.flops import count_flops
from runners.planning import cost

TINY, SMALL = "vit_tiny_patch16_dinov3_qkvb", "vit_small_patch16_dinov3"


@pytest.mark.parametrize(
    "encoder, size, width, kind",
    [(TINY, 64, 64, "split"), (TINY, 128, 64, "split"), (TINY, 64, 128, "copy"), (SMALL, 96, 64, "split")],
)
def test_the_formula_counts_what_a_step_of_the_model_does(encoder, size, width, kind):
    config = ModelConfig(encoder=encoder, head_width=width, moe=MoEConfig(kind=kind))
    task = Task("outline", TaskType.SEGMENTATION, 2, "outline")
    model = build_m2dino(config, [task])

    def loss() -> torch.Tensor:
        index = torch.zeros(1, dtype=torch.long)
        return model(torch.randn(1, 3, size, size), index, [("outline", slice(None))])["outline"].sum()

    guessed = cost.flops_per_image(config, TrainingConfig(image_size=size))
    assert guessed == pytest.approx(count_flops(loss), rel=0.05, abs=0)


def test_the_pace_is_that_of_the_precision(monkeypatch):
    asked = []

    def rate(device, threads, precision="fp32"):
        asked.append((device, threads, precision))
        return 1e11

    monkeypatch.setattr(cost, "matrix_rate", rate)
    single, mixed = (cost.training_rate("cpu", 2, precision) for precision in ("fp32", "bf16"))
    assert 1.2 < mixed / single < 2  # what a step gains by bfloat16, less than a matrix product does
    monkeypatch.setattr(cost, "_multiplies_bfloat16", lambda: True)
    assert cost.training_rate("cpu", 2, "auto") == mixed
    monkeypatch.setattr(cost, "_multiplies_bfloat16", lambda: False)
    assert cost.training_rate("cpu", 2, "auto") == single
    cost.training_rate("cuda", 1, "fp32")
    assert asked[-1] == ("cuda", 1, "fp32") and set(asked[:-1]) == {("cpu", 2, "fp32")}


def test_bfloat16_is_guessed_where_training_takes_it():
    native = pick_precision("auto", torch.device("cpu")) is torch.bfloat16
    assert cost._multiplies_bfloat16() == native
