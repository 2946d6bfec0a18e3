"""A study file: which data, which aggregations, fractions and seeds, which model, how it is trained."""

import difflib
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from aggregation_lab.aggregation import FLOOR, PARADIGMS, Aggregation, Unit, user_partition
from aggregation_lab.config import Config, ModelConfig, TrainingConfig, check_frozen
from aggregation_lab.data.expressions import Expression
from aggregation_lab.errors import StudyError
from aggregation_lab.manifest import DEFAULT_MARGIN
from aggregation_lab.tasks import CHALLENGE_TASKS, Task, TaskType
from aggregation_lab.text import LONGEST_NAME, name_fault, printable
from runners.slurm.settings import SlurmSettings

BUDGETS: dict[str, dict[str, float]] = {
    "smoke": {"passes": 1, "min_steps": 4, "evaluations": 3},
    "small": {"passes": 11, "min_steps": 100, "evaluations": 6},
    "full": {"passes": 60, "min_steps": 400, "evaluations": 12},
}
"""What the one dial sets in `training`; fields written in the study file win."""


MOST_SEEDS = 1000
Seed = Annotated[int, Field(ge=0, lt=2**32)]


def _each_once(values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    seen: set[Any] = set()
    for value in values or ():
        if value in seen:
            raise ValueError(f"has the same value twice ({printable(str(value))}); each takes part once")
        seen.add(value)
    return values


def _name(name: str) -> str:
    fault = name_fault(name)
    if fault:
        raise ValueError(fault)
    return unicodedata.normalize("NFC", name)


def _path(value: Any) -> Any:
    return Path(value) if isinstance(value, str) and value else value


Tasks = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_each_once)]
Label = Annotated[str, AfterValidator(_name)]
"""Name of a unit or a group."""
FilePath = Annotated[Path, BeforeValidator(_path)]


class PhantomSettings(Config):
    """Speckle phantoms that stand in for data: written to OUT/data where neither data.root nor --data is given."""

    tasks: Tasks | None = None
    """Challenge task ids; empty takes the phantoms' own selection."""
    scale: float = Field(0.04, gt=0, le=1)
    """Images per task as a share of the challenge's."""
    minimum: int = Field(32, ge=1, le=10_000)
    """Least images of a task, whatever the scale."""
    maximum: int = Field(160, ge=1, le=10_000)
    """Most images of a task, whatever the scale."""
    image_size: int = Field(128, ge=32, le=1024)
    """Longer side of the images in pixels."""
    seed: Seed = 0

    @model_validator(mode="after")
    def _drawable(self) -> "PhantomSettings":
        unknown = [name for name in self.tasks or () if name not in CHALLENGE_TASKS]
        if unknown:
            raise ValueError(f"tasks holds {_unknown(unknown, CHALLENGE_TASKS, 'the challenge')}")
        if self.minimum > self.maximum:
            raise ValueError(f"minimum is {self.minimum} but maximum {self.maximum}; it takes minimum <= maximum")
        return self


def _unknown(names: Iterable[str], known: Iterable[str], owner: str) -> str:
    """Says which tasks nobody knows, and which were meant or may be had instead."""
    wanted, there = sorted(names), sorted(known)
    close = difflib.get_close_matches(wanted[0], there, n=1)
    listed = ", ".join(printable(name, 60) for name in there[:40]) + ("..." if len(there) > 40 else "")
    hint = f"did you mean {close[0]}?" if close else f"{owner} has {listed}"
    return f"unknown task {', '.join(printable(name, 60) for name in wanted[:5])}; {hint}"


class DataConfig(Config):
    """Where the images are, how they are grouped and how they are divided."""

    root: FilePath | None = None
    """Folder in the challenge's layout; relative paths start at the study file. Empty: phantoms."""
    phantoms: PhantomSettings = PhantomSettings()
    tasks: Tasks | None = None
    """Tasks of the study; empty takes every task of the folder."""
    groups: dict[str, Label] = Field(default_factory=dict)
    """Clinical group by task, where it differs from the default."""
    subjects: dict[str, str] = Field(default_factory=dict)
    """Regular expression that finds the subject in a file name, by source or task."""
    laterality: Annotated[tuple[str, ...], AfterValidator(_each_once)] = ()
    """Tasks whose target tells left from right: never mirrored. The challenge's own are known."""
    shares: tuple[float, float, float] = (0.7, 0.15, 0.15)
    """Shares of train, val and test."""
    split_seed: Seed = 0
    """Seed of the one split over all tasks."""
    split: FilePath | None = None
    """A split drawn before, to be used again; relative paths start at the study file."""

    @field_validator("subjects")
    @classmethod
    def _searchable(cls, subjects: dict[str, str]) -> dict[str, str]:
        for pattern, expression in subjects.items():
            try:
                Expression(expression)
            except ValueError as error:
                raise ValueError(f"{printable(pattern)}: {error}") from error
        return subjects

    @field_validator("shares")
    @classmethod
    def _whole(cls, shares: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
            raise ValueError("takes three shares greater than 0 that add up to 1: train, val, test")
        return shares


def _seed_list(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 1:
            raise ValueError("takes a number of seeds of at least 1, or a list of seeds")
        if value > MOST_SEEDS:
            raise ValueError(
                f"takes {MOST_SEEDS} seeds at most; a list such as [{printable(str(value), 20)}] means one"
            )
        return tuple(range(value))
    if not isinstance(value, list | tuple):
        raise ValueError(f"got {printable(repr(value), 60)}, it takes a number of seeds, or a list of seeds")
    return value


Partition = dict[Label, tuple[str, ...]]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=LONGEST_NAME)]


