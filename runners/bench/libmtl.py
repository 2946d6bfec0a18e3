"""Peer (b): LibMTL's own trainer with hard parameter sharing and equal weighting, around agglab's encoder and heads.

In LibMTL's multi-input mode a step takes one batch of every task, so a unit of T tasks takes 1/T of agglab's steps
with T times the images in each. LibMTL is the extra `bench`: `make bench` installs it, or `pip install -e '.[bench]'`.

Release 1.1.5 does not run as it is beside the torch that agglab needs. What is fixed here, from outside:

- `torchvision.models.utils`, which it imports, is gone: its one function is taken from torch.hub;
- its trainer takes `cuda:0` without asking: the device is set before the model is built;
- it calls `.next()` on the iterators of DataLoaders: the loaders are wrapped in some that have it;
- its gradient methods write into gradients that torch now takes away between tasks: they stay, as zeros.

    python -m runners.bench.libmtl RESULT OUT      # OUT: the finished study of agglab that it repeats
"""

import sys
from collections.abc import Iterator
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from aggregation_lab.model.m2dino import M2DINO, build_m2dino
from aggregation_lab.run import RunSpec
from aggregation_lab.tasks import TaskType
from aggregation_lab.training.augmentation import augment, to_model_input
from aggregation_lab.training.batches import Batch
from aggregation_lab.training.device import pick_device
from aggregation_lab.training.evaluation import EVALUATION_BATCH
from runners.bench.plain import CaseFiles, in_batches, input_statistics, passes, repeat_study, task_files
from runners.store.prepared_data import Prepared

old_utils: Any = ModuleType("torchvision.models.utils")
old_utils.load_state_dict_from_url = torch.hub.load_state_dict_from_url
sys.modules.setdefault(old_utils.__name__, old_utils)

from LibMTL import Trainer, weighting  # noqa: E402
from LibMTL.architecture import HPS  # noqa: E402
from LibMTL.loss import AbsLoss  # noqa: E402
from LibMTL.metrics import AbsMetric  # noqa: E402


class Loader:
    """The loader of one task: batches normalised, augmented in training."""

    def __init__(self, files: CaseFiles, model: M2DINO, batches: list[list[int]], augmented: bool, workers: int):
        self.task, self.augmented = files.task, augmented
        self.random = torch.Generator().manual_seed(0)
        self.mean, self.std = input_statistics(model, torch.device("cpu"))
        self.loader = DataLoader(files, batch_sampler=batches, num_workers=workers, persistent_workers=workers > 0)

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> "Batches":
        return Batches(self._batches())

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        name = self.task.name
        for images, target in self.loader:
            batch = Batch(images, torch.zeros(len(images)), [(name, slice(0, len(images)))], {name: target})
            if self.augmented:
                batch = augment(batch, {name: self.task}, self.random)
            yield to_model_input(batch.images, self.mean, self.std), batch.targets[name]


class Batches:
    """An iterator that also has the `next` of long ago."""

    def __init__(self, batches: Iterator[tuple[Tensor, Tensor]]):
        self._batches = batches

    def __next__(self) -> tuple[Tensor, Tensor]:
        return next(self._batches)

    next = __next__


class SharedEncoder(nn.Module):
    """agglab's encoder with its experts, and the map that the task's head reads; `task` is set before each batch."""

    def __init__(self, model: M2DINO):
        super().__init__()
        self.encoder, self.task_embedding = model.encoder, model.task_embedding
        self.image_path, self.fusion, self.levels = model.image_path, model.fusion, model.levels
        self.views = [model.views[task.name] for task in model.tasks]
        self.layers, self.task = model.moe, 0

    def forward(self, images: Tensor) -> Tensor:
        embedding = self.task_embedding(torch.full((len(images),), self.task, device=images.device)).unsqueeze(1)
        for layer in self.layers.values():
            layer.context.embedding = embedding
        maps = self.fusion(*self.levels(images))
        return self.fusion.read(maps, self.views[self.task])


