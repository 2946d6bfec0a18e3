"""Steps of LibMTL by the methods that agglab has, too: the same model, tasks and images, handed to it ready.

In LibMTL's multi-input mode the tasks go through the model one after the other, with any method and with none.
"""

from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from typing import Any

import numpy as np
import torch
from torch import nn

from aggregation_lab.model.m2dino import build_m2dino
from aggregation_lab.training.batches import make_batch
from aggregation_lab.training.trainer import Trainer
from runners.bench.libmtl import AnyDeviceTrainer, Decoder, HardSharing, SharedEncoder, TaskLoss, task_entry, weighting

METHODS: Mapping[str, tuple[type, dict[str, Any]]] = {
    "none": (weighting.EW, {}),
    "pcgrad": (weighting.PCGrad, {}),
    "gradvac": (weighting.GradVac, {"beta": 0.5}),
    "mgda": (weighting.MGDA, {"mgda_gn": "none"}),
    "imtl_g": (weighting.IMTL, {}),
    "uncertainty": (weighting.UW, {}),
    "dwa": (weighting.DWA, {"T": 2.0}),
    "gls": (weighting.GLS, {}),
    "rlw": (weighting.RLW, {"dist": "Normal"}),
}
"""LibMTL 1.1.5's class of a method, with its own default settings. Its IMTL learns scales of the losses, too. Its
CAGrad has the number of tasks, three, written into it, and its GradDrop takes gradients of one representation that all
tasks have in common."""


def peer_steps(ours: Trainer) -> dict[str, Callable[[], None]]:
    """A step of LibMTL by each method, always on the images of the first step of `ours`, which has all tasks in it."""
    batch = make_batch(ours.sampler.draw(0), ours.train_cases, ours.store)
    images = ours.to_input(batch.images)
    inputs = {name: (images[rows], batch.targets[name]) for name, rows in batch.parts}
    return {name: partial(_step, _trainer(ours, *method), inputs) for name, method in METHODS.items()}


def _trainer(ours: Trainer, method: type, settings: dict[str, Any]) -> AnyDeviceTrainer:
    tasks, size = ours.spec.tasks, ours.config.image_size
    model = build_m2dino(ours.spec.model, tasks, ours.spec.seed, image_size=size)
    model.backbone.choose_attention(size, ours.device, ours.precision)
    with redirect_stdout(StringIO()):  # it prints a table of its parameters
        trainer = AnyDeviceTrainer(
            task_dict={task.name: task_entry(TaskLoss(task.type)) for task in tasks},
            weighting=method,
            architecture=HardSharing,
            encoder_class=lambda: SharedEncoder(model),
            decoders=nn.ModuleDict({task.name: Decoder(model.heads[task.name], size) for task in tasks}),
            rep_grad=False,
            multi_input=True,
            optim_param={"optim": "adam", "lr": ours.config.learning_rate, "weight_decay": 1e-5},
            scheduler_param=None,
            weight_args=settings,
            arch_args={},
        )
    trainer.model.epoch = 2  # the first in which DWA has losses to compare
    trainer.model.train_loss_buffer = np.ones((len(tasks), 3))
    trainer.model.train()
    return trainer


def _step(trainer: AnyDeviceTrainer, inputs: Mapping[str, tuple[torch.Tensor, torch.Tensor]]) -> None:
    """What LibMTL's `Trainer.train` does in a step."""
    losses = torch.zeros(len(inputs), device=trainer.device)
    for place, name in enumerate(trainer.task_name):
        images, target = inputs[name]
        losses[place] = trainer._compute_loss(trainer.model(images, name)[name], target, name)
    trainer.optimizer.zero_grad()
    trainer.model.backward(losses, **trainer.kwargs["weight_args"])
    trainer.optimizer.step()
