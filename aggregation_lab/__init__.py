"""What is trained and how it is scored: tasks, data, M2DINO, one training run, and the score tables.

This package knows nothing of grids or statistics. `runners` turns a study file into runs of this package;
`analysis` reads the tables that `aggregation_lab.results` defines. Importing it does not import torch.
"""

from aggregation_lab.aggregation import Aggregation, Unit, all_task_unified, clinically_grouped, task_specific
from aggregation_lab.errors import AgglabError
from aggregation_lab.tasks import CHALLENGE_TASKS, Task, TaskType

__version__ = "0.1.0"

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
