"""`found` among the aggregations of a study: the partition that its grid finds from its own finished runs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from aggregation_lab.aggregation import ARROW, FEWEST_GROUPED, FOUND, Aggregation, rests_on_found, stages
from aggregation_lab.config_fields import Config
from aggregation_lab.errors import StudyError
from aggregation_lab.training.affinity.settings import AffinitySettings

BASE = "TS"
"""What predicted gains are over."""

RecordedAffinity = Annotated[
    Annotated[AffinitySettings, Tag("[settings]")] | Annotated[Literal[False], Tag("[off]")],
    Discriminator(lambda value: "[off]" if value is False else "[settings]"),
]
"""Settings, or false for a study with `found` that shall record nothing."""

_AFTER_FOUND, _BEFORE_FOUND = (BASE, FOUND), ("AU", FOUND)


class FoundSettings(Config):
    """How the partition is sought: the options of `agglab group`."""

    units: int | None = Field(None, ge=1)
    """Number of units; empty: any."""
    within: float | None = Field(None, gt=0)
    """Most worker hours of training what is missing of it, in all seeds, fractions and arms; empty: any."""


def is_sought(aggregations: Mapping[str, object]) -> bool:
    """Whether `found` is there without units, and so for the grid to find."""
    return FOUND in aggregations and aggregations[FOUND] is None


def is_evidence(aggregation: str) -> bool:
    """Whether runs of the aggregation are what groups are found from: second stages had more training than TS."""
    return not rests_on_found(aggregation) and stages(aggregation) is None


def check_sought(held: Iterable[str], owner: str) -> None:
    """Raises `ValueError` where `owner`, which trains the aggregations `held`, has nothing to find groups from."""
    known = list(held)
    if BASE not in known:
        raise ValueError(f"is sought by gains over {BASE}, which {owner} does not train; add {BASE}")
    if not any(is_evidence(name) and name != BASE for name in known):
        raise ValueError(f"is sought from {BASE} and a joint aggregation, of which {owner} trains none; add AU, or CG")


def check_sequences(aggregations: Iterable[str]) -> None:
    """Raises `ValueError` where a sequence does not go with groups that nobody knows yet."""
    for name in aggregations:
        both = stages(name)
        if both is None or not rests_on_found(name):
            continue
        first, second = both
        if (first == FOUND and second not in _AFTER_FOUND) or (second == FOUND and first not in _BEFORE_FOUND):
            raise ValueError(
                f"{name} needs units inside units, and which units {FOUND} has nobody knows before; it goes with "
                f"AU{ARROW}{FOUND}, {FOUND}{ARROW}{BASE} and {FOUND}{ARROW}{FOUND}"
            )


def check_options(options: FoundSettings | None, aggregations: Mapping[str, object]) -> None:
    """Raises `ValueError` where there are options and nothing is sought."""
    if options is None or is_sought(aggregations):
        return
    if FOUND in aggregations:
        raise ValueError(
            f"has options for a partition that the grid finds, and aggregations gives {FOUND} units by hand; take out "
            "one of both"
        )
    raise ValueError(f"has options, and {FOUND} is not among the aggregations; add it there")


def alone(tasks: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Every task as a unit by itself: the units that take most training."""
    return {task: (task,) for task in tasks}


def check_groupable(options: FoundSettings, tasks: Sequence[Any], evidence: Iterable[Aggregation]) -> None:
    """Raises `StudyError` where the data's tasks cannot be grouped as the study asks."""
    count = len(tasks)
    if count < FEWEST_GROUPED:
        raise StudyError(
            f"aggregations: {FOUND} takes {FEWEST_GROUPED} tasks or more, the study has {count}; take {FOUND} out"
        )
    if options.units is not None and options.units > count:
        raise StudyError(f"found.units: is {options.units}, the study has {count} tasks; it takes 1 to {count}")
    if not any(len(unit.tasks) > 1 for aggregation in evidence for unit in aggregation.units):
        raise StudyError(f"aggregations: {FOUND} is sought from units of several tasks, and none has several; add AU")
