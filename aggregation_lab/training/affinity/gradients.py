"""Gradients for some of a model's parameters, and a random projection by which those of all tasks fit into memory."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

SIZE = 16_381
"""Numbers that are kept of a gradient. The cosine of two projections is that of the gradients with a standard deviation
of about SIZE**-0.5 = 0.008. A prime, so that no column of a weight matrix always meets itself."""
_SEED = 20_260


class GradientSum:
    """Adds up gradients for `parameters` without touching what is in them; `gradients` has one for each."""

    def __init__(self, parameters: Sequence[nn.Parameter]):
        self._parameters = parameters
        self.gradients = [torch.zeros_like(each) for each in parameters]

    def add(self, loss: Tensor) -> None:
        """Add the gradient of a loss; 0 for parameters that it does not depend on."""
        for total, gradient in zip(
            self.gradients, torch.autograd.grad(loss, self._parameters, allow_unused=True), strict=True
        ):
            if gradient is not None:
                total += gradient


def flat(gradients: Sequence[Tensor]) -> Tensor:
    """The gradients of all parameters as one vector."""
    return torch.cat([gradient.flatten() for gradient in gradients])


class Projection:
    """A count sketch (Charikar, Chen and Farach-Colton 2002; as a hash kernel: Weinberger et al. 2009): every number
    gets a random sign and is added to one of SIZE sums, which keeps inner products on average.

    The signs come from a fixed seed, so the projections of all moments and runs are the same. Vectors of up to SIZE
    numbers stay as they are.
    """

    def __init__(self, length: int, device: torch.device):
        self._room = 0 if length <= SIZE else -(-length // SIZE) * SIZE
        random = torch.Generator().manual_seed(_SEED)
        signs = torch.randint(2, (self._room,), generator=random, dtype=torch.int8) * 2 - 1
        self._signs = signs.to(device)

    def __call__(self, vector: Tensor) -> Tensor:
        """P -> SIZE, or fewer; float64 on the CPU."""
        if self._room:
            padded = torch.nn.functional.pad(vector, (0, self._room - len(vector)))
            vector = (padded * self._signs).view(-1, SIZE).sum(0)
        return vector.double().cpu()
