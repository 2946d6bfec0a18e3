"""Losses agree with other implementations, are watched, and cost an accelerator no wait."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.ops import generalized_box_iou_loss

from aggregation_lab.config import ModelConfig, MoEConfig, TrainingConfig
from aggregation_lab.data.cache import open_cache
from aggregation_lab.data.splits.split import draw_split
from aggregation_lab.errors import TrainingError
from aggregation_lab.model.heads.detection import giou_loss
from aggregation_lab.run import RunSpec
from aggregation_lab.training.device import HostCopy
from aggregation_lab.training.loss_monitor import CHECK_EVERY, LossWatch
from aggregation_lab.training.trainer import Trainer


@given(arrays("float64", (6, 2, 4), elements=st.floats(0, 1)))
@settings(max_examples=150, deadline=None)
def test_giou_and_its_gradient_agree_with_torchvision(corners):
    points = torch.from_numpy(corners).unflatten(2, (2, 2))
    boxes = torch.cat([points.amin(2), points.amax(2) + 1e-3], 2)
    values, gradients = [], []
    for loss in (giou_loss, generalized_box_iou_loss):
        one = boxes[:, 0].clone().requires_grad_()
        value = loss(one, boxes[:, 1])
        value.sum().backward()
        values.append(value.detach())
        touching = (one.detach()[:, :2] == boxes[:, 1, 2:]) | (one.detach()[:, 2:] == boxes[:, 1, :2])
        gradients.append(one.grad * ~touching.any(1, keepdim=True))  # there the slope has two sides
    assert torch.allclose(*values, rtol=1e-6, atol=1e-6)
    assert torch.allclose(*gradients, rtol=1e-4, atol=1e-4)


class Waits(TorchDispatchMode):
    """Notes every operation that makes an accelerator's host wait for a value or for a number of elements."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, function, types, arguments=(), settings=None):
        name = function.name().split(".")[0]
        by_mask = name in ("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_") and any(
            index is not None and index.dtype == torch.bool for index in arguments[1]
        )
        if by_mask or name in ("aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::equal"):
            self.found.append(name)
        return function(*arguments, **(settings or {}))


def test_the_watch_of_waits_sees_them():
    values = torch.arange(4.0)
    with Waits() as waits:
        values[values > 1]
        values.sum().item()
    assert waits.found == ["aten::index", "aten::_local_scalar_dense"]


@pytest.mark.parametrize("moe", [{"experts": 2}, {"experts": 2, "kind": "copy", "top_k": 1, "balance_weight": 0.1}])
def test_a_step_makes_no_accelerator_wait(tiny_dataset, tmp_path, moe):
    model = ModelConfig(
        encoder="vit_tiny_patch16_dinov3_qkvb", head_width=8, drop_path=0.1, moe=MoEConfig.model_validate(moe)
    )
    config = TrainingConfig(image_size=32, batch_size=16)
    spec = RunSpec(tuple(tiny_dataset.tasks.values()), 1.0, 0, model, config, data="test")
    cache = open_cache(tiny_dataset, 32, tmp_path)
    trainer = Trainer(spec, tiny_dataset, draw_split(tiny_dataset), cache, tmp_path, torch.device("cpu"))
    trainer.model.train()
    trainer.train_step()
    with Waits() as waits:
        trainer.train_step()
    assert waits.found == []
    assert all(trainer.ledger.images_seen.values())  # all four types of loss were in it


def test_losses_are_kept_by_task_and_read_every_few_steps():
    watch = LossWatch(["a", "b"])
    for step in range(CHECK_EVERY - 1):
        watch.add(step, ["a", "b"] if step % 2 else ["b"], torch.arange(2.0)[: 1 + step % 2] + step)
    assert watch.since == {"a": [], "b": []} and math.isnan(watch.last)
    watch.add(CHECK_EVERY - 1, ["a"], torch.tensor([7.0]))
    assert watch.since["a"] == [1.0, 3.0, 5.0, 7.0, 7.0] and len(watch.since["b"]) == CHECK_EVERY - 1
    watch.add(CHECK_EVERY, ["b"], torch.tensor([0.5]))
    watch.check()
    assert watch.since["b"][-1] == 0.5 and watch.last == 0.5


def test_losses_that_arrive_late_are_read_with_the_next(monkeypatch):
    monkeypatch.setattr(HostCopy, "arrived", lambda copy: False)
    watch = LossWatch(["a"])
    for step in range(2 * CHECK_EVERY):
        watch.add(step, ["a"], torch.tensor([float(step)]))
        assert len(watch.since["a"]) == (CHECK_EVERY if step == 2 * CHECK_EVERY - 1 else 0)
    watch.check()
    assert watch.since["a"] == [float(step) for step in range(2 * CHECK_EVERY)]


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e4])
def test_a_loss_that_cannot_come_back_is_named(value):
    watch = LossWatch(["a", "b"])
    watch.add(3, ["a", "b"], torch.tensor([1.0, value]))
    with pytest.raises(TrainingError, match=rf"step 3: the loss of task b is {value:g}; lower"):
        watch.check()
