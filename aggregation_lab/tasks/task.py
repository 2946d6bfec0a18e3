"""A clinical task: its type, classes and clinical group."""

from dataclasses import dataclass

from aggregation_lab.tasks.task_type import TaskType


@dataclass(frozen=True)
class Task:
    """One clinical task.

    `classes` follows the challenge's `num_classes`: for segmentation the classes including background, for
    classification the classes, for regression the number of points, for detection 1. `laterality` says that the
    target tells left from right.
    """

    name: str
    type: TaskType
    classes: int
    group: str
    laterality: bool = False

    @property
    def flips(self) -> bool:
        """Whether a mirrored image keeps its target."""
        return self.type.mirrors and not self.laterality
