"""What is trained and how it is scored: tasks, data, M2DINO, one training run, and the score tables.

This package knows nothing of grids or statistics. `runners` turns a study file into runs of this package;
`analysis` reads the tables that `aggregation_lab.results` defines. Its public names are loaded when they are asked for
(PEP 562), so that importing it costs nothing; none of them loads torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aggregation_lab.aggregation import Aggregation, Unit, all_task_unified, clinically_grouped, task_specific
    from aggregation_lab.errors import AgglabError
    from aggregation_lab.tasks import CHALLENGE_TASKS, Task, TaskType

__version__ = "0.1.0"

_MODULES = {
    "aggregation": ("Aggregation", "Unit", "all_task_unified", "clinically_grouped", "task_specific"),
    "errors": ("AgglabError",),
    "tasks": ("CHALLENGE_TASKS", "Task", "TaskType"),
}

__all__ = [
    "CHALLENGE_TASKS",
    "AgglabError",
    "Aggregation",
    "Task",
    "TaskType",
    "Unit",
    "all_task_unified",
    "clinically_grouped",
    "task_specific",
]


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"aggregation_lab.{module}"), name)
    raise AttributeError(f"module 'aggregation_lab' has no attribute {name!r}")
