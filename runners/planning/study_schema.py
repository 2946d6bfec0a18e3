"""A study file: which data, which aggregations, fractions and seeds, which model, how it is trained."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from aggregation_lab.aggregation import (
    FOUND,
    PARADIGMS,
    Aggregation,
    rests_on_found,
    sequential,
    stages,
    user_partition,
)
from aggregation_lab.config import ModelConfig, TargetRules, TrainingConfig, check_frozen
from aggregation_lab.config_fields import Config, LastingConfig
from aggregation_lab.errors import StudyError
from aggregation_lab.folds import FEWEST_FOLDS, MOST_FOLDS, fold_of
from aggregation_lab.manifest import DEFAULT_MARGIN
from aggregation_lab.results import ONLY_ARM
from aggregation_lab.tasks import CHALLENGE_TASKS, Task, TaskType
from aggregation_lab.training.affinity.settings import AffinitySettings
from runners.planning.arms import (
    MOST_ARMS,
    Arm,
    Compare,
    check_arms,
    check_base,
    check_reference,
    reference_arm,
    with_own_settings,
)
from runners.planning.fields import (
    Aggregations,
    AnyTasks,
    ChosenTasks,
    FilePath,
    Fractions,
    Groups,
    Margins,
    Name,
    Seed,
    Seeds,
    Subjects,
    Tasks,
    unknown_tasks,
)
from runners.planning.found_settings import (
    FoundSettings,
    RecordedAffinity,
    check_groupable,
    check_options,
    check_sequences,
    check_sought,
    is_evidence,
    is_sought,
)
from runners.planning.keep_settings import KeepSettings
from runners.planning.sequences import check_specialise, specialised
from runners.planning.slurm_settings import SlurmSettings

BUDGETS: dict[str, dict[str, float]] = {
    "smoke": {"passes": 1, "min_steps": 4, "evaluations": 3},
    "small": {"passes": 11, "min_steps": 100, "evaluations": 6},
    "full": {"passes": 60, "min_steps": 400, "evaluations": 12},
}
"""What the one dial sets in `training`; fields written in the study file win."""


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
            raise ValueError(f"tasks holds {unknown_tasks(unknown, CHALLENGE_TASKS, 'the challenge')}")
        if self.minimum > self.maximum:
            raise ValueError(f"minimum is {self.minimum} but maximum {self.maximum}; it takes minimum <= maximum")
        return self


class FolderConfig(Config):
    """Where the images are, how they are grouped and how they are divided."""

    root: FilePath | None = None
    """Folder in the challenge's layout; relative paths start at the study file. Empty: phantoms."""
    phantoms: PhantomSettings = PhantomSettings()
    tasks: ChosenTasks | None = None
    """Tasks of the study, as a list, or {name in the data: name in the study}, which every other field then uses; empty
    takes every task of the folder."""
    subset: int | None = Field(None, ge=3)
    """At most so many cases of each task take part, whole subjects, always the same ones: for a quick look."""
    groups: Groups = Field(default_factory=dict)
    """Clinical group by task, where it differs from the default."""
    subjects: Subjects = Field(default_factory=dict)
    """Regular expression that finds the subject in a file name, by source or task."""
    laterality: AnyTasks = ()
    """Tasks whose target tells left from right: never mirrored. The challenge's own are known."""
    shares: tuple[float, float, float] = (0.7, 0.15, 0.15)
    """Shares of train, val and test; of no meaning with `folds`."""
    folds: int = Field(1, ge=1, le=MOST_FOLDS)
    """1: one split for all seeds. 3 or more: rotating folds. The seed s tests the fold s mod `folds`, validates on the
    next one and trains on the rest, so that the seeds 0 to `folds` - 1 test every image once."""
    split_seed: Seed = 0
    """Seed of the one split, or the folds, over all tasks."""
    split: FilePath | None = None
    """A split or folds drawn before, to be used again; nnU-Net's splits_final.json with an entry per fold. Relative
    paths start at the study file."""

    @field_validator("shares")
    @classmethod
    def _whole(cls, shares: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
            raise ValueError("takes three shares greater than 0 that add up to 1: train, val, test")
        return shares

    @model_validator(mode="after")
    def _rotating(self) -> "FolderConfig":
        if 1 < self.folds < FEWEST_FOLDS:
            raise ValueError(
                f"folds is {self.folds}, it takes 1, or {FEWEST_FOLDS} or more: to test, to validate, to train on"
            )
        if self.folds > 1 and self.shares != type(self).model_fields["shares"].default:
            raise ValueError(f"shares has no meaning with folds: {self.folds}, which are of one size; leave it out")
        return self

    @property
    def assumed_shares(self) -> tuple[float, float, float]:
        """Shares of train, val and test in one replicate."""
        return self.shares if self.folds == 1 else ((self.folds - 2) / self.folds, 1 / self.folds, 1 / self.folds)


class DataConfig(TargetRules, FolderConfig):
    """The data of a study: where they are, and how their targets are written."""


class Study(LastingConfig):
    """A study file, checked. Everything that decides a result is in here, before anything is trained."""

    always_written = (
        *("name", "data", "aggregations", "fractions", "seeds", "budget", "model", "training", "margins", "slurm"),
    )

    name: Name
    """Letters, digits, dot, dash, underscore."""
    data: DataConfig = DataConfig()
    aggregations: Aggregations = {"TS": None, "CG": None, "AU": None}
    """TS, CG, AU by name, partitions of one's own as {unit: [tasks]}, sequential ones such as AU>TS, whose units of TS
    start from the finished models of AU, and `found`, which the grid finds from the finished runs of the others."""
    fractions: Fractions = (1.0,)
    """Shares of the training components."""
    seeds: Seeds = (0,)
    """A list of seeds, or how many."""
    budget: Literal["smoke", "small", "full"] = "small"
    """One dial for the length of training; see BUDGETS."""
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    arms: dict[Name, Arm] = Field(default_factory=dict, max_length=MOST_ARMS)
    """Variants of model and training by name, {wide: {model.encoder: vit_small_patch16_dinov3}}: every change by its
    dotted path; `aggregations` restricts one to some of the study's. Empty: the study is one arm."""
    specialise: dict[str, Any] = Field(default_factory=dict)
    """Fields of `training` that are other in the second stage of sequential aggregations, {passes: 4}. Empty: it is
    trained as the first one is."""
    reference: Name | None = None
    """A plain network that stands beside TS in every report: an encoder of timm, trained TS with the same passes, or an
    arm of the study."""
    compare: Compare = Compare()
    """What a report compares with where nothing else is asked for."""
    margins: Margins = Field(default_factory=dict)
    """Largest loss of unit-free score that counts as no loss, by task or task type; `default` for the others (0.02).
    Name them before verdicts are read: a report says which are defaults, and which have changed since."""
    keep: KeepSettings = KeepSettings()
    """What finished runs keep beside their tables: predictions and models; no run's id depends on it."""
    found: FoundSettings | None = None
    """How `found` among the aggregations is sought; empty: any number of units, at any cost."""
    affinity: RecordedAffinity | None = None
    """What runs of several tasks record of how these bear on each other, {} for all defaults; empty: nothing, but with
    `found` the runs that it is found from record it with all defaults; false: nothing in any case. No run's id depends
    on it."""
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

    @field_validator("aggregations")
    @classmethod
    def _enough_to_find_from(cls, aggregations: Aggregations) -> Aggregations:
        if is_sought(aggregations):
            check_sequences(aggregations)
            try:
                check_sought(aggregations, "the study")
            except ValueError as error:
                raise ValueError(f"{FOUND} {error}") from error
        return aggregations

    @field_validator("training")
    @classmethod
    def _fits_the_model(cls, training: TrainingConfig, info: ValidationInfo) -> TrainingConfig:
        if "model" in info.data:  # else the model has a fault of its own, which is reported
            check_frozen(info.data["model"], training)
        return training

    @field_validator("arms", mode="before")
    @classmethod
    def _override(cls, value: Any, info: ValidationInfo) -> Any:
        return with_own_settings(value, info.data, BUDGETS.get(info.data.get("budget", ""), {}))

    @field_validator("arms")
    @classmethod
    def _of_the_study(cls, arms: dict[str, Arm], info: ValidationInfo) -> dict[str, Arm]:
        check_arms(arms, info.data)
        return arms

    @field_validator("specialise")
    @classmethod
    def _second_stage(cls, changes: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if not changes or not {"aggregations", "budget", "model", "training", "arms"} <= info.data.keys():
            return changes
        variants = {name: (arm.model, arm.training) for name, arm in info.data["arms"].items()}
        variants = variants or {"": (info.data["model"], info.data["training"])}
        check_specialise(changes, info.data["aggregations"], variants, BUDGETS[info.data["budget"]])
        return changes

    @field_validator("reference")
    @classmethod
    def _beside_ts(cls, reference: str | None, info: ValidationInfo) -> str | None:
        if reference is not None and {"aggregations", "model", "training", "arms"} <= info.data.keys():
            check_reference(reference, info.data)
        return reference

    @field_validator("compare")
    @classmethod
    def _with_a_base(cls, compare: Compare, info: ValidationInfo) -> Compare:
        if {"aggregations", "arms"} <= info.data.keys():
            check_base(compare.base, info.data)
        return compare

    @field_validator("found")
    @classmethod
    def _can_be_sought(cls, found: FoundSettings | None, info: ValidationInfo) -> FoundSettings | None:
        if {"aggregations", "arms", "compare"} <= info.data.keys():
            aggregations, arms, base = info.data["aggregations"], info.data["arms"], info.data["compare"].base.arm
            check_options(found, aggregations)
            base = base or next((name for name in arms if name != info.data.get("reference")), None)
            if base is not None and is_sought(aggregations):
                check_sought(filter(arms[base].holds, aggregations), f"the base arm, {base},")
        return found

    @property
    def variants(self) -> dict[str, Arm]:
        """Every arm by name, in the order of the study file and the reference last; one where the study names none."""
        arms = dict(self.arms) or {ONLY_ARM: Arm(model=self.model, training=self.training)}
        if self.reference is not None and self.reference not in arms:
            arms[self.reference] = reference_arm(self.reference, self.model, self.training)
        return arms

    @property
    def base_arm(self) -> str:
        """The arm that a report is of where no other is asked for."""
        return self.compare.base.arm or next(name for name in self.variants if name != self.reference)

    @property
    def image_sizes(self) -> list[int]:
        """The sizes that images have in the arms."""
        return list(dict.fromkeys(arm.training.image_size for arm in self.variants.values()))

    def second_stage(self, arm: Arm) -> TrainingConfig:
        """What the second stage of an arm's sequential aggregations is trained with."""
        return specialised(arm.training, self.specialise, BUDGETS[self.budget])

    def margin(self, task: Task) -> float:
        """Margin of a task: its own, else its type's, else the default."""
        return next((self.margins[key] for key in _margin_keys(task) if key in self.margins), DEFAULT_MARGIN)

    def names_margin(self, task: Task) -> bool:
        """Whether the study says anything of the margin of a task."""
        return any(key in self.margins for key in _margin_keys(task))

    def fold(self, seed: int) -> int | None:
        """The fold that the runs of a seed test; None with one split."""
        return fold_of(seed, self.data.folds) if self.data.folds > 1 else None

    @property
    def seeks_found(self) -> bool:
        """Whether the grid finds the partition `found`."""
        return is_sought(self.aggregations)

    @property
    def starts_of_unknown(self) -> frozenset[str]:
        """Aggregations from whose models units of `found` start."""
        both = [stages(name) for name in self.aggregations if self.seeks_found and rests_on_found(name)]
        return frozenset(pair[0] for pair in both if pair and not rests_on_found(pair[0]))

    def informs_found(self, aggregation: str, arm: str, fraction: float) -> bool:
        """Whether runs of an aggregation, arm and fraction are what `found` is found from."""
        is_base = arm == self.base_arm and fraction == max(self.fractions)
        return self.seeks_found and is_base and is_evidence(aggregation)

    def recorded(self, informs_found: bool) -> AffinitySettings | None:
        """What a run of several tasks records of them."""
        if isinstance(self.affinity, AffinitySettings):
            return self.affinity
        return AffinitySettings() if informs_found and self.affinity is None else None

    def partitions(self, tasks: dict[str, Task], found: Mapping[str, Sequence[str]] | None = None) -> list[Aggregation]:
        """The aggregations over the data's tasks; those that rest on `found` where its units are given.

        Raises `StudyError` where the study names a task the data lacks, or a partition is none.
        """
        types = {str(task_type) for task_type in TaskType}
        named = {
            "data.groups": set(self.data.groups),
            "training.loss_weights": set(self.training.loss_weights),
            "specialise.loss_weights": set(self.specialise.get("loss_weights") or ()),
            **{f"arms.{name}.training.loss_weights": set(arm.training.loss_weights) for name, arm in self.arms.items()},
            "margins": set(self.margins) - types - {"default"},
        }
        for field, names in named.items():
            unknown = names - set(tasks)
            if unknown:
                raise StudyError(f"{field}: {unknown_tasks(unknown, tasks, 'the study')}")
        ordered = [tasks[name] for name in sorted(tasks)]

        def partition(name: str) -> Aggregation:
            if both := stages(name):
                return sequential(*map(partition, both))
            units = found if name == FOUND and self.seeks_found else self.aggregations.get(name)
            return PARADIGMS[name](ordered) if units is None else user_partition(name, units, ordered)

        waits = self.seeks_found and found is None
        known = [partition(name) for name in self.aggregations if not (waits and rests_on_found(name))]
        if self.seeks_found:
            check_groupable(self.found or FoundSettings(), ordered, [part for part in known if is_evidence(part.name)])
        return known


def _margin_keys(task: Task) -> tuple[str, str, str]:
    """What `margins` may call a task, the nearest first."""
    return task.name, str(task.type), "default"
