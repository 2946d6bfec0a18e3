"""Clinical tasks, the types they have, and the 27 tasks of the challenge by name. Imports no torch."""

from aggregation_lab.tasks.challenge import CHALLENGE_TASKS, ChallengeTask
from aggregation_lab.tasks.task import Task
from aggregation_lab.tasks.task_type import (
    METRICS,
    Metric,
    Quantity,
    Score,
    TaskType,
    find_type,
    near_type,
    read_type,
    register,
)

__all__ = [
    "CHALLENGE_TASKS",
    "METRICS",
    "ChallengeTask",
    "Metric",
    "Quantity",
    "Score",
    "Task",
    "TaskType",
    "find_type",
    "near_type",
    "read_type",
    "register",
]
