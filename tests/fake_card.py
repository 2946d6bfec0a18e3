"""A CUDA device that is not there: its tensors have shape, type and device, but no values; the host's are real.

torch's own fake tensors raise where an operation mixes devices, as a card does, and where the host asks for a value of
theirs, or for a number of elements that depends on values, for which a card would make it wait. What of CUDA is not an
operation of torch (streams, events, memory, generators) answers here.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._pytree import tree_leaves, tree_map

CARD = torch.device("cuda", 0)
BYTES = 80 * 1024**3
VALUE = 0.5
"""What the host reads where it copies values of the card; whole numbers are 0."""

aten = torch.ops.aten


@dataclass
class Seen:
    """What happened on a card: operations, with the types of what they gave; copies to it, by the kind of the host's
    memory; copies of its values to the host, in the background or not; how often unused memory was given back; the
    states that its generator was set to."""

    operations: Counter[str] = field(default_factory=Counter)
    dtypes: dict[str, set[torch.dtype]] = field(default_factory=lambda: defaultdict(set))
    copies: Counter[str] = field(default_factory=Counter)
    released: int = 0
    random: list[Tensor] = field(default_factory=list)


class _Card(FakeTensorMode):
    def __init__(self, seen: Seen) -> None:
        super().__init__(allow_non_fake_inputs=True)
        self.seen, self._nested = seen, False

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), settings: Any = None) -> Any:
        settings = dict(settings or {})
        if self._nested:  # one of the operations by which torch finds the shape of a result
            return super().__torch_dispatch__(function, types, arguments, settings)
        leaves = tree_leaves((arguments, settings))
        to_card = any(isinstance(leaf, torch.device) and leaf.type == CARD.type for leaf in leaves)
        if not to_card and not any(isinstance(leaf, FakeTensor) for leaf in leaves):
            return _on_host(function, arguments, settings)
        into = arguments[0] if function is aten.copy_.default else None
        if into is not None or function is aten._to_copy.default:
            in_background = settings.get("non_blocking", False) or (into is not None and True in arguments[2:])
            self.seen.copies[_kind(arguments[into is not None], into, settings.get("device"), in_background)] += 1
        if into is not None and not isinstance(into, FakeTensor):
            return into.copy_(_values(into))
        self._nested = True
        try:
            result = super().__torch_dispatch__(function, types, arguments, settings)
        finally:
            self._nested = False
        name = function.name().split(".")[0]
        if name.startswith("prim"):  # a question, such as for a tensor's device
            return result
        self.seen.operations[name] += 1
        self.seen.dtypes[name] |= {leaf.dtype for leaf in tree_leaves(result) if isinstance(leaf, Tensor)}
        return tree_map(lambda leaf: _values(leaf) if _left_card(leaf) else leaf, result)


def _on_host(function: Any, arguments: Any, settings: dict[str, Any]) -> Any:
    if function is aten._pin_memory.default:
        pinned = arguments[0].clone()
    elif settings.pop("pin_memory", None):
        pinned = function(*arguments, **settings)
    else:
        return function(*arguments, **settings)
    pinned.pinned_for_card = True
    return pinned


def _kind(source: Tensor, into: Tensor | None, device: torch.device | None, in_background: bool) -> str:
    """`within` the card, `to` it or `from` it; the latter two by whether the host waits, which it does for memory that
    is not pinned whatever was asked for."""
    at_card = isinstance(source, FakeTensor)
    stays = isinstance(into, FakeTensor) if into is not None else device is None or device.type == CARD.type
    if at_card and stays:
        return "within"
    pinned = getattr(into if at_card else source, "pinned_for_card", False)
    return f"{'from' if at_card else 'to'}, {'in background' if pinned and in_background else 'awaited'}"


def _left_card(leaf: Any) -> bool:
    return isinstance(leaf, FakeTensor) and leaf.device.type == "cpu"


def _values(like: Tensor) -> Tensor:
    """Real values in place of what is not there."""
    return torch.full(like.shape, VALUE if like.is_floating_point() else 0, dtype=like.dtype)


def backward(loss: Tensor) -> None:
    """The gradients of `loss`, operation by operation, as torch's engine finds them, which asks the driver for streams.

    As there, a gradient is brought to the shape and type of what it is the gradient of, and has to be on its device.
    """
    gradients: dict[Any, dict[int, Tensor]] = {loss.grad_fn: {0: torch.ones_like(loss)}}
    with torch.no_grad():
        for node in _from_the_end(loss.grad_fn):
            found = gradients.pop(node, {})
            if node.name() == "torch::autograd::AccumulateGrad":
                leaf = node.variable
                leaf.grad = found[0] if leaf.grad is None else leaf.grad + found[0]
                continue
            results = node(*(found.get(position) for position in range(len(node._input_metadata))))
            results = results if isinstance(results, tuple) else (results,)
            for (earlier, position), gradient in zip(node.next_functions, results, strict=True):
                if earlier is None or gradient is None:
                    continue
                wanted, sums = earlier._input_metadata[position], gradients.setdefault(earlier, {})
                assert gradient.device == wanted.device, f"{node.name()}: {gradient.device}, not {wanted.device}"
                gradient = gradient.sum_to_size(wanted.shape).to(wanted.dtype)
                sums[position] = sums[position] + gradient if position in sums else gradient


def _from_the_end(node: Any) -> list[Any]:
    """The graph's nodes, each before those that its gradient goes to."""
    order, seen, waiting = [], set(), [(node, False)]
    while waiting:
        node, done = waiting.pop()
        if done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            waiting.append((node, True))
            waiting += [(earlier, False) for earlier, _ in node.next_functions if earlier is not None]
    return order[::-1]


@contextmanager
def fake_card() -> Iterator[Seen]:
    """Within it, `CARD` takes tensors; what was seen there is filled in."""
    seen = Seen()

    def release() -> None:
        seen.released += 1

    def save(value: Any, *arguments: Any, _save: Any = torch.save) -> None:
        value = tree_map(lambda leaf: _values(leaf) if isinstance(leaf, FakeTensor) else leaf, value)
        with unset_fake_temporarily():  # among fake tensors torch writes, and reads, no values
            _save(value, *arguments)

    def load(*arguments: Any, _load: Any = torch.load, **settings: Any) -> Any:
        with unset_fake_temporarily():
            return _load(*arguments, **settings)

    event = SimpleNamespace(record=lambda stream: None, query=lambda: True, synchronize=lambda: None)
    answers = {
        "torch.Tensor.backward": backward,
        "torch.save": save,
        "torch.load": load,
        "torch.cuda.Event": lambda: event,
        "torch.cuda.current_stream": lambda device=None: None,
        "torch.cuda.mem_get_info": lambda device=None: (BYTES, BYTES),
        "torch.cuda.is_bf16_supported": lambda including_emulation=True: True,
        "torch.cuda.amp.common.amp_definitely_not_available": lambda: False,
        "torch.cuda.empty_cache": release,
        "torch.cuda.max_memory_allocated": lambda device=None: float(BYTES),
        "torch.cuda.reset_peak_memory_stats": lambda device=None: None,
        "torch.cuda.get_rng_state": lambda device=None: torch.full((16,), 7, dtype=torch.uint8),
        "torch.cuda.set_rng_state": lambda state, device=None: seen.random.append(state),
    }
    with ExitStack() as stack:
        for name, answer in answers.items():
            stack.enter_context(mock.patch(name, answer))
        stack.enter_context(_Card(seen))
        yield seen
