"""Types of the fields of a study: what each accepts, and how it is stored.

Validators raise `ValueError`; its text stands after the name of the field.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from aggregation_lab.aggregation import ARROW, FLOOR, FOUND, PARADIGMS, Aggregation, Unit
from aggregation_lab.config_fields import TaskName, clean_keys
from aggregation_lab.data.subjects.regular_expressions import Expression
from aggregation_lab.errors import StudyError
from aggregation_lab.naming import clean_name, name_fault
from aggregation_lab.text import printable
from runners.planning.sequences import check_sequence

MOST_SEEDS = 1000


def unknown_tasks(names: Iterable[str], known: Iterable[str], owner: str) -> str:
    """A message with the unknown tasks, and the nearest known one or all of them."""
    unknown, tasks = sorted(names), sorted(known)
    close = difflib.get_close_matches(unknown[0], tasks, n=1)
    listed = ", ".join(printable(name, 60) for name in tasks[:40]) + ("..." if len(tasks) > 40 else "")
    hint = f"did you mean {printable(close[0])}?" if close else f"{owner} has {listed}"
    return f"unknown task {', '.join(printable(name, 60) for name in unknown[:5])}; {hint}"


# ---- one value ---------------------------------------------------------------------------------------------------


def _plain_name(text: str) -> str:
    name = clean_name(text)
    fault = name_fault(name)
    if not fault and ("/" in name or "\\" in name or not name.strip(".")):
        fault = "it reads as a path; take out slashes, and dots that stand alone"
    if fault:
        raise ValueError(f"{printable(name, 60)!r} is no name; {fault}")
    return name


def _path(value: Any) -> Any:
    return Path(value) if isinstance(value, str) and value else value


def _fraction(value: float) -> float:
    if float(f"{value:g}") != value:  # names of runs and files have six digits
        raise ValueError(f"{value!r} has more than six digits; write {value:g}")
    return value


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
"""Name of a study, an arm or an aggregation: part of paths and columns."""
AggregationName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(>[A-Za-z0-9][A-Za-z0-9._-]*)*$", max_length=201)
]
"""The same, or two of them with an arrow between, as in AU>TS."""
PlainName = Annotated[str, AfterValidator(_plain_name)]
"""Name of a unit or a group."""
FilePath = Annotated[Path, BeforeValidator(_path)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Margin = Annotated[float, Field(ge=0, lt=1)]


# ---- several values ----------------------------------------------------------------------------------------------


def _unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"has the same value twice ({printable(str(value))}); each takes part once")
        seen.add(value)
    return values


def _own_names(names: dict[str, str]) -> dict[str, str]:
    _unique(tuple(names.values()))
    for name in names.values():
        if fault := name_fault(name) or ("take out the '/'" if "/" in name else ""):
            raise ValueError(f"{printable(name, 60)!r} is no name; {fault}")
    return names


def _sorted_unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return _unique(tuple(sorted(values)))


def _seed_list(value: Any) -> Any:
    """The first seeds where a number says how many."""
    if isinstance(value, list | tuple):
        return value
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"got {printable(repr(value), 60)}, it takes a number of seeds, or a list of seeds")
    if value < 1:
        raise ValueError("takes a number of seeds of at least 1, or a list of seeds")
    if value > MOST_SEEDS:
        raise ValueError(f"takes {MOST_SEEDS} seeds at most; in a list, [{printable(str(value), 20)}] is one")
    return tuple(range(value))


def _searchable(subjects: dict[str, str]) -> dict[str, str]:
    for pattern, expression in subjects.items():
        try:
            Expression(expression)
        except ValueError as error:
            raise ValueError(f"{printable(pattern)}: {error}") from error
    return subjects


AnyTasks = Annotated[tuple[TaskName, ...], AfterValidator(_unique)]
Tasks = Annotated[AnyTasks, Field(min_length=1)]
_Renamed = Annotated[
    dict[TaskName, TaskName], BeforeValidator(clean_keys), Field(min_length=1), AfterValidator(_own_names)
]
ChosenTasks = Annotated[
    Annotated[Tasks, Tag("[list]")] | Annotated[_Renamed, Tag("[names]")],
    Discriminator(lambda value: "[names]" if isinstance(value, dict) else "[list]"),
]
"""A list of tasks, or their new names by those of the data. Brackets keep the tags out of the names of fields."""
Groups = Annotated[dict[str, PlainName], BeforeValidator(clean_keys)]
Margins = Annotated[dict[str, Margin], BeforeValidator(clean_keys)]
Subjects = Annotated[dict[str, str], AfterValidator(_searchable)]
Fractions = Annotated[
    tuple[Annotated[float, Field(gt=0, le=1), AfterValidator(_fraction)], ...],
    Field(min_length=1, max_length=100),
    AfterValidator(_sorted_unique),
]
Seeds = Annotated[
    tuple[Seed, ...],
    Field(min_length=1, max_length=MOST_SEEDS),
    BeforeValidator(_seed_list),
    AfterValidator(_sorted_unique),
]


# ---- aggregations ------------------------------------------------------------------------------------------------

Partition = Annotated[dict[PlainName, tuple[TaskName, ...]], BeforeValidator(clean_keys)]


def _by_name(value: Any) -> Any:
    """Accept [TS, CG, {mine: {unit: [tasks]}}] beside a plain mapping."""
    named = _listed(value) if isinstance(value, tuple) else value
    units = named.get(FOUND) if isinstance(named, dict) else None
    if isinstance(units, dict) and any(isinstance(number, int | float) for number in units.values()):
        raise ValueError(
            f"{FOUND} has no options here; write {FOUND} alone, and them as a field, {FOUND}: {{units: 4}}"
        )
    return named


def _listed(value: tuple[Any, ...]) -> dict[Any, Any]:
    named: dict[Any, Any] = {}
    for item in value:
        if not isinstance(item, str | dict):
            raise ValueError(f"holds {printable(repr(item), 60)}; write TS, CG, AU or {{name: {{unit: [tasks]}}}}")
        for name, units in (item if isinstance(item, dict) else {item: None}).items():
            if name in named:
                raise ValueError(f"has {printable(str(name))} twice; each aggregation has its own name")
            named[name] = units
    return named


def _distinguishable(value: dict[str, Partition | None]) -> dict[str, Partition | None]:
    known = {name.lower(): name for name in (FLOOR, *PARADIGMS)}
    for name, units in value.items():
        if name.lower() == FLOOR:
            raise ValueError(f"{name} is the name of the trivial predictors; choose another")
        if ARROW in name:
            if units is not None:
                raise ValueError(f"{name} takes no units, its stages have them; choose a name without {ARROW}")
            check_sequence(name, value, "the study")
            continue
        if units is None and name not in (*PARADIGMS, FOUND):
            raise ValueError(
                f"{name} has no units; write {name}: {{unit: [tasks]}} or use {', '.join((*PARADIGMS, FOUND))}, "
                f"or two of them as in AU{ARROW}TS"
            )
        if units is not None and name in PARADIGMS:
            raise ValueError(f"{name} is defined already; give a partition of your own another name")
        if known.setdefault(name.lower(), name) != name:
            raise ValueError(f"{name} differs from {known[name.lower()]} in capitals alone; choose another name")
        if units is None:
            continue
        if not units:
            raise ValueError(f"{name} has no units; write {name}: {{unit: [tasks]}}")
        try:
            Aggregation(name, tuple(Unit(unit, tasks) for unit, tasks in units.items()))
        except StudyError as error:
            raise ValueError(printable(str(error).removeprefix("aggregations."), 300)) from error
    return value


Aggregations = Annotated[
    dict[AggregationName, Partition | None],
    Field(min_length=1),
    BeforeValidator(_by_name),
    AfterValidator(_distinguishable),
]
