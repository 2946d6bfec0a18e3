"""A step on one task alone, taken back afterwards: what it does to the losses of the others (Fifty et al. 2021, "task
affinity groupings", arXiv 2109.04617)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class LookAhead:
    """Steps of `parameters` by the run's AdamW as it stands at that moment.

    A task's step is what its gradient would add to the next update, lr m / (sqrt(v) + eps) with m = (1 - beta1) g and v
    the running mean of squares after g, both corrected for their start at zero. The rest of an update is the momentum
    of earlier steps, which is the same whatever task comes next. The gradient is clipped as in training. The rate is
    the peak rate at every moment, so that moments in the warm-up and at the end of the cosine weigh as much as others.
    Weight decay is left out.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], optimizer: torch.optim.AdamW, rate: float, clip_norm: float):
        self._parameters, self._optimizer, self._rate, self._clip_norm = parameters, optimizer, rate, clip_norm
        group_of = {id(each): group for group in optimizer.param_groups for each in group["params"]}
        self._groups = [group_of[id(each)] for each in parameters]

    @contextmanager
    def step(self, gradients: Sequence[Tensor]) -> Iterator[None]:
        """The parameters after a step on a task with these gradients; before and after it they are the same bits."""
        kept = [each.detach().clone() for each in self._parameters]
        try:
            with torch.no_grad():
                norm = torch.stack([torch.linalg.vector_norm(each) for each in gradients]).norm()
                clipped = (self._clip_norm / (norm + 1e-6)).clamp(max=1.0)
                for parameter, gradient, group in zip(self._parameters, gradients, self._groups, strict=True):
                    parameter.sub_(self._update(parameter, gradient * clipped, group))
            yield
        finally:
            with torch.no_grad():
                for parameter, value in zip(self._parameters, kept, strict=True):
                    parameter.copy_(value)

    def _update(self, parameter: nn.Parameter, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        (momentum, decay), state = group["betas"], self._optimizer.state.get(parameter, {})
        steps = state["step"] + 1 if state else 1  # a tensor, which an accelerator need not be waited for
        squares = gradient.square() * (1 - decay)
        if state:
            squares = squares.add_(state["exp_avg_sq"], alpha=decay)
        root = (squares / (1 - decay**steps)).sqrt_().add_(group["eps"])
        return gradient / root * (self._rate * group["rate"] * (1 - momentum) / (1 - momentum**steps))
