"""An aggregation is a partition of tasks into units; one model is trained per unit.

TS, CG and AU of arXiv 2603.18123 are three partitions; a study file can add its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aggregation_lab.errors import StudyError
from aggregation_lab.naming import name_fault
from aggregation_lab.tasks import Task

FLOOR = "floor"
"""Name under which the trivial predictors (majority class, mean box ...) stand in the score tables."""


@dataclass(frozen=True)
class Unit:
    """Tasks that are trained together in one model. `tasks` holds task names in sorted order."""

    name: str
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class Aggregation:
    """A named partition of tasks into units.

    Raises `StudyError` where a task stands in two units, a unit has no task, or a name that cannot be shown.
    """

    name: str
    units: tuple[Unit, ...]

    def __post_init__(self) -> None:
        unit_of: dict[str, str] = {}
        for unit in self.units:
            fault = name_fault(unit.name)
            if fault:
                raise StudyError(f"aggregations.{self.name}.{unit.name[:80]}: is no usable name; {fault}")
            if not unit.tasks:
                raise StudyError(f"aggregations.{self.name}.{unit.name}: has no task; give it one or take it out")
            for task in unit.tasks:
                if task in unit_of:
                    raise StudyError(
                        f"aggregations.{self.name}: task {task} stands in {unit_of[task]} and in {unit.name}; "
                        "a partition holds it once"
                    )
                unit_of[task] = unit.name

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(sorted(task for unit in self.units for task in unit.tasks))


def task_specific(tasks: Iterable[Task]) -> Aggregation:
    """TS: one unit per task."""
    return Aggregation("TS", tuple(Unit(task.name, (task.name,)) for task in tasks))


def clinically_grouped(tasks: Iterable[Task]) -> Aggregation:
    """CG: one unit per clinical group."""
    members: dict[str, list[str]] = {}
    for task in tasks:
        members.setdefault(task.group, []).append(task.name)
    return Aggregation("CG", tuple(Unit(group, tuple(sorted(names))) for group, names in members.items()))


def all_task_unified(tasks: Iterable[Task]) -> Aggregation:
    """AU: one unit holding every task."""
    return Aggregation("AU", (Unit("all", tuple(sorted(task.name for task in tasks))),))


PARADIGMS = {"TS": task_specific, "CG": clinically_grouped, "AU": all_task_unified}


def user_partition(name: str, units: Mapping[str, Sequence[str]], tasks: Iterable[Task]) -> Aggregation:
    """A partition written in a study file: unit name -> task names.

    Raises `StudyError` where it names an unknown task, repeats one or misses one.
    """
    known = {task.name for task in tasks}
    aggregation = Aggregation(name, tuple(Unit(unit, tuple(sorted(members))) for unit, members in units.items()))
    unknown = sorted(set(aggregation.tasks) - known)
    missing = sorted(known - set(aggregation.tasks))
    if unknown:
        raise StudyError(
            f"aggregations.{name}: unknown task {', '.join(unknown)}; the study has {', '.join(sorted(known))}"
        )
    if missing:
        raise StudyError(
            f"aggregations.{name}: misses task {', '.join(missing)}; a partition holds every task of the study"
        )
    return aggregation
