"""Floating point operations of training, counted from the operations that run."""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode


def count_flops(compute_loss: Callable[..., Tensor], *arguments: Any) -> int:
    """Operations of a forward and backward pass of `compute_loss(*arguments)`; a multiply-add counts as two.

    Matrix products, convolutions and attention are counted; element-wise work, a few per cent, is not.
    """
    with FlopCounterMode(display=False) as counter:
        compute_loss(*arguments).backward()
    return counter.get_total_flops()
