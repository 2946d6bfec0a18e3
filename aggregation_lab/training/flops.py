"""Floating point operations of training, counted from the operations that run."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode


def count_flops(compute_loss: Callable[..., Tensor], *arguments: Any) -> int:
    """Operations of a forward and backward pass of `compute_loss(*arguments)`; a multiply-add counts as two.

    Matrix products, convolutions and attention are counted; element-wise work, a few per cent, is not.
    """
    with FlopCounterMode(display=False, custom_mapping=_MAPPING) as counter:
        compute_loss(*arguments).backward()
    return counter.get_total_flops()


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
