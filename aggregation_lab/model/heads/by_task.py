"""The heads of a model by task, whatever the tasks are called."""

import re
from collections.abc import Iterable

from torch import nn

_PLAIN = re.compile(r"[A-Za-z0-9_]+")
_ANY = nn.Module()


class TaskHeads(nn.Module):
    """`heads[task]` is the head of a task.

    torch takes no module whose name holds a dot or is an attribute (`type`, `training`); in a checkpoint such a task's
    head stands under the hexadecimal digits of its name.
    """

    def __init__(self, heads: Iterable[tuple[str, nn.Module]]) -> None:
        super().__init__()
        for task, head in heads:
            self.add_module(_key(task), head)

    def __getitem__(self, task: str) -> nn.Module:
        return self.get_submodule(_key(task))


def parameters_of(task: str) -> str:
    """How the names of the parameters of a task's head begin within `TaskHeads`."""
    return f"{_key(task)}."


def _key(task: str) -> str:
    usable = _PLAIN.fullmatch(task) and not hasattr(_ANY, task)
    return task if usable else f"~{task.encode().hex()}"
