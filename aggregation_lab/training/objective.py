"""The loss of a step and its gradients, in as many pieces as memory asks for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from aggregation_lab.model.m2dino import M2DINO
from aggregation_lab.run import RunSpec
from aggregation_lab.training.batches import Batch
from aggregation_lab.training.out_of_memory import with_less_memory

Result = TypeVar("Result")


class Objective:
    """Mean over a batch's images of lambda_t times their loss, and the load balance of top-k routing.

    Under proportional sampling every image so weighs the same and E[L] = sum_t (n_t / n) lambda_t L_t; with
    `sampling: uniform` it is the paper's L = sum_t lambda_t L_t up to the constant 1/T.

    `micro_batch` is how many images go through the model at once: the whole batch until memory runs out, then half as
    many for the rest of the run. `parameters` are those of the model that learn.

    Multi-task methods are subclasses (`aggregation_lab.training.methods`): `learned` are parameters of the method
    itself, for the optimiser, and `state` is what it has to remember.
    """

    learned: tuple[nn.Parameter, ...] = ()

    def __init__(self, spec: RunSpec, model: M2DINO, to_input: Callable[[Tensor], Tensor], precision: torch.dtype):
        self.loss_of = {task.name: task.type.network.loss for task in spec.tasks}
        self.weights, self.balance_weight = spec.training.loss_weights, spec.model.moe.balance_weight
        self.model, self.to_input, self.precision = model, to_input, precision
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.micro_batch = spec.training.batch_size

    def losses(
        self, batch: Batch, share_of: int | None = None, depth: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of the batch, and of each of its images by task.

        A piece of a batch of `share_of` images gives its share of that batch's loss; `depth` as in `M2DINO`.
        """
        inputs = self.to_input(batch.images)
        count = share_of or len(inputs)
        with torch.autocast(inputs.device.type, self.precision, enabled=self.precision != torch.float32):
            outputs = self.model(inputs, batch.task_index, batch.parts, tokens=batch.tokens, depth=depth)
        per_image = {name: self.loss_of[name](outputs[name], batch.targets[name]) for name, _ in batch.parts}
        total = self.added(per_image, count)
        balance = self.balance_weight * self.model.balance()
        return total + balance * (len(inputs) / count), {name: losses.detach() for name, losses in per_image.items()}

    def added(self, per_image: Mapping[str, Tensor], count: int) -> Tensor:
        """What the images, by task, add to the loss of a batch of `count`."""
        return weighted_sum(per_image, self.weights, count)

    def gradients(self, batch: Batch, what: str) -> Tensor:
        """Leave the gradients of the loss in the parameters; the mean loss of each task, in the order of `batch.parts`.

        In pieces, loss and gradients are those of the whole batch up to rounding, but for the load balance and for
        batch norm, which are those of the pieces. Raises `TrainingError`, opening with `what`, where memory does not
        hold one image.
        """
        count = len(batch.images)
        depth = self.model.draw_depth(count)

        def accumulate(size: int) -> list[dict[str, Tensor]]:
            self.model.forget()
            for parameter in self.parameters:
                parameter.grad = None
            self.prepare(batch, depth, size)
            pieces = []
            for rows in pieces_of(slice(0, count), size):
                loss, per_image = self.losses(batch.piece(rows), count, depth[rows])
                loss.backward()
                pieces.append(per_image)
            return pieces

        return mean_losses(self.within_memory(accumulate, batch, what), batch)

    def within_memory(self, work: Callable[[int], Result], batch: Batch, what: str) -> Result:
        """The result of `work`, which takes as many images at once as memory lets it; `micro_batch` follows."""
        before = self.micro_batch
        result, self.micro_batch = with_less_memory(work, before, batch.images.device, what)
        if self.micro_batch < before and self.model.backbone.has_batch_norm:
            normalised = f"{self.model.backbone.name} normalises over the images that go through it together"
            print(f"{what}: {normalised}, so scores with {self.micro_batch} are not those with {before}", flush=True)
        return result

    def prepare(self, batch: Batch, depth: Tensor, size: int) -> None:
        """What comes before the passes of a step that takes `size` images of the batch at once."""

    def after_step(self, what: str) -> None:
        """What is left to do once the optimiser has moved the model."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it beside `micro_batch`."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` gave."""


def weighted_sum(per_image: Mapping[str, Tensor], weights: Mapping[str, float | Tensor], count: int) -> Tensor:
    """The losses of images, by task, times the weight of their task (1 where none is given), over `count` images."""
    total = torch.zeros((), device=next(iter(per_image.values())).device)
    for name, losses in per_image.items():
        total = total + weights.get(name, 1.0) * losses.sum() / count
    return total


def pieces_of(rows: slice, size: int) -> Iterator[slice]:
    """The rows in their order, `size` at a time."""
    for start in range(rows.start, rows.stop, size):
        yield slice(start, min(start + size, rows.stop))


def mean_losses(pieces: Sequence[Mapping[str, Tensor]], batch: Batch) -> Tensor:
    """The mean loss of each task over the pieces of a batch, in the order of its `parts`."""
    means = [torch.cat([piece[name] for piece in pieces if name in piece]).mean() for name in batch.names]
    return torch.stack(means)
