"""Multi-task training methods by name, and the packages each needs; nothing heavy is imported.

What they do, with papers and cost: docs/methods.md.
"""

from importlib.util import find_spec
from typing import Literal

Aggregator = Literal[
    "none",
    "upgrad",
    "pcgrad",
    "cagrad",
    "nash_mtl",
    "imtl_g",
    "mgda",
    "aligned_mtl",
    "graddrop",
    "gradvac",
    "fairgrad",
    "config",
]
"""How the tasks' gradients of the shared parameters become one; `none` adds them."""

Weighting = Literal["fixed", "uncertainty", "dwa", "gls", "rlw", "famo"]
"""How the weights of the tasks' losses change while training; `fixed` leaves them."""

TORCHJD = "torchjd>=0.18"
"""The library of the aggregators as pip takes it; 0.18 is the first with GradVac and FairGrad."""

_SOLVERS: dict[str, tuple[str, ...]] = {
    "upgrad": ("qpsolvers", "quadprog"),
    "cagrad": ("cvxpy", "clarabel"),
    "nash_mtl": ("cvxpy", "ecos"),
}
"""Packages beside TorchJD that solve a method's optimisation problem."""


def libraries(aggregator: str) -> tuple[str, ...]:
    """Names of the packages that combine the tasks' gradients; none without an aggregator."""
    return () if aggregator == "none" else ("torchjd", *_SOLVERS.get(aggregator, ()))


def missing_packages(aggregator: str) -> str | None:
    """What keeps an aggregator from being used here, with the remedy; None where all it needs is installed."""
    missing = [name for name in libraries(aggregator) if find_spec(name) is None]
    if not missing:
        return None
    wanted = " ".join(f"'{TORCHJD}'" if name == "torchjd" else name for name in missing)
    are = "is" if len(missing) == 1 else "are"
    return f"{aggregator} needs {' and '.join(missing)}, which {are} not installed; pip install {wanted}"