def _check_partition(name: str, units: dict[str, tuple[str, ...]]) -> None:
    """Raises `ValueError` where no data could make a partition of it."""
    if not units:
        raise ValueError(f"{name} has no units; write {name}: {{unit: [tasks]}}")
    try:
        Aggregation(name, tuple(Unit(unit, tasks) for unit, tasks in units.items()))
    except StudyError as error:
        raise ValueError(printable(str(error).removeprefix("aggregations."), 300)) from error


class Study(Config):
    """A study file, checked. Everything that decides a result is in here, before anything is trained."""

    name: Name
    """Letters, digits, dot, dash, underscore."""
    data: DataConfig = DataConfig()
    aggregations: dict[Name, Partition | None] = Field(default={"TS": None, "CG": None, "AU": None}, min_length=1)
    """TS, CG, AU by name, and partitions of one's own as {unit: [tasks]}."""
    fractions: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field((1.0,), min_length=1, max_length=100)
    """Shares of the training components."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1, max_length=MOST_SEEDS), BeforeValidator(_seed_list)] = (0,)
    """A list of seeds, or how many."""
    budget: Literal["smoke", "small", "full"] = "small"
    """One dial for the length of training; see BUDGETS."""
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    margins: dict[str, Annotated[float, Field(ge=0, lt=1)]] = Field(default_factory=dict)
    """Largest loss of unit-free score that counts as no loss, by task or task type; `default` for the others (0.02).
    Fixed here before the runs, used by the analysis."""
    slurm: SlurmSettings = SlurmSettings()
    """What `--engine slurm` asks the cluster for; no run's id depends on it."""

    @model_validator(mode="before")
    @classmethod
    def _apply_budget(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        training = value.get("training")
        preset = BUDGETS.get(str(value.get("budget", "small")), {})
        if training is None or isinstance(training, dict):
            value = {**value, "training": {**preset, **(training or {})}}
        return value

    @field_validator("aggregations", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """Accept [TS, CG, {mine: {unit: [tasks]}}] beside a plain mapping."""
        if not isinstance(value, tuple):
            return value
        named: dict[Any, Any] = {}
        for item in value:
            if not isinstance(item, str | dict):
                raise ValueError(f"holds {printable(repr(item), 60)}; write TS, CG, AU or {{name: {{unit: [tasks]}}}}")
            entries = item if isinstance(item, dict) else {item: None}
            for name, units in entries.items():
                if name in named:
                    raise ValueError(f"has {printable(name)} twice; each aggregation has its own name")
                named[name] = units
        return named

    @field_validator("aggregations")
    @classmethod
    def _known(cls, value: dict[str, Partition | None]) -> dict[str, Partition | None]:
        known = {name.lower(): name for name in (FLOOR, *PARADIGMS)}
        for name, units in value.items():
            if name.lower() == FLOOR:
                raise ValueError(f"{name} is the name of the trivial predictors; choose another")
            if units is None and name not in PARADIGMS:
                raise ValueError(f"{name} has no units; write {name}: {{unit: [tasks]}} or use {', '.join(PARADIGMS)}")
            if units is not None and name in PARADIGMS:
                raise ValueError(f"{name} is defined already; give a partition of your own another name")
            if known.setdefault(name.lower(), name) != name:
                raise ValueError(f"{name} differs from {known[name.lower()]} in capitals alone; choose another name")
            if units is not None:
                _check_partition(name, units)
        return value

    @field_validator("fractions", "seeds")
    @classmethod
    def _distinct(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        _each_once(tuple(sorted(values)))
        return tuple(sorted(values))

    @field_validator("training")
    @classmethod
    def _fits_the_model(cls, training: TrainingConfig, info: ValidationInfo) -> TrainingConfig:
        if "model" in info.data:  # else the model has a fault of its own, which is told
            check_frozen(info.data["model"], training)
        return training

    def margin(self, task: Task) -> float:
        """Margin of a task: its own, else its type's, else the default."""
        for key in (task.name, str(task.type), "default"):
            if key in self.margins:
                return self.margins[key]
        return DEFAULT_MARGIN

    def partitions(self, tasks: dict[str, Task]) -> list[Aggregation]:
        """The aggregations over the data's tasks.

        Raises `StudyError` where the study names a task the data lacks, or a partition is none.
        """
        types = {str(task_type) for task_type in TaskType}
        named = {
            "data.groups": set(self.data.groups),
            "training.loss_weights": set(self.training.loss_weights),
            "margins": set(self.margins) - types - {"default"},
        }
        for place, names in named.items():
            unknown = names - set(tasks)
            if unknown:
                raise StudyError(f"{place}: {_unknown(unknown, tasks, 'the study')}")
        ordered = [tasks[name] for name in sorted(tasks)]
        self._check_groups(ordered)
        return [
            PARADIGMS[name](ordered) if units is None else user_partition(name, units, ordered)
            for name, units in self.aggregations.items()
        ]

    def _check_groups(self, tasks: Iterable[Task]) -> None:
        """A slip of the pen must not make two groups of one. Raises `StudyError`."""
        groups = {task.group for task in tasks}
        for name in sorted(set(self.data.groups.values())):
            other = next((group for group in groups if group != name and group.lower() == name.lower()), None)
            if other:
                raise StudyError(f"data.groups: {name} and {other} differ in capitals alone; write one of them")
