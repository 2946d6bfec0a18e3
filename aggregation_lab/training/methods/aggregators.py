"""The aggregators of TorchJD as runs use them: for any number of tasks, at the size of a sum, with memory by task.

Sizes: a run without an aggregator steps along the sum of the tasks' gradients. Where these are equal, UPGrad, PCGrad,
GradVac, GradDrop, Aligned-MTL and ConFIG give that sum, too. MGDA, IMTL-G and CAGrad are written as means and are
multiplied by the number of tasks here, so that clipping meets gradients of one size whatever the aggregator, and
however many tasks a batch holds. Nash-MTL and FairGrad have a size of their own.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchjd.aggregation import (
    IMTLG,
    MGDA,
    Aggregator,
    AlignedMTL,
    CAGrad,
    ConFIG,
    FairGrad,
    GradDrop,
    GradVac,
    GramianWeightedAggregator,
    NashMTL,
    PCGrad,
    UPGrad,
)
from torchjd.autojac import jac_to_grad

CAGRAD_RADIUS = 0.5
"""c of CAGrad, as in the paper's experiments with ten tasks and as LibMTL has it."""
FAIRGRAD_ALPHA = 2.0
"""alpha of FairGrad, as in the authors' own runs; 1 would be the bargaining solution of Nash-MTL."""

_MADE: dict[str, Callable[[Tensor], Aggregator]] = {
    "upgrad": UPGrad,
    "pcgrad": lambda ones: PCGrad(),
    "cagrad": lambda ones: CAGrad(CAGRAD_RADIUS),
    "nash_mtl": lambda ones: NashMTL(len(ones)),
    "imtl_g": lambda ones: IMTLG(),
    "mgda": lambda ones: MGDA(),
    "aligned_mtl": AlignedMTL,
    "graddrop": lambda ones: GradDrop(),
    "gradvac": lambda ones: GradVac(),
    "fairgrad": lambda ones: FairGrad(FAIRGRAD_ALPHA),
    "config": lambda ones: ConFIG(),
}
_MEANS = ("mgda", "imtl_g", "cagrad")


class TaskAggregator:
    """One aggregator of TorchJD for each number of tasks that a batch can hold; `memory` is what it keeps by task."""

    def __init__(self, name: str, tasks: int):
        self.name, self.memory = name, self._fresh_memory(tasks)
        self._made: dict[int, Any] = {}

    def aggregate(self, parameters: Sequence[nn.Parameter], jacobian: Sequence[Tensor], tasks: Sequence[int]) -> None:
        """Leave the combined gradient in the parameters; `jacobian` M x shape of each, `tasks` the places of its rows.

        Raises whatever the solver of the method raises.
        """
        if len(tasks) not in self._made:
            self._made[len(tasks)] = self._make(len(tasks), jacobian[0].device)
        aggregator, rows = self._made[len(tasks)], torch.tensor(tasks)
        self._recall(aggregator, rows)
        on_gramian = isinstance(aggregator, GramianWeightedAggregator)
        try:
            for parameter, gradients in zip(parameters, jacobian, strict=True):
                parameter.jac = gradients  # type: ignore[attr-defined]  # where TorchJD looks for it
            jac_to_grad(parameters, aggregator, optimize_gramian_computation=on_gramian)  # type: ignore[call-overload]
        finally:
            for parameter in parameters:
                vars(parameter).pop("jac", None)
        self._keep(aggregator, rows)

    def _make(self, count: int, device: torch.device) -> Aggregator:
        aggregator = _MADE[self.name](torch.ones(count, device=device))
        if isinstance(aggregator, GramianWeightedAggregator):
            aggregator.gramian_weighting.register_forward_pre_hook(_unit_trace)
        if self.name in _MEANS:
            aggregator.gramian_weighting.register_forward_hook(_times_tasks)  # type: ignore[union-attr]
        return aggregator

    def _fresh_memory(self, tasks: int) -> Tensor | None:
        return None

    def _recall(self, aggregator: Any, rows: Tensor) -> None:
        """Give the aggregator what is remembered of the tasks in `rows`."""

    def _keep(self, aggregator: Any, rows: Tensor) -> None:
        """Remember what the aggregator has learned of the tasks in `rows`."""


class VaccineAggregator(TaskAggregator):
    """GradVac; remembers the aimed-at cosine of every pair of tasks, T x T."""

    memory: Tensor

    def _fresh_memory(self, tasks: int) -> Tensor:
        return torch.zeros(tasks, tasks)

    def _make(self, count: int, device: torch.device) -> Aggregator:
        aggregator = super()._make(count, device)
        # TorchJD makes room for the state at the first call; the draws of this one must not count
        with torch.random.fork_rng(devices=[]):
            aggregator.gramian_weighting(torch.eye(count))  # type: ignore[operator]
        return aggregator

    def _recall(self, aggregator: Any, rows: Tensor) -> None:
        aggregator.gramian_weighting.load_state_dict({_COSINES: self.memory[rows][:, rows]})

    def _keep(self, aggregator: Any, rows: Tensor) -> None:
        self.memory[rows.unsqueeze(1), rows] = aggregator.gramian_weighting.state_dict()[_COSINES]


class BargainingAggregator(TaskAggregator):
    """Nash-MTL; remembers each task's last weight, from which the next solution is sought, T."""

    memory: Tensor

    def _fresh_memory(self, tasks: int) -> Tensor:
        return torch.ones(tasks, dtype=torch.float64)

    def aggregate(self, parameters: Sequence[nn.Parameter], jacobian: Sequence[Tensor], tasks: Sequence[int]) -> None:
        with warnings.catch_warnings():
            # cvxpy says that the problem is slow to set up each time, which the method is known for
            warnings.filterwarnings("ignore", "You are solving a parameterized problem that is not DPP")
            super().aggregate(parameters, jacobian, tasks)

    def _recall(self, aggregator: Any, rows: Tensor) -> None:
        aggregator.weighting.prvs_alpha = self.memory[rows].numpy()

    def _keep(self, aggregator: Any, rows: Tensor) -> None:
        self.memory[rows] = torch.as_tensor(aggregator.weighting.prvs_alpha, dtype=torch.float64)


_COSINES = "_phi_t"
"""Name of GradVac's state in the `state_dict` of its weighting."""
_KINDS: dict[str, type[TaskAggregator]] = {"gradvac": VaccineAggregator, "nash_mtl": BargainingAggregator}


def open_aggregator(name: str, tasks: int) -> TaskAggregator:
    """The aggregator of that name for a unit of so many tasks."""
    return _KINDS.get(name, TaskAggregator)(name, tasks)


def _unit_trace(weighting: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    """The Gramian at trace 1. Directions do not depend on its size, but solvers take small entries for zero."""
    (gramian,) = inputs
    trace = gramian.diagonal().sum()
    return (gramian / trace.clamp(min=torch.finfo(gramian.dtype).tiny),)


def _times_tasks(weighting: nn.Module, inputs: tuple[Tensor], weights: Tensor) -> Tensor:
    return len(weights) * weights
