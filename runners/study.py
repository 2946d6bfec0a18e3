"""A study file: which data, which aggregations, fractions and seeds, which model, how it is trained."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from aggregation_lab.aggregation import FLOOR, PARADIGMS, Aggregation, user_partition
from aggregation_lab.config import Config, ModelConfig, TargetRules, TrainingConfig, check_frozen
from aggregation_lab.errors import StudyError
from aggregation_lab.manifest import DEFAULT_MARGIN
from aggregation_lab.naming import clean_name
from aggregation_lab.tasks import Task, TaskType
from runners.slurm.settings import SlurmSettings

BUDGETS: dict[str, dict[str, float]] = {
    "smoke": {"passes": 1, "min_steps": 4, "evaluations": 3},
    "small": {"passes": 11, "min_steps": 100, "evaluations": 6},
    "full": {"passes": 60, "min_steps": 400, "evaluations": 12},
}
"""What the one dial sets in `training`; fields written in the study file win."""


Title = Annotated[str, AfterValidator(clean_name)]
"""Name of a task, group or unit, in the form in which the data's names are read."""


class PhantomSettings(Config):
    """Speckle phantoms that stand in for data: written to OUT/data where neither data.root nor --data is given."""

    tasks: tuple[str, ...] | None = None
    """Challenge task ids; empty takes the phantoms' own selection."""
    scale: float = Field(0.04, gt=0, le=1)
    """Images per task as a share of the challenge's."""
    minimum: int = Field(32, ge=1)
    """Least images of a task, whatever the scale."""
    maximum: int = Field(160, ge=1)
    """Most images of a task, whatever the scale."""
    image_size: int = Field(128, ge=32, le=1024)
    """Longer side of the images in pixels."""
    seed: int = Field(0, ge=0)


class FolderConfig(Config):
    """Where the images are, how they are grouped and how they are divided."""

    root: Path | None = None
    """Folder in the challenge's layout; relative paths start at the study file. Empty: phantoms."""
    phantoms: PhantomSettings = PhantomSettings()
    tasks: tuple[Title, ...] | None = None
    """Tasks of the study; empty takes every task of the folder."""
    groups: dict[Title, Title] = Field(default_factory=dict)
    """Clinical group by task, where it differs from the default."""
    subjects: dict[str, str] = Field(default_factory=dict)
    """Regular expression that finds the subject in a file name, by source or task."""
    laterality: tuple[Title, ...] = ()
    """Tasks whose target tells left from right: never mirrored. The challenge's own are known."""
    shares: tuple[float, float, float] = (0.7, 0.15, 0.15)
    """Shares of train, val and test."""
    split_seed: int = Field(0, ge=0)
    """Seed of the one split over all tasks."""
    split: Path | None = None
    """A split drawn before, to be used again; relative paths start at the study file."""

    @field_validator("shares")
    @classmethod
    def _whole(cls, shares: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
            raise ValueError("takes three shares greater than 0 that add up to 1: train, val, test")
        return shares


class DataConfig(TargetRules, FolderConfig):
    """The data of a study: where they are, and how their targets are written."""


def _seed_list(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 1:
            raise ValueError("takes a number of seeds of at least 1, or a list of seeds")
        return list(range(value))
    return value


Partition = dict[Title, tuple[Title, ...]]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Study(Config):
    """A study file, checked. Everything that decides a result is in here, before anything is trained."""

    name: Name
    """Letters, digits, dot, dash, underscore."""
    data: DataConfig = DataConfig()
    aggregations: dict[Name, Partition | None] = Field(default={"TS": None, "CG": None, "AU": None}, min_length=1)
    """TS, CG, AU by name, and partitions of one's own as {unit: [tasks]}."""
    fractions: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field((1.0,), min_length=1)
    """Shares of the training components."""
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(_seed_list)] = Field((0,), min_length=1)
    """A list of seeds, or how many."""
    budget: Literal["smoke", "small", "full"] = "small"
    """One dial for the length of training; see BUDGETS."""
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    margins: dict[Title, Annotated[float, Field(ge=0, lt=1)]] = Field(default_factory=dict)
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
        if not isinstance(value, list):
            return value
        named: dict[Any, Any] = {}
        for item in value:
            entries = item if isinstance(item, dict) else {item: None}
            for name, units in entries.items():
                if name in named:
                    raise ValueError(f"has {name} twice; each aggregation has its own name")
                named[name] = units
        return named

    @field_validator("aggregations")
    @classmethod
    def _known(cls, value: dict[str, Partition | None]) -> dict[str, Partition | None]:
        for name, units in value.items():
            if name == FLOOR:
                raise ValueError(f"{FLOOR} is the name of the trivial predictors; choose another")
            if units is None and name not in PARADIGMS:
                raise ValueError(f"{name} has no units; write {name}: {{unit: [tasks]}} or use {', '.join(PARADIGMS)}")
            if units is not None and name in PARADIGMS:
                raise ValueError(f"{name} is defined already; give a partition of your own another name")
        return value

    @field_validator("fractions", "seeds")
    @classmethod
    def _distinct(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) < len(values):
            raise ValueError("has the same value twice; each takes part once")
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
            unknown = sorted(names - set(tasks))
            if unknown:
                raise StudyError(
                    f"{place}: unknown task {', '.join(unknown)}; the study has {', '.join(sorted(tasks))}"
                )
        ordered = [tasks[name] for name in sorted(tasks)]
        return [
            PARADIGMS[name](ordered) if units is None else user_partition(name, units, ordered)
            for name, units in self.aggregations.items()
        ]
