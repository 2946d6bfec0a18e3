"""An aggregation is a partition of tasks into units; one model is trained per unit.

TS, CG and AU of arXiv 2603.18123 are three partitions; a study file can add its own. A sequential aggregation such as
AU>TS is the partition TS whose units start from the finished models of the units of AU that hold them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aggregation_lab.errors import StudyError
from aggregation_lab.naming import name_fault
from aggregation_lab.tasks import Task

ARROW = ">"
"""Between the stages in the name of a sequential aggregation."""
FOUND = "found"
"""The partition that a grid finds from its own finished runs, where a study names it without units."""
FEWEST_GROUPED = 4
"""Tasks from which on there is more than one way to group them that is neither TS nor AU."""
FLOOR = "floor"
"""Name under which the trivial predictors (majority class, mean box ...) stand in the score tables."""


@dataclass(frozen=True)
class Unit:
    """Tasks that are trained together in one model. `tasks` holds task names in sorted order."""

    name: str
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class Aggregation:
    """A named partition of tasks into units; `first` is the one whose models its units start from, if there is one.

    Raises `StudyError` where a task stands in two units, a unit has no task, or a name that cannot be shown, and where
    the tasks of a unit are in several units of `first`.
    """

    name: str
    units: tuple[Unit, ...]
    first: "Aggregation | None" = None

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
        if self.first is not None:
            self._check_within(self.first)

    def _check_within(self, first: "Aggregation") -> None:
        holder = {task: unit.name for unit in first.units for task in unit.tasks}
        for unit in self.units:
            one = unit.tasks[0]
            other = next((task for task in unit.tasks if holder.get(task) != holder.get(one)), None)
            if other is not None:
                raise StudyError(
                    f"aggregations.{self.name}: unit {unit.name} has no model of {first.name} to start from, where "
                    f"{one} is in {holder[one]} and {other} in {holder[other]}; a unit must lie in one unit of "
                    f"{first.name}"
                )

    def start_of(self, unit: Unit) -> Unit | None:
        """The unit whose model this one starts from; None where there is no first stage."""
        return next((held for held in self.first.units if unit.tasks[0] in held.tasks), None) if self.first else None

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


def sequential(first: Aggregation, second: Aggregation) -> Aggregation:
    """FIRST>SECOND: units of `second` that start from the models of `first`.

    Raises `StudyError` where a unit of `second` does not lie in one unit of `first`.
    """
    return Aggregation(f"{first.name}{ARROW}{second.name}", second.units, first)


def stages(name: str) -> tuple[str, str] | None:
    """The two stages in the name of a sequential aggregation, (AU, TS) of AU>TS; None for any other name."""
    first, arrow, second = name.partition(ARROW)
    return (first, second) if arrow else None


def rests_on_found(name: str) -> bool:
    """Whether an aggregation is the partition that is found, or has it as a stage."""
    return FOUND in name.split(ARROW)


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