class HardSharing(HPS):
    """LibMTL's hard parameter sharing, telling the experts which task they see."""

    def forward(self, inputs: Tensor, task_name: str) -> dict[str, Any]:
        self.encoder.task = self.task_name.index(task_name)
        return super().forward(inputs, task_name)

    def zero_grad_share_params(self) -> None:
        """Leaves zeros for what is written there afterwards."""
        for parameter in self.get_share_params():
            parameter.grad = torch.zeros_like(parameter)


class Decoder(nn.Module):
    def __init__(self, head: nn.Module, size: int):
        super().__init__()
        self.head, self.size = head, size

    def forward(self, features: Tensor) -> Any:
        return self.head(features, self.size)


class TaskLoss(AbsLoss):
    def __init__(self, task_type: TaskType):
        super().__init__()
        self.type = task_type

    def compute_loss(self, prediction: Any, target: Tensor) -> Tensor:
        return self.type.network.loss(prediction, target).mean()

    def _update_loss(self, prediction: Any, target: Tensor) -> Tensor:
        """As LibMTL's, which asks a prediction for its size: that of a detection head has several parts."""
        loss = self.compute_loss(prediction, target)
        self.record.append(loss.item())
        self.bs.append(len(target))
        return loss


class LossAsMetric(AbsMetric):
    """LibMTL wants a metric of each task: the loss, which costs nothing more."""

    def __init__(self, loss: TaskLoss):
        super().__init__()
        self.loss = loss

    def update_fun(self, prediction: Any, target: Tensor) -> None:
        pass

    def score_fun(self) -> list[float]:
        return [self.loss._average_loss()]


class AnyDeviceTrainer(Trainer):
    def _prepare_model(self, *parts: Any) -> None:
        self.device = pick_device()
        super()._prepare_model(*parts)


def train_unit(spec: RunSpec, prepared: Prepared, steps: int, *, workers: int) -> tuple[int, int]:
    """One run by LibMTL with as many validations as agglab makes. Returns its steps and training images."""
    training, tasks = spec.training, spec.tasks
    model = build_m2dino(spec.model, tasks, spec.seed)
    losses = {task.name: TaskLoss(task.type) for task in tasks}
    trainer = AnyDeviceTrainer(
        task_dict={task.name: task_entry(losses[task.name]) for task in tasks},
        weighting=weighting.EW,
        architecture=HardSharing,
        encoder_class=lambda: SharedEncoder(model),
        decoders=nn.ModuleDict({task.name: Decoder(model.heads[task.name], training.image_size) for task in tasks}),
        rep_grad=False,
        multi_input=True,
        optim_param={"optim": "adam", "lr": training.learning_rate, "weight_decay": 1e-5},
        scheduler_param=None,
        weight_args={},
        arch_args={},
    )
    joint_steps = max(1, round(steps / len(tasks)))
    random = np.random.default_rng(spec.seed)
    files = {part: task_files(spec, prepared, part) for part in ("train", "val", "test")}

    def loaders(part: str) -> dict[str, Loader]:
        made = {}
        for cases in files[part]:
            if part == "train":
                drawn = passes(len(cases), joint_steps * training.batch_size, random)
                made[cases.task.name] = Loader(cases, model, in_batches(drawn, training.batch_size), True, workers)
            else:
                # starting a process per task would cost more than it reads ahead
                batches = in_batches(range(len(cases)), EVALUATION_BATCH)
                made[cases.task.name] = Loader(cases, model, batches, False, workers=0)
        return made

    validation = loaders("val")
    trainer.train(loaders("train"), validation, epochs=1)  # tests once, on what it is given
    for _ in range(training.evaluations - 1):
        trainer.test(validation, epoch=0)
    trainer.test(loaders("test"), epoch=0)
    return joint_steps, joint_steps * training.batch_size * len(tasks)


def task_entry(loss: TaskLoss) -> dict[str, Any]:
    return {"metrics": ["loss"], "metrics_fn": LossAsMetric(loss), "loss_fn": loss, "weight": [0]}


if __name__ == "__main__":
    repeat_study(partial(train_unit, workers=1), *sys.argv[1:])
