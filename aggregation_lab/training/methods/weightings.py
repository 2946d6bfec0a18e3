"""Factors on the losses of a unit's tasks, from the losses themselves: five published methods.

They are formulas of a line or two, written out because a batch of proportional sampling lacks small tasks, which the
published code does not foresee: here every method looks at the M tasks of the batch, and remembers by task. Where all
tasks are in the batch, factors are those of TorchJD's scalarizers times M (uncertainty: times 2; dwa: as they are), so
1 where tasks are alike.

Shapes: M tasks of the batch, of a unit's T. `losses` are positive: lambda_t times the task's mean loss.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

DWA_TEMPERATURE = 2.0
"""T of dynamic weight average, as in the paper; the higher, the more alike the factors."""
FAMO_RATE, FAMO_DECAY = 0.025, 1e-3
"""Learning rate and weight decay of FAMO's logits, as in the paper's Algorithm 2."""


class TaskWeighting:
    """A method for the tasks `names`.

    In a step: `begin`, `factors` as often as memory asks for, `learn`; and `look_back` after the optimiser.
    """

    takes_losses = False
    """Whether `factors` depend on the losses of the step itself."""
    looks_back = False
    """Whether the method wants the losses of the same batch once the model has moved."""
    learned: tuple[nn.Parameter, ...] = ()
    """Parameters for the optimiser of the model; `learn` leaves their gradients in them."""

    def __init__(self, names: Sequence[str], images: int, device: torch.device):
        self.position = {name: position for position, name in enumerate(names)}
        self.images, self.device = images, device

    def begin(self, count: int) -> None:
        """A step with so many tasks begins: everything random is drawn here, once."""

    def factors(self, names: Sequence[str], losses: Tensor | None) -> Tensor:
        """The factor on the loss of each task in the batch (M). `losses` (M) only where the method takes them."""
        raise NotImplementedError

    def learn(self, names: Sequence[str], losses: Tensor, counts: Tensor) -> None:
        """Take note of the losses of a step (M) and of its images by task (M)."""

    def look_back(self, names: Sequence[str], losses: Tensor) -> None:
        """Take note of the losses of the same batch after the step (M)."""

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        pass

    def rows(self, names: Sequence[str]) -> list[int]:
        return [self.position[name] for name in names]


class Uncertainty(TaskWeighting):
    """Factor exp(-s_t), with s_t the log variance of the task's loss, learned along: an image adds exp(-s_t) L_t + s_t
    (Kendall, Gal and Cipolla 2018, arXiv 1705.07115)."""

    def __init__(self, names: Sequence[str], images: int, device: torch.device):
        super().__init__(names, images, device)
        self.log_variance = nn.Parameter(torch.zeros(len(names), device=device))
        self.learned = (self.log_variance,)

    def factors(self, names: Sequence[str], losses: Tensor | None) -> Tensor:
        return torch.exp(-self.log_variance.detach()[self.rows(names)])

    def learn(self, names: Sequence[str], losses: Tensor, counts: Tensor) -> None:
        gradient = torch.zeros_like(self.log_variance)
        shares = (counts / counts.sum()).to(self.device)
        gradient[self.rows(names)] = shares * (1 - self.factors(names, None) * losses)
        self.log_variance.grad = gradient

    def state(self) -> dict[str, Any]:
        return {"log_variance": self.log_variance.detach()}

    def restore(self, state: Mapping[str, Any]) -> None:
        with torch.no_grad():
            self.log_variance.copy_(state["log_variance"])


class DynamicAverage(TaskWeighting):
    """Factor T softmax(r_t / temperature), with r_t the mean loss over the last pass divided by that over the pass
    before: tasks that have stopped improving count more (Liu, Johns and Davison 2019, arXiv 1803.10704).

    A pass is as many images as the unit has. A task counts as steady, r_t = 1, until it was seen in two passes.
    """

    def __init__(self, names: Sequence[str], images: int, device: torch.device):
        super().__init__(names, images, device)
        self._sums = torch.zeros(2, len(names), device=device)
        """Losses times images, and images, of this pass."""
        self._means = torch.full((2, len(names)), torch.nan, device=device)
        """Mean losses in the last two passes that had the task, the older first."""
        self._left = images

    def factors(self, names: Sequence[str], losses: Tensor | None) -> Tensor:
        rates = (self._means[1] / self._means[0]).nan_to_num(1.0)
        return len(self.position) * torch.softmax(rates / DWA_TEMPERATURE, 0)[self.rows(names)]

    def learn(self, names: Sequence[str], losses: Tensor, counts: Tensor) -> None:
        there = counts.to(self.device)
        self._sums[:, self.rows(names)] += torch.stack([losses * there, there])
        self._left -= int(counts.sum())
        if self._left <= 0:
            seen = self._sums[1] > 0
            rolled = torch.stack([self._means[1], self._sums[0] / self._sums[1]])
            self._means = torch.where(seen, rolled, self._means)
            self._sums.zero_()
            self._left += self.images

    def state(self) -> dict[str, Any]:
        return {"sums": self._sums, "means": self._means, "left": self._left}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._sums, self._means = (state[name].to(self.device) for name in ("sums", "means"))
        self._left = state["left"]


class GeometricMean(TaskWeighting):
    """The loss is the geometric mean G of the tasks' losses, so the factor is G / L_t (Chennupati et al. 2019, arXiv
    1904.08492)."""

    takes_losses = True

    def factors(self, names: Sequence[str], losses: Tensor | None) -> Tensor:
        assert losses is not None
        return losses.log().mean().exp() / losses


class RandomWeights(TaskWeighting):
    """Factors M softmax(z), with z standard normal and drawn anew in every step (Lin et al. 2022, arXiv 2111.10603)."""

    _drawn = torch.empty(0)

    def begin(self, count: int) -> None:
        self._drawn = (count * torch.softmax(torch.randn(count), 0)).to(self.device)

    def factors(self, names: Sequence[str], losses: Tensor | None) -> Tensor:
        return self._drawn


class FastAdaptive(TaskWeighting):
    """Factor M c z_t / L_t, with z = softmax of the logits of the tasks in the batch and c = 1 / sum of z_t / L_t, so
    that all losses fall at one rate. After the step, logits move against log L_t before - log L_t after, of the same
    batch (FAMO, Liu et al. 2023, arXiv 2306.03792). That takes one more pass over the batch."""

    takes_losses = True
    looks_back = True

    def __init__(self, names: Sequence[str], images: int, device: torch.device):
        super().__init__(names, images, device)
        # a parameter for each task: Adam leaves those without a gradient as they are
        self._logits = [nn.Parameter(torch.zeros((), device=device)) for _ in names]
        self._optimizer = torch.optim.Adam(self._logits, lr=FAMO_RATE, weight_decay=FAMO_DECAY)
        self._before = torch.empty(0)

    def factors(self, names: Sequence[str], losses: Tensor | None) -> Tensor:
        assert losses is not None
        weights = self._weights(names) / losses
        return len(names) * weights / weights.sum()

    def learn(self, names: Sequence[str], losses: Tensor, counts: Tensor) -> None:
        self._before = losses

    def look_back(self, names: Sequence[str], losses: Tensor) -> None:
        fall, weights = self._before.log() - losses.log(), self._weights(names)
        gradients = weights * (fall - weights @ fall)  # of the softmax, times the fall
        for row, gradient in zip(self.rows(names), gradients.unbind(), strict=True):
            self._logits[row].grad = gradient
        self._optimizer.step()
        self._optimizer.zero_grad()

    def _weights(self, names: Sequence[str]) -> Tensor:
        return torch.softmax(torch.stack([self._logits[row].detach() for row in self.rows(names)]), 0)

    def state(self) -> dict[str, Any]:
        logits = torch.stack([logit.detach() for logit in self._logits])
        return {"logits": logits, "optimizer": self._optimizer.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        with torch.no_grad():
            for logit, value in zip(self._logits, state["logits"], strict=True):
                logit.copy_(value)
        self._optimizer.load_state_dict(state["optimizer"])


_KINDS: dict[str, type[TaskWeighting]] = {
    "uncertainty": Uncertainty,
    "dwa": DynamicAverage,
    "gls": GeometricMean,
    "rlw": RandomWeights,
    "famo": FastAdaptive,
}


def open_weighting(name: str, tasks: Sequence[str], images: int, device: torch.device) -> TaskWeighting:
    """The method of that name for a unit of those tasks with so many training images."""
    return _KINDS[name](tasks, images, device)
