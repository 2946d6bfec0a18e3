"""From the gradients of the tasks in a batch to one, by an aggregator of TorchJD.

Shapes: M tasks that occur in the batch, of a unit's T. A Jacobian holds M rows for each shared parameter.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from aggregation_lab.errors import ModelError, is_out_of_memory
from aggregation_lab.method_names import missing_packages
from aggregation_lab.text import printable


class GradientCombination:
    """Combines the gradients of the tasks `names`, or of those of them that a batch holds.

    Raises `ModelError` where a package that the aggregator needs is not installed.
    """

    def __init__(self, name: str, names: Sequence[str]):
        fault = missing_packages(name)
        if fault:
            raise ModelError(f"training.aggregator: {fault}")
        try:
            from aggregation_lab.training.methods.aggregators import open_aggregator
        except ImportError as error:
            raise ModelError(f"training.aggregator: {name} cannot be loaded ({error})") from error
        self.name, self.positions = name, {task: position for position, task in enumerate(names)}
        self.aggregator = open_aggregator(name, len(names))
        self.failures = 0

    def apply(
        self, parameters: Sequence[nn.Parameter], jacobian: Sequence[Tensor], tasks: Sequence[str], what: str
    ) -> None:
        """Leave the combined gradient in the parameters: `jacobian` has M x shape of each, a row per task of `tasks`.

        Where the aggregator finds no finite one, the sum of the rows takes its place, as without an aggregator, and a
        line of the log says so; `what` opens it.
        """
        try:
            self.aggregator.aggregate(parameters, jacobian, [self.positions[task] for task in tasks])
            reason = "" if _finite([parameter.grad for parameter in parameters]) else "its result is not finite"
        except Exception as error:  # a solver fails in many ways; the plain sum is right for each of them
            if is_out_of_memory(error):
                raise
            reason = printable(" ".join(str(error).split()) or type(error).__name__, 120)
        if not reason:
            return
        for row, task in enumerate(tasks):
            if not _finite([gradients[row] for gradients in jacobian]):
                reason = f"the gradient of task {task} is not finite"
        for parameter, gradients in zip(parameters, jacobian, strict=True):
            parameter.grad = gradients.sum(0)
        self.failures += 1
        if self.failures & (self.failures - 1) == 0:  # the 1st, 2nd, 4th, 8th: a log of some lines, however many fail
            steps = "step" if self.failures == 1 else "steps"
            print(
                f"{what}: {self.name} found no gradient ({reason}); took the sum of the tasks' gradients, "
                f"in {self.failures} {steps} so far",
                flush=True,
            )

    def state(self) -> dict[str, Any]:
        return {"failures": self.failures, "memory": self.aggregator.memory}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.failures, self.aggregator.memory = state["failures"], state["memory"]


def _finite(tensors: Sequence[Tensor | None]) -> bool:
    norms = [torch.linalg.vector_norm(tensor) for tensor in tensors if tensor is not None]
    return bool(torch.stack(norms).isfinite().all())
