"""The loss of a step and its gradients, in as many pieces as memory asks for."""

from collections.abc import Callable

import torch
from torch import Tensor

from aggregation_lab.model.m2dino import M2DINO
from aggregation_lab.run import RunSpec
from aggregation_lab.training.batches import Batch
from aggregation_lab.training.out_of_memory import with_less_memory


class Objective:
    """Mean over a batch's images of lambda_t times their loss, and the load balance of top-k routing.

    Under proportional sampling every image so weighs the same and E[L] = sum_t (n_t / n) lambda_t L_t; with
    `sampling: uniform` it is the paper's L = sum_t lambda_t L_t up to the constant 1/T.

    `micro_batch` is how many images go through the model at once: the whole batch until memory runs out, then half as
    many for the rest of the run. `parameters` are those that learn.
    """

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
        per_image, total = {}, torch.zeros((), device=inputs.device)
        for name, _ in batch.parts:
            losses = self.loss_of[name](outputs[name], batch.targets[name])
            total = total + self.weights.get(name, 1.0) * losses.sum() / count
            per_image[name] = losses.detach()
        balance = self.balance_weight * self.model.balance()
        return total + balance * (len(inputs) / count), per_image

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
            pieces = []
            for start in range(0, count, size):
                rows = slice(start, min(start + size, count))
                loss, per_image = self.losses(batch.piece(rows), count, depth[rows])
                loss.backward()
                pieces.append(per_image)
            return pieces

        before = self.micro_batch
        pieces, self.micro_batch = with_less_memory(accumulate, before, batch.images.device, what)
        if self.micro_batch < before and self.model.backbone.has_batch_norm:
            normalised = f"{self.model.backbone.name} normalises over the images that go through it together"
            print(f"{what}: {normalised}, so scores with {self.micro_batch} are not those with {before}", flush=True)
        means = [torch.cat([piece[name] for piece in pieces if name in piece]).mean() for name, _ in batch.parts]
        return torch.stack(means)
