"""Floating point operations of training, counted from the operations that run."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode


def count_flops(compute_loss: Callable[..., Tensor], *arguments: Any) -> int:
    """Operations of a forward and backward pass of `compute_loss(*arguments)`; a multiply-add counts as two.

    Matrix products, convolutions and attention are counted; element-wise work, a few per cent, is not.
    """
    with _Counter() as counter:
        compute_loss(*arguments).backward()
    return counter.total


class _Counter(TorchDispatchMode):
    """torch's FlopCounterMode without its books on every module and its search for parts of every operation, which take
    several times as long as the operations: where gradients are wanted, autograd has taken them apart before."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()
        self.total = 0
        self._formulas = FlopCounterMode(display=False, custom_mapping=_MAPPING).flop_registry

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        made = func(*args, **named)
        formula = self._formulas.get(getattr(func, "_overloadpacket", func))
        if formula is not None:
            self.total += formula(*args, **named, out_val=made)
        return made


def _convolution_backward(
    grad_shape: Sequence[int],
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    _bias: Any,
    _stride: Any,
    _padding: Any,
    _dilation: Any,
    transposed: bool,
    _output_padding: Any,
    _groups: Any,
    output_mask: Sequence[bool],
    **_: Any,
) -> int:
    """As many operations for the gradient of the input, and of the weights, as the convolution takes.

    torch's own formula counts a convolution in groups, such as EfficientNet's, as if it had none.
    """
    places = x_shape if transposed else grad_shape
    return 2 * x_shape[0] * prod(places[2:]) * prod(w_shape) * sum(output_mask[:2])


_MAPPING = {torch.ops.aten.convolution_backward: _convolution_backward}
